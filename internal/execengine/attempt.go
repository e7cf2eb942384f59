package execengine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/process"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

const (
	// pollEvery is how often files of progress are looked at.
	pollEvery = 100 * time.Millisecond
	// hearEvery bounds how often progress on standard output is taken in.
	hearEvery = 20 * time.Millisecond
	// outputWait bounds the wait for the end of a dead command's output.
	outputWait = time.Second
	// stderrTail is how much of a failed command's last words is kept.
	stderrTail = footer.MaxTraceLen
	// stopAfter is how long after a command's end by a signal a stop still counts
	// as its reason: who ends a service or a job signals everybody in it, and the
	// command may be the first to hear of it.
	stopAfter = time.Second
	// maxLine bounds a line that is looked at.
	maxLine = 64 << 10
)

// attempt is one replay of one chunk. It is used from one goroutine; what
// comes over the command's output is in heard.
type attempt struct {
	e     *Engine
	job   Job
	log   *slog.Logger
	paths paths
	dir   *safefile.Dir // the attempt's directory, whatever becomes of its path
	task  Task
	own   []int64 // opening times of the chunk's bars
	slice []int64 // of the slice's rows

	argv []string // nil in serve mode
	env  environment

	tally      *tally
	progressed bool // progress came by another way than the footer file
	saidTotal  bool // that its total is not the plan's
	detect     *detector
	progress   *ProgressFile
	heard      heard
	stdout     *Log
	stderr     *Log
}

// heard is what came over the command's output since it was last taken.
type heard struct {
	chunkID string
	wake    chan struct{} // holds one
	ended   chan struct{} // closed by the chunk's last line

	mu    sync.Mutex
	r     *Report
	final *Report
	// told: progress came in a form that the command chose, or that it was
	// described by. What is only recognised does not count any more then.
	told bool
}

func (h *heard) isTold() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told
}

