package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/trade"
	"gx1replay/internal/worker"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// audited runs audit with --json and reads what it says.
func audited(t *testing.T, want int, args ...string) auditReport {
	t.Helper()
	got := coordinates(t, append([]string{"audit"}, args...)...)
	if got.code != want {
		t.Fatalf("audit %q: exit code %d (want %d)\n%s%s", args, got.code, want, got.stdout, got.stderr)
	}
	var r auditReport
	text := coordinates(t, slices.Concat([]string{"audit", "--json"}, args)...)
	if err := json.Unmarshal([]byte(text.stdout), &r); err != nil || text.code != want {
		t.Fatalf("audit --json %q: exit code %d, %v\n%s%s", args, text.code, err, text.stdout, text.stderr)
	}
	return r
}

// fields are the names of fields that differ, each chunk's in order.
func (r auditReport) fields() (list []string) {
	for _, d := range r.Differences {
		list = append(list, strconv.Itoa(d.ChunkIdx)+" "+d.Field)
	}
	return list
}

// edited replaces, in the one match of each pattern, what its group holds.
func edited(t *testing.T, b []byte, edits ...string) []byte {
	t.Helper()
	for i := 0; i < len(edits); i += 2 {
		at := regexp.MustCompile(edits[i]).FindAllSubmatchIndex(b, -1)
		if len(at) != 1 {
			t.Fatalf("%d matches of %s", len(at), edits[i])
		}
		b = slices.Concat(b[:at[0][2]], []byte(edits[i+1]), b[at[0][3]:])
	}
	return b
}

