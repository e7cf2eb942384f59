package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/safefile"
)

// finish stores the attempt's final report. life is the worker's own context; ctx
// bounds the bus's part.
func (a *attempt) finish(ctx, life context.Context, out outcome) {
	if out.Unkept != nil {
		a.log.Error("artifact not stored, footer sent without it", "error", out.Unkept)
	}
	switch {
	case out.err == nil:
		a.done(ctx, life, out)
	case errors.Is(out.err, ErrChanged):
		a.changed(ctx, out)
	case errors.Is(out.err, errLeaseLost):
		a.log.Warn("lease lost, measurements since the last record dropped")
		a.keep(a.report(&out.Footer, footer.StatusStopped), out.Artifacts)
	case a.sentAway(life, out.err):
		f := a.leave(ctx, a.report(&out.Footer, footer.StatusStopped), out.Artifacts)
		a.goodbye(ctx, out.err, f)
	default:
		if broken := (*SetUpError)(nil); errors.As(out.err, &broken) {
			a.releaseMisconfigured(ctx, broken, out)
			return
		}
		a.failed(ctx, out)
	}
}

// releaseMisconfigured gives back the chunk of a worker that is set up wrongly: another may
// be able to replay it. The record contains the reason, in case there is none.
func (a *attempt) releaseMisconfigured(ctx context.Context, why *SetUpError, out outcome) {
	a.log.Error("worker set up wrongly, exiting", "error", why)
	f := a.leave(ctx, a.report(&out.Footer, footer.StatusFailed), out.Artifacts)
	f.Error, f.ErrorTraceback = why.Error(), out.trace
	next := a.rec.Released(f)
	next.Error, next.Traceback, next.NotBegun = f.Error, f.ErrorTraceback, true
	if a.finalReport(ctx, next) {
		a.nak(deferFor)
	}
	a.w.breaks(why)
}

// sentAway reports whether the attempt was ended from outside, not by an
// error of its own.
func (a *attempt) sentAway(life context.Context, err error) bool {
	var stop stopped
	return errors.As(err, &stop) || errors.Is(err, errSessionOver) || errors.Is(err, ErrShutdown) ||
		errors.Is(err, ErrOrphaned) || life.Err() != nil
}

// goodbye stores the last record of an attempt that was ended from outside.
func (a *attempt) goodbye(ctx context.Context, why error, f *footer.Footer) {
	var stop stopped
	if errors.As(why, &stop) {
		a.finalReport(ctx, a.rec.Stopped(f, stop.Stop))
		return
	}
	if a.finalReport(ctx, a.rec.Released(f)) {
		a.nak(0)
	}
}

// failed reports an attempt that ended in an error.
func (a *attempt) failed(ctx context.Context, out outcome) {
	f := a.report(&out.Footer, footer.StatusFailed)
	f.Error, f.ErrorTraceback = out.err.Error(), out.trace
	f = a.leave(ctx, f, out.Artifacts)
	next := a.rec.Failed(f, f.Error, f.ErrorTraceback, a.s.m.MaxFailures, errors.Is(out.err, ErrExhausted))
	next.NotBegun = errors.Is(out.err, ErrNotBegun)
	a.log.Error("the attempt failed", "failures", next.Failures, "error", out.err)
	if !a.finalReport(ctx, next) {
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
	a.log.Debug("claim released", "error", why)
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if a.finalReport(ctx, a.rec.Released(nil)) {
		a.nak(0)
	}
}

// finalReport stores the attempt's last record, trying until ctx ends. It
// reports whether the record is stored.
func (a *attempt) finalReport(ctx context.Context, next lease.Record) bool {
	for {
		err := a.store(ctx, next)
		if err == nil {
			return true
		}
		if errors.Is(err, errLeaseLost) || !pause(ctx, retryEvery) {
			a.log.Warn("storing the final report failed", "state", next.State, "error", err)
			return false
		}
	}
}

// attemptDir is the attempt's directory on this host.
func (a *attempt) attemptDir() string {
	return layout.Work(a.w.cfg.WorkDir).Attempt(a.s.m.Ref(), a.chunk.Idx, a.rec.Attempt)
}

// makeDir makes the attempt's directory below WorkDir. WorkDir itself is not
// made again if it was deleted: with local workers it stands in the run's
// output directory, which must not come back as if nothing had happened.
func (a *attempt) makeDir() (string, error) {
	dir := a.attemptDir()
	for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir} {
		if err := safefile.InnerDir(d); err != nil {
			return "", fmt.Errorf("making the attempt's directory: %w", err)
		}
	}
	return dir, nil
}

// keepFooter writes the footer to the attempt's directory.
func (a *attempt) keepFooter(f *footer.Footer) {
	dir, err := a.makeDir()
	if err == nil {
		err = writeFooter(filepath.Join(dir, layout.FooterFile), *f)
	}
	if err != nil {
		a.log.Warn("writing the attempt's footer failed", "error", err)
	}
}

func writeFooter(path string, f footer.Footer) error {
	data, err := f.AppendJSON(nil)
	if err != nil {
		return err
	}
	if err := safefile.Replace(path, false, atomicfile.Parts(data, []byte("\n"))); err != nil {
		return fmt.Errorf("writing a footer: %w", err)
	}
	return nil
}
