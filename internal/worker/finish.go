package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

// finish gives the attempt's last word. life is the worker's own context; ctx
// bounds the bus's part.
func (a *attempt) finish(ctx, life context.Context, out outcome) {
	var stop stopped
	switch {
	case out.err == nil:
		a.done(ctx, life, out.footer)
	case errors.Is(out.err, errLeaseLost):
		a.log.Warn("the lease is lost; what was measured since the last record is dropped")
		a.keepFooter(a.report(&out.footer, footer.StatusStopped))
	case errors.As(out.err, &stop):
		f := a.report(&out.footer, footer.StatusStopped)
		a.keepFooter(f)
		a.lastWord(ctx, a.rec.Stopped(f, stop.Stop))
	case errors.Is(out.err, errSessionOver), errors.Is(out.err, ErrShutdown), errors.Is(out.err, ErrOrphaned), life.Err() != nil:
		f := a.report(&out.footer, footer.StatusStopped)
		a.keepFooter(f)
		if a.lastWord(ctx, a.rec.Released(f)) {
			a.nak(0)
		}
	default:
		a.failed(ctx, out)
	}
}

// failed reports an attempt that ended in an error.
func (a *attempt) failed(ctx context.Context, out outcome) {
	f := a.report(&out.footer, footer.StatusFailed)
	f.Error, f.ErrorTraceback = out.err.Error(), out.trace
	a.keepFooter(f)
	next := a.rec.Failed(f, f.Error, f.ErrorTraceback, a.s.m.MaxFailures, false)
	a.log.Error("the attempt failed", "failures", next.Failures, "error", out.err)
	if !a.lastWord(ctx, next) {
		return
	}
	if next.State == lease.StateExhausted {
		a.ack(ctx)
		return
	}
	a.nak(lease.Backoff(next.Failures))
}

// release gives back a claim on which no bar was replayed.
func (a *attempt) release(ctx context.Context, why error) {
	a.log.Debug("releasing the claim", "error", why)
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if a.lastWord(ctx, a.rec.Released(nil)) {
		a.nak(0)
	}
}

// lastWord stores the attempt's last record, trying until ctx ends. It
// reports whether the record is stored.
func (a *attempt) lastWord(ctx context.Context, next lease.Record) bool {
	for {
		err := a.store(ctx, next)
		if err == nil {
			return true
		}
		if errors.Is(err, errLeaseLost) || !pause(ctx, retryEvery) {
			a.log.Warn("the attempt's last word is not stored", "state", next.State, "error", err)
			return false
		}
	}
}

// done stores the ok footer, which is true whoever holds the lease, then the
// record, then acknowledges. Only the worker's own end keeps it from trying.
func (a *attempt) done(ctx, life context.Context, measured footer.Footer) {
	f := a.footer(&measured, footer.StatusOK)
	f.Phase = footer.PhaseReplay
	// As it will be written: a number that is none costs that number only.
	if err := f.Normalize().Check(a.s.m); err != nil {
		a.failed(ctx, outcome{footer: measured, err: fmt.Errorf("the engine's result is not valid: %w", err)})
		return
	}
	a.keepFooter(f)
	held := true
	var giveUp time.Time
	for {
		once, cancel := a.once(ctx)
		err := a.w.cfg.Bus.StoreFooter(once, *f)
		cancel()
		if err == nil {
			break
		}
		if errors.Is(err, bus.ErrKept) {
			other, _, err := a.w.cfg.Bus.Footer(ctx, a.s.m, a.chunk.Idx)
			if other != nil {
				break // as true as ours
			}
			a.log.Warn("a footer that cannot be used keeps ours out; the coordinator will remove it", "error", err)
		} else {
			a.complain("storing the final footer", err)
		}
		// The lease is kept meanwhile, so that nobody starts over.
		if held && time.Since(a.written) >= recordEvery {
			partial := *f
			partial.Status, partial.Final = footer.StatusPartial, false
			held = !errors.Is(a.renew(ctx, &partial), errLeaseLost)
		}
		if life.Err() != nil {
			if giveUp.IsZero() {
				giveUp = time.Now().Add(lastWords)
			}
			if errors.Is(context.Cause(life), ErrOrphaned) || time.Now().After(giveUp) {
				return // the footer is on disk
			}
		}
		pause(ctx, retryEvery)
	}
	if held {
		if err := a.store(ctx, a.rec.Done(f)); err != nil {
			a.log.Debug("the record of the chunk's end is not stored", "error", err)
		}
	}
	a.ack(ctx)
}

// attemptDir is the attempt's directory on this host.
func (a *attempt) attemptDir() string {
	return filepath.Join(a.w.cfg.WorkDir, string(a.s.m.RunID),
		"chunk_"+strconv.Itoa(a.chunk.Idx), "attempt_"+strconv.Itoa(a.rec.Attempt))
}

// makeDir makes the attempt's directory below WorkDir. WorkDir itself is not
// made again if it was deleted: with local workers it stands in the run's
// output directory, which must not come back as if nothing had happened.
func (a *attempt) makeDir() (string, error) {
	dir := a.attemptDir()
	for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
		if err := os.Mkdir(d, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("making the attempt's directory: %w", err)
		}
	}
	return dir, nil
}

// keepFooter writes the footer to the attempt's directory, whatever happens
// to the bus.
func (a *attempt) keepFooter(f *footer.Footer) {
	dir, err := a.makeDir()
	if err == nil {
		err = writeFooter(filepath.Join(dir, "chunk_footer.json"), *f)
	}
	if err != nil {
		a.log.Warn("the attempt's footer is not on disk", "error", err)
	}
}

// writeFooter writes aside and renames, so that a reader finds a whole file.
func writeFooter(path string, f footer.Footer) error {
	data, err := f.AppendJSON(nil)
	if err != nil {
		return err
	}
	aside := path + ".tmp"
	if err := os.WriteFile(aside, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing a footer: %w", err)
	}
	if err := os.Rename(aside, path); err != nil {
		return fmt.Errorf("writing a footer: %w", err)
	}
	return nil
}
