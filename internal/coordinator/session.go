package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/export"
	"gx1replay/internal/perf"
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
	Load      func(ctx context.Context) (bars.Set, error)
	Engine    string
	Chunks    int
	ChunkBars int64 // if above 0, Chunks does not count
	Order     run.Order
	Workers   int // local worker processes
	// WorkerCommand is what starts a local worker that serves this run over
	// url with the key in keyFile.
	WorkerCommand func(slot int, w LocalWorker) process.Spec

	Listen      string
	StopAuth    bool // strangers may not even stop the run
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
	// Hold, if not nil, is called by the session's own goroutine before it
	// goes to work; a test blocks it there.
	Hold func()
}

// LocalWorker says what a local worker needs to know.
type LocalWorker struct {
	RunID   run.ID
	URL     string
	KeyFile string
	WorkDir string
}

// Version is what env_info says of the program.
type Version struct {
	Module, Commit string
}

// Info says how a running session is reached.
type Info struct {
	RunID   run.ID
	URL     string
	KeyFile string
	Plan    run.Plan
}

// Session is one life of a coordinator on a run.
type Session struct {
	cfg     Config
	target  export.Target
	lock    *export.Lock
	started time.Time
	dog     *export.Watchdog

	board  atomic.Pointer[board]
	pool   atomic.Pointer[process.Pool]
	server atomic.Pointer[string] // its version
	lost   atomic.Bool            // the bus cannot be reached

	stopping atomic.Bool
}

// AlreadyRun says that a run of this name has been exported.
type AlreadyRun struct {
	RunID run.ID
	Path  string
	File  perf.File
}

func (e *AlreadyRun) Error() string {
	t := e.File.Totals
	return fmt.Sprintf("run %s has been run: %s holds %d of its %d bars (%s)", e.RunID, e.Path, t.Coverage.ReplayedBars, t.Coverage.PlannedBars, t.Outcome)
}

// LeftBehind says that an earlier session of the run ended without an export
// and left its bus.
type LeftBehind struct {
	RunID run.ID
	Store string
}

func (e *LeftBehind) Error() string {
	return fmt.Sprintf("run %s was begun before and ended without an export; what it left is in %s", e.RunID, e.Store)
}

// Run runs the session until its perf JSON is written, or has failed to be,
// and everything that it started has ended. An error means that nothing was
// run: bad input, another session of the run, an *AlreadyRun or *LeftBehind. onSession,
// if not nil, is called with the session before it begins.
func Run(cfg Config, onSession func(*Session)) (export.Outcome, error) {
	s := &Session{
		cfg: cfg, started: time.Now(),
		target: export.Target{Dir: cfg.OutputDir, FallbackDir: cfg.FallbackDir, RunID: cfg.RunID},
	}
	lock, err := export.TryAcquire(s.target)
	if err != nil {
		return export.Outcome{}, err
	}
	defer lock.Close() // its loss is of no consequence: the process ends
	s.lock = lock
	exporter, err := export.Open(lock, s.target, cfg.Export)
	if err != nil {
		return export.Outcome{}, err
	}
	if file, ok := exporter.Last(); ok {
		return export.Outcome{}, &AlreadyRun{RunID: cfg.RunID, Path: s.target.Perf(), File: file}
	}
	if left := embedded.Store(s.target.StateDir()); left != "" {
		return export.Outcome{}, &LeftBehind{RunID: cfg.RunID, Store: left}
	}
	// work ends with a stop, which is its cause; over when the watchdog has
	// had its say, whatever still hangs.
	work, stopWork := context.WithCancelCause(context.Background())
	over, endOver := context.WithCancel(context.Background())
	defer endOver()
	defer stopWork(nil)
	s.dog = export.NewWatchdog(export.WatchdogConfig{
		Exporter: exporter, Snapshot: s.snapshot, Signals: cfg.Signals, TimeBox: cfg.TimeBox, Drain: cfg.Drain,
		OnStop: func(stop run.Stop) {
			s.stopping.Store(true)
			stopWork(Stopped{stop})
		},
		Logger: cfg.Logger,
	})
	if onSession != nil {
		onSession(s)
	}
	verdict := make(chan export.Outcome, 1)
	ended := make(chan error, 1)
	go func() { ended <- s.work(work, over, exporter, verdict) }()
	out := s.dog.Run()
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
	set, err := s.cfg.Load(ctx)
	if err != nil {
		return s.abandon(ctx, err)
	}
	m, err := s.manifest(set)
	if err != nil {
		return s.abandon(ctx, err)
	}
	life := &Life{
		Bars: set.Bars, Policy: s.cfg.Policy.Content, Manifest: m, Logger: s.cfg.Logger, HeardStop: s.dog.Stop,
	}
	life.Prepare()
	s.board.Store(life.board)
	clean, err := s.serve(ctx, over, life, exporter, verdict)
	if err != nil {
		s.cfg.Logger.Error("the run could not begin", "error", err)
		s.dog.Ended(err)
		return err
	}
	if clean && !s.cfg.KeepBus {
		s.removeState()
	}
	return nil
}

