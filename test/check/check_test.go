package check_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/test/check"
)

// good is a run of 30 bars in three chunks: one ok, one stopped, one nobody
// took.
func good() map[string]any {
	chunk := func(i int, status string, bars, warmup, skips int) map[string]any {
		passes := bars - warmup - skips
		return map[string]any{
			"run_id": "r1", "chunk_id": fmt.Sprint(i), "pid": 11 + i, "chunk_idx": i, "status": status,
			"first_bar": 10 * i, "end_bar": 10*i + 10, "planned_bars": 10,
			"bars_processed": bars, "total_bars": bars, "attempt": min(bars, 1), "final": status == "ok",
			"bars_skipped_warmup": warmup, "pregate_skips": skips, "pregate_passes": passes, "pregate_missing_inputs": 0,
			"skip_reasons": map[string]any{"spread": skips}, "n_model_calls": passes,
			"n_signals": min(bars, 3), "n_trades_closed": min(bars, 2), "trades_open": min(bars, 1), "pnl_bps": 0.25 * float64(bars),
			"t_startup_sec": 0.0, "t_warmup_sec": 0.0, "t_pregate_total_sec": 0.01, "t_feature_build_total_sec": 0.02,
			"t_model_total_sec": 0.3, "t_policy_total_sec": 0.04, "t_io_total_sec": 0.05,
			"wall_clock_sec": 0.5, "worker_time_sec": 0.6, "bars_per_sec": float64(bars) / 0.5,
			"feature_time_mean_ms": 1.5, "cpu_user_sec": 0.1, "cpu_sys_sec": 0.0, "nonfinite_fields": []any{},
		}
	}
	return map[string]any{
		"run_id": "r1", "schema_version": "perf_v1", "export_seq": 1, "outcome": "stopped",
		"export_mode": "watchdog_sigterm", "export_partial": false, "pregate_enabled": true,
		"stop": map[string]any{"source": "sigterm", "seq": 3}, "total_wall_clock_sec": 1.5,
		"sessions": []any{session(1, 0, 1500)},
		"failures": 0, "releases": 0, "redeliveries": 2,
		"coverage": map[string]any{
			"planned_bars": 30, "replayed_bars": 14, "missing_bars": 16,
			"by_status": map[string]any{
				"ok":      map[string]any{"chunks": 1, "planned_bars": 10, "replayed_bars": 10},
				"stopped": map[string]any{"chunks": 1, "planned_bars": 10, "replayed_bars": 4},
				"missing": map[string]any{"chunks": 1, "planned_bars": 10, "replayed_bars": 0},
			},
		},
		"total_bars": 14, "total_model_calls": 9, "total_trades": 4, "trades_open": 2, "total_pnl_bps": 3.5,
		"chunks_total": 3, "chunks_completed": 1, "selection": map[string]any{"stretches": 1, "scope": "chunks"},
		"trades": map[string]any{"file": "", "sha256": "", "without_rows": 0}, "borders_exact": false,
		"chunks_statuses": map[string]any{"0": "ok", "1": "stopped", "2": "missing"},
		"chunks":          []any{chunk(0, "ok", 10, 2, 2), chunk(1, "stopped", 4, 0, 1), chunk(2, "missing", 0, 0, 0)},
	}
}

// goodLogs are the bars of the good run: one process did chunk 0, another
// chunk 1.
func goodLogs() map[string]string {
	var a, b strings.Builder
	for bar := range 10 {
		fmt.Fprintf(&a, "0 1 %d\n", bar)
	}
	for bar := range 4 {
		fmt.Fprintf(&b, "1 1 %d\n", 10+bar)
	}
	return map[string]string{"11.log": a.String(), "12.log": b.String()}
}

var options = check.Options{RunID: "r1", Bars: 30, WallSec: 2, Stop: []string{"sigterm"}, Outcome: "stopped"}

