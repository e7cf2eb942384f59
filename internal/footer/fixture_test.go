package footer

import (
	"encoding/json"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"gx1replay/internal/run"
)

// fullFooter has another value in every field, so that no two can be mixed up
// unseen. It does not obey the identities of an engine.
func fullFooter() Footer {
	return Footer{
		RunID: "20261124_103705_0f9e", ChunkID: "3", Status: StatusFailed, Error: "engine: bar 17: <model> & \"co\"", ErrorTraceback: "goroutine 1\n\tmain.go:7 – é",
		NModelCalls: 101, NTradesClosed: 102, WallClockSec: 103.25, TotalBars: 104, BarsPerSec: 105.5, FeatureTimeMeanMS: 0.106,
		FeatureTimeoutCount: 107, HTFAlignWarnCount: 108, PregateSkips: 109, PregatePasses: 110, PregateMissingInputs: 111,
		TPregateTotalSec: 112.125, TFeatureBuildSec: 113.5, TModelTotalSec: 1e-7, TPolicyTotalSec: 115.75, TIOTotalSec: 1e21,
		BarsProcessed: 117, StartTS: "2025-01-01T23:00:00Z", EndTS: "2025-02-01T10:05:00Z", WorkerTimeSec: 120.5, PID: 121, Timestamp: "2026-11-24T10:37:05.123456789Z",
		Schema: Schema, ChunkIdx: 3, Attempt: 126, Claim: 1<<64 - 1, Seq: 128, Final: true, WorkerID: "w-1", Host: "box", Engine: "exec", Incarnation: "00112233445566778899aabbccddeeff",
		WorkerBuild: "v1.2.3 0123abc", EngineVersion: 1, ChunksTotal: 153, DataBars: 1 << 41,
		PlannedBars: 1 << 40, FirstBar: 70000, EndBar: 1<<40 + 70000, BarsSkippedWarmup: 136, CPUUserSec: 137.5, CPUSysSec: 138.5, MaxRSSBytes: 1 << 33,
		TStartupSec: 140.5, TWarmupSec: 141.5, Phase: PhaseReplay, Slot: 143, PnlBps: -144.5, TradesOpen: 145, OpenPnlBps: -146.25,
		SkipReasons: Counts{"spread": 100, "session": 9, "atr": 0}, DropReasons: Counts{"slots": 3}, NSignals: 149,
		NonfiniteFields: []string{"pnl_bps", "bars_per_sec"}, Unreported: []string{"n_signals"},
		Child: json.RawMessage(`{"status": "ok", "loss": null, "n": [1, 2]}`), ChildStatus: "exit 1",
		Slots: 154, StartedAt: "2026-11-24T10:36:05.5Z", EndedAt: "2026-11-24T10:37:05Z", NFeaturesBuilt: 157, TFeatureUpkeepSec: 158.5,
		Artifacts:   []Artifact{{Name: "signals.csv", Bytes: 1234, SHA256: "ab12", Parts: 2}, {Name: "stderr.log"}},
		Checkpoints: []Checkpoint{{1024, 5_000_000_000, 4_000_000_000, 12, 900, 14, 50}, {2048, 1 << 62, 1 << 40, 13, 1900, 15, 51}},
	}
}

// fixtureManifest plans four chunks of 25 bars.
func fixtureManifest() run.Manifest {
	return run.Manifest{
		RunID: "r1", Engine: EngineBuiltin, PregateEnabled: true,
		Plan: run.Plan{Bars: 100, Chunks: 4, Order: run.OrderSpread},
	}
}

// soundFooter is an ok footer of chunk 1 that Check accepts.
func soundFooter() Footer {
	return Footer{
		Schema: Schema, RunID: "r1", ChunkIdx: 1, ChunkID: "1", Status: StatusOK, Final: true, Attempt: 1, Claim: 9, Seq: 4,
		Engine: EngineBuiltin, PlannedBars: 25, FirstBar: 25, EndBar: 50, Phase: PhaseReplay,
		TotalBars: 25, BarsProcessed: 25, BarsSkippedWarmup: 5, PregateSkips: 12, PregatePasses: 8, PregateMissingInputs: 2,
		NModelCalls: 8, NSignals: 3, SkipReasons: Counts{"spread": 7, "session": 5}, DropReasons: Counts{"slots": 1}, PnlBps: -3.5,
		Artifacts:   []Artifact{{Name: "signals.csv", Bytes: 10, Parts: 1}},
		Checkpoints: []Checkpoint{{16, 10, 9, 4, 6}, {24, 20, 18, 8, 12}},
	}
}

func mustEncode(t testing.TB, f Footer) []byte {
	t.Helper()
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustJSON(t testing.TB, f Footer) []byte {
	t.Helper()
	b, err := f.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func packed(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallFooter draws from a domain so small that ties of every rank happen:
// equal in all of them, in all but the digest, or in fewer.
func smallFooter() *rapid.Generator[Footer] {
	return rapid.Custom(func(t *rapid.T) Footer {
		f := Footer{
			Status: rapid.SampledFrom([]Status{StatusOK, StatusPartial, StatusStopped}).Draw(t, "status"),
			// The fields are drawn apart: final may contradict the status.
			Final:         rapid.Bool().Draw(t, "final"),
			BarsProcessed: rapid.Int64Range(0, 2).Draw(t, "bars"),
			Attempt:       rapid.Int64Range(1, 2).Draw(t, "attempt"),
			Seq:           rapid.Int64Range(1, 2).Draw(t, "seq"),
			PnlBps:        rapid.SampledFrom([]float64{0, 1}).Draw(t, "pnl"),
			Host:          rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host"),
		}
		if rapid.IntRange(0, 19).Draw(t, "too large for Encode") == 0 {
			f.DropReasons = manyCounts(MaxReasons + 1)
		}
		return f
	})
}
