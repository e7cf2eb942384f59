package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// attempt is one delivery and, once claimed, one attempt at its chunk. It is
// used from one goroutine; the engine's reports come through latest.
type attempt struct {
	w     *Worker
	s     *session
	d     *bus.Delivery
	slot  int
	chunk run.Chunk
	log   *slog.Logger

	rec        lease.Record // the record as we last stored it
	seq        uint64       // its sequence
	started    time.Time
	written    time.Time // of the last record
	footers    int64     // footers made so far, the next one's seq
	complained time.Time // of the bus, last
	// nonsense: the engine's reports were found to break the rules.
	nonsense bool

	latest atomic.Pointer[footer.Footer]
	base   usage
}

type usage struct{ user, sys float64 }

// tooLong is the failure of an attempt that took longer than it may.
type tooLong struct{ most time.Duration }

func (e *tooLong) Error() string {
	return fmt.Sprintf("the attempt took longer than %v (--max-runtime-per-chunk)", e.most)
}

var errLeaseLost = errors.New("the lease is lost")

// run handles the delivery: claim, replay, final report.
func (a *attempt) run(ctx context.Context) {
	if err := a.w.cfg.Engine.Fits(a.s.m); err != nil {
		a.w.endIncompatible(a.s, err)
		a.nak(deferFor)
		return
	}
	if !a.claim(ctx) {
		return
	}
	a.started = time.Now()
	a.written = a.started
	if usage := a.w.cfg.Usage; usage != nil {
		a.base.user, a.base.sys, _ = usage()
	}

	// The engine ends with the session (a stop, another session), with the
	// worker, or with the lease.
	engCtx, cancel := context.WithCancelCause(a.s.ctx)
	defer cancel(nil)
	unhook := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer unhook()

	if most := a.w.cfg.MaxRuntime; most > 0 {
		late := time.AfterFunc(most, func() { cancel(&tooLong{most}) })
		defer late.Stop()
	}

	job := Job{Manifest: a.s.m, Chunk: a.chunk, Slot: a.slot, Attempt: a.rec.Attempt, Session: a.s.ctx, Inputs: a.s.inputsOf()}
	result := make(chan outcome, 1)
	dir, err := a.makeDir()
	if err != nil {
		result <- outcome{err: err}
	} else {
		job.Dir = dir
		go func() { result <- a.replay(engCtx, job) }()
	}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		a.keepTask(engCtx, cancel)
	}()
	out := a.hold(engCtx, cancel, result)
	cancel(nil)
	<-kept

	end := context.WithoutCancel(ctx)
	if out.err != nil {
		var cancelEnd context.CancelFunc
		end, cancelEnd = context.WithTimeout(end, wordsAfter(out.err))
		defer cancelEnd()
	}
	a.finish(end, ctx, out)
}

// orphanWords is the bus's share of the second in which a worker ends when
// its coordinator is gone.
const orphanWords = 300 * time.Millisecond

// outcome is what an engine ended with.
type outcome struct {
	Result
	err   error
	trace string
}

// once bounds one request of an attempt that holds a lease, however short: an
// answer that never comes must not cost the lease.
func (a *attempt) once(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, lease.TimingOf(a.s.m).Request())
}

// complain logs what went wrong with the bus: once a while, as it is tried
// again several times a second.
func (a *attempt) complain(what string, err error) {
	level := slog.LevelDebug
	if time.Since(a.complained) > complainEvery {
		a.complained, level = time.Now(), slog.LevelWarn
	}
	a.log.Log(context.Background(), level, what, "error", err)
}

// complainEvery is long against the retries, and short for a reader of the log.
const complainEvery = 5 * time.Second

// replay runs the engine; a panic in it is an error of the attempt. It runs
// beside hold and so reads nothing of the attempt but latest.
func (a *attempt) replay(ctx context.Context, job Job) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out.err = fmt.Errorf("the engine panicked: %v", p)
			out.trace = string(debug.Stack())
			if f := a.latest.Load(); f != nil {
				out.Footer = *f
			}
		}
	}()
	// What is measured so far lists nothing; the result lists what is there.
	out.Result, out.err = a.w.cfg.Engine.Replay(ctx, job, func(f footer.Footer) {
		f.Artifacts = nil
		a.latest.Store(&f)
	})
	out.trace = out.Trace
	if err := checkArtifacts(out.Artifacts); err != nil {
		out.Artifacts, out.Unkept = nil, errors.Join(out.Unkept, err)
	}
	out.Footer.Artifacts = listed(out.Artifacts)
	return out
}

// hold keeps the lease while the engine works and returns what it ended with.
// That may take a while after ctx's end: the user's command has a grace, in
// which no other worker must take the chunk.
func (a *attempt) hold(ctx context.Context, cancel context.CancelCauseFunc, result <-chan outcome) outcome {
	t := time.NewTicker(recordEvery)
	defer t.Stop()
	for {
		select {
		case out := <-result:
			return out
		case <-t.C:
		}
		f := a.latest.Load()
		moved := f != nil && (a.rec.Own == nil || f.BarsProcessed > a.rec.Own.BarsProcessed || f.Phase != a.rec.Own.Phase)
		if !moved && time.Since(a.written) < lease.TimingOf(a.s.m).Record() {
			continue
		}
		within := ctx
		if why := context.Cause(ctx); why != nil {
			if errors.Is(why, errLeaseLost) || errors.Is(why, ErrOrphaned) {
				continue // not ours any more, or no connection to report it
			}
			within = context.WithoutCancel(ctx)
		}
		if err := a.renew(within, a.report(f, footer.StatusPartial)); errors.Is(err, errLeaseLost) {
			cancel(errLeaseLost)
			return <-result
		} else if err != nil && ctx.Err() == nil {
			a.complain("writing the lease record", err)
		}
	}
}

