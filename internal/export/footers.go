package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/safefile"
)

// WriteChunkFooters writes `chunk_<i>/chunk_footer.json` of every chunk that
// something was reported, each aside and renamed, and leaves alone what holds
// these bytes already. They are not synced: the perf JSON holds them all. It
// returns how many files it wrote, and ends at the first error or with ctx.
func WriteChunkFooters(ctx context.Context, t layout.Run, chunks []perf.Chunk, sel perf.Selection) (int, error) {
	if err := validate(t); err != nil {
		return 0, fmt.Errorf("writing chunk footers: %w", err)
	}
	lines, err := perf.Lines(t.RunID, chunks, sel)
	if err != nil {
		return 0, fmt.Errorf("writing chunk footers: %w", err)
	}
	written := 0
	for i, line := range lines {
		if err := context.Cause(ctx); err != nil {
			return written, fmt.Errorf("writing the footer of chunk %d of run %s: %w", i, t.RunID, err)
		}
		if c := chunks[i]; c.Line.IsZero() && c.Status == footer.StatusMissing {
			continue
		}
		path := t.ChunkFooter(i)
		line = append(line, '\n')
		if old, err := safefile.Read(path, ledger.MaxFooterFile); err == nil && bytes.Equal(old, line) {
			continue
		}
		// One directory after the other: an output directory that was deleted
		// is not made again.
		err := errors.Join(mkdir(t.RunDir()), mkdir(filepath.Dir(path)))
		if err == nil {
			err = writePlain(t, path, line)
		}
		if err != nil {
			return written, fmt.Errorf("writing the footer of chunk %d of run %s: %w", i, t.RunID, err)
		}
		written++
	}
	return written, nil
}

func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// writePlain writes a file of the run's directory aside and renames it, without
// a sync.
func writePlain(t layout.Run, path string, b []byte) error {
	return atomicfile.Write(path, atomicfile.Options{Mode: 0o644, Aside: aside(t.RunDir(), t.RunID)}, atomicfile.Parts(b))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
