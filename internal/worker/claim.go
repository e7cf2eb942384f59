package worker

import (
	"context"
	"errors"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/lease"
)

// claim asks the lease rules what to do with the delivery and does it, until
// the chunk is ours (true) or the delivery is answered or let go (false).
func (a *attempt) claim(ctx context.Context) bool {
	alive := false // the claim that was watched was seen to be renewed
	for ctx.Err() == nil && a.s.ctx.Err() == nil {
		del, seq, err := a.situation(ctx)
		if err != nil {
			// Without the bus nothing starts; the task comes again.
			a.log.Warn("reading the chunk's records failed", "error", err)
			return false
		}
		dec := lease.Decide(del)
		if dec.Action == lease.Watch {
			if alive {
				// Its holder keeps the task: this delivery is let go, or the slot
				// would serve no run for as long as the other works.
				return false
			}
			switch a.watch(ctx, seq) {
			case watchChanged:
				alive = true
				continue
			case watchBroken:
				continue
			}
			// The holder may have stored its ok footer meanwhile and died.
			again, now, err := a.situation(ctx)
			if err != nil {
				a.log.Warn("reading the chunk's records failed", "error", err)
				return false
			}
			if now != seq {
				continue
			}
			dec = lease.AfterWatch(again)
		}
		switch dec.Action {
		case lease.Ack:
			a.ack(ctx)
			return false
		case lease.LetGo:
			return false
		case lease.Defer:
			a.w.noteDeferred(a.key(), del.Prev.Attempt)
			a.nak(deferFor)
			return false
		case lease.Exhaust:
			a.log.Error("the chunk has no attempts left", "failures", dec.Next.Failures, "error", dec.Next.Error)
			if _, err := a.w.cfg.Bus.StoreLease(ctx, dec.Next, seq); err == nil {
				a.ack(ctx)
				return false
			} else if !errors.Is(err, bus.ErrConflict) {
				a.log.Warn("storing the chunk's end failed", "error", err)
				return false
			}
		case lease.Claim:
			return a.take(ctx, dec.Next, seq)
		}
	}
	return false
}

// situation reads what the rules need: the record first, for an ok
// footer is stored before its record has state `done`. The other way round, one that
// is stored between the two readings would seem to be missing; now it is seen,
// or the record has changed by the time of the claim.
func (a *attempt) situation(ctx context.Context) (lease.Delivery, uint64, error) {
	del := lease.Delivery{
		Me:  lease.Holder{WorkerID: a.w.cfg.ID, Slot: a.slot, Host: a.w.cfg.Host},
		Run: a.s.m.Ref(), ChunkIdx: a.chunk.Idx, Session: a.s.m.Session,
		MaxFailures: a.s.m.MaxFailures, Identity: a.w.cfg.Engine.Identity(),
		Build: a.w.cfg.Build, EngineVersion: a.w.cfg.EngineVersion,
	}
	var refused *bus.RefusedError
	rec, seq, err := a.w.cfg.Bus.Lease(ctx, a.s.m.RunID, a.chunk.Idx)
	if err == nil && rec != nil {
		bad := rec.Check(a.s.m, seq)
		if errors.Is(bad, lease.ErrLaterSession) {
			// One that a coordinator leads has a manifest. Without it, the record is a
			// lie that would keep the chunk from everybody.
			now, _, err := a.w.cfg.Bus.Manifest(ctx, a.s.m.RunID)
			if err != nil {
				return del, 0, err
			}
			bad = rec.Check(now, seq)
		}
		if bad != nil {
			rec, err = nil, &bus.RefusedError{Seq: seq, Err: bad}
		}
	}
	if err != nil {
		if !errors.As(err, &refused) {
			return del, 0, err
		}
		a.log.Warn("unusable lease record replaced by a claim", "error", err)
	}
	if rec != nil {
		del.Prev = rec
		del.Deferred = a.w.wasDeferred(a.key(), rec.Attempt)
	}
	f, _, err := a.w.cfg.Bus.Footer(ctx, a.s.m, a.chunk.Idx)
	if err != nil && !errors.As(err, &refused) {
		return del, 0, err
	}
	del.OK = f != nil
	return del, seq, nil
}

