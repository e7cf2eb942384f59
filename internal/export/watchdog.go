package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/redact"
	"gx1replay/internal/run"
)

// Timings of the watchdog.
const (
	// exportEvery is how often an export is written during a drain, so that a
	// kill in it loses a second of final reports at most.
	exportEvery = time.Second
	// firstAlone is how long a stop waits at most for its first export before
	// anything else is notified of it.
	firstAlone = 100 * time.Millisecond
	// diskGrace is what the disk gets at the deadline for the last export,
	// before the fallback directory is used. With the default drain of 8 s
	// and the fallback it stays within the 10 s that supervisors grant.
	diskGrace = 1200 * time.Millisecond
	// largeExport, in bytes, is what no disk takes in a moment. After an export
	// of that size the last one may take diskPatience times as long, it is
	// verified too, before the disk is reported to hang: the wait for a gigabyte
	// wants it whole, and should he kill the process, the one before stands.
	largeExport  = 64 << 20
	diskPatience = 6
	// sameStop is how long after the first signal a further one is the same
	// stop, delivered twice: GNU timeout signals its child and then its group,
	// and wrappers pass on what a terminal has sent to all.
	sameStop = time.Second
	// exportShare keeps large exports during a drain to a fifth of its time.
	exportShare = 4
	// fallbackGrace is what the fallback directory gets.
	fallbackGrace = 600 * time.Millisecond
)

// ErrAbandoned given to Ended means that nothing was run and nothing is to be
// exported, unless a stop came first.
var ErrAbandoned = errors.New("nothing was run")

// TradeSelector selects the trades of a run of r, whose chunks are merged with
// what its file holds. A *selection.Selector is one.
type TradeSelector interface {
	Select(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error)
}

// WatchdogConfig is what a Watchdog needs. Everything but TimeBox and Selector is
// required.
type WatchdogConfig struct {
	Exporter *Exporter
	// Snapshot returns what is known now. It takes no lock that is held
	// across I/O and is called from several goroutines. Stop, Drain, Mode,
	// Timestamp and, for a stopped run, Outcome are the watchdog's to fill; of
	// Stop it gives the sequence up to which stops are done with already.
	Snapshot func() (perf.Report, []perf.Chunk)
	Signals  <-chan os.Signal // each is a stop; one more than sameStop after the first exports at once
	TimeBox  time.Duration    // 0: none
	Drain    time.Duration    // from a stop to the hard deadline
	// Selector, if not nil, selects the trades of the run for the last export,
	// which is written without a selection if it fails or its ctx ends.
	Selector TradeSelector
	Logger   *slog.Logger
}

// Watchdog owns a run's end: signals, time-box, stops, the hard deadline and
// every export. It depends on nothing that the rest of the process does: a
// coordinator that hangs, or a disk that does, ends with an export all the
// same.
type Watchdog struct {
	cfg   WatchdogConfig
	stops chan run.Stop
	last  atomic.Uint64 // highest sequence of a stop that was received
	ended chan error
	begun time.Time

	running context.Context
	cancel  context.CancelCauseFunc
}

// Outcome is how a run ended.
type Outcome struct {
	// Code is the process's exit code: 0, 2 or 3; 1 if nothing was run.
	Code int
	// Result of the last export; if it failed, its Totals hold what would have
	// been in it.
	Result Result
	Stop   run.Stop
	// Err is why the last export failed, or why the run ended by itself
	// before it was done.
	Err       error
	Fallbacks []string // files written because the export failed
	// First is when the first export after a stop was visible, from the stop.
	First time.Duration
}

// NewWatchdog starts the time-box.
func NewWatchdog(cfg WatchdogConfig) *Watchdog {
	w := &Watchdog{cfg: cfg, stops: make(chan run.Stop, 16), ended: make(chan error, 1), begun: time.Now()}
	w.running, w.cancel = context.WithCancelCause(context.Background())
	return w
}

// ErrOver is the cause of the end of Running when no stop came.
var ErrOver = errors.New("the run is over")

