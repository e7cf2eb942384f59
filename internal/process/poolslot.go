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

// slot runs one process after the other.
type slot struct {
	pool  *Pool
	idx   int
	group group

	mu     sync.Mutex // guards status; never held across a call that can block
	status SlotStatus
}

// exit is how a life, or the attempt to start one, ended.
type exit struct {
	pid   int
	code  int // -1 without one
	text  string
	lived time.Duration
}

// setUpWrongly reports whether the exit means that no further attempt can help:
// usage error, configuration error (sysexits.h), not executable, not found
// (POSIX shell).
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

// live starts one process and returns when it, its group and its output are
// gone.
func (s *slot) live(ctx context.Context, out *sink, restarts int) exit {
	c, err := start(s.pool.cfg.Command(s.idx), out)
	if err != nil {
		return exit{code: startCode(err), text: err.Error()}
	}
	pid, started := c.pid(), time.Now()
	s.group.adopt(pid)
	// A Kill that came before adopt has missed this group, and has set the
	// flag before it looked.
	if s.pool.killed.Load() {
		_ = s.group.signal(sigKill)
	}
	s.set(func(st *SlotStatus) { st.PID, st.Started, st.Starts = pid, started, st.Starts+1 })
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

// end waits for the leader's exit and, once ctx has ended, brings it about.
func (s *slot) end(ctx context.Context, c *child, exited <-chan error) error {
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	}
	c.tell()
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
	st := s.status
	st.Slot = s.idx
	return st
}

// backoff is the wait before a restart: it doubles with each death up to a
// bound, and begins anew after a life that was long enough.
type backoff struct{ last time.Duration }

func (b *backoff) next(lived time.Duration, cfg Config) time.Duration {
	if b.last == 0 || lived >= cfg.StableAfter {
		b.last = cfg.MinBackoff
	} else {
		b.last = min(b.last*2, cfg.MaxBackoff)
	}
	return b.last
}

// startCode is what a shell would have returned for a start that failed, or
// -1 where trying again may help (too many processes, no memory).
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
