package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
)

var (
	// ErrComplete: the perf file holds a complete run, which is never
	// replaced. Nothing is wrong with it.
	ErrComplete = errors.New("the existing export is complete")
	// ErrFewer: the export would hold fewer bars than the file that it would
	// replace.
	ErrFewer = errors.New("the existing export holds more bars")
)

// Exporter writes the exports of one run, by a process that holds its lock.
// Export and ExportFinal may be called by several goroutines and then take
// turns; Fail, WriteFallback and Last do not wait, also not for an export
// that hangs on its disk.
type Exporter struct {
	lock   *Lock
	target layout.Run
	cfg    Config

	mu   sync.Mutex
	slot slot
}

// Result is an export that stands on the disk and was read back.
type Result struct {
	Path   string
	Bytes  int64
	SHA256 string // hex
	Totals perf.Totals
	// Settled: which trades the run has is known for good.
	Settled bool
	// WithoutRows are closed trades that are in no row of the trades file,
	// though other trades are, or could not be read.
	WithoutRows int64
	// Estimate is what the run would give at its end; nil: there is no estimate.
	Estimate *perf.Estimate
	// Remarks are sentences about the trades for their first reader.
	Remarks []string
	// SetAside is where the file went that stood there and was no export of
	// this run; WhySetAside is what was wrong with it. Empty: there was
	// none.
	SetAside    string
	WhySetAside error
	Took        Steps
	// Of a recovery: all that is known comes from footers, which do not name the
	// data set; and how many footer files were refused.
	FootersOnly bool
	Refused     int
}

// Open reads what earlier exports of the run have left, and removes what died
// before its rename. A file under the perf file's name that is no export of
// this run is set aside by the first export, under another name beside it;
// one of an unknown schema, and anything but a plain file, is an error.
//
// The lock must be the target's and stays the caller's to close.
func Open(l *Lock, t layout.Run, cfg Config) (*Exporter, error) {
	if l.target != t {
		return nil, fmt.Errorf("opening the exports of run %s in %s: the lock is of run %s in %s", t.RunID, t.Dir, l.target.RunID, l.target.Dir)
	}
	for _, dir := range []string{t.Dir, t.StateDir(), t.RunDir()} {
		if err := atomicfile.Sweep(aside(dir, t.RunID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("opening the exports of run %s: removing what earlier exports have left: %w", t.RunID, err)
		}
	}
	e := &Exporter{lock: l, target: t, cfg: cfg, slot: slot{path: t.Perf(), id: t.RunID, cfg: cfg}}
	if err := e.slot.refresh(); err != nil {
		return nil, fmt.Errorf("opening the exports of run %s: %w", t.RunID, err)
	}
	return e, nil
}

// Last returns the latest export of the run that is known, of whatever
// session, and false if there is none. Its chunks must not be changed.
func (e *Exporter) Last() (perf.File, bool) {
	if s := e.slot.state.Load(); s.known {
		return s.file, true
	}
	return perf.File{}, false
}

// SHA256 is the digest (hex) of the perf file as it was last read or written;
// empty if there is none.
func (e *Exporter) SHA256() string { return e.slot.state.Load().sha256 }

// Merged is chunks as an export of r would hold them, merged with what earlier
// exports do. It does not wait.
func (e *Exporter) Merged(r perf.Report, chunks []perf.Chunk) ([]perf.Chunk, error) {
	last, _ := e.Last()
	return perf.MergeInto(last, r, chunks)
}

// Export writes the perf JSON of r and chunks, merged with what earlier
// exports hold, and returns when it stands on the disk and was read back. The
// file is visible before anything but its bytes is checked. Neither r nor
// chunks may be changed afterwards.
//
// On ErrComplete the Result describes the file that stays. Any other error
// but one after the rename (syncing the directory, reading back) leaves the
// old file untouched. An end of ctx is heeded up to the rename; a call that
// hangs in the file system cannot be ended. The output directory is not made
// again if it was deleted.
//
// A complete file of this very Exporter may be replaced up to ExportFinal.
func (e *Exporter) Export(ctx context.Context, r perf.Report, chunks []perf.Chunk) (Result, error) {
	return e.export(ctx, r, chunks, false, nil)
}

// ExportFirst is Export. It calls visible when the file stands under its
// name, well before Export returns. It is called from this goroutine, at most
// once, and not if the export fails before.
func (e *Exporter) ExportFirst(ctx context.Context, r perf.Report, chunks []perf.Chunk, visible func()) (Result, error) {
	return e.export(ctx, r, chunks, false, visible)
}

// ExportFinal is Export for the last time in a session: it also verifies the
// written file as `verify` does.
func (e *Exporter) ExportFinal(ctx context.Context, r perf.Report, chunks []perf.Chunk) (Result, error) {
	return e.export(ctx, r, chunks, true, nil)
}

func (e *Exporter) export(ctx context.Context, r perf.Report, chunks []perf.Chunk, final bool, visible func()) (Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.slot.visible = visible
	if err := e.lock.ensure(); err != nil {
		return Result{}, fmt.Errorf("exporting run %s: %w", e.target.RunID, err)
	}
	res, err := e.slot.export(ctx, r, chunks, final)
	if err != nil {
		return res, fmt.Errorf("exporting run %s: %w", e.target.RunID, err)
	}
	// The stub of an export that failed before is no longer true. Should it
	// stay all the same, its time shows that it is the older one.
	if isStub(e.target.Stub(), e.target.RunID) {
		_ = os.Remove(e.target.Stub())
	}
	return res, nil
}

// WriteCopy puts a copy of the perf file, as it stands, into the run's
// directory. Without a perf file it does nothing. The copy is not synced.
func (e *Exporter) WriteCopy() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := safefile.Read(e.target.Perf(), perf.MaxBytes)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = mkdir(e.target.RunDir())
	}
	if err == nil {
		err = writePlain(e.target, e.target.Copy(), b)
	}
	if err != nil {
		return fmt.Errorf("copying the export of run %s: %w", e.target.RunID, err)
	}
	return nil
}
