package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

const (
	// workerGrace is what local workers get at the end. They hold nothing by
	// then; one that hangs is not waited for.
	workerGrace = 500 * time.Millisecond
	// commandGrace is the same for workers that have commands to end, which are
	// not to outlive the coordinator.
	commandGrace = 2 * time.Second
	// patienceStopped bounds what comes after the last export of a stopped
	// run: the user who stopped it waits. patienceDone is for a run that ended by
	// itself, whose footers are still to be written for readers.
	patienceStopped = 3 * time.Second
	patienceDone    = time.Minute
)

// Version is what env_info holds of the program.
type Version struct {
	Module, Commit string
}

// String names the build: version and commit.
func (v Version) String() string { return v.Module + " " + v.Commit }

// Session is one life of a coordinator on a run.
type Session struct {
	cfg      Config // complete
	asked    asked
	target   layout.Run
	lock     *export.Lock
	started  time.Time
	dog      *export.Watchdog
	backup   *export.Backup
	guardian *guardian
	ledger   *ledger.Ledger // what earlier sessions have left
	identity run.Manifest   // as a first session would have it

	board  atomic.Pointer[board]
	pool   atomic.Pointer[process.Pool]
	bus    atomic.Pointer[bus.Bus]
	bars   atomic.Pointer[[]bars.Bar]
	server atomic.Pointer[string] // its version
	lost   atomic.Bool            // the bus cannot be reached

	// stopBefore is the sequence of the last stop of the run's name that the
	// embedded bus had before its port opened.
	stopBefore uint64
	salvaged   bool // the bus was made anew, and left may hold more than before

	broken chan error        // why the embedded bus cannot write; the first one stays
	silent atomic.Bool       // the external bus does not answer now
	lines  *loglimit.Limiter // of what others can cause
	upload atomic.Pointer[upload]
}

// Run runs the session until its perf JSON is written, or has failed to be,
// and everything that it started has ended. An error means that nothing was
// run: a *ConfigError or other bad input, another session of the run that lives,
// a *Differs, an *AlreadyRun or a *Cleaned. onSession, if not nil, is called with
// the session before it begins.
func Run(cfg Config, onSession func(*Session)) (export.Outcome, error) {
	cfg, asked, err := cfg.complete()
	if err != nil {
		return export.Outcome{}, err
	}
	s := &Session{
		cfg: cfg, asked: asked, started: time.Now(),
		target: layout.Run{Dir: cfg.OutputDir, FallbackDir: cfg.FallbackDir, RunID: cfg.RunID},
		lines:  loglimit.New(cfg.Logger), broken: make(chan error, 1),
	}
	defer s.lines.Close()
	lock, err := takeLock(s.target, cfg.Logger)
	if err != nil {
		return export.Outcome{}, err
	}
	defer lock.Close() // its loss is of no consequence: the process ends
	s.lock = lock
	exporter, err := export.Open(lock, s.target, cfg.Export)
	if err != nil {
		return export.Outcome{}, err
	}
	if s.ledger, err = s.readLedger(exporter); err != nil {
		return export.Outcome{}, err
	}
	s.backup = export.NewBackup(s.target, s.snapshot, 0, cfg.Logger)
	if s.guardian, err = startGuardian(cfg); err != nil {
		cfg.Logger.Warn("no guardian: no export if this process is killed", "error", err)
	}
	defer s.guardian.end(guardianGrace)
	if !s.ledger.Known() || s.ledger.FootersOnly() {
		// From here on the guardian has something to export.
		if err := s.backup.Write(context.Background()); err != nil {
			cfg.Logger.Warn("writing the footer backup failed", "error", err)
		}
	}
	s.dog = export.NewWatchdog(export.WatchdogConfig{
		Exporter: exporter, Snapshot: s.snapshot, Signals: cfg.Signals, TimeBox: cfg.TimeBox, Drain: cfg.Drain,
		Selector: s.selector(), Logger: cfg.Logger,
	})
	// over ends when the watchdog has exported, whatever still hangs.
	over, endOver := context.WithCancel(context.Background())
	defer endOver()
	if onSession != nil {
		onSession(s)
	}
	verdict := make(chan export.Outcome, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.work(s.dog.Running(), over, exporter, verdict) }()
	out := s.dog.Run()
	s.cfg.Observer.Step("exported")
	s.guardian.done()
	verdict <- out
	endOver()

	// What is left to do must neither take the export back nor keep the
	// process.
	patience := patienceStopped
	if out.Stop.IsZero() && out.Err == nil {
		patience = patienceDone
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case err := <-ended:
		if out.Code == 1 {
			if !s.ledger.Known() {
				_ = os.Remove(s.target.Backup()) // of a run that never was
			}
			return out, err
		}
	case <-t.C:
		cfg.Logger.Error("epoch did not end in time", "patience", patience)
		if p := s.pool.Load(); p != nil {
			p.Kill()
		}
	}
	return out, nil
}

