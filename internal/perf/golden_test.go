package perf_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// update writes the golden files anew: go test ./internal/perf -update.
var update = flag.Bool("update", false, "write testdata anew")

func appended(tb testing.TB, r perf.Report, chunks []perf.Chunk) []byte {
	tb.Helper()
	b, err := perf.Append(nil, r, chunks)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// stoppedRun has a chunk of every status.
func stoppedRun(tb testing.TB) (perf.Report, []perf.Chunk) {
	r := aReport(6)
	r.Mode, r.Partial, r.Outcome = perf.ModeSignal, true, perf.OutcomeStopped
	r.Stop = run.Stop{Source: run.SourceSIGTERM, Reason: "terminated", Seq: 3, RequestedAt: r.Timestamp.Add(-time.Second)}
	r.Drain = 1250 * time.Millisecond
	chunks := []perf.Chunk{
		aChunk(tb, 0, 100, footer.StatusOK),
		aChunk(tb, 1, 40, footer.StatusStopped),
		aChunk(tb, 2, 0, footer.StatusFailed),
		aChunk(tb, 3, 99, footer.StatusUnresponsive),
		aChunk(tb, 4, -1, footer.StatusMissing),
		aChunk(tb, 5, -1, footer.StatusParseError),
	}
	chunks[2].Error = "model said \"no\" <&> \u2028 µ"
	chunks[2].Trace = "line 1\n\tline 2"
	return r, chunks
}

func goldenFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	complete := make([]perf.Chunk, 4)
	for i := range complete {
		complete[i] = aChunk(tb, i, chunkBars, footer.StatusOK)
	}
	stoppedReport, stopped := stoppedRun(tb)
	execRun := execReport(4, run.EmitsScores)
	execTrades := execReport(4, run.EmitsTrades)
	execTrades.Selection = ownTrades(complete)
	none := perf.Report{RunID: "golden", Timestamp: aReport(0).Timestamp, Mode: perf.ModeStopSubject}
	stub, err := perf.AppendStub(nil, perf.Stub{
		RunID: "golden", Timestamp: stoppedReport.Timestamp, Error: "no space left on device", Trace: "a\nb",
		Env: stoppedReport.Env, Note: "try again",
	}, stopped)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string][]byte{
		"complete.json":    appended(tb, aReport(4), complete),
		"exec.json":        appended(tb, execRun, complete),
		"exec_trades.json": appended(tb, execTrades, complete),
		"stopped.json":     appended(tb, stoppedReport, stopped),
		"zero_chunks.json": appended(tb, none, nil),
		"stub.json":        stub,
	}
}

func TestGolden(t *testing.T) {
	for name, got := range goldenFiles(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "v1", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s:\n%s", path, got)
			}
		})
	}
}

