package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/ledger"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// Defaults of Config.
const (
	// DefaultTimeBox is the original's.
	DefaultTimeBox = 6 * time.Hour
	// DefaultDrain is less than the 10 s that supervisors grant before they
	// kill.
	DefaultDrain = 8 * time.Second
	// DefaultLease is long against a pause of a host, short against a chunk.
	DefaultLease = 10 * time.Second
	// DefaultMaxFailures lets two faults pass, and ends a chunk that cannot
	// be replayed.
	DefaultMaxFailures = 3
	// DefaultListen is where the stock client connects without being told.
	DefaultListen = "127.0.0.1:4222"

	// workerGrace is what local workers get at the end. They hold nothing by
	// then; one that hangs is not waited for.
	workerGrace = 500 * time.Millisecond
	// commandGrace is the same for workers that have commands to end, which are
	// not to outlive the coordinator.
	commandGrace = 2 * time.Second
	// patienceStopped bounds what comes after the last export of a stopped
	// run: who stopped it waits. patienceDone is for a run that ended by
	// itself, whose footers are still to be written for readers.
	patienceStopped = 3 * time.Second
	patienceDone    = time.Minute
)

// Config of a Session. Everything without a default is required.
type Config struct {
	RunID       run.ID
	OutputDir   string
	FallbackDir string // empty: the system's temporary directory
	Policy      policy.Policy
	// Load reads the data set; its error means that the input is bad.
	Load   func(ctx context.Context) (bars.Set, error)
	Engine string
	// EngineVersion is the version of the engines that the run asks for; 0:
	// replay.Version.
	EngineVersion int
	Command       run.Command       // the user's, with the engine exec
	Files         map[string]string // paths of the files that go with the run, by their names
	Chunks        int
	ChunkBars     int64 // if above 0, Chunks does not count
	Order         run.Order
	// PlanGiven and OrderGiven: whoever started this asked for these chunks,
	// for this order. A stored plan that is another one is refused then, and
	// holds otherwise.
	PlanGiven, OrderGiven bool
	// Decisions: keep what became of each bar. DecisionsGiven is as PlanGiven.
	Decisions, DecisionsGiven bool
	RetryFailed               bool // take up chunks that failed for good
	Workers                   int  // local worker processes
	// WorkerCommand is what starts a local worker that serves this run over
	// url with the key in keyFile.
	WorkerCommand func(slot int, w LocalWorker) process.Spec
	// Guardian starts the process that exports should this one vanish. Nil:
	// there is none.
	Guardian func() process.Spec

	// NATS is the bus to use; nil: one is embedded.
	NATS        *External
	Listen      string // of the embedded bus, as are StopAuth and Sync
	StopAuth    bool   // strangers may not even stop the run
	SyncAlways  bool   // every write is synced before it is answered
	TimeBox     time.Duration
	Drain       time.Duration
	Lease       time.Duration
	MaxFailures int
	KeepBus     bool
	Quiet       bool

	Signals  <-chan os.Signal
	Register *process.Register // nil: this run is not entered anywhere
	Version  Version
	Export   export.Config
	Logger   *slog.Logger // of the run's log
	// WorkerLog takes what local workers write; several goroutines use it.
	WorkerLog io.Writer
	// Ready is called once the run can be stopped over the bus.
	Ready func(Info)
	// Explain, if not nil, is told once what a session that goes on from
	// earlier ones does with each chunk.
	Explain func([]Fate)
	// Trouble, if not nil, is told of attempts that went wrong; it must not
	// block.
	Trouble func(Trouble)
	// Notice, if not nil, is called with a line about what holds the run up. It
	// must not block.
	Notice func(string)
	// Hold, if not nil, is called by the session's own goroutine before it
	// goes to work; a test blocks it there.
	Hold func()
	// Step, if not nil, is called when a step of the end is done; a test ends
	// the process there.
	Step func(name string)
}

// External is a bus that runs elsewhere.
type External struct {
	bus.Access
	// Replicas of streams that have to be made; 0: as many as the bus is fit
	// for, three at most.
	Replicas int
}

// LocalWorker says what a local worker needs to know.
type LocalWorker struct {
	RunID   run.ID
	URL     string
	KeyFile string // of the embedded bus; empty with another
	WorkDir string
}

// Version is what env_info says of the program.
type Version struct {
	Module, Commit string
}

// String names the build: version and commit.
func (v Version) String() string { return v.Module + " " + v.Commit }

