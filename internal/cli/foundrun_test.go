package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// What is found in files is the run as all of them have it: its engine version and
// incarnation, and bars that only a worker's footer holds.
func TestARunIsFoundInAllItsFiles(t *testing.T) {
	target := layout.Run{Dir: t.TempDir(), RunID: "r1"}
	r := perf.Report{
		RunID: "r1", Incarnation: "0123456789abcdef0123456789abcdef", EngineVersion: 2, Timestamp: time.Now(), Mode: perf.ModeSignal,
		Data: run.Data{SHA256: "d1", Bars: 100}, Policy: run.Policy{SHA256: "p1"}, Env: perf.EnvInfo{Engine: footer.EngineBuiltin},
	}
	b, err := perf.Append(nil, r, []perf.Chunk{{Planned: 100, Status: footer.StatusMissing}})
	if err != nil {
		t.Fatal(err)
	}
	f := footer.Footer{
		Schema: footer.Schema, RunID: "r1", ChunkID: "0", Status: footer.StatusStopped, Attempt: 1, Claim: 3, Seq: 4, WorkerID: "w", Engine: footer.EngineBuiltin,
		EngineVersion: 2, Incarnation: string(r.Incarnation), TotalBars: 40, BarsProcessed: 40, PlannedBars: 100, EndBar: 100, Phase: footer.PhaseReplay,
	}
	line, err := f.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{target.Perf(): b, filepath.Join(target.Work().Attempt(run.Ref{ID: target.RunID, Incarnation: r.Incarnation}, 0, 1), "chunk_footer.json"): line} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, path, err := readFiles(t.Context(), target)
	if err != nil || path != target.Perf() {
		t.Fatalf("%v, from %s", err, path)
	}
	found := &foundRun{target: target}
	found.fromFile(file)
	if got := found.chunks[0].Line.Bars(); got != 40 || found.m.EngineVersion != 2 || found.m.Incarnation != r.Incarnation {
		t.Errorf("%d bars, engine version %d, incarnation %s (want 40, 2, %s)", got, found.m.EngineVersion, found.m.Incarnation, r.Incarnation)
	}
}
