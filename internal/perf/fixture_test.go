package perf_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// chunkBars is the length of every chunk of the fixtures.
const chunkBars = 100

// aFooter is a footer of chunk idx that has stepped over bars bars.
func aFooter(idx int, bars, attempt, seq int64) footer.Footer {
	f := footer.Footer{
		RunID: "golden", ChunkID: strconv.Itoa(idx), Status: footer.StatusPartial,
		NModelCalls: bars / 2, NTradesClosed: bars / 10, WallClockSec: 12.345678, TotalBars: bars, BarsPerSec: 8.1,
		FeatureTimeMeanMS: 0.25, PregateSkips: bars - bars/2, PregatePasses: bars / 2,
		TPregateTotalSec: 0.125, TFeatureBuildSec: 3.5, TModelTotalSec: 6.25, TPolicyTotalSec: 0.75, TIOTotalSec: 0.0625,
		BarsProcessed: bars, StartTS: "2024-01-02T00:00:00Z", EndTS: "2024-01-02T08:15:00Z", WorkerTimeSec: 12.5,
		PID: 4711, Timestamp: "2026-11-24T10:00:00Z",
		Schema: footer.Schema, ChunkIdx: int64(idx), Attempt: attempt, Claim: uint64(100 + idx), Seq: seq,
		WorkerID: "box-4711-1a2b", Host: "box", Engine: footer.EngineBuiltin,
		PlannedBars: chunkBars, FirstBar: int64(idx) * chunkBars, EndBar: int64(idx+1) * chunkBars,
		CPUUserSec: 11.5, CPUSysSec: 0.5, MaxRSSBytes: 48 << 20, TStartupSec: 0.5, TWarmupSec: 0.25,
		Phase: footer.PhaseReplay, PnlBps: float64(bars) / 8, TradesOpen: 1, OpenPnlBps: -2.5,
		SkipReasons: footer.Counts{"spread_too_high": bars - bars/2}, DropReasons: footer.Counts{"max_open_trades": 3}, NSignals: bars/10 + 4,
		Checkpoints: []footer.Checkpoint{{64, 8_000_000_000, 7_500_000_000, 32, 32}},
	}
	if bars == chunkBars {
		f.Status, f.Final = footer.StatusOK, true
	}
	return f
}

func encode(tb testing.TB, f footer.Footer) perf.Encoded {
	tb.Helper()
	e, err := perf.EncodeChunk(f)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// aChunk is chunk idx with bars bars done; below 0 nothing was measured.
func aChunk(tb testing.TB, idx int, bars int64, status footer.Status) perf.Chunk {
	tb.Helper()
	c := perf.Chunk{Idx: idx, Planned: chunkBars, Status: status}
	if bars >= 0 {
		c.Line = encode(tb, aFooter(idx, bars, 1, bars))
	}
	return c
}

func aReport(chunks int) perf.Report {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	return perf.Report{
		RunID: "golden", Incarnation: "00112233445566778899aabbccddeeff", Timestamp: at.Add(90*time.Second + 250*time.Millisecond), WriterPID: 4700,
		Mode: perf.ModeNormal, PregateEnabled: true, PregateEnabledSource: "yaml",
		RequestedWorkers: 3, ActualWorkersStarted: 3, Workers: 3, Wall: 90 * time.Second, Fill: "next_open",
		Data: run.Data{SHA256: "d1", Bars: int64(chunks) * chunkBars, FirstTS: "2024-01-02T00:00:00Z", LastTS: "2024-01-05T00:00:00Z",
			Source: "synthetic:400,seed=7", BarLength: 5 * time.Minute, SliceBars: 65536},
		Policy:       run.Policy{SHA256: "p1", SHA256WithoutGate: "p2", Name: "example_gated", Content: "c1"},
		PolicyValues: []byte(`{"policy_name":"example_gated","replay_config":{"replay_pregate":{"enabled":true,"allow_sessions":["EU"],"max_spread_bps":3.5}},"features":[]}`),
		Model:        perf.Model{Kind: "logistic", Latency: 150 * time.Microsecond},
		Sessions: []run.SessionTimes{
			{Session: 1, StartedAt: at, EndedAt: at.Add(30 * time.Second), WallSec: 30},
			{Session: 2, StartedAt: at.Add(time.Minute), WallSec: 60},
		},
		WorkersSeen: 3, Hosts: []string{"box"}, Redeliveries: 1, Failures: 1,
		Env: perf.EnvInfo{GoVersion: "go1.26.8", ModuleVersion: "v0.1.0", GitCommit: "0123abc", NATSServerVersion: "2.15.2",
			OS: "linux", Arch: "amd64", CPUs: 2, GOMAXPROCS: 2, Host: "box", Engine: "builtin", PregateEnabled: true},
	}
}

// aCommand is a user's command.
func aCommand(emits string) run.Command {
	sha := strings.Repeat("5e", 32)
	return run.Command{
		Argv: []string{"python3", "replay.py", "{task}"}, Digests: map[string]string{"replay.py": sha},
		Params: map[string]string{"alpha": "0.5"}, Files: map[string]run.CommandFile{"model": {Name: "model.bin", SHA256: sha, Bytes: 12}},
		Emits: emits, SliceFormat: "csv", TSFormat: "rfc3339",
	}
}

// execReport is aReport of a run by a command.
func execReport(chunks int, emits string) perf.Report {
	r := aReport(chunks)
	r.Env.Engine, r.Model, r.Command = footer.EngineExec, perf.Model{}, aCommand(emits)
	return r
}

// manyChunks is a run of n chunks stopped on its way: most done, some partial,
// some untouched.
func manyChunks(tb testing.TB, n int) []perf.Chunk {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	all := make([]perf.Chunk, n)
	for i := range all {
		switch k := rnd.IntN(10); {
		case k < 7:
			all[i] = aChunk(tb, i, chunkBars, footer.StatusOK)
		case k < 9:
			all[i] = aChunk(tb, i, rnd.Int64N(chunkBars), footer.StatusStopped)
		default:
			all[i] = aChunk(tb, i, -1, footer.StatusMissing)
		}
	}
	return all
}

// countingWriter counts what it throws away.
type countingWriter int64

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}

// BenchmarkEncoder is what an export does beside writing.
func BenchmarkEncoder(b *testing.B) {
	for _, n := range []int{7, 1000, 10_000} {
		b.Run(fmt.Sprintf("chunks=%d", n), func(b *testing.B) {
			chunks, r := manyChunks(b, n), aReport(n)
			var e perf.Encoder
			var bytes countingWriter
			for b.Loop() {
				bytes = 0
				if err := e.Write(&bytes, r, chunks); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(bytes))
			b.ReportMetric(float64(bytes)/float64(n), "bytes/chunk")
		})
	}
}
