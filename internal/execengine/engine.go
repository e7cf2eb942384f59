package execengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Engine replays chunks with the command of its Spec. Its methods may be
// called from several goroutines, one replay a slot.
type Engine struct {
	Spec Spec
	// Guard starts this program as the guard of a command.
	Guard process.Spec
	// Inherited is this process's environment, of which a list is passed on.
	Inherited []string
	// Dir is the directory in which the command is found and runs.
	Dir string
	Log *slog.Logger
	// Stdout and Stderr, if not nil, get what commands write, as it comes, for
	// who sits in front of it.
	Stdout, Stderr io.Writer

	mu      sync.Mutex
	servers map[int]*server // by slot
}

// Job is a chunk to replay.
type Job struct {
	Manifest run.Manifest
	Chunk    run.Chunk
	Slot     int
	Attempt  int
	Dir      string // the attempt's directory
	// Policy is the run's, and PolicyContent the file.
	Policy        policy.Policy
	PolicyContent []byte
	// PolicyFiles are the policy file and its includes, byte for byte, the
	// policy file first. If there are none, the command gets PolicyContent.
	PolicyFiles []policy.File
	Source      Source
	// DataFile writes the whole data set, once for all chunks, and returns its
	// path; it is called if the command names {data}.
	DataFile func(ctx context.Context) (string, error)
	// Files are the paths of the shipped files, by their names.
	Files map[string]string
	// Recheck, if not nil, is called right before the command starts, or is
	// given the chunk: whether what DataFile and Files name is still what it has
	// to be. Its error ends the attempt.
	Recheck func() error
	// Grace is how long the command may go on after it was asked to stop for
	// that reason.
	Grace func(why error) time.Duration
	// Kill, if not nil, ends the command at once when it is closed.
	Kill <-chan struct{}
}

// Replay replays a chunk and calls report, from one goroutine, with what was
// heard so far. When ctx ends the command is asked to stop, and killed when
// the grace is over; Replay returns when it and all that it started are gone,
// with what it has left and the cause of ctx's end, unless the command had
// done its chunk all the same. Other errors are those of this package, or
// say how the command failed.
//
// Bars before the run's period are not replayed by the command. Its footers
// count them as bars_skipped_warmup.
func (e *Engine) Replay(ctx context.Context, job Job, report func(footer.Footer)) (Result, error) {
	before := beforePeriod(job.Manifest, job.Chunk.Bars)
	if before == 0 {
		return e.replay(ctx, job, report)
	}
	if before == job.Chunk.Bars.Len() {
		e.Log.Info("the chunk lies before the period, so no command runs", "run_id", job.Manifest.RunID, "chunk_idx", job.Chunk.Idx, "attempt", job.Attempt)
		return Result{Footer: allBefore(before)}, nil
	}
	job.Chunk.Bars.First += before
	counted := report
	if report != nil {
		counted = func(f footer.Footer) {
			countBefore(&f, before)
			report(f)
		}
	}
	res, err := e.replay(ctx, job, counted)
	countBefore(&res.Footer, before)
	return res, err
}

// replay has the command replay job's bars, all of them its own.
func (e *Engine) replay(ctx context.Context, job Job, report func(footer.Footer)) (Result, error) {
	if err := e.room(ctx); err != nil {
		return Result{}, err
	}
	a, err := e.prepare(ctx, job)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, err
	}
	defer a.dir.Close() // nothing is lost by it
	var end ending
	if e.Spec.Serve {
		end = a.served(ctx, report)
	} else {
		end = a.alone(ctx, report)
	}
	return a.result(ctx, end)
}

// closeGrace is what a serving process that waits for a chunk has to go: there
// is nothing that it could lose.
const closeGrace = 200 * time.Millisecond

// Close ends the processes that wait for chunks.
func (e *Engine) Close() {
	e.mu.Lock()
	servers := e.servers
	e.servers = nil
	e.mu.Unlock()
	var owned sync.WaitGroup
	for _, s := range servers {
		owned.Go(func() { s.end(min(e.Spec.Grace, closeGrace)) })
	}
	owned.Wait()
}