// keepTask keeps the delivery from being handed to others. When its consumer
// is twice running not there, the manifest shows whether the session is over.
func (a *attempt) keepTask(ctx context.Context, cancel context.CancelCauseFunc) {
	t := time.NewTicker(lease.TimingOf(a.s.m).InProgress())
	defer t.Stop()
	gone := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := a.d.InProgress(ctx)
		if !errors.Is(err, bus.ErrNoConsumer) {
			gone = 0
			continue
		}
		if gone++; gone < 2 {
			continue
		}
		m, _, err := a.w.cfg.Bus.Manifest(ctx, a.s.m.RunID)
		if errors.Is(err, bus.ErrNoRun) || err == nil && (m.Ref() != a.s.m.Ref() || m.Session != a.s.m.Session || m.State != run.StateRunning) {
			cancel(errSessionOver)
			return
		}
	}
}

// renew stores the record with footer f (nil: as before) by compare-and-set.
// A conflict with our own late write is adopted and written over at once;
// any other means errLeaseLost. Other errors leave the outcome open, and the
// next call settles it.
func (a *attempt) renew(ctx context.Context, f *footer.Footer) error {
	return a.store(ctx, a.rec.Renewed(f))
}

func (a *attempt) store(ctx context.Context, next lease.Record) error {
	for {
		once, cancel := a.once(ctx)
		seq, err := a.w.cfg.Bus.StoreLease(once, next, a.seq)
		cancel()
		if err == nil {
			a.rec, a.seq, a.written = next, seq, time.Now()
			return nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		stored, seq, err := a.w.cfg.Bus.Lease(ctx, a.s.m.RunID, a.chunk.Idx)
		var refused *bus.RefusedError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		if stored == nil || !stored.Same(a.rec) {
			return fmt.Errorf("chunk %d: %w", a.chunk.Idx, errLeaseLost)
		}
		// Our own write, whose answer was lost, unless a watcher took the
		// attempt for silent and ended the chunk in its name.
		switch stored.State {
		case lease.StateClaimed:
			a.seq = seq
		case next.State:
			a.rec, a.seq, a.written = next, seq, time.Now()
			return nil
		default:
			return fmt.Errorf("chunk %d: %w", a.chunk.Idx, errLeaseLost)
		}
	}
}

// report makes the footer of this moment from what the engine measured. What
// breaks the rules of a footer would make the whole record unreadable, and
// with it the lease and the count of failures: it is left out.
func (a *attempt) report(f *footer.Footer, status footer.Status) *footer.Footer {
	out := a.footer(f, status)
	if err := out.Normalize().Check(a.s.m); err != nil {
		if !a.nonsense {
			a.nonsense = true
			a.log.Error("engine report ignored: it breaks the rules of a footer", "error", err)
		}
		return a.footer(nil, status)
	}
	return out
}

// footer makes the footer of this moment with whatever the engine measured.
func (a *attempt) footer(f *footer.Footer, status footer.Status) *footer.Footer {
	var out footer.Footer
	if f != nil {
		out = *f
	}
	a.footers++
	if len(out.Artifacts) > 0 {
		a.footers++ // the one before is bare's
	}
	now := time.Now()
	out.Schema = footer.Schema
	out.RunID, out.Incarnation = string(a.s.m.RunID), string(a.s.m.Incarnation)
	out.ChunkIdx, out.ChunkID = int64(a.chunk.Idx), strconv.Itoa(a.chunk.Idx)
	out.Status, out.Final = status, status == footer.StatusOK
	out.Attempt, out.Claim, out.Seq = int64(a.rec.Attempt), a.rec.Claim, a.footers
	out.WorkerID, out.Host, out.PID, out.Slot = a.w.cfg.ID, a.w.cfg.Host, int64(a.w.cfg.PID), int64(a.slot)
	out.Engine, out.EngineVersion, out.WorkerBuild = a.w.cfg.Engine.Name(), int64(run.EngineOf(a.s.m.EngineVersion)), a.w.cfg.Build
	out.ChunksTotal, out.DataBars = int64(a.s.m.Plan.Chunks), a.s.m.Data.Bars
	out.FirstBar, out.EndBar, out.PlannedBars = a.chunk.Bars.First, a.chunk.Bars.End, a.chunk.Bars.Len()
	out.WorkerTimeSec = now.Sub(a.started).Seconds()
	out.Slots, out.StartedAt = int64(a.w.cfg.Slots), a.started.UTC().Format(time.RFC3339Nano)
	out.Timestamp = now.UTC().Format(time.RFC3339Nano)
	if status != footer.StatusPartial {
		out.EndedAt = out.Timestamp
	}
	if usage := a.w.cfg.Usage; usage != nil {
		user, sys, rss := usage()
		out.CPUUserSec, out.CPUSysSec, out.MaxRSSBytes = max(user-a.base.user, 0), max(sys-a.base.sys, 0), rss
	}
	if out.Phase == "" {
		out.Phase = footer.PhaseStartup
	}
	return &out
}