// Files of version 1 stay readable, and what is read is written again byte
// for byte.
func TestGoldenReadBack(t *testing.T) {
	for _, name := range []string{"complete.json", "exec.json", "exec_trades.json", "stopped.json", "zero_chunks.json"} {
		want, err := os.ReadFile(filepath.Join("testdata", "v1", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := perf.Verify(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f, err := perf.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := appended(t, f.Report, f.Chunks); !bytes.Equal(got, want) {
			t.Errorf("%s is written again as:\n%s", name, got)
		}
		if counted := f.Report.Count(f.Chunks); !reflect.DeepEqual(counted, f.Totals) {
			t.Errorf("%s: totals %+v, counted %+v", name, f.Totals, counted)
		}
	}
}

// A file of before there was policy.values is read: they are not known.
func TestBeforePolicyValues(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "v1", "before_policy_values.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := perf.ParseVerified(b)
	if err != nil || f.Report.PolicyValues != nil || f.Report.Policy.SHA256 != "p1" {
		t.Errorf("values %s, policy %+v, %v", f.Report.PolicyValues, f.Report.Policy, err)
	}
	if again := appended(t, f.Report, f.Chunks); !bytes.Contains(again, []byte(`"values": {}`)) {
		t.Errorf("written again without an empty policy.values:\n%.3000s", again)
	}
}

// Values that would spoil the file are left out, and those of an earlier file
// of the same policy are kept.
func TestPolicyValues(t *testing.T) {
	r := aReport(1)
	chunks := []perf.Chunk{aChunk(t, 0, chunkBars, footer.StatusOK)}
	good := r.PolicyValues
	for _, bad := range []string{"", "{", "null", "[1]", "{}", `{"a":null}`, "\xff"} {
		r.PolicyValues = []byte(bad)
		f, err := perf.ParseVerified(appended(t, r, chunks))
		if err != nil || f.Report.PolicyValues != nil {
			t.Errorf("%q: values %s, %v (want none)", bad, f.Report.PolicyValues, err)
		}
	}
	r.PolicyValues = good
	f, err := perf.ParseVerified(appended(t, r, chunks))
	if err != nil || !bytes.Equal(f.Report.PolicyValues, good) {
		t.Errorf("values %s, %v (want %s)", f.Report.PolicyValues, err, good)
	}
	later := r
	later.PolicyValues = nil
	if got := later.Inherit(r); !bytes.Equal(got.PolicyValues, good) {
		t.Errorf("the later report has values %s, want those of the earlier one", got.PolicyValues)
	}
	later.Policy.SHA256 = "another"
	if got := later.Inherit(r); got.PolicyValues != nil {
		t.Errorf("the report of another policy has values %s", got.PolicyValues)
	}
}

// The names and types that scripts and the original's comparison read.
func TestContractFields(t *testing.T) {
	r, chunks := stoppedRun(t)
	var m map[string]any
	if err := json.Unmarshal(appended(t, r, chunks), &m); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]any{"": nil}
	for _, f := range strings.Fields(`
		run_id=s timestamp=s pregate_enabled=b requested_workers=n actual_workers_started=n workers=n total_wall_clock_sec=n
		total_bars=n total_model_calls=n chunks_completed=n chunks_total=n chunks_statuses=o chunks=a env_info=o export_mode=s
		export_partial=b schema_version=s writer_pid=n export_seq=n schema=n outcome=s coverage=o pregate_enabled_source=s
		total_trades=n total_pnl_bps=n trades_open=n selection=o trades=o signals=o estimate=o fill=s bus_unreachable=b stop=o plan=o data=o policy=o model=o
		command=o sessions=a workers_seen=n hosts=a redeliveries=n releases=n failures=n footers_refused=n borders_exact=b
		nonfinite_fields=a error=s incarnation=s engine_version=n`) {
		name, kind, _ := strings.Cut(f, "=")
		kinds[name] = kind
		v, there := m[name]
		if !there {
			t.Errorf("%s is missing", name)
			continue
		}
		got := map[reflect.Kind]string{reflect.String: "s", reflect.Bool: "b", reflect.Float64: "n", reflect.Map: "o", reflect.Slice: "a"}[reflect.ValueOf(v).Kind()]
		if got != kind {
			t.Errorf("%s is of kind %q, want %q", name, got, kind)
		}
	}
	for name := range m {
		if _, known := kinds[name]; !known {
			t.Errorf("%s is no field of the contract", name)
		}
	}
	for name, fields := range map[string]string{
		"coverage": "planned_bars replayed_bars missing_bars by_status", "stop": "source reason seq requested_at drain_ms",
		"selection": "scope stretches", "trades": "file sha256 without_rows", "signals": "file sha256 rows", "plan": "order seed", "command": "argv digests",
		"env_info": "go_version module_version git_commit nats_server_version os arch cpus gomaxprocs host engine pregate_enabled quiet_mode worker_builds",
	} {
		want := strings.Fields(fields)
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(m[name].(map[string]any))); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
	if m["schema_version"] != "perf_v1" || m["export_seq"] != 1.0 {
		t.Errorf("schema_version %v, export_seq %v", m["schema_version"], m["export_seq"])
	}
}

// One chunk a line: `grep '"chunk_idx":3,'` finds a chunk, and Lines gives
// the same.
func TestChunkLines(t *testing.T) {
	r, chunks := stoppedRun(t)
	_, list, _ := bytes.Cut(appended(t, r, chunks), []byte("\"chunks\": [\n"))
	lines := bytes.Split(list, []byte("\n"))
	seq, err := perf.Lines(r.RunID, chunks, perf.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range seq {
		if got := bytes.Trim(lines[i], " ,"); !bytes.Equal(got, line) {
			t.Errorf("chunk %d: %s in the file, %s by Lines", i, got, line)
		}
		f, err := footer.DecodeJSON(line)
		if err != nil {
			t.Fatal(err)
		}
		if f.ChunkIdx != int64(i) || f.PlannedBars != chunkBars || f.FirstBar != int64(i)*chunkBars || f.EndBar != f.FirstBar+chunkBars || f.RunID != "golden" {
			t.Errorf("chunk %d: %+v", i, f)
		}
		if f.Status != chunks[i].Status || f.Error != chunks[i].Error || f.ErrorTraceback != chunks[i].Trace {
			t.Errorf("chunk %d: status %s, error %q, trace %q", i, f.Status, f.Error, f.ErrorTraceback)
		}
		n++
	}
	if n != len(chunks) {
		t.Errorf("%d lines for %d chunks", n, len(chunks))
	}
	if _, err := perf.Lines(r.RunID, chunks[1:], perf.Selection{}); err == nil {
		t.Error("Lines takes chunks without the first")
	}
}

// Files of versions without incarnations are read: their runs have none.
func TestEarlierFilesAreRead(t *testing.T) {
	for _, name := range []string{"complete.json", "exec.json", "exec_trades.json", "stopped.json", "zero_chunks.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "earlier", name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := perf.ParseVerified(b)
		if err != nil || f.Report.Incarnation != "" || f.Report.RunID != "golden" {
			t.Errorf("%s: incarnation %q of run %s, %v (want none, golden)", name, f.Report.Incarnation, f.Report.RunID, err)
		}
	}
}
