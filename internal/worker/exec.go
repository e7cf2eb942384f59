package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/memo"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// Exec is the engine `exec`: package execengine on bars, policies and files
// that come from the bus by their digests.
type Exec struct {
	Engine  *execengine.Engine
	Objects Objects
	Cache   *dataset.Cache // of what is fetched; nil: nothing is kept
	WorkDir string         // for files that commands open
	// Hurry is closed when no command may go on, whatever its grace. Nil: there
	// is no such moment.
	Hurry <-chan struct{}

	checked fileCheck
	now     commandNow

	shared shared[*execInputs]
}

// execInputs are what all chunks of a run share.
type execInputs struct {
	source  execSource
	policy  policy.Policy
	content []byte
	written []policy.File // the policy's files as they were written
	files   map[string]string

	render memo.Memo[written]
	mu     sync.Mutex
	data   written // the whole data set's file, once it was asked for
}

// written is a file that was rendered, and its SHA-256 (hex).
type written struct{ path, sha string }

// execSource gives bars and extra columns.
type execSource struct {
	*dataset.Set
	extra *dataset.Extra // nil: there are none
}

func (s execSource) Extra(ctx context.Context, r run.BarRange) ([]bars.Column, error) {
	if s.extra == nil {
		return nil, nil
	}
	return s.extra.Columns(ctx, r)
}

var _ interface {
	Bars(context.Context, run.BarRange) iter.Seq2[bars.Bar, error]
} = execSource{}

// Name is the engine's name.
func (*Exec) Name() string { return footer.EngineExec }

// Identity is the digest of the command and its files; empty if they cannot be
// read.
func (e *Exec) Identity() string {
	c, err := e.command(commandFor)
	if err != nil {
		return ""
	}
	return e.naming(c, run.Command{}).Identity()
}

// Fits returns in what this worker's command differs from the run's. A run that
// has no command yet takes that of the first claim.
func (e *Exec) Fits(m run.Manifest) error { return e.fits(m, commandFor) }

func (e *Exec) fits(m run.Manifest, age time.Duration) error {
	mine, err := e.command(age)
	if err != nil {
		return err
	}
	theirs := m.Command
	mine = e.naming(mine, theirs)
	if m.Identity == "" || m.Identity == mine.Identity() {
		return nil
	}
	if theirs.IsZero() {
		return errors.New("another command, or another version of its files, was first")
	}
	mine.Params, mine.Files = theirs.Params, theirs.Files
	mine.Emits, mine.SliceFormat, mine.TSFormat, mine.TailBars = theirs.Emits, theirs.SliceFormat, theirs.TSFormat, theirs.TailBars
	return fmt.Errorf("the run has %s", strings.Join(theirs.Differences(mine), "; "))
}

// Close ends processes that wait for chunks.
func (e *Exec) Close() { e.Engine.Close() }

// LocalGrace is a command's share of the moment in which a local worker ends
// whose coordinator ends, or is gone.
const LocalGrace = 300 * time.Millisecond

// Replay has the command replay one chunk.
func (e *Exec) Replay(ctx context.Context, job Job, report func(footer.Footer)) (Result, error) {
	in, err := e.shared.get(ctx, job, e.inputs)
	if err == nil && !e.has(job.Manifest, in) {
		e.shared.forget(job)
		in, err = e.shared.get(ctx, job, e.inputs)
	}
	if err != nil {
		return Result{}, err
	}
	res, err := e.Engine.Replay(ctx, execengine.Job{
		Manifest: job.Manifest, Chunk: job.Chunk, Slot: job.Slot, Attempt: job.Attempt, Dir: job.Dir,
		Policy: in.policy, PolicyContent: in.content, PolicyFiles: in.written, Source: in.source, Files: in.files,
		DataFile: func(ctx context.Context) (string, error) { return e.dataFile(ctx, job.Manifest, in) },
		Recheck: func() error {
			if err := e.unchanged(job.Manifest); err != nil {
				return err
			}
			return e.recheck(job.Manifest, in)
		},
		Grace: func(why error) time.Duration {
			if errors.Is(why, ErrOrphaned) {
				return LocalGrace
			}
			return e.Engine.Spec.Grace
		},
		Kill: e.Hurry,
	}, report)
	if err == nil || ctx.Err() == nil {
		// What it has read late may have been another version, and what failed.
		if changed := e.unchanged(job.Manifest); changed != nil {
			return Result{}, changed
		}
	}
	out := Result{Footer: res.Footer, Unkept: res.Unkept, Trace: res.Trace}
	for _, a := range res.Artifacts {
		out.Artifacts = append(out.Artifacts, Artifact{a.Artifact, a.Content})
	}
	notBegun := errors.Is(err, execengine.ErrNotBegun)
	switch setUp := (*execengine.SetUpError)(nil); {
	case errors.As(err, &setUp):
		err = &SetUpError{Code: setUp.Code, Err: err}
	case errors.Is(err, execengine.ErrExhausted):
		err = fmt.Errorf("%w: %w", ErrExhausted, err)
	}
	if notBegun {
		err = beforeFirstBar{err}
	}
	return out, err
}

// beforeFirstBar is an error that matches ErrNotBegun.
type beforeFirstBar struct{ error }

func (beforeFirstBar) Is(target error) bool { return target == ErrNotBegun }
func (b beforeFirstBar) Unwrap() error      { return b.error }

// inputs fetches what the run's chunks share.
func (e *Exec) inputs(ctx context.Context, m run.Manifest) (*execInputs, error) {
	in := &execInputs{files: map[string]string{}}
	var err error
	if in.content, err = fetchPolicy(ctx, e.Objects, m, e.Cache); err != nil {
		return nil, err
	}
	if in.policy, err = policy.Parse(m.Policy.Name, in.content, policy.Options{PregateFlag: &m.PregateEnabled}); err != nil {
		return nil, fmt.Errorf("reading the run's policy: %w", err)
	}
	if err := isPolicyOf(m, in.policy); err != nil {
		return nil, err
	}
	for _, f := range m.Policy.Files {
		content, err := e.Cache.Get(ctx, e.Objects, run.FileObject(f.SHA256), f.SHA256, policy.MaxBytes)
		if err != nil {
			return nil, fmt.Errorf("fetching the policy's file %s: %w", f.Path, err)
		}
		in.written = append(in.written, policy.File{Path: f.Path, Content: content})
	}
	if in.source.Set, err = dataset.Open(ctx, e.Objects, m.Data, e.Cache); err != nil {
		return nil, err
	}
	if m.Data.Extra != "" {
		if in.source.extra, err = dataset.OpenExtra(ctx, e.Objects, m.Data.Extra, m.Data, e.Cache); err != nil {
			return nil, err
		}
	}
	for name, f := range m.Command.Files {
		if in.files[name], err = e.file(ctx, f); err != nil {
			return nil, fmt.Errorf("--exec-file %s: %w", name, err)
		}
	}
	return in, nil
}