// abandon ends a session that has found its input bad; a stop that came
// before outranks that.
func (s *Session) abandon(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		s.dog.Ended(nil)
		return nil
	}
	s.dog.Ended(fmt.Errorf("%w: %w", export.ErrAbandoned, err))
	return err
}

// serve brings up the bus and the workers, lives the run on them, tells the
// watchdog, waits for its verdict, and takes everything down. It reports
// whether the run is complete and its bus not needed any more; an error is
// one from before the life began.
func (s *Session) serve(ctx, over context.Context, life *Life, exporter *export.Exporter, verdict <-chan export.Outcome) (clean bool, err error) {
	log := s.cfg.Logger
	strangers := []string{bus.StopSubjects}
	if s.cfg.StopAuth {
		strangers = nil
	}
	server, err := embedded.Start(over, embedded.Config{
		Dir: s.target.StateDir(), Listen: s.cfg.Listen, Strangers: strangers, Logger: log.With("part", "bus"),
		Prepare: func(ctx context.Context, srv *embedded.Server) error {
			b, err := connect(ctx, srv, log)
			if err != nil {
				return err
			}
			defer b.Close()
			return b.MakeStreams(ctx, 1)
		},
	})
	if err != nil {
		return false, fmt.Errorf("starting the embedded bus: %w", err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			log.Warn("closing the bus", "error", err)
		}
	}()
	b, err := connect(over, server, log)
	if err != nil {
		return false, err
	}
	defer b.Close()
	life.Bus = b
	version := b.ServerVersion()
	s.server.Store(&version)
	pool, err := s.newPool(server)
	if err != nil {
		return false, err
	}
	s.pool.Store(pool)
	leave := s.enter(server, life.Manifest)
	defer leave()
	if _, err := server.WriteContext(s.target.StateDir(), string(s.cfg.RunID)); err != nil {
		log.Warn("no context file for the stock client", "error", err)
	}
	others := newPasser(s)
	defer others.wait()
	life.Foreign = others.pass

	poolCtx, endPool := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	defer owned.Wait()
	defer endPool()
	owned.Go(func() {
		if err := pool.Run(poolCtx); err != nil {
			s.dog.Ended(fmt.Errorf("local workers: %w", err))
		}
	})
	owned.Go(func() { s.watchOutput(poolCtx) })
	if s.cfg.Ready != nil {
		s.cfg.Ready(Info{RunID: s.cfg.RunID, URL: server.URL(), KeyFile: server.KeyFile(), Plan: life.Manifest.Plan})
	}
	err = life.Run(ctx, over)
	if err != nil {
		log.Error("the run ended by itself", "error", err)
		s.lost.Store(!b.Connected())
	}
	s.dog.Ended(err)
	out := <-verdict
	s.cfg.Logger.Info("exported", "code", out.Code, "path", out.Result.Path, "sha256", out.Result.SHA256)
	s.publishFiles(exporter)
	return s.closeRun(life, out), nil
}

