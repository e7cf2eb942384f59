package selection_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("made by the test")

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func aReport() perf.Report {
	return perf.Report{
		RunID: "r1", Timestamp: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), WriterPID: os.Getpid(), Mode: perf.ModeSignal,
		Policy: run.Policy{SHA256: "p1", Name: "gated"}, Env: perf.EnvInfo{Engine: "builtin", Host: "box"},
	}
}

// target is a run in fresh directories.
func target(tb testing.TB) layout.Run {
	tb.Helper()
	dir := tb.TempDir()
	return layout.Run{Dir: filepath.Join(dir, "out"), FallbackDir: filepath.Join(dir, "fallback"), RunID: "r1"}
}

func locked(tb testing.TB, t layout.Run) *export.Lock {
	tb.Helper()
	l, err := export.TryAcquire(t, export.RoleExport)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

func opened(tb testing.TB, t layout.Run) *export.Exporter {
	tb.Helper()
	e, err := export.Open(locked(tb, t), t, export.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// read reads and verifies a perf file.
func read(tb testing.TB, path string) perf.File {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := perf.ParseVerified(b)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func appended(tb testing.TB, r perf.Report, chunks []perf.Chunk) []byte {
	tb.Helper()
	b, err := perf.Append(nil, r, chunks)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// backedUp writes the run's footer backup.
func backedUp(tb testing.TB, t layout.Run, r perf.Report, chunks []perf.Chunk) {
	tb.Helper()
	b := export.NewBackup(t, func() (perf.Report, []perf.Chunk) { return r, chunks }, 0, quiet())
	if err := b.Write(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

func write(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		tb.Fatal(err)
	}
}

func putFile(tb testing.TB, path string, b []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	write(tb, path, b)
}

// putFooter writes the footer of the attempt whose directory is dir.
func putFooter(tb testing.TB, dir string, f footer.Footer) {
	tb.Helper()
	b, err := f.AppendJSON(nil)
	if err != nil {
		tb.Fatal(err)
	}
	putFile(tb, filepath.Join(dir, "chunk_footer.json"), b)
}
