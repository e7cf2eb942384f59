// Package progress shows how far a run is: as one live line on a terminal, as
// attributes of a log line elsewhere, and as the summary at its end. Only Live is
// not pure. It computes no figure of the run.
package progress

import (
	"log/slog"
	"math"
	"strings"
	"time"

	"gx1replay/internal/printable"
)

// State is how far a run is.
type State struct {
	RunID string

	ChunksDone    int // with an ok footer
	ChunksRunning int // claimed, alive
	ChunksFailed  int // given up
	ChunksTotal   int // 0: there is no plan yet

	BarsDone   int64
	BarsTotal  int64
	BarsPerSec float64 // of late; 0 or not finite: not known

	Left   time.Duration // estimate; below 0: not known
	Trades int64

	// Taken: a worker has taken a task of this epoch.
	Taken bool
	// Stopping: the run drains.
	Stopping bool
	// BusLost: the bus does not answer; the figures are old.
	BusLost bool
	// Uploaded of Uploads slices of the data set are on the bus; 0 of 0: no upload.
	Uploaded, Uploads int
	// StopCommand is the exact command that stops this run.
	StopCommand string
}

const (
	planning = "planning" // there are no chunks yet
	nobody   = "no worker has taken a task"
	stopping = "stopping"
	busLost  = "the bus does not answer"
)

func (s State) uploading() string {
	return "uploading the data set, " + Count(int64(s.Uploaded)) + "/" + Count(int64(s.Uploads))
}

// Render returns the live line of s in at most width columns; escape sequences,
// with color, take none. Parts that do not fit are shortened or left out by their
// weight: half a stop command would be worse than none.
func Render(s State, width int, color bool) string {
	parts := s.parts()
	chosen := make([]string, len(parts)) // empty: left out
	room, first := width, true
	for weight := range maxWeight + 1 {
		for i, p := range parts {
			if p.weight != weight {
				continue
			}
			before := columns(gap)
			if first {
				before = 0
			}
			for _, text := range []string{p.text, p.short} {
				if text != "" && before+columns(text) <= room {
					chosen[i] = text
					room -= before + columns(text)
					first = false
					break
				}
			}
		}
	}
	var b strings.Builder
	for i, text := range chosen {
		if text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(gap)
		}
		b.WriteString(paint(text, parts[i].style, color))
	}
	return b.String()
}

const gap = " · "

// part is a piece of the line, in order. Those of the lowest weight are chosen
// first.
type part struct {
	text, short string // short: empty if there is no other form
	style       style
	weight      int
}

func (s State) parts() []part {
	var parts []part
	add := func(p part) { parts = append(parts, p) }

	share := percent(s.BarsDone, s.BarsTotal)
	add(part{
		text:  Count(s.BarsDone) + "/" + Count(s.BarsTotal) + " bars " + share,
		short: share, style: bold, weight: 0,
	})
	switch {
	case s.BusLost:
		add(part{text: busLost, short: "no bus", style: red, weight: 1})
	case s.Stopping:
		add(part{text: stopping, style: yellow, weight: 1})
	case s.ChunksTotal == 0:
		add(part{text: planning, style: plain, weight: 1})
	case s.Uploads > 0:
		add(part{text: s.uploading(), short: "uploading", style: plain, weight: 1})
	case !s.Taken:
		add(part{text: nobody, short: "no worker", style: yellow, weight: 1})
	}
	chunks := Count(int64(s.ChunksDone)) + "/" + plural(int64(s.ChunksTotal), "chunk")
	running := part{text: chunks, style: plain, weight: 2}
	if s.ChunksRunning > 0 {
		running.text, running.short = chunks+", "+Count(int64(s.ChunksRunning))+" running", chunks
	}
	add(running)
	if s.ChunksFailed > 0 {
		add(part{text: Count(int64(s.ChunksFailed)) + " failed", style: red, weight: 3})
	}
	if s.Taken {
		add(part{text: rate(s.BarsPerSec), style: plain, weight: 4})
		if !s.Stopping {
			add(part{text: left(s.Left), style: plain, weight: 3})
		}
		add(part{text: plural(s.Trades, "trade"), style: plain, weight: 5})
	}
	if s.StopCommand != "" && !s.Stopping {
		add(part{text: "stop: " + printable.Line(s.StopCommand), style: dim, weight: 6})
	}
	return parts
}

const maxWeight = 6

// Line returns s as attributes of a log line. bars_per_sec and left are missing
// while unknown.
func Line(s State) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("run_id", s.RunID),
		slog.Int("chunks_done", s.ChunksDone),
		slog.Int("chunks_running", s.ChunksRunning),
		slog.Int("chunks_failed", s.ChunksFailed),
		slog.Int("chunks_total", s.ChunksTotal),
		slog.Int64("bars_done", s.BarsDone),
		slog.Int64("bars_total", s.BarsTotal),
	}
	if known(s.BarsPerSec) {
		attrs = append(attrs, slog.Float64("bars_per_sec", math.Round(s.BarsPerSec*10)/10))
	}
	if s.Left >= 0 && s.Taken && !s.Stopping {
		attrs = append(attrs, slog.Duration("left", s.Left.Round(time.Second)))
	}
	attrs = append(attrs, slog.Int64("trades", s.Trades))
	switch {
	case s.BusLost:
		attrs = append(attrs, slog.String("note", busLost))
	case s.Stopping:
		attrs = append(attrs, slog.String("note", stopping))
	case s.ChunksTotal == 0:
		attrs = append(attrs, slog.String("note", planning))
	case s.Uploads > 0:
		attrs = append(attrs, slog.String("note", s.uploading()))
	case !s.Taken:
		attrs = append(attrs, slog.String("note", nobody))
	}
	return attrs
}
