package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"gx1replay/internal/cli/progress"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/process"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

const (
	drawEvery = 200 * time.Millisecond // the live line on a terminal
	logEvery  = 10 * time.Second       // a log line elsewhere, after the first
)

type ui struct {
	p     Program
	f     runFlags
	id    run.ID
	live  *progress.Live // nil off a terminal
	color bool
	log   *slog.Logger // nil on a terminal
	s     *coordinator.Session
	stop  atomic.Pointer[string] // the stop command, once the bus is up
	done  chan struct{}
	drawn sync.WaitGroup
	pace  pace
	begun time.Time
	kept  atomic.Int64 // bars that earlier sessions have replayed
	next  string       // the command that goes on from here
	retry string       // the one that takes up failed chunks, too
	// One goroutine prints them: their reporters must not wait for the terminal.
	troubles chan coordinator.Trouble
	notices  chan string
	shown    map[string]bool
	closed   sync.Once
}

func newUI(p Program, f runFlags, id run.ID) *ui {
	u := &ui{
		p: p, f: f, id: id, done: make(chan struct{}), begun: time.Now(),
		troubles: make(chan coordinator.Trouble, 64), shown: map[string]bool{}, notices: make(chan string, 64),
	}
	if file, ok := raw(p.Stderr).(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		u.color = p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
		u.live = progress.NewLive(file, u.color)
	} else {
		u.log = logTo(p.Stderr, slog.LevelInfo)
	}
	return u
}

// print prints a line above the live one.
func (u *ui) print(format string, args ...any) {
	if u.f.quiet {
		return
	}
	var w io.Writer = u.p.Stderr
	if u.live != nil {
		w = u.live
	}
	fmt.Fprintln(w, printable.Text(redact.Text(fmt.Sprintf(format, args...))))
}

// start is called before the epoch begins: from now on a stop leaves a perf JSON.
// It does not wait for the terminal, which may be held.
func (u *ui) start(s *coordinator.Session) {
	u.s = s
	if u.f.quiet {
		return
	}
	u.drawn.Go(func() {
		u.print("run_id %s", u.id)
		u.show()
	})
}

func (u *ui) Ready(i coordinator.Info) {
	open := i.WorkerKey != "" // to other hosts
	how := ""
	switch {
	case i.URL == "" && u.f.connect.given.Context != "":
		how = "--context " + u.f.connect.given.Context + " "
	case open:
		how = "--server " + redact.URLs(i.URL) + " --nkey " + relative(i.OperatorKey) + " "
	case i.URL != "nats://"+coordinator.DefaultListen:
		how = "--server " + redact.URLs(i.URL) + " "
	}
	cmd := "nats " + how + "pub gx1.stop." + string(i.RunID) + " ''"
	u.stop.Store(&cmd)
	for _, w := range i.Warnings {
		u.print("warning: %s", w)
	}
	u.print("%d chunks, %d workers; stop it with Ctrl-C, coordinator stop %s, or\n  %s", i.Plan.Chunks, u.f.workers, i.RunID, cmd)
	if i.Plan.Chunks < chunksToJudge {
		u.print("fewer than %d chunks: coordinator compare cannot judge the speed of this run (--chunks 8 changes that)", chunksToJudge)
	}
	if open {
		u.print("the bus accepts other hosts, with a key; copy %s to a host and start a worker there:\n  chunkworker --nats nats://%s --nkey worker.nk --run %s",
			relative(i.WorkerKey), elsewhere(i.URL), i.RunID)
	}
}

func elsewhere(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, u.Port())
}

// Explain prints what a resumed run replays.
func (u *ui) Explain(fates []coordinator.Fate) {
	u.kept.Store(u.s.Progress().Bars)
	replay := 0
	for _, f := range fates {
		if f.Replay {
			replay++
		}
	}
	u.print("resuming run %s: %d of %d chunks to replay", u.id, replay, len(fates))
	if !u.f.explain {
		return
	}
	for _, f := range fates {
		what := "kept  "
		if f.Replay {
			what = "replay"
		}
		u.print("  chunk %d  %s  %s", f.Idx, what, f.Why)
	}
}

const maxShownTroubles = 20