// A run is audited on a machine that has its perf JSON and its bars, and nothing
// else of it.
func TestAuditOfAnHonestRun(t *testing.T) {
	dir := builtinRun(t, "r1", "synthetic:9000", "--chunks", "30")
	r := audited(t, 0, "r1", "--output-dir", dir, "--seed", "5")
	if r.Sampled != 30 || r.Equal != 30 || r.Eligible != 30 || r.Statistics.Missed != 0 {
		t.Errorf("%+v", r)
	}
	alone := t.TempDir()
	path := filepath.Join(alone, "perf_r1.json")
	copyFile(t, filepath.Join(dir, "perf_r1.json"), path)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	r = audited(t, 0, path, "--chunks", "10", "--seed", "5", "--workers", "3")
	if r.Sampled != 10 || r.Equal != 10 || r.Seed != 5 || r.Statistics.ForgedChunks != 2 {
		t.Errorf("%+v", r)
	}
	got := coordinates(t, "audit", path, "--fraction", "0.1")
	holds(t, "audit", got.stdout, "run r1: 3 chunks of 30 replayed here, seed", ": 3 equal, 0 differ", "if 5 % of the 30 chunks were forged (2), a sample of 3 would miss all of them with a probability of 80.7 %",
		"repeat with: coordinator audit "+path+" --chunks 3 --seed")

	// A bus that is gone, bars and a policy that are others.
	for _, c := range []struct {
		want string
		args []string
	}{
		{"have SHA-256", []string{path, "--data", "synthetic:9000,seed=2"}},
		{"policy ../../examples/policies/minimal.yaml has SHA-256", []string{path, "--policy", "../../examples/policies/minimal.yaml"}},
		{"run r1: none of its 30 ok chunks was reported by the workers or hosts that were named", []string{path, "--worker-host", "nobody"}},
		{"--fraction 2 (want more than 0, at most 1)", []string{path, "--fraction", "2"}},
		{"--chunks 0 (want 1 or more)", []string{path, "--chunks", "0"}},
		{"audit takes one RUN (a command goes after --), got 0 arguments", nil},
		{"unknown flag", []string{path, "--frac", "2"}},
		{"no such file", []string{filepath.Join(alone, "perf_r2.json")}},
		{"a command (x) for a run of the engine builtin", []string{path, "--", "x"}},
	} {
		got := coordinates(t, append([]string{"audit"}, c.args...)...)
		if got.code != 2 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("audit %q: exit code %d, %s (want 2, %q)", c.args, got.code, got.stderr, c.want)
		}
	}
	if r := audited(t, 0, path, "--policy", "../../examples/policies/gated.yaml", "--chunks", "2"); r.Equal != 2 {
		t.Errorf("%+v", r)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A perf JSON in which one chunk was forged so that everything adds up: verify
// finds nothing, and audit does.
func TestAuditFindsAForgedChunk(t *testing.T) {
	testsize.All(t)
	dir := builtinRun(t, "r1", "synthetic:9000", "--chunks", "30")
	path := filepath.Join(dir, "perf_r1.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := perf.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	calls := f.Chunks[7].Line.Footer().NModelCalls
	total := f.Totals.TotalModelCalls
	signals := slices.IndexFunc(f.Chunks, func(c perf.Chunk) bool { return len(c.Line.Footer().Artifacts) > 0 })
	sum := f.Chunks[signals].Line.Footer().Artifacts[0].SHA256
	for _, c := range []struct {
		name  string
		chunk int
		edits []string
		want  []string
	}{
		{"model calls", 7, []string{`"chunk_id":"7".*?"n_model_calls":([0-9]+)`, strconv.FormatInt(calls-1, 10), `"total_model_calls": ([0-9]+)`, strconv.FormatInt(total-1, 10)}, []string{"7 n_model_calls"}},
		{"signals", signals, []string{`"sha256":"(` + sum + `)"`, strings.Repeat("0", 64)}, []string{strconv.Itoa(signals) + " " + trade.ArtifactName}},
		{"a reason", 7, []string{`"chunk_id":"7".*?"skip_reasons":\{"([a-z_]+)"`, "session_not_allowe"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, edited(t, good, c.edits...), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := coordinates(t, "verify", path); got.code != 0 && c.want != nil {
				t.Errorf("verify finds it: %s", got.stdout)
			}
			r := audited(t, 1, path)
			if c.want != nil && !slices.Equal(r.fields(), c.want) || r.Different != 1 || r.Equal != 29 || len(r.Differences) == 0 {
				t.Errorf("%+v (want %v)", r, c.want)
			}
			got := coordinates(t, "audit", "r1", "--output-dir", dir)
			holds(t, "audit", got.stdout, "29 equal, 1 differs", "chunk "+strconv.Itoa(c.chunk)+", reported by worker ", ": recorded ")
			// What is not sampled is not found, and the output says so.
			other := audited(t, 0, path, "--chunks", "1", "--seed", seedWithout(t, path, c.chunk))
			if other.Sampled != 1 || other.Statistics.OneFound > 0.034 {
				t.Errorf("%+v", other)
			}
		})
	}
	if err := os.WriteFile(path, edited(t, good, `"total_model_calls": ([0-9]+)`, "1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := coordinates(t, "audit", path); got.code != 2 || !strings.Contains(got.stderr, "perf JSON contradicts itself: total_model_calls is 1") {
		t.Errorf("of a file that contradicts itself: exit code %d, %s", got.code, got.stderr)
	}
}

// seedWithout is a seed whose sample of one is another chunk.
func seedWithout(t *testing.T, path string, chunk int) string {
	t.Helper()
	for seed := range 20 {
		text := strconv.Itoa(seed)
		got := coordinates(t, "audit", path, "--chunks", "1", "--seed", text)
		if got.code == 0 {
			return text
		}
	}
	t.Fatalf("each of 20 seeds samples chunk %d", chunk)
	return ""
}

// Chunks that did not end as ok are not audited, and counted.
func TestAuditOfAnUnfinishedRun(t *testing.T) {
	testsize.All(t)
	dir := builtinRun(t, "r1", "synthetic:3000", "--chunks", "6")
	path := filepath.Join(dir, "perf_r1.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := perf.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	f.Chunks[2] = perf.Chunk{Idx: 2, Planned: f.Chunks[2].Planned, Status: footer.StatusStopped}
	f.Chunks[4] = perf.Chunk{Idx: 4, Planned: f.Chunks[4].Planned, Status: footer.StatusMissing}
	f.Report.Outcome = perf.OutcomeStopped
	if b, err = perf.Append(nil, f.Report, f.Chunks); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	got := coordinates(t, "audit", path)
	if got.code != 0 {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
	holds(t, "audit", got.stdout, "4 chunks of 4 replayed here", "4 equal", "not audited: chunks that are not ok (1 missing, 1 stopped)", "every one of them was replayed")
}

// A model of files, and features that remember all bars before.
func TestAuditWithModelFiles(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	dir, models := t.TempDir(), t.TempDir()
	copyFile(t, "../model/testdata/xgb_named.json", filepath.Join(models, "m.json"))
	text := `timeframe: M5
features: [atr14, body_pct, ema20_slope, roc20, session_id, spread_bps]
model: {kind: xgboost, path: ` + filepath.Join(models, "m.json") + `}
entry: {p_side_min: {long: 0.5, short: 0.85}}
exit: {stop_bps: 25, max_bars: 12}
`
	policy := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := coordinates(t, "run", "--policy", policy, "--data", "synthetic:12000", "--chunks", "12", "--run-id", "r1", "--output-dir", dir,
		"--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet"); got.code != 0 {
		t.Fatalf("the run ended with exit code %d\n%s", got.code, got.stderr)
	}
	path := filepath.Join(dir, "perf_r1.json")
	if r := audited(t, 0, path); r.Equal != 12 {
		t.Errorf("%+v", r)
	}
	moved := filepath.Join(t.TempDir(), "m.json")
	if err := os.Rename(filepath.Join(models, "m.json"), moved); err != nil {
		t.Fatal(err)
	}
	if got := coordinates(t, "audit", path); got.code != 2 || !strings.Contains(got.stderr, "--models DIR") {
		t.Errorf("without the model: exit code %d, %s", got.code, got.stderr)
	}
	if r := audited(t, 0, path, "--models", filepath.Dir(moved)); r.Equal != 12 {
		t.Errorf("%+v", r)
	}
	copyFile(t, "../model/testdata/xgb_hist.json", moved)
	if got := coordinates(t, "audit", path, "--models", filepath.Dir(moved)); got.code != 2 || !strings.Contains(got.stderr, "has SHA-256") {
		t.Errorf("another model: exit code %d, %s", got.code, got.stderr)
	}
}

// liar is an engine that replays, and reports something else of two chunks.
type liar struct{ worker.Engine }

func (l liar) Replay(ctx context.Context, job worker.Job, report func(footer.Footer)) (worker.Result, error) {
	res, err := l.Engine.Replay(ctx, job, report)
	if err != nil {
		return res, err
	}
	switch job.Chunk.Idx {
	case 3:
		res.Footer.NModelCalls--
	case 5: // a signal less, and everything that follows from it
		a := res.Artifacts[0]
		list, err := trade.DecodeSignals(a.Artifact, a.Content)
		if err != nil {
			return res, err
		}
		res.Footer.NSignals--
		res.Footer.DropReasons = footer.Counts{}
		a.Artifact, a.Content, err = trade.EncodeSignals(trade.ArtifactName, list[1:])
		res.Artifacts[0] = a
		return res, err
	}
	return res, nil
}

// A worker that lies about chunks that it has claimed is believed by the
// coordinator, and found by an audit. The bars come from the run's bus.
func TestAuditFindsALyingWorker(t *testing.T) {
	testsize.All(t)
	ownPlaces(t)
	srv := natsserver.Start(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir()})
	dir := t.TempDir()
	data := filepath.Join(t.TempDir(), "bars.csv")
	if got := coordinates(t, "data", "gen", "--bars", "6000", "--seed", "4", "--output", data); got.code != 0 {
		t.Fatal(got.stderr)
	}
	var out bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
	p.Hooks.Engine = func(e worker.Engine) worker.Engine { return liar{e} }
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	worked := make(chan int, 1)
	go func() {
		worked <- p.ChunkWorker(ctx, []string{"--nats", srv.ClientURL(), "--concurrency", "1", "--work-dir", t.TempDir()})
	}()
	got := coordinates(t, "run", "--policy", "../../examples/policies/gated.yaml", "--data", data, "--chunks", "8", "--run-id", "r1", "--output-dir", dir,
		"--nats", srv.ClientURL(), "--workers", "0", "--keep-bus", "--no-guardian", "--quiet")
	cancel()
	<-worked
	if got.code != 0 {
		t.Fatalf("the run ended with exit code %d\n%s%s\n%s", got.code, got.stdout, got.stderr, out.String())
	}
	path := filepath.Join(dir, "perf_r1.json")
	if got := coordinates(t, "verify", path); got.code != 0 {
		t.Errorf("verify: %s", got.stdout)
	}
	if err := os.Remove(data); err != nil {
		t.Fatal(err)
	}
	if got := coordinates(t, "audit", path); got.code != 2 || !strings.Contains(got.stderr, "no such file") {
		t.Errorf("without bars: exit code %d, %s", got.code, got.stderr)
	}
	r := audited(t, 1, "r1", "--output-dir", dir, "--nats", srv.ClientURL())
	for _, want := range []string{"3 n_model_calls", "5 n_signals", "5 " + trade.ArtifactName} {
		if !slices.Contains(r.fields(), want) {
			t.Errorf("%s is not found: %v", want, r.fields())
		}
	}
	if r.Different != 2 || r.Equal != 6 {
		t.Errorf("%+v", r)
	}
	// On another host the bus is enough, and so are a perf JSON and the bus.
	elsewhere := t.TempDir()
	if r := audited(t, 1, "r1", "--output-dir", elsewhere, "--nats", srv.ClientURL(), "--chunks", "8"); r.Different != 2 || r.Equal != 6 {
		t.Errorf("%+v", r)
	}
	copyFile(t, path, filepath.Join(elsewhere, "perf_r1.json"))
	if r := audited(t, 1, filepath.Join(elsewhere, "perf_r1.json"), "--nats", srv.ClientURL()); r.Different != 2 || r.Equal != 6 {
		t.Errorf("%+v", r)
	}
}