func connect(ctx context.Context, srv *embedded.Server, log *slog.Logger) (*bus.Bus, error) {
	public, sign, err := srv.Nkey()
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Config{
		InProcess: srv, Name: "gx1 coordinator", Options: []nats.Option{nats.Nkey(public, sign)}, Logger: log,
	})
}

// newPool makes the pool of local workers.
func (s *Session) newPool(server *embedded.Server) (*process.Pool, error) {
	local := LocalWorker{
		RunID: s.cfg.RunID, URL: server.URL(), KeyFile: server.KeyFile(),
		WorkDir: filepath.Join(s.target.StateDir(), "work"),
	}
	return process.New(process.Config{
		N:         s.cfg.Workers,
		Command:   func(slot int) process.Spec { return s.cfg.WorkerCommand(slot, local) },
		Grace:     workerGrace,
		LogWriter: func(int) io.Writer { return s.cfg.WorkerLog },
		Logger:    s.cfg.Logger,
	})
}

// enter puts the run into the register of this machine; leave takes it out.
func (s *Session) enter(server *embedded.Server, m run.Manifest) (leave func()) {
	if s.cfg.Register == nil {
		return func() {}
	}
	pid := os.Getpid()
	start, err := process.StartTime(pid)
	if err == nil {
		err = s.cfg.Register.Put(process.Entry{
			RunID: m.RunID, PID: pid, StartTime: start, URL: server.URL(), KeyFile: server.KeyFile(),
			OutputDir: s.cfg.OutputDir, StartedAt: s.started, Session: m.Session, State: string(m.State),
		})
	}
	if err != nil {
		s.cfg.Logger.Warn("the run is not in the register: `coordinator stop` will not find it", "error", err)
		return func() {}
	}
	return func() {
		if err := s.cfg.Register.Remove(m.RunID, pid); err != nil {
			s.cfg.Logger.Warn("leaving the register", "error", err)
		}
	}
}

// manifest is the run's manifest for its first session.
func (s *Session) manifest(set bars.Set) (run.Manifest, error) {
	n := int64(len(set.Bars))
	plan, err := run.NewPlan(n, s.cfg.Chunks, s.cfg.ChunkBars, s.cfg.Order)
	if err != nil {
		return run.Manifest{}, err
	}
	content := sha256.Sum256(s.cfg.Policy.Content)
	stamp := func(b bars.Bar) string { return time.Unix(0, b.TimeNS).UTC().Format(time.RFC3339) }
	m := run.Manifest{
		Schema: run.Schema, RunID: s.cfg.RunID, Session: 1, State: run.StateRunning,
		Data: run.Data{
			SHA256: bars.Digest(set.Bars), Bars: n, FirstTS: stamp(set.Bars[0]), LastTS: stamp(set.Bars[n-1]),
			Source: set.Source, SpreadBps: set.SpreadBps, BarLength: bars.BarLength(set.Bars), SliceBars: dataset.SliceBars,
		},
		Plan: plan,
		Policy: run.Policy{
			SHA256: s.cfg.Policy.SHA256, SHA256WithoutGate: s.cfg.Policy.SHA256WithoutGate,
			Name: s.cfg.Policy.Name, Content: hex.EncodeToString(content[:]),
		},
		PregateEnabled: s.cfg.Policy.Pregate.Enabled, PregateEnabledSource: string(s.cfg.Policy.Pregate.EnabledSource),
		Engine: s.cfg.Engine, LeaseDuration: s.cfg.Lease, MaxFailures: s.cfg.MaxFailures,
		Sessions:  []run.SessionTimes{{Session: 1, StartedAt: s.started.UTC()}},
		CreatedAt: s.started.UTC(),
	}
	return m, m.Validate()
}
