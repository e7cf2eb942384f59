package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Failure is an export that did not succeed, with what it would have written.
type Failure struct {
	Report perf.Report
	Chunks []perf.Chunk
	Cause  error
	Trace  string // stack or steps, for the analysis
	Note   string // empty: what can be done now
}

func (f Failure) stub() ([]byte, error) {
	return perf.AppendStub(nil, f.describe(), f.Chunks)
}

func (f Failure) describe() perf.Stub {
	s := perf.Stub{RunID: f.Report.RunID, Timestamp: f.Report.Timestamp, Trace: f.Trace, Env: f.Report.Env, Note: f.Note}
	if f.Cause != nil {
		s.Error = f.Cause.Error()
	}
	if s.Note == "" {
		s.Note = fmt.Sprintf("The export of run %s failed. What its workers measured is in their chunk_footer.json files and, where there is one, in the perf JSON in the fallback directory.", f.Report.RunID)
	}
	return s
}

// Fail writes the stub of f into the output directory. Where that cannot be
// written it does what WriteFallback does. It returns the files that it wrote;
// an error means that there is no stub in any of the directories. It needs no
// lock, and hangs if the disk does.
func Fail(t layout.Run, cfg Config, f Failure) ([]string, error) {
	f.Report.RunID = t.RunID
	stub, err := f.stub()
	if err != nil {
		return nil, err
	}
	errDir := cfg.writeStub(t, t.Stub(), stub)
	if errDir == nil {
		return []string{t.Stub()}, nil
	}
	paths, err := WriteFallback(t, cfg, f)
	if err != nil {
		return paths, fmt.Errorf("stub of run %s: %w; %w", t.RunID, errDir, err)
	}
	return paths, nil
}

// WriteFallback writes the perf JSON and the stub of f into the fallback
// directory, as an export writes them, and a short stub to cfg.Stderr. It
// touches nothing in the output directory, so a disk that hangs there does not
// hold it up. It returns the files that it wrote; an error means that one of
// the two is not there.
func WriteFallback(t layout.Run, cfg Config, f Failure) ([]string, error) {
	f.Report.RunID = t.RunID
	stub, err := f.stub()
	if err != nil {
		return nil, err
	}
	var errStderr error
	if cfg.Stderr != nil {
		short, err := perf.AppendShortStub(nil, f.describe(), f.Chunks, t.FallbackStub())
		if err == nil {
			_, err = cfg.Stderr.Write(short)
		}
		errStderr = err
	}
	if err := os.MkdirAll(t.Fallback(), 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("fallback of run %s: %w", t.RunID, err), errStderr)
	}
	var paths []string
	errPerf := cfg.fallbackPerf(t, f)
	if errPerf == nil {
		paths = append(paths, t.FallbackPerf())
	}
	errStub := cfg.writeStub(t, t.FallbackStub(), stub)
	if errStub == nil {
		paths = append(paths, t.FallbackStub())
	}
	if err := errors.Join(errPerf, errStub); err != nil {
		return paths, fmt.Errorf("fallback of run %s: %w", t.RunID, errors.Join(err, errStderr))
	}
	return paths, nil
}

// isStub reports whether the file at path is a stub of run id. A perf JSON of a
// run whose name ends as a stub's file does is none.
func isStub(path string, id run.ID) bool {
	f, _, err := safefile.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() // it was read only
	head, err := io.ReadAll(io.LimitReader(f, perf.StubHead))
	return err == nil && perf.IsStub(head, id)
}

// writeStub writes a stub over an older one. Another file that is there is set
// aside.
func (c Config) writeStub(t layout.Run, path string, stub []byte) error {
	keep := func() error {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || isStub(path, t.RunID) {
			return nil
		}
		_, err = setAside(path)
		return err
	}
	if _, err := c.replace(path, t.RunID, atomicfile.Parts(stub), &Steps{}, keep); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// fallbackPerf writes the perf JSON into the fallback directory. What stands
// there from an earlier session counts as in the output directory, but a file
// of another plan is set aside: this is the last place.
func (c Config) fallbackPerf(t layout.Run, f Failure) error {
	s := slot{path: t.FallbackPerf(), id: t.RunID, cfg: c}
	if err := ours(s.path); err != nil {
		return err
	}
	if err := s.refresh(); err != nil {
		return err
	}
	// The trades file, if there is one, stands in the output directory.
	f.Report.Selection.Trades.File, f.Report.Selection.Trades.SHA256, f.Report.Selection.Signals = "", "", perf.SignalsFile{}
	_, err := s.export(context.Background(), f.Report, f.Chunks, false)
	if errors.Is(err, perf.ErrOtherRun) {
		s.state.Store(&state{info: s.state.Load().info, foreign: err})
		_, err = s.export(context.Background(), f.Report, f.Chunks, false)
	}
	if errors.Is(err, ErrComplete) {
		return nil
	}
	return err
}

// ours refuses what another user has put under path: the fallback directory
// may be one that everybody can write.
func ours(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if uid, ok := safefile.Owner(info); ok && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d", path, uid)
	}
	return nil
}

// Fail is Fail for this run, starting from what its exports hold. It waits
// for no export that is under way.
func (e *Exporter) Fail(f Failure) ([]string, error) {
	return Fail(e.target, e.cfg, e.withKnown(f))
}

// WriteFallback is WriteFallback for this run, starting from what its exports
// hold. It waits for no export that is under way.
func (e *Exporter) WriteFallback(f Failure) ([]string, error) {
	return WriteFallback(e.target, e.cfg, e.withKnown(f))
}

// withKnown adds what earlier exports hold. Where it does not fit, the
// failure is told as it is.
func (e *Exporter) withKnown(f Failure) Failure {
	last, ok := e.Last()
	if !ok || perf.SameRun(last.Report, f.Report) != nil {
		return f
	}
	if merged, err := perf.MergeInto(last, f.Report, f.Chunks); err == nil {
		f.Chunks, f.Report = merged, f.Report.Inherit(last.Report)
	}
	return f
}
