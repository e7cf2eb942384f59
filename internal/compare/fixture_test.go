package compare_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// aRun is what a perf JSON is made of.
type aRun struct {
	report  perf.Report
	footers []footer.Footer
	planned []int64 // bars of each chunk

	scope     perf.Scope
	exact     bool
	netPnlBps *float64
	rowsLost  bool // of the trades of chunk 0
}

const (
	chunks    = 4
	chunkBars = 250
)

// offRun is a complete run with the gate off: 1,000 bars in 48 s, 8 ms of
// features a bar, 960 calls, 200 trades.
func offRun() aRun { return newRun("pilot_off", false) }

// onRun is the same with the gate on, and keeps every threshold: 12 s, 84 %
// skipped, 2 ms of features a bar, 120 calls, 200 trades.
func onRun() aRun { return newRun("pilot_on", true) }

func newRun(id run.ID, gate bool) aRun {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	r := aRun{scope: perf.ScopeRun, exact: true, report: perf.Report{
		RunID: id, Timestamp: at, WriterPID: 4700, Mode: perf.ModeNormal, PregateEnabled: gate, PregateEnabledSource: "yaml",
		RequestedWorkers: 2, ActualWorkersStarted: 2, Workers: 2, Wall: 25 * time.Second, Fill: "next_open",
		Data: run.Data{SHA256: "d1d1d1d1d1d1d1d1", Bars: chunks * chunkBars, FirstTS: "2024-01-02T00:00:00Z", LastTS: "2024-01-05T11:15:00Z",
			Source: "synthetic:1000,seed=7", BarLength: 5 * time.Minute, SliceBars: 65536},
		Policy: run.Policy{SHA256: "p_" + string(id), SHA256WithoutGate: "p0p0p0p0p0p0p0p0", Name: "example_" + string(id), Content: "c1"},
		Model:  perf.Model{Kind: "logistic", Latency: 150 * time.Microsecond},
		Hosts:  []string{"box"}, WorkersSeen: 2,
		Env: perf.EnvInfo{GoVersion: "go1.26.8", ModuleVersion: "v0.1.0", GitCommit: "0123abc", NATSServerVersion: "2.15.2",
			OS: "linux", Arch: "amd64", CPUs: 2, GOMAXPROCS: 2, Host: "box", Engine: footer.EngineBuiltin, PregateEnabled: gate},
	}}
	for i := range int64(chunks) {
		f := footer.Footer{
			RunID: string(id), ChunkID: strconv.FormatInt(i, 10), Status: footer.StatusOK,
			NModelCalls: 240, NTradesClosed: 50, WallClockSec: 12, TotalBars: chunkBars, BarsProcessed: chunkBars,
			BarsPerSec: chunkBars / 12.0, FeatureTimeMeanMS: 2000.0 / chunkBars,
			TFeatureBuildSec: 2, TModelTotalSec: 9, TPolicyTotalSec: 0.5, TIOTotalSec: 0.25, WorkerTimeSec: 13,
			Schema: footer.Schema, ChunkIdx: i, Attempt: 1, Claim: uint64(100 + i), Seq: 9, Final: true,
			WorkerID: "box-4711-1a2b", Host: "box", Engine: footer.EngineBuiltin,
			PlannedBars: chunkBars, FirstBar: i * chunkBars, EndBar: (i + 1) * chunkBars, BarsSkippedWarmup: 10,
			TWarmupSec: 0.25, Phase: footer.PhaseReplay, PnlBps: 12.5, NSignals: 50,
		}
		if gate {
			f.NModelCalls, f.PregateSkips, f.PregatePasses = 30, 210, 30
			f.SkipReasons = footer.Counts{"atr_too_low": 210}
			f.WallClockSec, f.TFeatureBuildSec, f.TModelTotalSec, f.TPregateTotalSec = 3, 0.5, 1.5, 0.125
			f.FeatureTimeMeanMS = 500.0 / chunkBars
		}
		r.footers = append(r.footers, f)
		r.planned = append(r.planned, chunkBars)
	}
	return r
}

// each changes every footer.
func (r *aRun) each(change func(*footer.Footer)) {
	for i := range r.footers {
		change(&r.footers[i])
	}
}

// stop makes the last chunk a partial one, and takes away the one before it.
func (r *aRun) stop() {
	last := len(r.footers) - 1
	f := &r.footers[last]
	f.Status, f.Final, f.BarsProcessed, f.TotalBars, f.PregateSkips = footer.StatusPartial, false, 40, 40, 0
	f.SkipReasons = nil
	r.footers[last-1].Attempt = 0
	r.report.Mode, r.report.Partial = perf.ModeStopSubject, true
	r.report.Stop = run.Stop{Source: run.SourceSubject, Reason: "long enough", Seq: 3, RequestedAt: r.report.Timestamp}
}

// json is the perf JSON.
func (r aRun) json(tb testing.TB) []byte {
	tb.Helper()
	list := make([]perf.Chunk, len(r.footers))
	for i, f := range r.footers {
		list[i] = perf.Chunk{Idx: i, Planned: r.planned[i], Status: footer.StatusMissing}
		if f.Attempt == 0 {
			continue
		}
		line, err := perf.EncodeChunk(f)
		if err != nil {
			tb.Fatal(err)
		}
		list[i].Line, list[i].Status = line, footer.StatusStopped
	}
	if r.scope != perf.ScopeChunks {
		r.report.Selection = r.selection(list)
	}
	b, err := perf.Append(nil, r.report, list)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// aCommand is a user's command.
func aCommand() run.Command {
	return run.Command{
		Argv: []string{"python3", "replay.py"}, Digests: map[string]string{"replay.py": strings.Repeat("a", 64)},
		Emits: run.EmitsScores, SliceFormat: "csv", TSFormat: "rfc3339",
	}
}

// selection is one that has taken what the chunks did.
func (r aRun) selection(list []perf.Chunk) perf.Selection {
	s := perf.NewSelection(list)
	s.Scope, s.Exact = r.scope, r.exact
	s.NetPnlBps = r.netPnlBps
	for i, f := range r.footers {
		if f.Attempt == 0 {
			continue
		}
		s.TotalPnlBps += f.PnlBps
		if r.rowsLost && i == 0 {
			s.Trades.WithoutRows = f.NTradesClosed
			continue
		}
		s.Chunks[i] = perf.ChunkTrades{Known: true, Closed: f.NTradesClosed, PnlBps: f.PnlBps}
	}
	return s
}

// side reads the perf JSON of r, as the command does.
func (r aRun) side(tb testing.TB) compare.Side {
	tb.Helper()
	s := compare.Read("perf_"+string(r.report.RunID)+".json", r.json(tb))
	if s.Err != nil {
		tb.Fatal(s.Err)
	}
	return s
}

func stub(tb testing.TB) []byte {
	tb.Helper()
	b, err := perf.AppendStub(nil, perf.Stub{RunID: "pilot_on", Error: "no space left on device", Note: "retry"}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// named is the figure of that name.
func named(tb testing.TB, r compare.Result, name string) compare.Figure {
	tb.Helper()
	for _, f := range r.Figures {
		if f.Name == name {
			return f
		}
	}
	tb.Fatalf("no figure %s", name)
	return compare.Figure{}
}
