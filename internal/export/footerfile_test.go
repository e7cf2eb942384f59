package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// anEnd is the footer of an attempt at chunk idx that has ended so, at the
// given second past ten.
func anEnd(tb testing.TB, idx int, bars, attempt int64, status footer.Status, sec int) footer.Footer {
	f := aChunk(tb, idx, bars).Line.Footer()
	f.Status, f.Final, f.Attempt, f.Seq = status, status == footer.StatusOK, attempt, bars+1
	f.Timestamp = tenPast(sec).Format(time.RFC3339Nano)
	if status == footer.StatusFailed {
		f.Error, f.ErrorTraceback = fmt.Sprintf("attempt %d failed", attempt), "trace"
	}
	return f
}

func tenPast(sec int) time.Time { return time.Date(2026, 11, 24, 10, 0, sec, 0, time.UTC) }

func jsonOf(tb testing.TB, f footer.Footer) []byte {
	tb.Helper()
	b, err := f.AppendJSON(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return append(b, '\n')
}

// putFooter writes a footer where a worker would.
func putFooter(tb testing.TB, dir string, f footer.Footer) {
	tb.Helper()
	putFile(tb, filepath.Join(dir, f.RunID, "chunk_"+f.ChunkID, fmt.Sprintf("attempt_%d", f.Attempt), "chunk_footer.json"), jsonOf(tb, f))
}

func putFile(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// bordered is a footer of chunk idx with these borders.
func bordered(tb testing.TB, idx int, first, end int64) footer.Footer {
	f := anEnd(tb, max(idx, 0), 1, 1, footer.StatusStopped, 1)
	f.FirstBar, f.EndBar, f.PlannedBars = first, end, end-first
	return f
}

// shape tells the borders of all chunks, with a star for those that something
// was measured of.
func shape(chunks []perf.Chunk) string {
	var b strings.Builder
	first := int64(0)
	for _, c := range chunks {
		star := ""
		if !c.Line.IsZero() {
			star = "*"
		}
		fmt.Fprintf(&b, " %d-%d%s", first, first+c.Planned, star)
		first += c.Planned
	}
	return strings.TrimPrefix(b.String(), " ")
}