func judge(t *testing.T, file any, logs map[string]string, o check.Options) *check.Report {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "perf.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if logs != nil {
		o.BarLog = filepath.Join(dir, "logs")
		if err := os.Mkdir(o.BarLog, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range logs {
			if err := os.WriteFile(filepath.Join(o.BarLog, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := check.File(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoodRunPasses(t *testing.T) {
	r := judge(t, good(), goodLogs(), options)
	if !r.OK() {
		t.Fatalf("violations of a good run:\n%s", strings.Join(r.Violations, "\n"))
	}
	if r.Planned != 30 || r.Replayed != 14 || r.Logged != 14 || r.Unreported != 0 || r.StopSource != "sigterm" || r.Redeliveries != 2 || r.Statuses["ok"] != 1 {
		t.Errorf("the report is %+v", r)
	}
}

// set changes one field; a path's numbers are places in lists. A nil value
// takes the field away.
func set(path string, value any) func(map[string]any) {
	return func(m map[string]any) {
		names := strings.Split(path, ".")
		var at any = m
		for _, name := range names[:len(names)-1] {
			if list, ok := at.([]any); ok {
				var i int
				fmt.Sscan(name, &i)
				at = list[i]
			} else {
				at = at.(map[string]any)[name]
			}
		}
		if list, ok := at.([]any); ok {
			var i int
			fmt.Sscan(names[len(names)-1], &i)
			list[i] = value
			return
		}
		if value == nil {
			delete(at.(map[string]any), names[len(names)-1])
			return
		}
		at.(map[string]any)[names[len(names)-1]] = value
	}
}

type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestDoctoredFilesAreCaught(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"null", set("chunks.1.error", null{}), ".chunks[1].error is null"},
		{"run_id", set("run_id", "r2"), `run_id is "r2"`},
		{"schema_version", set("schema_version", "v2"), "schema_version"},
		{"export_seq", set("export_seq", 2), "export_seq is 2"},
		{"outcome of no kind", set("outcome", "odd"), `outcome is "odd" (expected complete, stopped or failed)`},
		{"outcome not the expected", set("outcome", "failed"), `outcome is "failed" (expected "stopped")`},
		{"complete with chunks missing", set("outcome", "complete"), "with 1 of 3 chunks ok"},
		{"stop source", set("stop.source", "timeout"), `stop.source is "timeout"`},
		{"stopped by nobody", set("stop.source", ""), "outcome is stopped and stop.source is empty"},
		{"mode", set("export_mode", "normal"), "export_mode"},
		{"wall above the process's life", set("total_wall_clock_sec", 2.5), "total_wall_clock_sec is 2.5"},
		{"failures", set("failures", -1), "failures is no count"},
		{"redeliveries", set("redeliveries", nil), "redeliveries is no count"},
		{"releases", set("releases", nil), "releases is no count"},
		{"wall negative", set("total_wall_clock_sec", -1), "total_wall_clock_sec is -1"},
		{"partial", set("export_partial", true), "export_partial is true"},
		{"planned", set("coverage.planned_bars", 31), "planned_bars 31 is not replayed_bars 14 + missing_bars 16"},
		{"missing", set("coverage.missing_bars", 15), "planned_bars 30 is not replayed_bars 14 + missing_bars 15"},
		{"replayed", set("coverage.replayed_bars", 15), "coverage.replayed_bars is 15 (expected 14 over the chunks)"},
		{"by_status wrong", set("coverage.by_status.ok.replayed_bars", 9), "coverage.by_status.ok"},
		{"by_status lacks one", set("coverage.by_status.missing", nil), "coverage.by_status.missing is missing"},
		{"by_status has one too many", set("coverage.by_status.failed", map[string]any{"chunks": 1, "planned_bars": 0, "replayed_bars": 0}), "by_status.failed"},
		{"total_bars", set("total_bars", 15), "total_bars is 15 (expected 14 over the chunks)"},
		{"total_model_calls", set("total_model_calls", 8), "total_model_calls is 8"},
		{"total_trades", set("total_trades", 5), "total_trades is 5"},
		{"trades_open of all", set("trades_open", 0), "trades_open is 0"},
		{"total_pnl_bps", set("total_pnl_bps", 3.6), "total_pnl_bps is 3.6"},
		{"chunks_total", set("chunks_total", 4), "chunks_total is 4"},
		{"chunks_completed", set("chunks_completed", 2), "chunks_completed is 2"},
		{"stretches", set("selection.stretches", 2), "selection.stretches is 2"},
		{"chunks_statuses disagrees", set("chunks_statuses.1", "ok"), `chunks_statuses["1"] is ok`},
		{"chunks_statuses has one too many", set("chunks_statuses.3", "ok"), "chunks_statuses has 4 chunks"},
		{"no chunks", set("chunks", nil), "chunks is no list"},
		{"a gap between chunks", set("chunks.1.first_bar", 11), "chunks[1].first_bar is 11 (expected 10"},
		{"chunks overlap", set("chunks.1.end_bar", 21), "chunks[2].first_bar is 20 (expected 21"},
		{"chunk_idx", set("chunks.1.chunk_idx", 2), "chunks[1].chunk_idx is 2"},
		{"chunk_id", set("chunks.1.chunk_id", "01"), `chunks[1].chunk_id is "01"`},
		{"run_id of a chunk", set("chunks.1.run_id", "r2"), `chunks[1].run_id is "r2"`},
		{"planned_bars of a chunk", set("chunks.1.planned_bars", 9), "chunks[1].planned_bars is 9"},
		{"total_bars of a chunk", set("chunks.1.total_bars", 5), "chunks[1].total_bars is 5"},
		{"more bars than planned", set("chunks.1.bars_processed", 11), "chunks[1].bars_processed is 11 (at most 10 are planned)"},
		{"ok and short", set("chunks.0.bars_processed", 9), "chunks[0].bars_processed is 9 of an ok chunk"},
		{"missing with bars", set("chunks.1.status", "missing"), "chunks[1].bars_processed is 4 of a chunk that is missing"},
		{"status", set("chunks.1.status", "partial"), `chunks[1].status is "partial"`},
		{"final", set("chunks.1.final", true), "chunks[1].final is true"},
		{"attempt", set("chunks.1.attempt", 0), "chunks[1].attempt is 0"},
		{"a failed chunk, outcome stopped", set("chunks.1.status", "failed"), `outcome is "stopped" with 1 chunks failed`},
		{"gate", set("chunks.1.pregate_passes", 2), "chunks[1].bars_skipped_warmup 0 + pregate_skips 1 + pregate_passes 2 is 3"},
		{"gate off", set("pregate_enabled", false), "with the gate off"},
		{"model calls", set("chunks.1.n_model_calls", 2), "chunks[1].n_model_calls is 2 (3 bars passed)"},
		{"missing inputs", set("chunks.1.pregate_missing_inputs", 4), "chunks[1].pregate_missing_inputs is 4"},
		{"skip reasons", set("chunks.1.skip_reasons.calm", 1), "chunks[1].skip_reasons add up to 2"},
		{"a negative counter", set("chunks.1.bars_processed", -4), "chunks[1].bars_processed is no count"},
		{"a counter that is a text", set("chunks.1.attempt", "1"), "chunks[1].attempt is no count"},
		{"a counter that is not there", set("chunks.1.n_model_calls", nil), "chunks[1].n_model_calls is no count"},
		{"a number out of range", set("chunks.1.pnl_bps", json.Number("1e999")), "chunks[1].pnl_bps is no finite number"},
		{"a timer below 0", set("chunks.1.t_io_total_sec", -0.1), "chunks[1].t_io_total_sec is -0.1"},
		{"a rate below 0", set("chunks.1.bars_per_sec", -8), "chunks[1].bars_per_sec is -8"},
		{"phases above the wall", set("chunks.1.t_model_total_sec", 0.5), "chunks[1].the phases add up to"},
		{"wall above the attempt's life", set("chunks.1.worker_time_sec", 0.4), "chunks[1].wall_clock_sec is 0.5 (worker_time_sec"},
		{"wall above the process's life", set("chunks.1.worker_time_sec", 2.5), "(the run's process lived 2 s)"},
		{"wall of a chunk below 0", set("chunks.1.wall_clock_sec", -0.5), "chunks[1].wall_clock_sec is -0.5"},
		{"bars_per_sec", set("chunks.1.bars_per_sec", 9), "chunks[1].bars_per_sec is 9"},
		{"a nonfinite field that has a value", set("chunks.1.nonfinite_fields", []any{"pnl_bps"}), "chunks[1].pnl_bps is 1 and named in nonfinite_fields"},
		{"no flag", set("export_partial", "no"), "export_partial is neither true nor false"},
		{"no text", set("outcome", 1), "outcome is no text"},
		{"no object", set("coverage", 1), "coverage is no object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good()
			c.change(m)
			demand(t, judge(t, m, goodLogs(), options), c.want)
		})
	}
}

func demand(t *testing.T, r *check.Report, want string) {
	t.Helper()
	if text := strings.Join(r.Violations, "\n"); !strings.Contains(text, want) {
		t.Errorf("the violations are\n%s\nwant one with\n%s", text, want)
	}
}

func TestDoctoredLogsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name, file, text, want string
	}{
		{"a bar twice", "12.log", "1 1 10\n1 1 11\n1 1 11\n1 1 12\n", "bar 11 at place 2 (expected 12"},
		{"a bar left out", "12.log", "1 1 10\n1 1 12\n1 1 13\n1 1 14\n", "bar 12 at place 1 (expected 11"},
		{"bars of another chunk", "12.log", "1 1 0\n1 1 1\n1 1 2\n1 1 3\n", "bar 0 at place 0 (expected 10"},
		{"fewer than the file claims", "12.log", "1 1 10\n1 1 11\n1 1 12\n", "chunks[1].bars_processed is 4 (attempt 1 of process 12 has logged 3 bars)"},
		{"another attempt than the file says", "12.log", "1 2 10\n1 2 11\n1 2 12\n1 2 13\n", "(attempt 1 of process 12 has logged 0 bars)"},
		{"more than the stopped chunk reports", "12.log", "1 1 10\n1 1 11\n1 1 12\n1 1 13\n1 1 14\n", "1 are unreported"},
		{"a later attempt with more", "13.log", "1 2 10\n1 2 11\n1 2 12\n1 2 13\n1 2 14\n", "1 are unreported"},
		{"bars of a missing chunk", "13.log", "2 1 20\n", "chunks[2].bars_processed is 0 of a chunk that is missing"},
		{"more bars than the chunk has", "13.log", "2 1 20\n2 1 21\n2 1 22\n2 1 23\n2 1 24\n2 1 25\n2 1 26\n2 1 27\n2 1 28\n2 1 29\n2 1 30\n", "11 bars (the chunk has 10)"},
		{"a chunk that does not exist", "13.log", "3 1 30\n", "1 bars, and the file has 3 chunks"},
		{"one attempt in two processes", "13.log", "1 1 10\n", "it stands in 12.log too"},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs := maps.Clone(goodLogs())
			logs[c.file] = c.text
			demand(t, judge(t, good(), logs, options), c.want)
		})
	}
}

