package worker

import (
	"context"
	"time"

	"gx1replay/internal/run"
)

// readStop ends s if a stop that counts is stored for it.
func (w *Worker) readStop(ctx context.Context, s *session) (found bool) {
	stop, err := w.cfg.Bus.LastStop(ctx, s.m.RunID)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Debug("reading the run's stop failed", "run_id", s.m.RunID, "error", err)
		}
		return false
	}
	if stop.IsZero() || stop.Seq <= s.m.StopSeq {
		return false
	}
	s.cancel(stopped{stop.Stop})
	return true
}

// mostStopHints bounds the runs whose stops wait to be read. A hint beyond it is
// lost, as any may be.
const mostStopHints = 256

// hintStop notes that a stop of run id may be stored, and never blocks. Hints of
// one run that come while it waits to be read are one hint: anyone may send them.
func (w *Worker) hintStop(id run.ID) {
	w.mu.Lock()
	s := w.sessions[id]
	w.mu.Unlock()
	if s == nil || !s.hinted.CompareAndSwap(false, true) {
		return
	}
	select {
	case w.stopHints <- s:
	default:
		s.hinted.Store(false)
	}
}

// followHints reads the stops of the runs of stopHints, one after the other,
// until ctx ends.
func (w *Worker) followHints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-w.stopHints:
			s.hinted.Store(false) // a hint from now on has the stop read again
			w.awaitStop(ctx, s)
		}
	}
}

// awaitStop reads the stop of s a few times: a hint may come before the stop is
// stored, or before the replica that answers has it.
func (w *Worker) awaitStop(ctx context.Context, s *session) {
	const first, last = time.Millisecond, 64 * time.Millisecond
	for wait := first; wait <= last; wait *= 2 {
		if ctx.Err() != nil || s.ctx.Err() != nil || w.readStop(s.ctx, s) {
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}
