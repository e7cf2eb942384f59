package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"
)

type slot struct {
	pool  *Pool
	idx   int
	group group

	mu     sync.Mutex // guards status; never held across a call that can block
	status SlotStatus
}

type exit struct {
	pid   int
	code  int // -1 without one
	text  string
	lived time.Duration
}

// setUpWrongly reports a usage or configuration error (sysexits.h) or a program
// that cannot be run or found (POSIX shell): a retry cannot help.
func (e exit) setUpWrongly() bool {
	switch e.code {
	case 64, 78, 126, 127:
		return true
	}
	return false
}

// run keeps the slot's process alive until ctx ends or the pool is killed,
// and then returns nil. It returns an error when the slot fails.
func (s *slot) run(ctx context.Context) error {
	cfg := s.pool.cfg
	log := cfg.Logger.With("slot", s.idx)
	var out *sink // nil: discarded
	if cfg.LogWriter != nil {
		out = &sink{w: cfg.LogWriter(s.idx), log: log}
	}
	var fails backoff
	setUp := 0 // exits in a row that mean "set up wrongly"
	for n := 0; ; n++ {
		if ctx.Err() != nil || s.pool.killed.Load() {
			return nil
		}
		s.set(func(st *SlotStatus) { st.Restarts = n })
		end := s.live(ctx, out, n)
		s.set(func(st *SlotStatus) { st.PID, st.LastExit = 0, end.text })
		event := Event{
			Kind: Exited, Slot: s.idx, PID: end.pid, Code: end.code, Exit: end.text,
			SetUpWrongly: end.setUpWrongly(), Lived: end.lived, Restarts: n,
		}
		cfg.Notify(event)
		if ctx.Err() != nil || s.pool.killed.Load() {
			log.Debug("worker ended", "pid", end.pid, "exit", end.text)
			return nil
		}

		if end.setUpWrongly() {
			setUp++
		} else {
			setUp = 0
		}
		if setUp > maxSetUpRestarts {
			log.Error("worker set up wrongly, its slot is closed", "pid", end.pid, "exit", end.text, "tried", setUp)
			s.set(func(st *SlotStatus) { st.GaveUp = true })
			event.Kind = GaveUp
			cfg.Notify(event)
			return fmt.Errorf("slot %d: %s, %d times in a row", s.idx, end.text, setUp)
		}

		wait := fails.next(end.lived, cfg)
		log.Warn("worker died, restarting it", "pid", end.pid, "exit", end.text, "lived", end.lived, "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.pool.dead:
		}
		timer.Stop()
	}
}

// live runs one process until it, its group and its output are gone.
func (s *slot) live(ctx context.Context, out *sink, restarts int) exit {
	c, err := start(s.pool.cfg.Command(s.idx), out)
	if err != nil {
		return exit{code: startCode(err), text: err.Error()}
	}
	pid, started := c.pid(), time.Now()
	s.group.adopt(pid)
	// A Kill before adopt has missed this group, but has set the flag.
	if s.pool.killed.Load() {
		_ = s.group.signal(sigKill)
	}
	s.set(func(st *SlotStatus) { st.PID, st.Starts = pid, st.Starts+1 })
	s.pool.cfg.Notify(Event{Kind: Started, Slot: s.idx, PID: pid, Code: -1, Restarts: restarts})

	log := s.pool.cfg.Logger.With("slot", s.idx, "pid", pid)
	exited := make(chan error, 1)
	go func() { exited <- waitExited(pid) }()
	waitErr := s.end(ctx, c, exited)
	lived := time.Since(started).Round(time.Millisecond)

	// The leader is dead but not reaped, so its number still means this group
	// (invariant 2). Whoever is left in it goes now.
	if waitErr == nil {
		_ = s.group.signal(sigKill)
		if left := settle(pid); left > 0 {
			log.Warn("processes of the worker's group outlive SIGKILL", "left", left)
		}
	} else {
		// Something else reaped our child: its number may be any process's.
		log.Error("cannot watch worker, its group is left alone", "error", waitErr)
	}
	s.group.release()
	code, text := c.reap()
	if !c.finish() {
		log.Warn("a process outside the worker's group holds its output open, or the log does not take it")
	}
	return exit{pid: pid, code: code, text: text, lived: lived}
}

// end waits for the leader's exit, and after ctx causes it.
func (s *slot) end(ctx context.Context, c *child, exited <-chan error) error {
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	}
	c.notify()
	_ = s.group.signal(sigTerm)
	grace := time.NewTimer(s.pool.cfg.Grace)
	defer grace.Stop()
	select {
	case err := <-exited:
		return err
	case <-grace.C:
	}
	_ = s.group.signal(sigKill)
	return <-exited
}

func (s *slot) set(change func(*SlotStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

func (s *slot) snapshot() SlotStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// backoff doubles the wait with each death up to a bound; a long enough life resets
// it.
type backoff struct{ last time.Duration }

func (b *backoff) next(lived time.Duration, cfg Config) time.Duration {
	if b.last == 0 || lived >= cfg.StableAfter {
		b.last = cfg.MinBackoff
	} else {
		b.last = min(b.last*2, cfg.MaxBackoff)
	}
	return b.last
}

// startCode is a shell's exit code for a failed start, -1 if a retry may help (too
// many processes, no memory).
func startCode(err error) int {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 127
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC),
		errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return 126
	}
	return -1
}
