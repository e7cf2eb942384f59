package progress

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"gx1replay/internal/printable"
)

// SummaryState is the end of a run. Most empty texts and zero counts are left out.
type SummaryState struct {
	RunID   string
	Outcome string // complete | stopped | failed
	// StopSource and StopReason are of the stop; empty: none.
	StopSource, StopReason string
	Wall                   time.Duration // of this session or of all, as the perf JSON has it
	Workers                int           // that took part

	BarsPlanned, BarsReplayed int64
	BarsPerSec                float64 // over Wall; 0 or not finite: not known

	ChunksTotal int
	// Chunks counts the chunks by status, in order.
	Chunks []StatusCount
	// LastError is one line about the worst error of a chunk.
	LastError string

	// Phases are the workers' times, in order; shares are of their sum.
	Phases []Phase

	Trades, TradesOpen int64
	PnlBps             float64
	NetPnlBps          *float64 // after costs; nil: there are none, or it is not known
	// Estimate is what the run would give at its end; empty: there is no estimate.
	Estimate string
	// Signals counts all; Expired of them had no next bar in time.
	Signals, Expired int64
	// WithoutRows are closed trades that the trades file lacks.
	WithoutRows int64
	Remarks     []string // sentences about the trades

	File string // the perf JSON, or the stub
	// ExportError is the reason for a stub.
	ExportError string
	// Next is the command that resumes the run; NextWhy what it does.
	Next, NextWhy string
}

type StatusCount struct {
	Status string
	N      int
}

type Phase struct {
	Name string
	Sec  float64
}

// Summary writes the end of a run: outcome, amounts and speed, times, and last
// coverage, file and next command.
func Summary(w io.Writer, s SummaryState, color bool) error {
	var b strings.Builder
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name, text)
		}
	}
	b.WriteString(s.headline(color) + "\n")
	if s.WithoutRows > 0 {
		row("missing", paint("the rows of "+plural(s.WithoutRows, "trade")+", which are in the totals and not in the trades file (see the log)", red, color))
	}
	for _, text := range s.Remarks {
		row("warning", paint(printable.Line(text), yellow, color))
	}
	row("speed", s.speed())
	row("time", s.shares())
	row("chunks", s.chunks(color))
	row("error", paint(printable.Line(s.LastError), red, color))
	row("trades", s.trades())
	row("expired", s.expired())
	row("at end", s.Estimate)
	row("covered", s.covered(color))
	if s.ExportError != "" {
		row("export", paint("failed: "+printable.Line(s.ExportError), red, color))
		row("stub", printable.Line(s.File))
	} else {
		row("file", paint(printable.Line(s.File), bold, color))
	}
	if s.Next != "" {
		next := printable.Line(s.Next)
		if s.NextWhy != "" {
			next += paint("   # "+printable.Line(s.NextWhy), dim, color)
		}
		row("next", next)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the summary of run %s: %w", s.RunID, err)
	}
	return nil
}

func (s SummaryState) headline(color bool) string {
	mark := map[string]style{"complete": green, "stopped": yellow, "failed": red}[s.Outcome]
	line := "run " + printable.Line(s.RunID) + " " + paint(printable.Line(s.Outcome), mark, color) + " after " + Duration(s.Wall)
	if s.StopSource != "" {
		line += " (" + printable.Line(s.StopSource)
		if s.StopReason != "" {
			line += ": " + printable.Line(s.StopReason)
		}
		line += ")"
	}
	return line
}

func (s SummaryState) speed() string {
	text := Count(s.BarsReplayed) + " bars"
	if known(s.BarsPerSec) {
		text += ", " + rate(s.BarsPerSec)
	}
	if s.Workers > 0 {
		text += ", " + plural(int64(s.Workers), "worker")
	}
	return text
}

// shares are in whole percent; those of 0 are left out.
func (s SummaryState) shares() string {
	sum := 0.0
	for _, p := range s.Phases {
		sum += counted(p.Sec)
	}
	if sum == 0 {
		return ""
	}
	var shares []string
	for _, p := range s.Phases {
		if share := int(math.Round(counted(p.Sec) / sum * 100)); share > 0 {
			shares = append(shares, fmt.Sprintf("%s %d%%", printable.Line(p.Name), share))
		}
	}
	return strings.Join(shares, ", ")
}

func counted(sec float64) float64 {
	if !known(sec) {
		return 0
	}
	return min(sec, 1e15)
}

func (s SummaryState) chunks(color bool) string {
	if s.ChunksTotal == 0 {
		return "none: the run ended before it had a plan"
	}
	var counts []string
	for _, c := range s.Chunks {
		if c.N == 0 {
			continue
		}
		text := Count(int64(c.N)) + " " + printable.Line(c.Status)
		if c.Status == "failed" || c.Status == "parse_error" {
			text = paint(text, red, color)
		}
		counts = append(counts, text)
	}
	return Count(int64(s.ChunksTotal)) + ": " + strings.Join(counts, ", ")
}

func (s SummaryState) trades() string {
	if s.Trades == 0 && s.TradesOpen == 0 {
		return "none"
	}
	text := Count(s.Trades)
	if !math.IsNaN(s.PnlBps) && !math.IsInf(s.PnlBps, 0) {
		text += fmt.Sprintf(", %+.1f bps", s.PnlBps)
	}
	if net := s.NetPnlBps; net != nil && !math.IsNaN(*net) && !math.IsInf(*net, 0) {
		text += fmt.Sprintf(", %+.1f bps after costs", *net)
	}
	if s.TradesOpen > 0 {
		text += ", " + Count(s.TradesOpen) + " open"
	}
	return text
}

func (s SummaryState) expired() string {
	if s.Expired == 0 {
		return ""
	}
	return Count(s.Expired) + " of " + plural(s.Signals, "signal") + ": no next bar within entry.max_gap"
}

func (s SummaryState) covered(color bool) string {
	if s.BarsPlanned == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of the data: %s of %s bars", percent(s.BarsReplayed, s.BarsPlanned), Count(s.BarsReplayed), Count(s.BarsPlanned))
	if missing := s.BarsPlanned - s.BarsReplayed; missing > 0 {
		text += ", " + paint(Count(missing)+" missing", yellow, color)
	}
	return text
}