// A chunk without a last word may have lost bars, up to the bound.
func TestUnreportedBarsAreBounded(t *testing.T) {
	m := good()
	m["export_partial"] = true
	set("chunks.1.status", "unresponsive")(m)
	set("chunks_statuses.1", "unresponsive")(m)
	by := m["coverage"].(map[string]any)["by_status"].(map[string]any)
	by["unresponsive"] = by["stopped"]
	delete(by, "stopped")
	logs := goodLogs()
	logs["12.log"] += "1 1 14\n1 1 15\n"
	o := options
	for most, want := range map[int64]string{1: "2 logged bars of chunks without a last word are not in the file (at most 1 may be)", 2: "", -1: ""} {
		o.MaxUnreported = most
		r := judge(t, m, logs, o)
		if r.Unreported != 2 {
			t.Errorf("unreported is %d, want 2", r.Unreported)
		}
		if want == "" && !r.OK() {
			t.Errorf("bound %d: %s", most, strings.Join(r.Violations, "\n"))
		}
		if want != "" {
			demand(t, r, want)
		}
	}
}

// A killed attempt may have stepped over more than anybody heard of, if a
// later one had its last word.
func TestKilledAttemptBeforeTheLastIsForgiven(t *testing.T) {
	m, logs := good(), goodLogs()
	set("chunks.1.attempt", 2)(m)
	set("chunks.1.pid", 13)(m)
	logs["12.log"] = "1 1 10\n1 1 11\n1 1 12\n1 1 13\n1 1 14\n"
	logs["13.log"] = "1 2 10\n1 2 11\n1 2 12\n1 2 13\n"
	if r := judge(t, m, logs, options); !r.OK() || r.Unreported != 1 {
		t.Errorf("unreported %d, violations:\n%s", r.Unreported, strings.Join(r.Violations, "\n"))
	}
}