// result makes a footer and artifacts of how an attempt ended.
func (a *attempt) result(ctx context.Context, end ending) (Result, error) {
	err := end.verdict()
	bars := a.bars(end, err)
	now := time.Now()
	out := Result{}
	emission, bad := a.emitted(ctx, err, bars)
	switch {
	case bad == nil:
		bars = emission.Bars
	case err == nil:
		// It says ok, and what it left cannot be used: what was replayed is
		// not known.
		err, bars = bad, 0
	default:
		a.log.Warn("unusable output of the command", "error", bad)
		if a.emit() != run.EmitsTrades {
			bars = 0 // no bar is covered without its signals
		}
	}
	if bars == 0 && err != nil && a.emit() == run.EmitsTrades {
		// Trades of bars that do not count do not count. They are in its output.
		emission = Emission{}
	}
	if a.emit() == run.EmitsTrades {
		// What it reports of its trades outranks their file.
		emission.Given = slices.DeleteFunc(emission.Given, func(name string) bool { return a.tally.all.Given[name] })
	}
	out.Footer = a.tally.footer(bars, now, emission.Given...)
	emission.fill(&out.Footer)
	out.Artifacts = emission.Artifacts
	out.Footer.CPUUserSec, out.Footer.CPUSysSec = end.exit.UserSec, end.exit.SysSec
	out.Footer.MaxRSSBytes = end.exit.MaxRSSBytes
	if err == nil {
		out.Footer.Error, out.Footer.ErrorTraceback = "", ""
	} else if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) {
		if out.Trace = a.tally.all.Footer.ErrorTraceback; out.Trace == "" {
			out.Trace = end.stderr
		}
		if end.started == nil {
			err = a.located(err)
		}
	}
	a.keepOut(&out)
	return out, err
}

// emit is what the run's commands leave of trades.
func (a *attempt) emit() string { return a.job.Manifest.Command.Emits }

// emitWait bounds the reading of what a command left when its attempt has to
// end.
const emitWait = 3 * time.Second

// emitted makes of what the command left what the built-in engine would leave.
func (a *attempt) emitted(ctx context.Context, verdict error, bars int64) (Emission, error) {
	if ctx.Err() != nil {
		// What was flushed last counts.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), emitWait)
		defer cancel()
	}
	pol, err := replay.ForVersion(a.job.Manifest.EngineVersion, a.job.Policy, a.job.Manifest.Data.BarLength)
	if err != nil {
		return Emission{}, err
	}
	e := Emit{
		Kind: a.emit(), Chunk: a.job.Chunk.Bars, Data: a.job.Manifest.Data, Policy: pol, Source: a.job.Source,
		Times: a.slice, FirstRow: a.task.FirstBar - a.task.WarmupBars, Partial: verdict != nil, Bars: bars,
	}
	out, err := a.emittedIn(ctx, a.paths.out, e)
	if err == nil && e.Kind == run.EmitsTrades && len(out.Artifacts) == 0 && a.e.Spec.Footer != "" {
		// A command with a place of its own for its footer may have its trades
		// beside it, as the original's runner.
		out, err = a.emittedIn(ctx, filepath.Dir(a.paths.footer), e)
	}
	return out, err
}

// emittedIn reads what is in the directory at path.
func (a *attempt) emittedIn(ctx context.Context, path string, e Emit) (Emission, error) {
	dir, err := a.openDir(path)
	if err != nil {
		return Emission{}, err
	}
	defer dir.Close() // it was read only
	e.Dir = dir
	return Emitted(ctx, e)
}

// openDir opens a directory in which the command may have left something: one
// in the attempt's, or one that the user has named, by a link perhaps.
func (a *attempt) openDir(path string) (*safefile.Dir, error) {
	if name, ok := a.dir.Name(path); ok {
		return a.dir.Dir(name)
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	return safefile.OpenDir(path)
}

// located says where the log of an attempt that failed is.
func (a *attempt) located(err error) error {
	return fmt.Errorf("%w; its log: %s", err, a.paths.stderr)
}

// bars is how many bars the attempt has replayed, as far as it can be
// believed.
func (a *attempt) bars(end ending, verdict error) int64 {
	heard := a.tally.bars
	planned := a.tally.planned
	if end.footer == nil {
		if verdict == nil {
			return planned // asked to leave no footer: exit code 0 says all
		}
		return heard
	}
	claim, has := a.tally.barsOf(*end.footer)
	switch {
	case verdict == nil && !has:
		return planned // ok, and no number
	case verdict == nil:
		return claim
	case !has:
		return heard
	case claim < planned && !a.progressed:
		// It reports by its footer alone, and does not claim the whole chunk.
		return claim
	}
	// The original's runner claims the whole chunk when it is stopped.
	return min(claim, heard)
}
