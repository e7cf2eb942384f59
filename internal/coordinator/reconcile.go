package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/lease"
)

// reconcileUntilDone waits until every chunk has an end or ctx is over, and
// meanwhile, at least once per lease, restores what was lost: tasks that
// vanished, stops that were not received, final footers that cannot be used.
func (l *Life) reconcileUntilDone(ctx context.Context) error {
	reconnected, cancel := l.Bus.Hints()
	defer cancel()
	timing := lease.TimingOf(l.Manifest)
	t := time.NewTicker(timing.Reconcile())
	defer t.Stop()
	waking := time.NewTicker(timing.LookToWake())
	defer waking.Stop()
	var woke time.Time
	lapsing, breaks := l.board.lapsing(), l.Bus.Breaks()
	waiting := l.board.waiting()
	// The first reading of the stop may have been overtaken by one that was
	// on its way into the stream before this session listened.
	soon := time.NewTimer(stopOnItsWay)
	defer soon.Stop()
	for {
		_, _, changed := l.board.following()
		if l.board.done() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			l.adoptIdentity(ctx)
			if time.Since(woke) >= lease.LeastWake && l.board.givenBack() && l.board.calling() {
				woke = time.Now()
				l.wake()
			}
		case <-waking.C:
			if time.Since(woke) >= lease.LeastWake && l.board.calling() {
				woke = time.Now()
				l.wake()
			}
		case b := <-l.bad:
			l.deleteFooter(ctx, b)
		case <-reconnected:
			l.readStop(ctx)
		case <-l.hints:
			l.readStop(ctx)
		case <-soon.C:
			l.readStop(ctx)
		case <-t.C:
			l.readStop(ctx)
			if l.Bus.Breaks() == breaks {
				l.release(ctx, lapsing)
				l.settle(ctx, waiting)
			}
			waiting = l.board.waiting()
			lapsing, breaks = l.board.lapsing(), l.Bus.Breaks()
			if err := l.reconcile(ctx); errors.Is(err, ErrTakenOver) {
				return err
			} else if err != nil && ctx.Err() == nil {
				l.Logger.Warn("reconciling the bus failed", "error", err)
			}
		}
	}
}

// deleteFooter removes a stored final footer that cannot be used, and asks for
// its chunk again. A worker that was handed the chunk took it for done.
func (l *Life) deleteFooter(ctx context.Context, b bad) {
	l.lines.Warn("unusable final footer deleted", "seq", b.seq, "chunk_idx", b.idx, "error", b.why)
	err := l.Bus.DeleteFooter(ctx, b.seq)
	if err == nil && b.idx >= 0 && !l.board.hasEnd(l.board.chunks[b.idx].Load()) {
		err = l.ask(ctx, []int{b.idx})
	}
	if err != nil && ctx.Err() == nil {
		l.lines.Warn("deleting a final footer failed", "seq", b.seq, "error", err)
	}
}

// release writes the release of claims of earlier sessions whose records have
// not changed for a whole lease, so that no worker has to spend one on finding
// that out; and of attempts that were stopped by a stop that is not stored, which
// would keep their chunks from everybody. The sequences are those of a lease ago; a record that has changed
// since wins.
func (l *Life) release(ctx context.Context, lapsed map[int]uint64) {
	for idx, seq := range lapsed {
		rec, now, err := l.Bus.Lease(ctx, l.Manifest.RunID, idx)
		if err == nil && rec != nil && now == seq && idle(*rec, l.Manifest.Session) {
			_, err = l.Bus.StoreLease(ctx, rec.Released(nil), seq)
		}
		if err != nil && !errors.Is(err, bus.ErrConflict) && ctx.Err() == nil {
			l.Logger.Warn("releasing a claim of an earlier epoch failed", "chunk_idx", idx, "error", err)
		}
	}
}

// reconcile puts back what the bus may have lost: streams, objects, the manifest,
// footers, the consumer, and the tasks of chunks that have neither an end nor
// a task. One that is handed out has its task still, so nothing is asked for
// twice. ErrTakenOver: a later session has begun.
func (l *Life) reconcile(ctx context.Context) error {
	if err := l.Bus.MakeStreams(ctx, max(l.Replicas, 1)); err != nil {
		return err
	}
	if err := l.keepManifest(ctx); err != nil {
		return err
	}
	if err := l.putObjects(ctx); err != nil {
		return err
	}
	if err := l.giveBack(ctx); err != nil {
		return err
	}
	pending, err := l.Bus.PendingTasks(ctx, l.Manifest.RunID)
	if err != nil {
		return err
	}
	if len(pending) > int(l.board.claimed.Load()) {
		l.wake() // not all have been taken: the wake-up may have been lost
	}
	// A chunk that ends meanwhile is published for nothing. A worker that is handed
	// it acks it.
	lost := slices.DeleteFunc(l.board.unfinished(), func(idx int) bool { return pending[idx] })
	if len(lost) > 0 {
		l.Logger.Info("missing tasks published again", "chunks", len(lost))
	}
	return l.ask(ctx, lost)
}