// stopping reports whether the session was stopped.
func (s *Session) stopping() bool {
	return s.dog != nil && errors.As(context.Cause(s.dog.Running()), new(run.Stopped))
}

// work is everything but the watchdog: data, bus, workers, the life of the
// run, and, when the watchdog has given its verdict, the cleaning. Its error
// is one from before the life began.
func (s *Session) work(ctx, over context.Context, exporter *export.Exporter, verdict <-chan export.Outcome) error {
	s.cfg.Observer.Step("begin")
	// end ends a session that has not come to live the run.
	end := func(err error) {
		s.dog.Ended(err)
		if out := <-verdict; out.Code != 1 {
			s.publishFiles(exporter)
		}
	}
	// abandon ends one that has found its input bad; a stop that came before
	// outranks that.
	abandon := func(err error) error {
		if ctx.Err() != nil {
			end(nil)
			return nil
		}
		end(fmt.Errorf("%w: %w", export.ErrAbandoned, err))
		return err
	}
	set, err := s.cfg.Load(ctx)
	if err != nil {
		return abandon(err)
	}
	s.bars.Store(&set.Bars)
	if s.ledger.FootersOnly() {
		if err := s.fitsFooters(set.Bars); err != nil {
			return abandon(err)
		}
	}
	if s.identity, err = s.first(set); err != nil {
		return abandon(err)
	}
	// Without the bus: the content of the files is enough to refuse, or to know the
	// plan, so that a stop from now on exports it.
	m, err := s.next(nil, time.Time{})
	if err != nil {
		return abandon(err)
	}
	if s.finished(s.exported()) && !s.unselected(s.exported()) {
		err := s.alreadyRun()
		s.finishCleaning(over, exporter)
		return abandon(err)
	}
	s.sweepCommands(over, m)
	life := &Life{
		Bars: set.Bars, Extra: set.Extra, Policy: s.cfg.Policy.Content, Manifest: m, Known: s.ledger.Chunks(m.Plan),
		RetryFailed: s.cfg.RetryFailed, Logger: s.cfg.Logger, HeardStop: s.dog.Stop, Trouble: s.cfg.Observer.Trouble, Broken: s.broken,
	}
	life.Prepare()
	s.board.Store(life.board)
	s.upload.Store(&life.upload)
	if err := export.KeepPolicy(s.target, m.Policy, s.cfg.Policy.Content); err != nil {
		s.cfg.Logger.Warn("storing the policy for a recovery failed", "error", err)
	}
	if err := s.backup.Write(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("writing the footer backup failed", "error", err)
	}
	s.guardian.session(m.Session, s.started)
	began, err := s.serve(ctx, over, life, exporter, verdict)
	switch {
	case err == nil:
	case !began:
		return abandon(err)
	case ctx.Err() != nil:
		// Stopped while it began, before any worker was asked to begin.
		s.cfg.Logger.Info("stopped while the run started", "error", err)
		end(nil)
	default:
		s.cfg.Logger.Error("run could not start", "error", err)
		end(err)
		return err
	}
	return nil
}