// Running is the context of all that replays the run. It ends with the first
// stop, a run.Stopped as its cause, as soon as an export of what is known then is
// visible; else with Run.
func (w *Watchdog) Running() context.Context { return w.running }

// Stop reports a stop that was received on the bus. It may be reported again, with
// the sequence under which it is stored. It never blocks. All stops that are
// reported before the last export belong to this session.
func (w *Watchdog) Stop(s run.Stop) {
	for seen := w.last.Load(); s.Seq > seen && !w.last.CompareAndSwap(seen, s.Seq); seen = w.last.Load() {
	}
	select {
	case w.stops <- s:
	default: // one of sixteen is enough
	}
}

// Ended reports that the run has ended: nil when every chunk has an end or,
// after a stop, every worker has stored its final report. The first call counts.
func (w *Watchdog) Ended(err error) {
	select {
	case w.ended <- err:
	default:
	}
}

// watch is the state of one Run.
type watch struct {
	*Watchdog
	stop    run.Stop
	stopAt  time.Time
	timeBox <-chan time.Time // nil: there is none
	signal  time.Time        // the first signal; zero: none came
	running chan exported    // the export under way, nil if there is none
	startAt time.Time        // of the export under way
	visible func()           // of the next export; nil: not called
	first   time.Duration
	took    time.Duration  // by the longest large export that was not the last
	idle    time.Time      // since when no export is under way
	sel     perf.Selection // of the last export
}

type exported struct {
	res   Result
	err   error
	trace string
}

// Run watches until the last export is written or has failed, and returns how it
// went. It ends by itself: at the latest a moment after the deadline of a
// stop.
func (w *Watchdog) Run() Outcome {
	defer w.cancel(ErrOver)
	s := &watch{Watchdog: w}
	var every, deadline <-chan time.Time
	if w.cfg.TimeBox > 0 {
		t := time.NewTimer(w.cfg.TimeBox)
		defer t.Stop()
		s.timeBox = t.C
	}
	begin := func(stop run.Stop) {
		s.stop, s.stopAt = stop, time.Now()
		s.exportFirst()
		w.cfg.Logger.Info("stop received", "source", stop.Source, "reason", stop.Reason)
		w.cancel(run.Stopped{Stop: stop})
		ticker := time.NewTicker(exportEvery)
		every = ticker.C
		timer := time.NewTimer(w.cfg.Drain)
		deadline = timer.C
	}
	for {
		select {
		case sig := <-w.cfg.Signals:
			if s.hurries() {
				return s.finish(nil, diskGrace)
			}
			if s.stop.IsZero() {
				begin(run.Stop{Source: signalSource(sig), Reason: sig.String(), RequestedAt: time.Now()})
			}
		case <-s.timeBox:
			if s.stop.IsZero() {
				begin(run.Stop{Source: run.SourceTimeout, Reason: fmt.Sprintf("the time-box of %v is over", w.cfg.TimeBox), RequestedAt: time.Now()})
			}
		case stop := <-w.stops:
			if s.stop.IsZero() {
				begin(stop)
			}
			s.stop.Seq = max(s.stop.Seq, stop.Seq)
		case done := <-s.running:
			s.settle(done)
		case <-every:
			if s.running == nil && time.Since(s.idle) >= exportShare*s.took {
				s.export(false)
			}
		case err := <-w.ended:
			if errors.Is(err, ErrAbandoned) && s.stop.IsZero() {
				return Outcome{Code: 1, Err: err}
			}
			patience := w.cfg.Drain
			if !s.stopAt.IsZero() {
				patience = max(w.cfg.Drain-time.Since(s.stopAt), diskGrace)
			}
			return s.finish(err, patience)
		case <-deadline:
			return s.finish(nil, diskGrace)
		}
	}
}

// hurries takes note of a signal and reports whether it asks to export at once.
func (s *watch) hurries() bool {
	if s.signal.IsZero() {
		s.signal = time.Now()
		return false
	}
	return time.Since(s.signal) > sameStop
}