// add adds progress. told: in a form that the command chose, or that it was
// described by.
func (h *heard) add(r Report, told bool) {
	h.mu.Lock()
	if h.told && !told {
		h.mu.Unlock()
		return
	}
	h.told = h.told || told
	switch {
	case r.Final && r.ChunkID != "" && r.ChunkID != h.chunkID:
		// Another chunk's, of which nobody waits any more.
	case r.Final && h.final == nil:
		h.final = &r
		close(h.ended)
	case r.Final:
	case h.r == nil:
		h.r = &r
	default:
		h.r.Merge(r)
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *heard) take() (r, final *Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, h.r = h.r, nil
	return r, h.final
}

// line takes one line of the command's output. It is called from the two
// goroutines that read it.
func (a *attempt) line(text []byte, stdout bool) {
	if stdout {
		if object, ok := GX1Line(text); ok {
			if r, err := ParseReport(object); err == nil {
				a.heard.add(r, true)
				return
			}
		}
	}
	if p := a.e.Spec.Progress; p != nil {
		if r, ok := p.Match(text, a.tally.planned); ok {
			a.heard.add(r, true)
		}
	} else if r, ok := a.detect.match(text); ok {
		a.heard.add(r, false)
	}
}

// control is how an attempt under way is asked to stop, and ended.
type control struct {
	over <-chan struct{} // closed when the command is done with the chunk
	ask  func()          // to stop
	kill func()
	cpu  func() (user, sys float64, rss int64)
	rest func() process.Exit // after over: waits for the rest of its output
}

// follow sees the command through to its end.
func (a *attempt) follow(ctx context.Context, c control, report func(footer.Footer)) ending {
	end := ending{where: a.paths.footer, withheld: a.env.withheld, format: a.job.Manifest.Command.SliceFormat}
	a.tally.cpu = func() time.Duration {
		user, sys, _ := c.cpu()
		return time.Duration((user + sys) * float64(time.Second))
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	done := ctx.Done()
	kill := a.job.Kill
	var late <-chan time.Time // the grace is over
	ask := func(why error) {
		a.askToStop(why, c)
		t := time.NewTimer(a.job.Grace(why))
		late = t.C
	}
	for over := false; !over; {
		select {
		case <-done:
			done = nil
			if end.stop = context.Cause(ctx); late == nil {
				ask(end.stop)
			}
		case <-late:
			c.kill()
			late = nil
		case <-kill:
			c.kill()
			kill = nil
		case <-c.over:
			over = true
		case <-a.heard.wake:
			a.listen(report)
			pause(hearEvery, c.over)
		case now := <-poll.C:
			a.poll(report)
			if limit := a.e.Spec.Stall; limit > 0 && end.stop == nil && end.stalled == 0 && now.Sub(a.tally.moved) > limit && !a.silentByNature() {
				end.stalled, end.phase = limit, string(a.tally.phase)
				if late == nil {
					ask(ErrStalled)
				}
			}
		}
	}
	end.exit = c.rest()
	a.poll(report)
	end.footer, end.unread = a.footer()
	end.bars, end.begun = a.tally.bars, a.tally.phase != footer.PhaseStartup
	if end.exit.Code == 0 && end.footer == nil {
		end.undone = a.undone()
	}
	end.stderr = lastLines(redact.Text(a.stderr.Tail(stderrTail)), stderrTail, true)
	if end.stop == nil && end.stalled == 0 && end.signalled() {
		pause(stopAfter, ctx.Done())
		end.stop = context.Cause(ctx)
	}
	return end
}

// silentByNature says that nothing is to be expected from the command before
// its end: it was never told how to report, and has not. What it shows and is
// recognised may end before it does.
func (a *attempt) silentByNature() bool {
	d := a.e.Spec.Detect
	return a.e.Spec.NoFooter && a.e.Spec.Progress == nil && d != ProgressTqdm && d != ProgressCount && !a.heard.isTold()
}

// undone says why a command that ended with exit code 0 and without a footer is
// not known to have done its chunk; empty: it has left its rows, or has said that
// it is at its last bar.
func (a *attempt) undone() string {
	const want = "--exec-footer none: exit code 0 is enough"
	emits := a.emit()
	switch {
	case a.e.Spec.NoFooter:
		return ""
	case a.e.Spec.Serve:
		return "no final line for the chunk and no footer at " + a.paths.footer
	case a.e.Spec.Footer != "":
		return fmt.Sprintf("no footer at %s, the path of --exec-footer", a.paths.footer)
	case a.tally.bars >= a.tally.planned && !a.tally.unclear:
		return ""
	}
	left, err := a.leftTable(emits)
	switch {
	case err != nil:
		return fmt.Sprintf("no footer, and %s cannot be looked at: %v", a.paths.out, err)
	case left:
		return ""
	case a.progressed:
		return fmt.Sprintf("no footer and no %s in %s, and its progress ends at %d of %d bars (%s)", emits, a.paths.out, a.tally.bars, a.tally.planned, want)
	}
	return fmt.Sprintf("no footer, no %s in %s and no progress, so it is unknown whether it finished the chunk (want %s.csv in {out_dir}; or %s)", emits, a.paths.out, emits, want)
}

// leftTable says whether the command has left a table of that kind.
func (a *attempt) leftTable(kind string) (bool, error) {
	dir, err := a.openDir(a.paths.out)
	if err != nil {
		return false, err
	}
	defer dir.Close() // it was read only
	patterns := []string{kind + ".csv", kind + ".parquet"}
	if kind == run.EmitsTrades {
		patterns = tradesNames[:]
	}
	for _, pattern := range patterns {
		if names, err := matching(dir, pattern); err != nil || len(names) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// listen takes in what was heard.
func (a *attempt) listen(report func(footer.Footer)) {
	r, _ := a.heard.take()
	if r == nil {
		return
	}
	a.progressed = true
	a.take(*r, report)
}

func (a *attempt) take(r Report, report func(footer.Footer)) {
	r = r.redacted()
	a.sayTotal(r)
	now := time.Now()
	if a.tally.add(r, now) && report != nil {
		report(a.tally.footer(a.tally.bars, now))
	}
}

// sayTotal logs once that the command counts other bars than the chunk's own.
func (a *attempt) sayTotal(r Report) {
	if _, counted := rawOf(r); !counted || a.saidTotal || r.Total == 0 || r.Total == a.tally.planned {
		return
	}
	a.saidTotal = true
	if a.tally.countsBars(r) {
		a.log.Info("the command counts more than its chunk's bars; the padding is subtracted",
			"total", r.Total, "planned_bars", a.tally.planned, "padding", a.tally.padding(r.Total))
		return
	}
	a.log.Warn("the command's progress counts to less than its chunk's bars; no bars are reported before its end",
		"total", r.Total, "planned_bars", a.tally.planned)
}

// poll looks at the files in which a command may report, and takes in what was
// heard.
func (a *attempt) poll(report func(footer.Footer)) {
	for {
		list, err := a.progress.Poll()
		if err != nil {
			a.log.Debug("reading the progress file failed", "error", err)
		}
		for _, r := range list {
			a.heard.add(r, true)
		}
		if len(list) == 0 {
			break
		}
	}
	a.listen(report)
	if a.e.Spec.NoFooter {
		return
	}
	// A footer that claims the whole chunk is its last word, weighed at the
	// end; before that one is progress.
	r, ok, err := readFooter(a.paths.footer, a.read, false)
	if err != nil || !ok {
		return
	}
	if bars, has := a.tally.barsOf(r); has && bars < a.tally.planned {
		a.take(r, report)
	}
}

// footer reads what the command left as its footer, or said in its last line.
// unread says what is wrong with a footer that is there; there is none beside it.
func (a *attempt) footer() (_ *Report, unread error) {
	_, final := a.heard.take()
	if final != nil {
		*final = final.redacted()
	}
	if a.e.Spec.NoFooter {
		return final, nil
	}
	r, ok, err := readFooter(a.paths.footer, a.read, true)
	r = r.redacted()
	switch {
	case err != nil && final == nil:
		return nil, err
	case err != nil:
		// Its last line says how it ended.
		a.log.Warn("the command's footer cannot be read", "path", a.paths.footer, "error", err)
	case ok && final != nil:
		r.Merge(*final)
	}
	if ok && err == nil {
		a.absorb(r)
		return &r, nil
	}
	if final != nil {
		a.absorb(*final)
	}
	return final, nil
}

// absorb takes the counters of a footer; its bars are weighed by who reads
// them.
func (a *attempt) absorb(r Report) {
	a.tally.all.Merge(r)
	a.tally.child, a.tally.childStatus = r.Raw, r.Status
}

// askToStop makes the stop file and asks the command to end.
func (a *attempt) askToStop(why error, c control) {
	if err := a.dir.WriteNew(layout.StopFile, []byte(why.Error()+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
		a.log.Warn("writing the stop file failed", "error", err)
	}
	c.ask()
}

// opens opens a file that the command may have written, in the attempt's
// directory if its path lies there.
func (a *attempt) opens(path string) opener {
	if name, ok := a.dir.Name(path); ok {
		return func() (*os.File, fs.FileInfo, error) { return a.dir.Open(name) }
	}
	return opens(path)
}

// read reads such a file, of at most most bytes.
func (a *attempt) read(path string, most int64) ([]byte, error) {
	if name, ok := a.dir.Name(path); ok {
		return a.dir.Read(name, most)
	}
	return safefile.Read(path, most)
}

// pause waits for d, or until over is closed.
func pause(d time.Duration, over <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-over:
	}
}
