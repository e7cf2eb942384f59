// Package worker is the life of a chunk worker: it finds runs, takes tasks in
// turn, claims chunks by their leases, has an engine replay them, and reports
// what was measured.
//
// It holds no more tasks than it has slots. It decides nothing about leases
// itself: package lease does. It never reports for a lease that it lost.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

// Timings of a worker, beside those of lease.Timing.
const (
	// recordEvery is how often a record is written while bars move: often
	// enough that a kill loses little, seldom enough to cost nothing.
	recordEvery = 250 * time.Millisecond
	// lastWords bounds how long a worker that has to exit tries to store its final reports.
	lastWords = 5 * time.Second
	// deferFor is how long a worker leaves a chunk that it failed itself to
	// others, before it takes it again.
	deferFor = 500 * time.Millisecond
)

// ErrShutdown as the cause of the context of Run means an ordered end:
// attempts are released.
var ErrShutdown = errors.New("the worker was asked to stop")

// ErrOrphaned as the cause means that the coordinator of this local worker is
// gone, and its bus most likely too: last footers go to files, and the bus
// gets one short chance.
var ErrOrphaned = errors.New("the coordinator died")

// Engine replays chunks. Its methods may be called from several goroutines.
type Engine interface {
	// Name is the engine's name in manifests and footers.
	Name() string
	// Identity is a digest of what it runs; empty for the built-in engine.
	Identity() string
	// Fits returns why this engine cannot serve the run m of its name; nil: it can.
	Fits(m run.Manifest) error
	// Replay replays one chunk and calls report, from one goroutine, with
	// what was measured so far. It ends soon after ctx does, with what was
	// measured and found and the cause of ctx's end. The fields that name the
	// attempt are not its business, nor is the footers' list of artifacts.
	Replay(ctx context.Context, job Job, report func(footer.Footer)) (Result, error)
}

// Result is what an engine ends with, also beside an error.
type Result struct {
	Footer footer.Footer
	// Artifacts are what the chunk leaves beside its footer. The worker stores
	// them before the footer, and lists them there.
	Artifacts []Artifact
	// Unkept is why an artifact that should be there is not; the footer
	// counts all the same.
	Unkept error
	// Trace is what is known of an error beside its text.
	Trace string
}

// SetUpError is an engine's error that no chunk can be replayed here: the
// worker is set up wrongly. It gives the chunk back and ends.
type SetUpError struct {
	Code int // the exit code for the process: 78, 126 or 127
	Err  error
}

func (e *SetUpError) Error() string { return e.Err.Error() }
func (e *SetUpError) Unwrap() error { return e.Err }

// ErrExhausted marks an engine's error after which the chunk is not to be
// tried again.
var ErrExhausted = errors.New("the chunk must not be retried")

// ErrNotBegun marks an engine's error that came before the first bar, and most
// likely comes again.
var ErrNotBegun = errors.New("the engine has not reached a bar")

// Job is one chunk to replay.
type Job struct {
	Manifest run.Manifest
	Chunk    run.Chunk
	Slot     int
	Attempt  int
	Dir      string // the attempt's fresh directory
	// Session ends with the run's session: nothing of the run is kept in memory
	// beyond that. Nil: there is no such moment.
	Session context.Context
	// Inputs is the digest of the manifest's inputs; empty: not computed yet.
	Inputs string
}

func (j Job) inputs() string {
	if j.Inputs == "" {
		return j.Manifest.Inputs()
	}
	return j.Inputs
}

// Config of a Worker. Bus, ID, Engine, WorkDir and Logger are needed.
type Config struct {
	Bus   *bus.Bus
	ID    string // unique per process
	Host  string
	PID   int
	Slots int // chunks at a time; 0 means 1
	// FirstSlot is the number of the first slot: local workers of a run have
	// one slot each, and differ by it.
	FirstSlot int
	Run       run.ID // the only run to serve; empty: all
	WorkDir   string
	Engine    Engine
	Logger    *slog.Logger
	// Build names this program's build, for records and footers.
	Build string
	// EngineVersion is the version of the engines of this program; 0:
	// replay.Version.
	EngineVersion int
	// CoordinatorKeys are the public nkeys of the coordinators whose runs are
	// served; empty: all runs are.
	CoordinatorKeys []string
	// MaxRuntime ends an attempt that takes longer, as a failure; 0: none does.
	MaxRuntime time.Duration
	// ExitWhenIdle ends Run when no slot has had a task for so long; 0: it goes
	// on until its context ends.
	ExitWhenIdle time.Duration
	// KeepWork is for how long WorkDir keeps what was not touched; attempts of
	// runs that are complete and exported go at once. 0: everything stays.
	KeepWork time.Duration
	// Usage gives the process's CPU seconds and largest memory so far. Nil:
	// the engine's footers have what it used.
	Usage func() (user, sys float64, maxRSSBytes int64)
}