// Info says how a running session is reached.
type Info struct {
	RunID   run.ID
	Session int
	URL     string
	KeyFile string // of the embedded bus; empty with another
	// WorkerKey and OperatorKey are for other hosts; empty if those do not
	// reach the embedded bus.
	WorkerKey, OperatorKey string
	Plan                   run.Plan
	// Warnings say what of an external bus is not as it would have been made.
	Warnings []string
}

// Session is one life of a coordinator on a run.
type Session struct {
	cfg      Config
	target   export.Target
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

	stopping atomic.Bool
	broken   chan error        // why the embedded bus cannot write; the first one stays
	silent   atomic.Bool       // the external bus does not answer now
	lines    *loglimit.Limiter // of what others can cause
	upload   atomic.Pointer[upload]
}

// Run runs the session until its perf JSON is written, or has failed to be,
// and everything that it started has ended. An error means that nothing was
// run: bad input, another session of the run that lives, a *Differs, an
// *AlreadyRun or a *Cleaned. onSession, if not nil, is called with the
// session before it begins.
func Run(cfg Config, onSession func(*Session)) (export.Outcome, error) {
	s := &Session{
		cfg: cfg, started: time.Now(),
		target: export.Target{Dir: cfg.OutputDir, FallbackDir: cfg.FallbackDir, RunID: cfg.RunID},
		lines:  loglimit.New(cfg.Logger), broken: make(chan error, 1),
	}
	defer s.lines.Close()
	if s.cfg.Step == nil {
		s.cfg.Step = func(string) {}
	}
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
		cfg.Logger.Warn("no guardian: nobody exports if this process is killed", "error", err)
	}
	defer s.guardian.end(guardianGrace)
	if !s.ledger.Known() || s.ledger.FootersOnly() {
		// From here on the guardian has something to export.
		if err := s.backup.Write(context.Background()); err != nil {
			cfg.Logger.Warn("writing the footer backup", "error", err)
		}
	}
	// work ends with a stop, which is its cause; over when the watchdog has
	// had its say, whatever still hangs.
	work, stopWork := context.WithCancelCause(context.Background())
	over, endOver := context.WithCancel(context.Background())
	defer endOver()
	defer stopWork(nil)
	watch := export.WatchdogConfig{
		Exporter: exporter, Snapshot: s.snapshot, Signals: cfg.Signals, TimeBox: cfg.TimeBox, Drain: cfg.Drain,
		OnStop: func(stop run.Stop) {
			s.stopping.Store(true)
			stopWork(Stopped{stop})
		},
		Selector: s.selector(), Logger: cfg.Logger,
	}
	s.dog = export.NewWatchdog(watch)
	if onSession != nil {
		onSession(s)
	}
	verdict := make(chan export.Outcome, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.work(work, over, exporter, verdict) }()
	out := s.dog.Run()
	s.cfg.Step("exported")
	s.guardian.done()
	verdict <- out
	stopWork(errOver)
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
		cfg.Logger.Error("the session did not end in time and is left", "patience", patience)
		if p := s.pool.Load(); p != nil {
			p.Kill()
		}
	}
	return out, nil
}

var errOver = errors.New("the session is over")

// work is everything but the watchdog: data, bus, workers, the life of the
// run, and, when the watchdog has given its verdict, the cleaning. Its error
// is one from before the life began.
func (s *Session) work(ctx, over context.Context, exporter *export.Exporter, verdict <-chan export.Outcome) error {
	if s.cfg.Hold != nil {
		s.cfg.Hold()
	}
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
	// Without the bus: what the files say is enough to refuse, or to know the
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
		RetryFailed: s.cfg.RetryFailed, Logger: s.cfg.Logger, HeardStop: s.dog.Stop, Trouble: s.cfg.Trouble, Broken: s.broken,
	}
	life.Prepare()
	s.board.Store(life.board)
	s.upload.Store(&life.upload)
	if err := export.KeepPolicy(s.target, m.Policy, s.cfg.Policy.Content); err != nil {
		s.cfg.Logger.Warn("keeping the policy for a recovery", "error", err)
	}
	if err := s.backup.Write(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("writing the footer backup", "error", err)
	}
	s.guardian.session(m.Session, s.started)
	began, err := s.serve(ctx, over, life, exporter, verdict)
	switch {
	case err == nil:
	case !began:
		return abandon(err)
	case ctx.Err() != nil:
		// Stopped while it began, and nobody was told to begin.
		s.cfg.Logger.Info("stopped while the run began", "error", err)
		end(nil)
	default:
		s.cfg.Logger.Error("the run could not begin", "error", err)
		end(err)
		return err
	}
	return nil
}