// A file that was written while the run was still ending knows nothing of a
// chunk that was begun after it; of one that had its last word it knows all.
func TestEarlyFile(t *testing.T) {
	o := options
	o.Early, o.MaxUnreported = true, -1
	logs := goodLogs()
	logs["13.log"] = "2 1 20\n2 1 21\n"
	if r := judge(t, good(), logs, o); !r.OK() || r.Unreported != 2 {
		t.Errorf("unreported %d, violations:\n%s", r.Unreported, strings.Join(r.Violations, "\n"))
	}
	o.MaxUnreported = 1
	demand(t, judge(t, good(), logs, o), "2 logged bars of chunks without a last word are not in the file (at most 1 may be)")
	logs["12.log"] += "1 1 14\n"
	demand(t, judge(t, good(), logs, o), "chunks[1].bars_processed is 4 of a chunk that is stopped")
}

// A stop that came too late leaves a complete file that knows nothing of it,
// and a stop before the plan one without chunks.
func TestEdgesOfARun(t *testing.T) {
	empty := good()
	for path, v := range map[string]any{
		"coverage": map[string]any{"planned_bars": 0, "replayed_bars": 0, "missing_bars": 0, "by_status": map[string]any{}},
		"chunks":   []any{}, "chunks_statuses": map[string]any{}, "chunks_total": 0, "chunks_completed": 0,
		"total_bars": 0, "total_model_calls": 0, "total_trades": 0, "trades_open": 0, "total_pnl_bps": 0, "selection.stretches": 0,
	} {
		set(path, v)(empty)
	}
	if r := judge(t, empty, map[string]string{}, options); !r.OK() {
		t.Errorf("before the plan:\n%s", strings.Join(r.Violations, "\n"))
	}
	demand(t, judge(t, empty, goodLogs(), options), "and the file has 0 chunks")
	whole := good()
	chunks := whole["chunks"].([]any)
	whole["chunks"] = chunks[:1]
	for path, v := range map[string]any{
		"coverage": map[string]any{"planned_bars": 10, "replayed_bars": 10, "missing_bars": 0, "by_status": map[string]any{
			"ok": map[string]any{"chunks": 1, "planned_bars": 10, "replayed_bars": 10},
		}},
		"chunks_statuses": map[string]any{"0": "ok"}, "chunks_total": 1, "total_bars": 10, "total_model_calls": 6,
		"total_trades": 2, "trades_open": 1, "total_pnl_bps": 2.5, "outcome": "complete", "export_mode": "normal", "stop.source": "",
	} {
		set(path, v)(whole)
	}
	o := options
	o.Outcome, o.Bars = "", 10
	if r := judge(t, whole, map[string]string{"11.log": goodLogs()["11.log"]}, o); !r.OK() {
		t.Errorf("complete before its stop:\n%s", strings.Join(r.Violations, "\n"))
	}
}

