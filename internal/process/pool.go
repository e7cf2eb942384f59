package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	// DefaultMinBackoff is short: one crash should not cost a run much.
	DefaultMinBackoff = 100 * time.Millisecond
	// DefaultMaxBackoff keeps a worker that always crashes from filling log and
	// CPU, and is short enough once the cause is removed.
	DefaultMaxBackoff = 10 * time.Second
	// DefaultStableAfter is a life that is no part of a crash loop.
	DefaultStableAfter = 30 * time.Second
	// DefaultGrace, with at most 1.5 s for the end of a group, fits into the
	// coordinator's default drain deadline of 8 s.
	DefaultGrace = 5 * time.Second
)

// maxSetUpRestarts is how often in a row a worker is restarted that reports a wrong
// set-up: a file may still be on its way.
const maxSetUpRestarts = 3

// ErrSetUp is returned by Run if every slot failed by a wrong set-up.
var ErrSetUp = errors.New("workers are set up wrongly")

// Spec is what to start, in the terms of exec.Cmd.
type Spec struct {
	Path string   // the program; PATH is not searched
	Args []string // with the program's name first; empty: Path alone
	// Env as "NAME=value"; nil: this process's own. LifelineEnv is set on
	// top.
	Env []string
	Dir string // working directory; empty: this process's own
	// ExtraFiles become descriptors 4, 5, … (3 is the lifeline) and stay the
	// caller's to close.
	ExtraFiles []*os.File
}

// Config holds how a Pool works. Zero values of the durations mean the
// defaults.
type Config struct {
	N int // workers, 0 or more

	// Command returns what to start in a slot, 0 to N-1. It is called before
	// each start, by several goroutines at once.
	Command func(slot int) Spec

	MinBackoff  time.Duration // wait before the first restart; doubles with each
	MaxBackoff  time.Duration // longest wait before a restart
	StableAfter time.Duration // a life this long resets the back-off
	Grace       time.Duration // between SIGTERM and SIGKILL when the context ends

	// LogWriter returns where standard output and error of a slot go, in pieces,
	// not lines; it is called once per slot. A writer of several slots must allow
	// concurrent writes. What a failing writer gets is lost; a blocking one blocks
	// its worker once the pipe is full. Nil: both are discarded.
	LogWriter func(slot int) io.Writer

	// Notify is called with each event, for one slot in order, and must not block.
	// May be nil.
	Notify func(Event)

	Logger *slog.Logger // nil: silent
}

// EventKind is what happened in a slot.
type EventKind string

const (
	// Started: a process runs.
	Started EventKind = "started"
	// Exited: a process ended and its group is gone, or could not be
	// started (PID 0).
	Exited EventKind = "exited"
	// GaveUp: the slot's worker is set up wrongly and is not started again.
	GaveUp EventKind = "gave_up"
)

// Event is something that happened in a slot.
type Event struct {
	Kind EventKind
	Slot int
	PID  int
	// Code is the exit code (Exited, GaveUp), -1 for a signal or a start for which
	// something was missing; as in a shell 127 if the program is not there, 126 if
	// it cannot be run.
	Code int
	Exit string // as text: "exit status 3", "signal: killed", the error of a start
	// SetUpWrongly: Code is one of 64, 78, 126, 127.
	SetUpWrongly bool
	Lived        time.Duration
	Restarts     int // of this slot up to now
}

// SlotStatus is a snapshot of one slot.
type SlotStatus struct {
	PID      int    // 0 while no process runs
	Starts   int    // processes that came to life
	Restarts int    // attempts to start after the first, failed ones included
	LastExit string // empty before the first exit
	GaveUp   bool
}

// Pool runs worker processes. Make one with New.
type Pool struct {
	cfg   Config
	slots []*slot

	ran    atomic.Bool
	killed atomic.Bool
	dead   chan struct{} // closed by the first Kill
}

// New checks cfg and returns a Pool that has started nothing yet.
func New(cfg Config) (*Pool, error) {
	if cfg.N < 0 {
		return nil, fmt.Errorf("process pool: %d workers (want 0 or more)", cfg.N)
	}
	if cfg.N > 0 && cfg.Command == nil {
		return nil, errors.New("process pool: no command")
	}
	cfg.MinBackoff = cmp.Or(cfg.MinBackoff, DefaultMinBackoff)
	cfg.MaxBackoff = cmp.Or(cfg.MaxBackoff, DefaultMaxBackoff)
	cfg.StableAfter = cmp.Or(cfg.StableAfter, DefaultStableAfter)
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	cfg.MaxBackoff = max(cfg.MaxBackoff, cfg.MinBackoff)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Event) {}
	}
	p := &Pool{cfg: cfg, dead: make(chan struct{})}
	for i := range cfg.N {
		p.slots = append(p.slots, &slot{pool: p, idx: i})
	}
	return p, nil
}

// Run starts the workers and keeps them running until ctx ends or Kill is
// called. It blocks until every process is gone and may be called once.
//
// When ctx ends, each worker is notified over its lifeline, and its group gets
// SIGTERM, after Grace SIGKILL; what is left
// of a group when its leader has ended gets SIGKILL at once. Run then waits
// at most 1 s for the rest of a group and 0.5 s for the end of its output,
// which a process that left the group may hold open. A leader in an
// uninterruptible system call holds Run up for as long as the kernel takes.
//
// Run returns nil after the end of ctx, after Kill, and at once with no
// workers; an error that wraps ErrSetUp when every slot failed.
func (p *Pool) Run(ctx context.Context) error {
	if !p.ran.CompareAndSwap(false, true) {
		return errors.New("process pool: Run was called before")
	}
	errs := make([]error, len(p.slots))
	var wg sync.WaitGroup
	for i, s := range p.slots {
		wg.Go(func() { errs[i] = s.run(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			return nil
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("all %d %w; the last one: %w", len(errs), ErrSetUp, errs[len(errs)-1])
}

// Kill sends SIGKILL to every group at once and keeps the Pool from starting
// anything again. It does not wait; Run returns when all are gone. It may be
// called at any moment, before Run too, from any goroutine, and again. The
// only locks that it takes are held across kill(2) and nothing else.
//
// A process whose start is under way at this moment dies as soon as the start
// returns; should the caller exit before that, its lifeline ends it.
func (p *Pool) Kill() {
	if p.killed.CompareAndSwap(false, true) {
		close(p.dead)
	}
	for _, s := range p.slots {
		_ = s.group.signal(sigKill)
	}
}

// Status returns a snapshot of all slots, in order.
func (p *Pool) Status() []SlotStatus {
	all := make([]SlotStatus, len(p.slots))
	for i, s := range p.slots {
		all[i] = s.snapshot()
	}
	return all
}
