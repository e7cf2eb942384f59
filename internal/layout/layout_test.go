package layout

import (
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/run"
)

// The names on a disk are contracts.
func TestPaths(t *testing.T) {
	r := Run{Dir: "/out", FallbackDir: "/fall", RunID: "r1"}
	of := run.Ref{ID: "r1", Incarnation: run.NewIncarnation([16]byte{0xab})}
	for got, want := range map[string]string{
		r.Perf(): "/out/perf_r1.json", r.Stub(): "/out/perf_r1_FAILED_EXPORT.json",
		r.FallbackPerf(): "/fall/perf_r1.json", r.FallbackStub(): "/fall/perf_r1_FAILED_EXPORT.json",
		r.Copy(): "/out/r1/perf_r1.json", r.TradesCSV(): "/out/r1/trades_r1.csv", r.TradesParquet(): "/out/r1/trades_r1.parquet",
		r.Decisions(): "/out/r1/decisions_r1.parquet", r.Metrics(): "/out/r1/metrics_r1.json", r.Attribution(): "/out/r1/attribution_r1.json",
		r.Summary(): "/out/r1/summary_r1.md", r.Curve(): "/out/r1/equity_r1.svg", r.Log(): "/out/r1/run.log",
		r.ChunkFooter(3): "/out/r1/chunk_3/chunk_footer.json", r.KeptAttempt(3, 2): "/out/r1/chunk_3/attempt_2",
		r.StateDir(): "/out/.gx1/r1",
		r.Lock():     "/out/.gx1/r1/lock", r.Backup(): "/out/.gx1/r1/backup.json", r.PolicyFile("ab"): "/out/.gx1/r1/policy.ab.yaml",
		r.Bus(): "/out/.gx1/r1/bus", r.Key(): "/out/.gx1/r1/run.nk", r.Context(): "/out/.gx1/r1/nats/context/r1.json",
		r.Work().Attempt(of, 3, 2):        r.StateDir() + "/work" + "/r1.ab000000000000000000000000000000/chunk_3/attempt_2",
		r.Work().File("ab", "a.py"):       r.StateDir() + "/work" + "/files/ab/a.py",
		Work("/w").Data():                 "/w/data",
		Work("/w").Run(run.Ref{ID: "r1"}): "/w/r1",
		PolicyDigest(r.PolicyFile("ab")):  "ab",
	} {
		if got != want {
			t.Errorf("%s (want %s)", got, want)
		}
	}
	if got := (Run{RunID: "r1"}).Fallback(); got == "" {
		t.Error("there is no fallback")
	}
}

func TestParse(t *testing.T) {
	for _, l := range kinds {
		if id, k, ok := Parse(l.kind.Name("a_b-1")); !ok || id != "a_b-1" || k != l.kind {
			t.Errorf("%s is taken for %q of run %q, %v", l.kind.Name("a_b-1"), k, id, ok)
		}
	}
	for _, name := range []string{"", "perf_.json", "perf_a.json.tmp", ".perf_a.json", "perf_a b.json", "perf_a.csv", "Perf_a.json", "perf_../a.json", "trades_a.json", "perf_" + strings.Repeat("a", run.MaxIDLen+1) + ".json"} {
		if id, k, ok := Parse(name); ok {
			t.Errorf("%q is taken for %q of run %q", name, k, id)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, l := range kinds {
		f.Add(l.kind.Name("r1"))
	}
	f.Add("perf_a_FAILED_EXPORT_FAILED_EXPORT.json")
	f.Fuzz(func(t *testing.T, name string) {
		id, k, ok := Parse(name)
		if !ok {
			return
		}
		if _, err := run.ParseID(string(id)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if got := k.Name(id); got != name || filepath.Base(name) != name {
			t.Errorf("%q is %s of run %s, whose name is %q", name, k, id, got)
		}
	})
}

func TestNumberedDirectories(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		ok   bool
	}{{"chunk_0", 0, true}, {"chunk_17", 17, true}, {"chunk_", 0, false}, {"chunk_01", 0, false}, {"chunk_+1", 0, false}, {"chunk_-1", 0, false}, {"attempt_1", 0, false}, {"chunk_99999999999999999999", 0, false}} {
		if n, ok := ParseChunkDir(c.name); ok != c.ok || ok && n != c.n {
			t.Errorf("%s: %d, %v (want %d, %v)", c.name, n, ok, c.n, c.ok)
		}
	}
	if n, ok := ParseAttemptDir(filepath.Base(AttemptDir("/r", 3, 2))); n != 2 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
}
