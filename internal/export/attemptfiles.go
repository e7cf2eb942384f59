package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// AttemptFiles are the files that workers leave in their attempts' directories
// below some roots, `[<run_id>.<incarnation>/]chunk_<i>/attempt_<n>/`.
type AttemptFiles struct {
	Roots []string
	// Dirs are the attempts' directories that lie elsewhere, by the digests of
	// the artifacts that their footers list.
	Dirs map[string]string
}

// ReadArtifact reads the file of the artifact that f lists at that place.
func (k AttemptFiles) ReadArtifact(_ context.Context, f footer.Footer, at int) ([][]byte, error) {
	a := f.Artifacts[at]
	if !isKept(a.Name) {
		return nil, fmt.Errorf("artifact %.80q is none of those that are read (want %s, %s or %s)", a.Name, trade.ArtifactName, trade.DecisionsName, trade.OwnTradesName)
	}
	dirs := make([]string, 0, 2*len(k.Roots)+1)
	if d, ok := k.Dirs[a.SHA256]; ok {
		dirs = append(dirs, d)
	}
	attempt, of := layout.AttemptDir("", int(f.ChunkIdx), int(f.Attempt)), run.Ref{ID: run.ID(f.RunID), Incarnation: run.Incarnation(f.Incarnation)}
	for _, root := range k.Roots {
		dirs = append(dirs, filepath.Join(layout.Work(root).Run(of), attempt), filepath.Join(root, attempt))
	}
	err := errors.New("no directory of attempts is known")
	for _, dir := range dirs {
		var b []byte
		if b, err = readSized(filepath.Join(dir, a.Name), a.Bytes); err == nil {
			return [][]byte{b}, nil
		}
	}
	return nil, err
}

// isKept reports whether an artifact of that name is one that exports read.
func isKept(name string) bool {
	return name == trade.ArtifactName || name == trade.DecisionsName || name == trade.OwnTradesName
}

// readSized reads a plain file that has to have size bytes.
func readSized(path string, size int64) ([]byte, error) {
	b, err := safefile.Read(path, size)
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("%s has %d bytes (want %d)", path, len(b), size)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// DataFile is a run's data set where its coordinator found it, read when it is
// asked for. The zero DataFile has none.
type DataFile struct {
	data run.Data
	load func() ([]bars.Bar, error)
}

// NewDataFile names the data set of a run.
func NewDataFile(data run.Data) *DataFile {
	return &DataFile{data: data, load: sync.OnceValues(func() ([]bars.Bar, error) {
		form, err := bars.FormOf(data.Read)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", data.Source, err)
		}
		set, err := bars.Open(data.Source, bars.ReadOptions{SpreadBps: &data.SpreadBps, Form: form})
		if err != nil {
			return nil, err
		}
		if sum := bars.Digest(set.Bars); sum != data.SHA256 {
			return nil, fmt.Errorf("%s has content with SHA-256 %s (the run's data set has %s)", data.Source, sum, data.SHA256)
		}
		return set.Bars, nil
	})}
}

// Bars yields the bars of r.
func (d *DataFile) Bars(ctx context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		list, err := d.load()
		if err != nil {
			yield(bars.Bar{}, fmt.Errorf("reading the run's data set: %w", err))
			return
		}
		MemoryBars(list).Bars(ctx, r)(yield)
	}
}

// MemoryBars are the bars of a data set.
type MemoryBars []bars.Bar

// Bars yields the bars of r.
func (m MemoryBars) Bars(_ context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		if r.First < 0 || r.End > int64(len(m)) {
			yield(bars.Bar{}, fmt.Errorf("bars [%d, %d) of a data set of %d", r.First, r.End, len(m)))
			return
		}
		for _, b := range m[r.First:max(r.First, r.End)] {
			if !yield(b, nil) {
				return
			}
		}
	}
}
