package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

const (
	// A process without a task looks again after a wait that grows from
	// idleFirst to idleMost: the server may report for a moment that a new task is
	// not there.
	idleFirst = 20 * time.Millisecond
	idleMost  = time.Second
	// lookFor is how long it looks so after it was woken.
	lookFor = 1500 * time.Millisecond
	// inTurn is how often one run in turn is looked at without a message that
	// it has tasks: seldom, so that a thousand idle workers cost the server
	// nothing, and in case that a wake never comes.
	inTurn = 150 * time.Second
)

// slot takes tasks one at a time, from the runs in turn.
func (w *Worker) slot(ctx context.Context, n int) {
	turn := n
	for ctx.Err() == nil {
		list, _ := w.servable()
		a := w.look(ctx, list, n, &turn)
		if a == nil {
			// Slots without a task wait in line: the first of them looks for all.
			select {
			case w.looking <- struct{}{}:
			case <-ctx.Done():
				return
			}
			a = w.idle(ctx, n, &turn)
			<-w.looking
		}
		if a != nil {
			a.run(ctx)
			w.drop(a.key())
		}
	}
}

// idle looks for a task until it has one or ctx ends: where there may be tasks
// according to the messages received, and, where no coordinator wakes workers, all the time.
func (w *Worker) idle(ctx context.Context, slot int, turn *int) *attempt {
	wait := idleFirst
	last := time.Now() // that a run was looked at in turn
	for {
		list, wake := w.servable()
		now := time.Now()
		var hot []*session
		for _, s := range list {
			if w.deaf || !s.m.Wakes || now.Before(s.lookUntil()) {
				hot = append(hot, s)
			}
		}
		if len(hot) == 0 && len(list) > 0 && now.Sub(last) >= inTurn {
			hot = []*session{list[*turn%len(list)]}
			last = now
		}
		if a := w.look(ctx, hot, slot, turn); a != nil || ctx.Err() != nil {
			return a
		}
		if len(hot) == 0 {
			wait = inTurn
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
			wait = idleFirst
		case <-t.C:
			wait = min(2*wait, idleMost)
		}
		t.Stop()
	}
}

// look asks each session in turn for a task and returns the first one's attempt,
// or nil.
func (w *Worker) look(ctx context.Context, list []*session, slot int, turn *int) *attempt {
	for range list {
		s := list[*turn%len(list)]
		*turn++
		for ctx.Err() == nil {
			a, more := w.next(ctx, s, slot)
			if a != nil {
				return a
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// next takes one task of s, if one waits; more: it was answered at once, and
// another may wait.
func (w *Worker) next(ctx context.Context, s *session, slot int) (a *attempt, more bool) {
	q, err := s.openQueue(ctx, w.cfg.Bus)
	if err != nil {
		return nil, false // not made yet, or over: the manifest will show
	}
	d, err := q.Next()
	switch {
	case errors.Is(err, bus.ErrNoConsumer):
		s.dropQueue()
		return nil, false
	case err != nil:
		w.log.Warn("taking a task failed", "run_id", s.m.RunID, "error", err)
		return nil, false
	case d == nil:
		return nil, false
	}
	if err := d.Task.Fits(s.m); errors.Is(err, run.ErrOtherIncarnation) {
		// Not this session's to answer: its own workers find it.
		w.log.Warn("task of another incarnation ignored", "run_id", s.m.RunID, "error", err)
		s.cancel(errSessionOver)
		return nil, false
	} else if err != nil {
		w.log.Warn("task that contradicts its run's plan removed from the queue", "error", err)
		if err := d.Ack(ctx); err != nil {
			w.log.Warn("removing a task from the queue failed", "error", err)
		}
		return nil, true
	}
	if !w.take(chunkKey{s.m.RunID, d.Task.ChunkIdx}) {
		return nil, true // this process works on the chunk already: the delivery is let go
	}
	a = &attempt{w: w, s: s, d: d, slot: slot, chunk: s.m.Plan.Chunk(d.Task.ChunkIdx)}
	a.log = w.log.With("run_id", s.m.RunID, "chunk_idx", a.chunk.Idx)
	return a, false
}

// woken notes that run id may have tasks, which are to be looked for after a
// moment drawn from within.
func (w *Worker) woken(id run.ID, within time.Duration) {
	w.mu.Lock()
	s := w.sessions[id]
	w.mu.Unlock()
	if s == nil {
		return
	}
	if within <= 0 {
		w.lookAgain(s, 0)
		return
	}
	time.AfterFunc(rand.N(within), func() { w.lookAgain(s, 0) })
}

// lookAgain has s looked at now, and as long as it may take until a task that
// comes back after the delay is there.
func (w *Worker) lookAgain(s *session, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := time.Now().Add(delay + lookFor); until.After(s.lookUntil()) {
		s.hotUntil.Store(until.UnixNano())
	}
	w.rouse()
}

// rouse makes the idle slots look for tasks. The caller holds w.mu.
func (w *Worker) rouse() {
	close(w.wake)
	w.wake = make(chan struct{})
}
