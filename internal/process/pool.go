package process

import (
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
	// DefaultMaxBackoff keeps a worker that always crashes from filling log
	// and CPU, and still tries again soon after its cause was removed.
	DefaultMaxBackoff = 10 * time.Second
	// DefaultStableAfter is how long a process must live for its death to be
	// no part of a crash loop.
	DefaultStableAfter = 30 * time.Second
	// DefaultGrace fits, with what ending a group may cost on top (at most
	// 1.5 s), into the coordinator's default drain deadline of 8 s.
	DefaultGrace = 5 * time.Second
)

// maxSetUpRestarts is how often in a row a worker is started again that reports
// that it is set up wrongly: a file may still be on its way, a wrong command
// stays wrong.
const maxSetUpRestarts = 3

// ErrSetUp is what Run returns when every slot failed because its
// worker is set up wrongly.
var ErrSetUp = errors.New("workers are set up wrongly")

// Spec is what to start, in the terms of exec.Cmd.
type Spec struct {
	Path string   // the program; PATH is not searched
	Args []string // with the program's name first; empty: Path alone
	// Env as "NAME=value"; nil: this process's own. LifelineEnv is set on
	// top.
	Env []string
	Dir string // working directory; empty: this process's own
	// ExtraFiles become descriptors 4, 5, … of the worker (3 is its
	// lifeline). They stay the caller's to close.
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

	// LogWriter returns where standard output and error of a slot's
	// processes go, in the order in which they wrote. It is called once a
	// slot; within a slot writes come one at a time, and they are pieces of
	// the output, not lines. One writer given to several slots must allow
	// writes at the same time. A writer that fails loses what was written and
	// holds up nothing; a writer that blocks blocks its worker once the pipe
	// is full. Nil: both are discarded.
	LogWriter func(slot int) io.Writer

	// Notify is called with each event. Events of one slot come in order, those of
	// different slots from different goroutines. It must not block. May be
	// nil.
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
	// Code is the exit code (Exited, GaveUp), -1 if there is none: a signal,
	// or a start that failed for want of something. A program that is not
	// there is 127, one that cannot be run 126, as in a shell.
	Code int
	Exit string // as text: "exit status 3", "signal: killed", the error of a start
	// SetUpWrongly: Code is one of 64, 78, 126, 127.
	SetUpWrongly bool
	Lived        time.Duration
	Restarts     int // of this slot up to now
}

// SlotStatus is a snapshot of one slot.
type SlotStatus struct {
	Slot     int
	PID      int       // 0 while no process runs
	Started  time.Time // of the process that runs, or ran last; zero before the first
	Starts   int       // processes that came to life
	Restarts int       // attempts to start after the first, failed ones included
	LastExit string    // empty before the first exit
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
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"MinBackoff", &cfg.MinBackoff, DefaultMinBackoff},
		{"MaxBackoff", &cfg.MaxBackoff, DefaultMaxBackoff},
		{"StableAfter", &cfg.StableAfter, DefaultStableAfter},
		{"Grace", &cfg.Grace, DefaultGrace},
	} {
		if *d.value < 0 {
			return nil, fmt.Errorf("process pool: %s is %v (want 0 for the default of %v, or more)", d.name, *d.value, d.def)
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
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