// anyNumber differs between two reports of the same error.
var anyNumber = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9]+`)

const troubleLines = 12

// Trouble reports an attempt that failed.
func (u *ui) Trouble(t coordinator.Trouble) {
	select {
	case u.troubles <- t:
	default: // there are many; the perf JSON has them all
	}
}

// Notice reports what delays the run.
func (u *ui) Notice(text string) {
	select {
	case u.notices <- text:
	default: // there are many; the log has them all
	}
}

func (u *ui) Step(string) {}

// showTrouble prints a failed attempt, if none like it was printed.
func (u *ui) showTrouble(t coordinator.Trouble) {
	text, _, _ := strings.Cut(t.Error, "; its log: ")
	lines := strings.Split(strings.TrimRight(t.Trace, "\n"), "\n")
	// The same error in another chunk has other paths, bars and bytes.
	key := anyNumber.ReplaceAllString(text+"\n"+lines[len(lines)-1], "#")
	if u.shown[key] || len(u.shown) >= maxShownTroubles {
		return
	}
	u.shown[key] = true
	var b strings.Builder
	fmt.Fprintf(&b, "chunk %d, attempt %d on %s: %s", t.ChunkIdx, t.Attempt, t.WorkerID, t.Error)
	if t.Trace != "" {
		for _, line := range lines[max(0, len(lines)-troubleLines):] {
			fmt.Fprintf(&b, "\n  | %s", line)
		}
	}
	u.print("%s", b.String())
}

// end removes the live line.
func (u *ui) end() {
	u.closed.Do(func() { close(u.done) })
	u.drawn.Wait()
	if u.live != nil {
		u.live.Clear()
	}
}

// show draws until end. Off a terminal it logs a line as soon as bars move, for
// which scripts wait, and one every logEvery.
func (u *ui) show() {
	t := time.NewTicker(drawEvery)
	defer t.Stop()
	if u.live != nil {
		u.live.Draw(u.state())
	}
	moving, lost, logged := false, false, u.begun
	for {
		select {
		case <-u.done:
			for range len(u.troubles) {
				u.showTrouble(<-u.troubles)
			}
			for range len(u.notices) {
				u.print("warning: %s", <-u.notices)
			}
			return
		case text := <-u.notices:
			u.print("warning: %s", text)
			continue
		case t := <-u.troubles:
			u.showTrouble(t)
			continue
		case <-t.C:
		}
		s := u.state()
		if u.live != nil {
			u.live.Draw(s)
			continue
		}
		first := !moving && u.pace.moving || s.BusLost != lost
		lost = s.BusLost
		if !first && time.Since(logged) < logEvery {
			continue
		}
		moving, logged = moving || u.pace.moving, time.Now()
		attrs := make([]any, 0, 16)
		for _, a := range progress.Line(s) {
			attrs = append(attrs, a)
		}
		u.log.Info("progress", attrs...)
	}
}

func (u *ui) state() progress.State {
	p := u.s.Progress()
	s := progress.State{
		RunID: string(u.id), ChunksDone: p.Done, ChunksRunning: p.Running, ChunksFailed: p.Failed, ChunksTotal: p.Chunks,
		BarsDone: p.Bars, BarsTotal: p.BarsTotal, Left: -1, Trades: p.Trades, Taken: p.Claims > 0, Stopping: p.Stopping, BusLost: p.BusLost,
		Uploaded: p.Uploaded, Uploads: p.Uploads,
	}
	if cmd := u.stop.Load(); cmd != nil {
		s.StopCommand = *cmd
	}
	u.pace.look(time.Now(), p.Bars, s.Taken)
	if s.BarsPerSec = u.pace.barsPerSec(); s.BarsPerSec > 0 {
		s.Left = time.Duration(float64(p.BarsTotal-p.Bars) / s.BarsPerSec * float64(time.Second))
	}
	return s
}

var statusOrder = [...]footer.Status{
	footer.StatusOK, footer.StatusStopped, footer.StatusUnresponsive, footer.StatusFailed, footer.StatusParseError, footer.StatusMissing,
}

func (u *ui) summary(out export.Outcome) {
	t := out.Result.Totals
	wall := time.Since(u.begun)
	s := progress.SummaryState{
		RunID: string(u.id), Outcome: string(t.Outcome),
		StopSource: string(out.Stop.Source), StopReason: out.Stop.Reason,
		Wall: wall, Workers: u.f.workers,
		BarsPlanned: t.Coverage.PlannedBars, BarsReplayed: t.Coverage.ReplayedBars,
		ChunksTotal: t.ChunksTotal, Trades: t.TotalTrades, TradesOpen: t.TradesOpen, PnlBps: t.TotalPnlBps,
		NetPnlBps: t.NetPnlBps, Signals: t.Signals, Expired: t.Expired,
		LastError: u.s.LastFailure(), File: relative(out.Result.Path),
	}
	s.WithoutRows, s.Remarks, s.Estimate = out.Result.WithoutRows, out.Result.Remarks, estimateText(out.Result.Estimate)
	s.BarsPerSec = footer.Rate(s.BarsReplayed-u.kept.Load(), wall.Seconds())
	switch {
	case out.Code == 2:
	case t.Coverage.ByStatus[footer.StatusFailed].Chunks > 0:
		s.Next, s.NextWhy = u.retry, "resumes the run and retries failed chunks"
	case t.Outcome != perf.OutcomeComplete:
		s.Next, s.NextWhy = u.next, "resumes the run"
	}
	for _, status := range statusOrder {
		if n := t.Coverage.ByStatus[status].Chunks; n > 0 {
			s.Chunks = append(s.Chunks, progress.StatusCount{Status: string(status), N: n})
		}
	}
	p := u.s.Phases()
	if !p.Pnl {
		s.PnlBps = math.NaN()
	}
	s.Phases = []progress.Phase{
		{Name: "startup", Sec: p.Startup}, {Name: "warm-up", Sec: p.Warmup}, {Name: "pregate", Sec: p.Pregate},
		{Name: "features", Sec: p.Features}, {Name: "model", Sec: p.Model}, {Name: "policy", Sec: p.Policy}, {Name: "i/o", Sec: p.IO},
	}
	if p.Rest > 0 {
		s.Phases = append(s.Phases, progress.Phase{Name: "replay", Sec: p.Rest})
	}
	if out.Err != nil && (s.LastError == "" || !errors.Is(out.Err, process.ErrSetUp)) {
		s.LastError = out.Err.Error() // but what a chunk says of a wrong set-up says more
	}
	if out.Code == 2 {
		s.Outcome = string(perf.OutcomeFailed)
		s.ExportError = out.Err.Error()
		if n := len(out.Fallbacks); n > 0 {
			s.File = out.Fallbacks[n-1]
		}
	}
	if note := u.slowStart(t.ChunksTotal); note != "" {
		u.print("note: %s", note)
	}
	s.LastError, s.ExportError = redact.Text(s.LastError), redact.Text(s.ExportError)
	if err := progress.Summary(raw(u.p.Stdout), s, u.color && isTerminal(u.p.Stdout)); err != nil && u.log != nil {
		u.log.Warn("printing the summary failed", "error", err)
	}
}

// Bounds from which start-up is worth a note: of the time of all attempts, and in
// all.
const (
	startShare = 0.2
	leastStart = time.Second
)

// slowStart is a note on the commands' start-up time and what reduces it; empty if
// estimateText is an estimate in one line: trades, pnl and the time that is left.
func estimateText(e *perf.Estimate) string {
	if e == nil || e.Trades.Members == 0 {
		return ""
	}
	figure := func(f perf.EstimateFigure, digits int) string {
		number := func(x float64) string { return strconv.FormatFloat(x, 'f', digits, 64) }
		if f.Why != "" {
			return "about " + number(f.Value)
		}
		return fmt.Sprintf("%s (%s to %s)", number(f.Value), number(f.Low), number(f.High))
	}
	text := fmt.Sprintf("%s trades, %s bps", figure(e.Trades, 0), figure(e.PnlBps, 1))
	if e.TimeLeftSec > 0 {
		text += ", " + progress.Duration(time.Duration(e.TimeLeftSec*float64(time.Second))) + " left"
	}
	if e.Trades.Why != "" {
		text += "; no bounds: " + e.Trades.Why
	}
	return text
}

// chunksToJudge is the least number of chunks whose speed a comparison judges.
const chunksToJudge = 6

// it is short.
func (u *ui) slowStart(chunks int) string {
	if !u.f.exec.exec() || u.f.exec.serve || chunks <= max(u.f.workers, 1) {
		return ""
	}
	start, all := u.s.StartUp()
	if start < leastStart.Seconds() || start <= startShare*all {
		return ""
	}
	return fmt.Sprintf("the command spent %.0f %% of its time starting (%.1f s of %.1f s in %d chunks); to reduce this, use fewer --chunks, or --exec-serve (one process for many chunks)",
		100*start/all, start, all, chunks)
}

func isTerminal(w io.Writer) bool {
	f, ok := raw(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || len(rel) > len(path) || !filepath.IsLocal(rel) {
		return path
	}
	return rel
}