func signalSource(sig os.Signal) run.Source {
	switch sig {
	case syscall.SIGINT:
		return run.SourceSIGINT
	case syscall.SIGHUP:
		return run.SourceSIGHUP
	case syscall.SIGQUIT:
		return run.SourceSIGQUIT
	}
	return run.SourceSIGTERM
}

// report is the snapshot with what the watchdog holds; last: it is
// for the last export of the session.
//
// stop.seq in a file is the sequence up to which stops are done with, so that a
// resume obeys no old one. The coordinator's own signal is done with once an
// export records it; a stop that came from elsewhere, only by the last export:
// before that a crash would have it forgotten.
func (s *watch) report(lifeErr error, last bool) (perf.Report, []perf.Chunk) {
	r, chunks := s.cfg.Snapshot()
	r.Timestamp = time.Now().UTC()
	doneWith := r.Stop.Seq
	r.Stop = s.stop
	switch {
	case last:
		r.Stop.Seq = max(r.Stop.Seq, s.last.Load()) // a stop given again meanwhile is done with, too
	case !s.stop.Source.Own():
		r.Stop.Seq = 0
	}
	r.Stop.Seq = max(r.Stop.Seq, doneWith)
	r.Selection = s.sel
	r.Mode = perf.ModeNormal
	switch source := s.stop.Source; {
	case source == "":
	case source.Signal():
		r.Mode = perf.ModeSignal
	case source == run.SourceTimeout:
		r.Mode = perf.ModeTimeout
	default:
		r.Mode = perf.ModeStopSubject
	}
	switch {
	case !s.stop.IsZero():
		r.Outcome = perf.OutcomeStopped
		r.Drain = time.Since(s.stopAt)
	case lifeErr != nil:
		r.Outcome, r.Error = perf.OutcomeFailed, redact.Text(lifeErr.Error())
	}
	return r, chunks
}

// export starts an export in the background.
func (s *watch) export(final bool) { s.start(final, nil) }

// exportFirst starts the first export after a stop and returns when its file
// is visible, or soon. Telling the bus and the workers of the stop makes both
// busy, with the very disk and processors that the export needs; a moment
// later is soon enough for that.
func (s *watch) exportFirst() {
	seen := make(chan struct{})
	s.visible = func() { close(seen) }
	s.export(false)
	s.visible = nil
	t := time.NewTimer(firstAlone)
	defer t.Stop()
	select {
	case <-seen:
	case <-t.C:
	}
}

func (s *watch) start(final bool, lifeErr error) {
	// s is not touched by the goroutine: it may outlive the watch.
	r, chunks := s.report(lifeErr, final)
	visible := s.visible
	done := make(chan exported, 1)
	s.running, s.startAt = done, time.Now()
	go func() {
		var e exported
		defer func() {
			if p := recover(); p != nil {
				e.err, e.trace = fmt.Errorf("the export panicked: %v", p), string(debug.Stack())
			}
			done <- e
		}()
		if final {
			e.res, e.err = s.cfg.Exporter.ExportFinal(context.Background(), r, chunks)
		} else {
			e.res, e.err = s.cfg.Exporter.ExportFirst(context.Background(), r, chunks, visible)
		}
		if errors.Is(e.err, ErrComplete) {
			e.err = nil // the present file holds more than this one would
		}
	}()
}

// settle takes the result of an export that was not the last.
func (s *watch) settle(done exported) {
	s.running = nil
	s.idle = time.Now()
	if done.err != nil {
		s.cfg.Logger.Error("export failed, the last one is still to come", "error", done.err)
		return
	}
	if done.res.Bytes >= largeExport {
		s.took = max(s.took, s.idle.Sub(s.startAt))
	}
	if s.first == 0 && !s.stop.IsZero() {
		s.first = time.Since(s.stopAt) - done.res.Took.SyncDir - done.res.Took.Check
	}
	t := done.res.Took
	log := s.cfg.Logger
	if !s.stop.IsZero() {
		log = log.With("since_stop", time.Since(s.stopAt))
	}
	log.Info("partial export written", "bytes", done.res.Bytes,
		"merge", t.Merge, "write", t.Write, "sync", t.Sync, "rename", t.Rename, "sync_dir", t.SyncDir, "check", t.Check)
}

