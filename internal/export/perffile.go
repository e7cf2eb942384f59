package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// slot is one name that exports of a run are written under, with what is
// known of the file there. Its methods are for one goroutine at a time; state
// may be read by any.
type slot struct {
	path string
	id   run.ID
	cfg  Config

	enc   perf.Encoder
	state atomic.Pointer[state]
	// visible, if not nil, is called once the next export stands under its
	// name.
	visible func()
}

// state is what a slot holds. It is never changed, only replaced.
type state struct {
	info    os.FileInfo // of the file; nil: there is none
	sha256  string      // of the file, hex
	foreign error       // why the file is no export of this run; nil: it is one, or none is there

	known bool      // file holds an export, be it that its file is gone
	file  perf.File // chunks: of all exports that were read or written
	own   bool      // the file was written here
	final bool      // and was the last one
}

// complete reports whether the file on the disk holds a complete run.
func (s *state) complete() bool {
	return s.info != nil && s.foreign == nil && s.file.Totals.Outcome == perf.OutcomeComplete
}

// refresh looks whether the file is the one that is known, and reads it if
// not.
func (s *slot) refresh() error {
	old := s.state.Load()
	if old == nil {
		old = &state{}
	}
	info, err := os.Lstat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		s.state.Store(&state{known: old.known, file: old.file})
		return nil
	}
	if err != nil {
		return err
	}
	if old.info != nil && sameFile(old.info, info) {
		return nil
	}
	now := &state{info: info, known: old.known, file: old.file}
	now.foreign = s.read(now)
	if errIO := (*fs.PathError)(nil); !info.Mode().IsRegular() || errors.Is(now.foreign, perf.ErrSchema) || errors.As(now.foreign, &errIO) {
		return now.foreign
	}
	s.state.Store(now)
	return nil
}

// read adds the file at s.path to now.
func (s *slot) read(now *state) error {
	f, sha, ok, err := ledger.ReadFile(s.path, s.id)
	if err != nil {
		return err
	}
	if !ok {
		return &fs.PathError{Op: "open", Path: s.path, Err: fs.ErrNotExist} // it went meanwhile
	}
	if now.known {
		if err := perf.SameRun(now.file.Report, f.Report); err != nil {
			return err
		}
		if f.Chunks, err = perf.MergeInto(now.file, f.Report, f.Chunks); err != nil {
			return err
		}
		f.Report = f.Report.Inherit(now.file.Report)
		f.Report.Selection = perf.HoldingOf(f.Chunks, f.Report.Selection, now.file.Report.Selection)
	}
	now.known, now.file, now.sha256 = true, f, sha
	return nil
}

// verifyFile is perf.Verify of the file at path.
func verifyFile(path string) error {
	b, err := safefile.Read(path, perf.MaxBytes)
	if err != nil {
		return err
	}
	return perf.Verify(b)
}

// sameFile compares identity, size and time of change, so that a file that
// another process wrote or a user edited is seen.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// improves reports whether r and chunks hold of a complete run what its file
// could not: which trades it has, for good. That is the one reason to replace a
// complete file. The bars are the same ones.
func (s *slot) improves(old *state, r perf.Report, chunks []perf.Chunk) bool {
	if old.file.Report.Selection.Settled() || !r.Selection.Settled() {
		return false
	}
	merged, err := perf.MergeInto(old.file, r, chunks)
	return err == nil && r.Selection.Holds(merged)
}

// export is Exporter.Export without the lock.
func (s *slot) export(ctx context.Context, r perf.Report, chunks []perf.Chunk, final bool) (Result, error) {
	res := Result{Path: s.path}
	start := time.Now()
	if err := context.Cause(ctx); err != nil {
		return res, err
	}
	if r.RunID != s.id {
		return res, fmt.Errorf("the report is of run %q: %w", r.RunID, perf.ErrOtherRun)
	}
	if err := s.refresh(); err != nil {
		return res, err
	}
	old := s.state.Load()
	if old.complete() && (!old.own || old.final) && !s.improves(old, r, chunks) {
		res.Bytes, res.SHA256, res.Totals = old.info.Size(), old.sha256, old.file.Totals
		res.Settled = old.file.Report.Selection.Settled()
		return res, fmt.Errorf("%s: %w", s.path, ErrComplete)
	}
	if old.known {
		if err := perf.SameRun(old.file.Report, r); err != nil {
			return res, err
		}
	}
	merged, err := perf.MergeInto(old.file, r, chunks)
	if err != nil {
		return res, err
	}
	if old.known {
		r = r.Inherit(old.file.Report)
	}
	r.Selection = perf.HoldingOf(merged, r.Selection, old.file.Report.Selection)
	res.Totals, res.Settled = r.Count(merged), r.Selection.Settled()
	if t := r.Selection.Trades; t.File != "" || !res.Settled { // else a command has left no trades at all
		res.WithoutRows = t.WithoutRows
	}
	res.Remarks, res.Estimate = r.Selection.Remarks, r.Selection.Estimate
	// Merge sees to this already; it is the promise that matters most.
	if got, had := res.Totals.Coverage.ReplayedBars, old.file.Totals.Coverage.ReplayedBars; got < had {
		return res, fmt.Errorf("%d bars (%s holds %d): %w", got, s.path, had, ErrFewer)
	}
	res.Took.Merge = time.Since(start)

	info, err := s.cfg.replace(s.path, s.id, func(w io.Writer) error { return s.enc.Write(w, r, merged) }, &res.Took, func() (err error) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if old.foreign != nil {
			res.WhySetAside = old.foreign
			res.SetAside, err = setAside(s.path)
		}
		return err
	})
	if err != nil {
		return res, err
	}
	if s.visible != nil {
		s.visible()
	}
	now := &state{info: info, known: true, file: perf.File{Report: r, Totals: res.Totals, Chunks: merged}, own: true}
	s.state.Store(now)
	res.Bytes = info.Size()
	return res, s.settle(&res, now, final)
}

// settle does what may wait until the file is visible.
func (s *slot) settle(res *Result, now *state, final bool) error {
	start := time.Now()
	if err := atomicfile.SyncDir(filepath.Dir(s.path)); err != nil {
		return fmt.Errorf("syncing the directory: %w", err)
	}
	res.Took.SyncDir = time.Since(start)
	start = time.Now()
	defer func() { res.Took.Check = time.Since(start) }()
	f, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	defer f.Close()
	// The same report and chunks make the same bytes.
	c := comparer{got: f, digest: sha256.New()}
	if err := s.enc.Write(&c, now.file.Report, now.file.Chunks); err != nil {
		return fmt.Errorf("reading %s back: %w", s.path, err)
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("reading %s back: %w", s.path, err)
	}
	if final {
		if err := verifyFile(s.path); err != nil {
			return fmt.Errorf("verifying %s: %w", s.path, err)
		}
	}
	res.SHA256 = hex.EncodeToString(c.digest.Sum(nil))
	done := *now
	done.sha256, done.final = res.SHA256, final
	s.state.Store(&done)
	return nil
}