// Worker serves runs.
type Worker struct {
	cfg Config
	log *slog.Logger

	mu           sync.Mutex
	accepted     accepted
	sessions     map[run.ID]*session
	busy         map[chunkKey]bool
	deferred     map[chunkKey]int        // chunk → attempt whose task was deferred once
	wake         chan struct{}           // closed and replaced when sessions change
	incompatible map[run.ID]incompatible // why runs are not served
	deaf         bool                    // no coordinator can wake this worker
	looking      chan struct{}           // holds a token while a slot without a task looks for one
	lastRead     uint64                  // the highest revision of a manifest that was read; of trackRuns
	seen         map[run.ID]seen         // the manifests that were read last
	changed      map[run.ID]change       // runs to be read again
	hint         chan struct{}           // holds a token when changed is not empty
	// stopHints are the sessions whose stops are to be read.
	stopHints chan *session
	broken    *SetUpError
	// idleSince is when the last task was let go, or Run began.
	idleSince time.Time
	removed   map[run.ID]bool    // exported runs without attempts here; of trackRuns
	endRun    context.CancelFunc // ends Run: the worker is broken, or idle
}

type chunkKey struct {
	id  run.ID
	idx int
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.Slots < 1 {
		cfg.Slots = 1
	}
	if cfg.EngineVersion == 0 {
		cfg.EngineVersion = replay.Version
	}
	return &Worker{
		cfg: cfg, log: cfg.Logger.With("worker_id", cfg.ID),
		sessions: map[run.ID]*session{}, busy: map[chunkKey]bool{}, deferred: map[chunkKey]int{},
		wake: make(chan struct{}), looking: make(chan struct{}, 1), hint: make(chan struct{}, 1), changed: map[run.ID]change{},
		stopHints:    make(chan *session, mostStopHints),
		incompatible: map[run.ID]incompatible{}, accepted: accepted{keys: cfg.CoordinatorKeys},
	}
}

// Run serves runs until ctx ends, then releases what it holds, or, at a
// run's stop, has stored its final report, and returns nil. It takes a few
// seconds at most after ctx's end, and what the engine takes to end. It
// returns a *SetUpError when its engine had one.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.endRun, w.idleSince = cancel, time.Now()
	if err := os.MkdirAll(w.cfg.WorkDir, 0o700); err != nil {
		return fmt.Errorf("worker %s: making its directory: %w", w.cfg.ID, err)
	}
	// Hints are followed until the last attempt has ended, which may be after ctx.
	hinting, endHints := context.WithCancel(context.WithoutCancel(ctx))
	var following sync.WaitGroup
	following.Go(func() { w.followHints(hinting) })
	defer following.Wait()
	defer endHints()
	cancelStops, err := w.cfg.Bus.ListenStops(w.cfg.Run, func(_ context.Context, h bus.HeardStop) { w.hintStop(h.RunID) })
	if err != nil {
		return fmt.Errorf("worker %s: %w", w.cfg.ID, err)
	}
	defer cancelStops()
	cancelRuns, err := w.cfg.Bus.ListenRuns(w.noteChange)
	if err != nil {
		return fmt.Errorf("worker %s: %w", w.cfg.ID, err)
	}
	defer cancelRuns()
	mayListen, cancelWakes, err := w.cfg.Bus.ListenWakes(ctx, w.woken, w.hintStop)
	if err != nil {
		return fmt.Errorf("worker %s: %w", w.cfg.ID, err)
	}
	defer cancelWakes()
	w.deaf = !mayListen

	var owned sync.WaitGroup
	for n := range w.cfg.Slots {
		owned.Go(func() { w.slot(ctx, w.cfg.FirstSlot+n) })
	}
	owned.Go(func() { w.trackRuns(ctx) })
	if w.cfg.ExitWhenIdle > 0 {
		owned.Go(func() { w.leaveWhenIdle(ctx) })
	}
	if w.cfg.KeepWork > 0 {
		owned.Go(func() { w.removeOldWork(ctx) })
	}
	owned.Wait()
	w.endSessions()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	return nil
}

// breaks notes that the worker is set up wrongly, and ends it.
func (w *Worker) breaks(err *SetUpError) {
	w.mu.Lock()
	if w.broken == nil {
		w.broken = err
	}
	w.mu.Unlock()
	w.endRun()
}

func (w *Worker) take(key chunkKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[key] {
		return false
	}
	w.busy[key] = true
	return true
}

func (w *Worker) drop(key chunkKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, key)
	w.idleSince = time.Now()
}

// leaveWhenIdle ends Run once no slot has had a task for ExitWhenIdle.
func (w *Worker) leaveWhenIdle(ctx context.Context) {
	for {
		w.mu.Lock()
		left := w.cfg.ExitWhenIdle
		if len(w.busy) == 0 {
			left -= time.Since(w.idleSince)
		}
		w.mu.Unlock()
		if left <= 0 {
			w.log.Info("idle, worker exits", "idle", w.cfg.ExitWhenIdle)
			w.endRun()
			return
		}
		if !pause(ctx, left) {
			return
		}
	}
}

// wasDeferred reports whether this worker left attempt of the chunk to others
// before.
func (w *Worker) wasDeferred(key chunkKey, attempt int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deferred[key] == attempt
}

func (w *Worker) noteDeferred(key chunkKey, attempt int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deferred[key] = attempt
}