// watched is what came of watching a lease record.
type watched int

const (
	watchHeld    watched = iota // it stayed as it is for a whole lease
	watchChanged                // it was written meanwhile
	watchBroken                 // no answer: a break, or an end
)

// watch watches the lease record with sequence seq for one whole lease, with
// this worker connected without a break. The delivery is kept meanwhile.
func (a *attempt) watch(ctx context.Context, seq uint64) watched {
	a.log.Info("chunk claimed by another worker, watching it for one lease")
	breaks, timing := a.w.cfg.Bus.Breaks(), lease.TimingOf(a.s.m)
	end := time.NewTimer(timing.Watch())
	defer end.Stop()
	keep := time.NewTicker(timing.InProgress())
	defer keep.Stop()
	for {
		over := false
		select {
		case <-ctx.Done():
			return watchBroken
		case <-a.s.ctx.Done():
			return watchBroken
		case <-keep.C:
			if err := a.d.InProgress(ctx); err != nil {
				// Not connected, which is a break, or the session is over:
				// both are found out by looking again.
				a.log.Debug("extending the task's deadline failed", "error", err)
				pause(a.s.ctx, timing.InProgress())
				return watchBroken
			}
		case <-end.C:
			over = true
		}
		_, now, err := a.w.cfg.Bus.Lease(ctx, a.s.m.RunID, a.chunk.Idx)
		var refused *bus.RefusedError
		switch {
		case err != nil && !errors.As(err, &refused) || a.w.cfg.Bus.Breaks() != breaks:
			return watchBroken
		case now != seq:
			return watchChanged
		case over:
			return watchHeld
		}
	}
}

// take stores the claim next over the record with sequence expect.
func (a *attempt) take(ctx context.Context, next lease.Record, expect uint64) bool {
	if err := a.d.InProgress(ctx); err != nil {
		a.log.Debug("claim failed", "error", err)
		return false
	}
	// From here on the claim may be stored, whatever answer arrives: its outcome is
	// learned even if ctx ends.
	settle := context.WithoutCancel(ctx)
	for deadline := time.Now().Add(lease.TimingOf(a.s.m).Settle()); ; {
		seq, err := a.w.cfg.Bus.StoreLease(settle, next, expect)
		if err == nil {
			a.begin(next, seq)
			break
		}
		if errors.Is(err, bus.ErrConflict) {
			stored, seq, err := a.w.cfg.Bus.Lease(settle, a.s.m.RunID, a.chunk.Idx)
			if err == nil && (stored == nil || !stored.Same(next)) {
				return false // another was faster
			}
			if err == nil {
				a.begin(*stored, seq)
				if a.renew(settle, nil) != nil {
					return false
				}
				break
			}
		}
		a.log.Warn("outcome of the claim unknown", "error", err)
		if time.Now().After(deadline) || !pause(settle, retryEvery) {
			return false // the claim, if it is stored, runs out by silence
		}
	}
	if err := a.d.InProgress(settle); err != nil || ctx.Err() != nil {
		a.release(settle, err)
		return false
	}
	return true
}

// retryEvery is how soon a write that got no answer is tried again.
const retryEvery = 100 * time.Millisecond

// begin notes that the claim rec is stored with sequence seq.
func (a *attempt) begin(rec lease.Record, seq uint64) {
	rec.Claim = seq
	a.rec, a.seq = rec, seq
	a.log = a.log.With("attempt", rec.Attempt)
}

func (a *attempt) key() chunkKey { return chunkKey{a.s.m.RunID, a.chunk.Idx} }

func (a *attempt) ack(ctx context.Context) {
	if err := a.d.Ack(ctx); err != nil {
		a.log.Debug("acknowledging the task failed", "error", err)
	}
}

func (a *attempt) nak(delay time.Duration) {
	if err := a.d.Nak(delay); err != nil {
		a.log.Debug("returning the task failed", "error", err)
	}
	a.w.lookAgain(a.s, delay)
}

// pause waits for d and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
