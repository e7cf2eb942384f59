package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
)

// done ends an attempt that replayed its chunk: artifacts, the ok footer that
// lists them, which is true no matter who holds the lease, the record, the ack. Only
// the worker's own end keeps it from trying, and for artifacts the session's:
// an ok footer without its artifacts is worth less than another attempt.
func (a *attempt) done(ctx, life context.Context, out outcome) {
	f := a.footer(&out.Footer, footer.StatusOK)
	f.Phase = footer.PhaseReplay
	// As it will be written: a number that is none costs that number only.
	if err := f.Normalize().Check(a.s.m); err != nil {
		out.err = fmt.Errorf("the engine's result is not valid: %w", err)
		a.failed(ctx, out)
		return
	}
	a.keep(f, out.Artifacts)

	e := ending{a: a, held: true}
	if len(f.Artifacts) > 0 && !e.storeArtifacts(ctx, life, f, out) {
		return
	}
	within, cancel := outlast(ctx, wordsAfter, life)
	defer cancel()
	if !e.persist(within, "storing the final footer", partial(*f), func(ctx context.Context) (bool, error) {
		return a.storeFooter(ctx, f)
	}) {
		return // it is on disk
	}
	if e.held {
		if err := a.store(ctx, a.rec.Done(f)); err != nil {
			a.log.Debug("storing the chunk's end failed", "error", err)
		}
	}
	a.ack(ctx)
}

// ending is the end of a chunk that is done, as long as it takes.
type ending struct {
	a       *attempt
	held    bool  // the lease, as far as is known
	refused error // what no further try would change
}

// storeArtifacts brings the artifacts that f lists to the bus. If that cannot
// be done before worker or session must end, the chunk is given back.
func (e *ending) storeArtifacts(ctx, life context.Context, f *footer.Footer, out outcome) bool {
	a := e.a
	share := func(why error) time.Duration {
		words := wordsAfter(why)
		return words - words/partsShare // the rest is the record's
	}
	within, cancel := outlast(ctx, share, life, a.s.ctx)
	defer cancel()
	if e.persist(within, "storing artifacts", partial(*bare(*f)), a.upload(out.Artifacts).step) {
		return true
	}
	if e.refused != nil {
		out.err = fmt.Errorf("storing artifacts: %w", e.refused)
		out.Artifacts, out.Footer.Artifacts = nil, nil
		a.failed(ctx, out)
		return false
	}
	a.log.Warn("chunk released: it was replayed, but its artifacts are not on the bus")
	why := context.Cause(a.s.ctx)
	if why == nil {
		why = context.Cause(life)
	}
	left := min(wordsAfter(why), wordsAfter(context.Cause(life))) / partsShare
	word, done := context.WithTimeout(ctx, left)
	defer done()
	out.Footer.Artifacts = nil
	a.goodbye(word, why, a.report(&out.Footer, footer.StatusStopped))
	return false
}

// persist calls try, each time with a bound, until it reports that all is stored;
// false if ctx ended first, or if it can never be stored, which e.refused
// holds. The lease is kept meanwhile with f, so that no other worker starts over.
func (e *ending) persist(ctx context.Context, what string, f *footer.Footer, try func(context.Context) (all bool, err error)) bool {
	for {
		once, cancel := e.a.once(ctx)
		all, err := try(once)
		cancel()
		if err == nil && all {
			return true
		}
		if errors.Is(err, bus.ErrArtifactKept) {
			e.refused = err
			return false
		}
		if err != nil && ctx.Err() == nil {
			e.a.complain(what, err)
		}
		if e.held && time.Since(e.a.written) >= recordEvery {
			e.held = !errors.Is(e.a.renew(ctx, f), errLeaseLost)
		}
		if ctx.Err() != nil || err != nil && !pause(ctx, retryEvery) {
			return false
		}
	}
}

// storeFooter stores the ok footer f. Another that is as true as ours will do.
func (a *attempt) storeFooter(ctx context.Context, f *footer.Footer) (bool, error) {
	err := a.w.cfg.Bus.StoreFooter(ctx, *f)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, bus.ErrKept) {
		return false, err
	}
	other, _, bad := a.w.cfg.Bus.Footer(ctx, a.s.m, a.chunk.Idx)
	if other != nil {
		return true, nil
	}
	if bad != nil {
		err = fmt.Errorf("an unusable footer is stored in its place, which the coordinator will remove: %w", bad)
	}
	return false, err
}

// partial is f as an attempt under way reports it.
func partial(f footer.Footer) *footer.Footer {
	f.Status, f.Final = footer.StatusPartial, false
	return &f
}

// wordsAfter is how long a worker that has to end for that reason may go on
// talking to the bus.
func wordsAfter(why error) time.Duration {
	if errors.Is(why, ErrOrphaned) {
		return orphanWords
	}
	return lastWords
}

// outlast returns a context that ends as long after the end of one of ends as
// limit says of its cause, or with ctx.
func outlast(ctx context.Context, limit func(why error) time.Duration, ends ...context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var unhook []func() bool
	for _, end := range ends {
		unhook = append(unhook, context.AfterFunc(end, func() {
			if pause(ctx, limit(context.Cause(end))) {
				cancel()
			}
		}))
	}
	return ctx, func() {
		cancel()
		for _, u := range unhook {
			u()
		}
	}
}
