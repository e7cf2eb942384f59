package export_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// chunkBars is the length of every chunk of the tests.
const chunkBars = 100

var errTest = errors.New("made by the test")

func aReport(chunks int) perf.Report {
	r := perf.Report{
		RunID: "r1", Timestamp: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), WriterPID: os.Getpid(), Mode: perf.ModeSignal,
		Policy: run.Policy{SHA256: "p1", Name: "gated"}, Env: perf.EnvInfo{Engine: "builtin", Host: "box"},
	}
	if chunks > 0 {
		r.Data = run.Data{SHA256: "d1", Bars: int64(chunks) * chunkBars}
	}
	return r
}

// aChunk is chunk idx with bars bars done: all of them is ok, below 0 nothing
// was measured.
func aChunk(tb testing.TB, idx int, bars int64) perf.Chunk {
	tb.Helper()
	c := perf.Chunk{Idx: idx, Planned: chunkBars, Status: footer.StatusMissing}
	if bars < 0 {
		return c
	}
	c.Status = footer.StatusStopped
	f := footer.Footer{
		RunID: "r1", ChunkID: strconv.Itoa(idx), Status: footer.StatusPartial, NModelCalls: bars, TotalBars: bars, BarsProcessed: bars,
		WallClockSec: 12.345678, BarsPerSec: 8.1, TModelTotalSec: 6.25, StartTS: "2024-01-02T00:00:00Z", EndTS: "2024-01-02T08:15:00Z",
		PID: 4711, Timestamp: "2026-11-24T10:00:00Z", Schema: footer.Schema, ChunkIdx: int64(idx), Attempt: 1, Claim: 7, Seq: bars,
		WorkerID: "box-4711-1a2b", Host: "box", Engine: "builtin",
		PlannedBars: chunkBars, FirstBar: int64(idx) * chunkBars, EndBar: int64(idx+1) * chunkBars, Phase: footer.PhaseReplay, PnlBps: 1.5,
	}
	if bars == chunkBars {
		f.Status, f.Final, c.Status = footer.StatusOK, true, footer.StatusOK
	}
	var err error
	if c.Line, err = perf.EncodeChunk(f); err != nil {
		tb.Fatal(err)
	}
	return c
}

// theChunks are chunks 0, 1, … with these bars done.
func theChunks(tb testing.TB, bars ...int64) []perf.Chunk {
	tb.Helper()
	all := make([]perf.Chunk, len(bars))
	for i, n := range bars {
		all[i] = aChunk(tb, i, n)
	}
	return all
}

// someChunks is a run of n chunks that was stopped on its way.
func someChunks(tb testing.TB, n int) []perf.Chunk {
	tb.Helper()
	bars := make([]int64, n)
	for i := range bars {
		bars[i] = [...]int64{chunkBars, chunkBars, chunkBars, 37, -1}[i%5]
	}
	return theChunks(tb, bars...)
}

// target is a run in fresh directories. The output directory is below one
// that can be mounted over.
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

func opened(tb testing.TB, t layout.Run, cfg export.Config) *export.Exporter {
	tb.Helper()
	e, err := export.Open(locked(tb, t), t, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func exported(tb testing.TB, e *export.Exporter, chunks []perf.Chunk) export.Result {
	tb.Helper()
	res, err := e.Export(tb.Context(), aReport(len(chunks)), chunks)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// read reads and verifies a perf file.
func read(tb testing.TB, path string) perf.File {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := perf.Verify(b); err != nil {
		tb.Fatal(err)
	}
	f, err := perf.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func replayed(tb testing.TB, path string) int64 {
	tb.Helper()
	return read(tb, path).Totals.Coverage.ReplayedBars
}

// names lists what stands in dir, the state directory aside.
func names(tb testing.TB, dir string) string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if e.Name() != ".gx1" {
			all = append(all, e.Name())
		}
	}
	return strings.Join(all, " ")
}

func wantNames(tb testing.TB, dir, want string) {
	tb.Helper()
	if got := names(tb, dir); got != want {
		tb.Errorf("%s holds %q, want %q", filepath.Base(dir), got, want)
	}
}
