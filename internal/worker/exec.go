package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
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

	mu   sync.Mutex
	runs map[string]*execInputs // by what they replay
}

// Directories in the work directory, beside those of runs.
const (
	filesDir = "files" // that travelled, each in a directory named by its digest
	dataDir  = "data"  // data sets written out
)

// execInputs are what all chunks of a run share.
type execInputs struct {
	source  execSource
	policy  policy.Policy
	content []byte
	files   map[string]string

	mu   sync.Mutex
	data string // the whole data set's file, once it was asked for
}

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

// Identity is the digest of the command and its files.
func (e *Exec) Identity() string { return e.Engine.Spec.Command.Identity() }

// Fits says in what this worker's command differs from the run's. A run that
// does not know its command yet takes that of the first claim.
func (e *Exec) Fits(m run.Manifest) error {
	if m.Identity == "" || m.Identity == e.Identity() {
		return nil
	}
	mine, theirs := e.Engine.Spec.Command, m.Command
	if theirs.IsZero() {
		return errors.New("another worker's command was first")
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
	in, err := e.inputs(ctx, job.Manifest)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, err
	}
	res, err := e.Engine.Replay(ctx, execengine.Job{
		Manifest: job.Manifest, Chunk: job.Chunk, Slot: job.Slot, Attempt: job.Attempt, Dir: job.Dir,
		Policy: in.policy, PolicyContent: in.content, Source: in.source, Files: in.files,
		DataFile: func(ctx context.Context) (string, error) { return e.dataFile(ctx, job.Manifest, in) },
		Grace: func(why error) time.Duration {
			if errors.Is(why, ErrOrphaned) {
				return LocalGrace
			}
			return e.Engine.Spec.Grace
		},
		Kill: e.Hurry,
	}, report)
	out := Result{Footer: res.Footer, Unkept: res.Unkept, Trace: res.Trace}
	for _, a := range res.Artifacts {
		out.Artifacts = append(out.Artifacts, Artifact{a.Artifact, a.Content})
	}
	switch setUp := (*execengine.SetUpError)(nil); {
	case errors.As(err, &setUp):
		err = &SetUpError{Code: setUp.Code, Err: err}
	case errors.Is(err, execengine.ErrExhausted):
		err = fmt.Errorf("%w: %w", ErrExhausted, err)
	}
	return out, err
}

// inputs fetches what the run's chunks share, once.
func (e *Exec) inputs(ctx context.Context, m run.Manifest) (*execInputs, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := m.Inputs()
	if in := e.runs[key]; in != nil && e.has(in) {
		return in, nil
	}
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
	if e.runs == nil {
		e.runs = map[string]*execInputs{}
	}
	e.runs[key] = in
	return in, nil
}

// has reports whether the files of in that are in the work directory are still
// there, and marks them as used.
func (e *Exec) has(in *execInputs) bool {
	own, err := filepath.Abs(filepath.Join(e.WorkDir, filesDir))
	for _, path := range in.files {
		if strings.HasPrefix(path, own+string(filepath.Separator)) && !touch(path) {
			return false
		}
	}
	return err == nil
}

// dataFile writes the whole data set, once a run and process.
func (e *Exec) dataFile(ctx context.Context, m run.Manifest, in *execInputs) (string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.data != "" && touch(in.data) {
		return in.data, nil
	}
	dir := filepath.Join(e.WorkDir, dataDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Other processes write the same file: aside and renamed, each its own.
	name := m.Data.SHA256 + m.Data.Extra + "." + m.Command.TSFormat + "." + m.Command.SliceFormat
	path := filepath.Join(dir, name)
	if !touch(path) {
		aside, err := os.MkdirTemp(dir, ".data-*")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(aside)
		fresh := filepath.Join(aside, name)
		_, err = execengine.WriteSlice(ctx, fresh, m.Command.SliceFormat, m.Command.TSFormat, in.source, run.BarRange{End: m.Data.Bars})
		if err != nil {
			return "", err
		}
		if err := os.Rename(fresh, path); err != nil {
			return "", err
		}
	}
	path, err := filepath.Abs(path)
	if err == nil {
		in.data = path
	}
	return path, err
}

// file finds a shipped file by its digest: in the directory of large files, in
// the worker's own, in the cache, or on the bus. It has its own name in a directory named by the
// digest, since a command may go by the extension.
func (e *Exec) file(ctx context.Context, f run.CommandFile) (string, error) {
	for _, path := range []string{
		filepath.Join(e.Engine.Spec.FilesDir, f.SHA256), filepath.Join(e.Engine.Spec.FilesDir, f.Name),
	} {
		if e.Engine.Spec.FilesDir != "" && hasDigest(path, f) {
			return filepath.Abs(path)
		}
	}
	if f.Bytes > execengine.MaxShipped {
		return "", fmt.Errorf("%s has %d bytes, more than travels (%d): a worker finds it under --files DIR by its SHA-256, %s", f.Name, f.Bytes, execengine.MaxShipped, f.SHA256)
	}
	dir := filepath.Join(e.WorkDir, filesDir, f.SHA256)
	path := filepath.Join(dir, f.Name)
	if hasDigest(path, f) && touch(path) {
		return filepath.Abs(path)
	}
	content, err := e.Cache.Get(ctx, e.Objects, run.FileObject(f.SHA256), f.SHA256, execengine.MaxShipped)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := place(path, content); err != nil {
		return "", fmt.Errorf("keeping %s: %w", f.Name, err)
	}
	return filepath.Abs(path)
}

// place puts a file where other processes put the same one.
func place(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".file-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// hasDigest says whether path is the file f.
func hasDigest(path string, f run.CommandFile) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != f.Bytes {
		return false
	}
	h := sha256.New()
	_, err = io.Copy(h, file)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == f.SHA256
}