// finish writes the last export. The disk gets patience for it; after that,
// or if it fails, the stub is written, and what cannot be written beside the
// perf JSON goes to the fallback directory.
func (s *watch) finish(lifeErr error, patience time.Duration) Outcome {
	began := time.Now()
	s.selectTrades(lifeErr, patience)
	if !s.stop.IsZero() {
		patience = max(patience-time.Since(began), diskGrace/2)
	}
	out := Outcome{Stop: s.stop, Err: lifeErr, First: s.first}
	underWay := time.Duration(0)
	if s.running != nil {
		underWay = time.Since(s.startAt)
	}
	limit := time.NewTimer(s.diskTime(patience, underWay))
	defer limit.Stop()
	late := func() error {
		return fmt.Errorf("the disk did not complete the export within %v", time.Since(s.startAt).Round(time.Millisecond))
	}
	if s.running != nil {
		select {
		case done := <-s.running:
			s.settle(done)
			limit.Reset(s.diskTime(patience, 0))
		case <-limit.C:
			return s.fallback(out, late())
		}
	}
	s.start(true, lifeErr)
	select {
	case done := <-s.running:
		if done.err != nil {
			return s.stub(out, done)
		}
		return s.succeeded(out, done)
	case <-limit.C:
	}
	failed := s.fallback(out, late())
	select {
	case done := <-s.running:
		if done.err != nil {
			return failed
		}
		// A busy machine more than a bad disk: nothing has failed.
		s.cfg.Logger.Warn("export completed after its deadline", "after", time.Since(s.startAt))
		for _, path := range failed.Fallbacks {
			_ = os.Remove(path) // what stays is as true, and older
		}
		return s.succeeded(out, done)
	default:
		return failed
	}
}

// succeeded is how a run ends whose last export stands and is verified.
func (s *watch) succeeded(out Outcome, done exported) Outcome {
	out.First, out.Result = s.first, done.res
	if done.res.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0 || out.Err != nil {
		out.Code = 3
	}
	return out
}

// stub writes the stub of an export that failed.
func (s *watch) stub(out Outcome, failed exported) Outcome {
	f := s.failure(&out, failed.err, failed.trace)
	return s.bounded(out, nil, failed.err, func() ([]string, error) { return s.cfg.Exporter.Fail(f) })
}

// fallback writes perf JSON and stub where the disk does answer.
func (s *watch) fallback(out Outcome, cause error) Outcome {
	f := s.failure(&out, cause, "")
	return s.bounded(out, f.Chunks, cause, func() ([]string, error) { return s.cfg.Exporter.WriteFallback(f) })
}

// failure is what could not be exported; its totals go into out.
func (s *watch) failure(out *Outcome, cause error, trace string) Failure {
	r, chunks := s.report(out.Err, false)
	out.Result.Totals = r.Count(chunks)
	return Failure{Report: r, Chunks: chunks, Cause: cause, Trace: trace}
}

func (s *watch) bounded(out Outcome, chunks []perf.Chunk, cause error, write func() ([]string, error)) Outcome {
	out.Code, out.Err = 2, errors.Join(out.Err, cause)
	type written struct {
		paths []string
		err   error
	}
	done := make(chan written, 1)
	go func() {
		paths, err := write()
		done <- written{paths, err}
	}()
	t := time.NewTimer(max(fallbackGrace+s.cfg.Drain/10, exportPatience(chunks)))
	defer t.Stop()
	select {
	case d := <-done:
		out.Fallbacks, out.Err = d.paths, errors.Join(out.Err, d.err)
	case <-t.C:
		out.Err = errors.Join(out.Err, errors.New("the stub could not be written in time either"))
	}
	return out
}