// The checker shares nothing with what it checks.
func TestImportsOnlyTheStandardLibrary(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			seen++
			if first, _, _ := strings.Cut(strings.Trim(i.Path.Value, `"`), "/"); first == "gx1replay" || strings.Contains(first, ".") {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
	}
	if seen == 0 {
		t.Error("no imports were found at all")
	}
}

func TestNoPerfJSON(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "EOF",
		`{"a":1`:                  "EOF",
		`{"a":1} {}`:              "something follows",
		`[]`:                      "no object",
		`{"a":{"b":1,"b":2}}`:     ".a.b appears twice",
		`{"a":NaN}`:               "invalid character",
		`{"chunks":[{"x":null}]}`: ".chunks[0].x is null",
	} {
		r := check.Judge([]byte(text), nil, check.Options{})
		if len(r.Violations) != 1 || !strings.Contains(r.Violations[0], want) {
			t.Errorf("%s: %q (want %q)", text, r.Violations, want)
		}
	}
}

func TestBadLogs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "1.log")
	for _, text := range []string{"1 1\n", "a b c\n", "1 1 2 3\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := check.ReadLogs(dir); err == nil || !strings.Contains(err.Error(), "1.log:1") {
			t.Errorf("%q: error %v, want one that names file and line", text, err)
		}
	}
	if _, err := check.ReadLogs(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

// The checker never panics, whatever it is given.
func FuzzJudge(f *testing.F) {
	b, err := json.Marshal(good())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"chunks":[1,{"skip_reasons":[]}],"coverage":{"by_status":{"ok":1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := check.Judge(b, &check.Logs{}, options)
		if r.OK() && !json.Valid(b) {
			t.Error("what is no JSON passes")
		}
	})
}
