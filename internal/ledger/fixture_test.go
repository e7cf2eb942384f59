package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

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

// sized is f of a plan of so many chunks and bars.
func sized(chunks, bars int64, f footer.Footer) footer.Footer {
	f.ChunksTotal, f.DataBars = chunks, bars
	return f
}
