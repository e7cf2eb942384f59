package check_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/test/check"
)

// write writes a file for the judge.
func write(t *testing.T, file any) string {
	t.Helper()
	b, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "perf.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// younger is the good run some time before: chunk 1 had one bar less.
func younger() map[string]any {
	m := good()
	for path, v := range map[string]any{
		"chunks.1.bars_processed": 3, "chunks.1.total_bars": 3, "chunks.1.pregate_passes": 2, "chunks.1.n_model_calls": 2,
		"chunks.1.bars_per_sec": 6.0, "total_bars": 13, "total_model_calls": 8, "coverage.replayed_bars": 13, "coverage.missing_bars": 17,
		"coverage.by_status.stopped.replayed_bars": 3, "total_wall_clock_sec": 1.2, "stop.seq": 2,
	} {
		set(path, v)(m)
	}
	set("sessions.0", session(1, 0, 1200))(m)
	return m
}

func TestEarlierFiles(t *testing.T) {
	for _, c := range []struct {
		name    string
		earlier func(map[string]any) // changes the younger file
		now     func(map[string]any) // changes the good one
		want    string               // empty: nothing is wrong
	}{
		{"nothing", nil, nil, ""},
		{"before the plan", func(m map[string]any) { m["chunks"] = []any{} }, nil, ""},
		{"bars of a chunk", set("chunks.1.bars_processed", 5), nil, "chunks[1].bars_processed fell from 5 to 4"},
		{"bars in all", set("total_bars", 15), nil, "total_bars fell from 15 to 14"},
		{"ok chunks", set("chunks_completed", 2), nil, "chunks_completed fell from 2 to 1"},
		{"stop", set("stop.seq", 4), nil, "stop.seq fell from 4 to 3"},
		{"wall", set("total_wall_clock_sec", 1.6), nil, "total_wall_clock_sec fell from 1.6 to 1.5"},
		{"a session was longer", set("sessions.0.wall_clock_sec", 1.6), nil, "sessions[0].wall_clock_sec fell from 1.6 to 1.5"},
		{"another session 1", set("sessions.0", session(1, 5, 1200)), nil, "sessions[0].started_at was 2026-03-01T12:00:00.005Z and is 2026-03-01T12:00:00.000Z"},
		{"a session is gone", set("sessions", []any{session(1, 0, 100), session(2, 200, 300)}), nil, "there were 2 sessions and are 1"},
		{"another run", set("run_id", "r2"), nil, `run_id was "r2" and is "r1"`},
		{"fewer chunks", nil, func(m map[string]any) { m["chunks"] = m["chunks"].([]any)[:2] }, "there were 3 chunks and are 2"},
		{"other borders", set("chunks.1.end_bar", 19), nil, "chunks[1] had bars [10, 19) and has [10, 20)"},
		{"ok no more", nil, set("chunks.0.status", "stopped"), "chunks[0] was ok by attempt 1 of process 11 and is stopped"},
		{"ok by another", nil, set("chunks.0.attempt", 2), "chunks[0] was ok by attempt 1 of process 11 and is ok by attempt 2 of process 11"},
		{"complete and replaced", set("outcome", "complete"), nil, "the file was complete and has been replaced"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := younger(), good()
			if c.earlier != nil {
				c.earlier(a)
			}
			if c.now != nil {
				c.now(b)
			}
			o := options
			o.Earlier = []string{write(t, a)}
			r := judge(t, b, goodLogs(), o)
			if c.want != "" {
				demand(t, r, c.want)
			} else if !r.OK() {
				t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
			}
		})
	}
}

// Each of several files is held against the one before it.
func TestEarlierFilesAreJudgedInOrder(t *testing.T) {
	o := options
	o.Earlier = []string{write(t, younger()), write(t, good())}
	if r := judge(t, good(), goodLogs(), o); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
	o.Earlier[0], o.Earlier[1] = o.Earlier[1], o.Earlier[0]
	demand(t, judge(t, good(), goodLogs(), o), "chunks[1].bars_processed fell from 4 to 3")
	o.Earlier = []string{filepath.Join(t.TempDir(), "none")}
	if _, err := check.File(write(t, good()), o); err == nil {
		t.Error("an earlier file that is not there is no error")
	}
}

// What was ok before is not replayed again.
func TestKeptChunks(t *testing.T) {
	o := options
	o.Earlier = []string{write(t, younger())}
	logs := goodLogs()
	logs["14.log"] = "0 2 0\n0 2 1\n"
	demand(t, judge(t, good(), logs, o), "by attempt 1 of process 11, and 14.log has replayed 2 of its bars again in attempt 2")
	logs["14.log"] = "1 2 10\n1 2 11\n" // a chunk that was not
	if r := judge(t, good(), logs, o); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
}

func TestSameTrades(t *testing.T) {
	whole := good()
	for path, v := range map[string]any{
		"chunks.1.status": "ok", "chunks.1.pnl_bps": 7.0, // was not ok at hand, so it is not compared
	} {
		set(path, v)(whole)
	}
	for _, c := range []struct{ path, name, want string }{
		{"chunks.0.pnl_bps", "pnl_bps", "chunks[0].pnl_bps is 2.5 (2.5000000000000004 in the undisturbed run)"},
		{"chunks.0.n_trades_closed", "n_trades_closed", "chunks[0].n_trades_closed is 2 (3 in the undisturbed run)"},
		{"chunks.0.pregate_skips", "pregate_skips", "chunks[0].pregate_skips is 2 (3 in the undisturbed run)"},
		{"chunks.0.n_model_calls", "n_model_calls", "chunks[0].n_model_calls is 6 (3 in the undisturbed run)"},
		{"chunks.0.status", "status", "chunks[0] is 3 in the undisturbed run"},
		{"", "", ""},
	} {
		m := good()
		set("chunks.1.status", "ok")(m)
		set("chunks.1.pnl_bps", 7.0)(m)
		var v any = 3
		switch c.name {
		case "pnl_bps":
			v = 2.5000000000000004
		case "status":
			v = "3"
		}
		if c.path != "" {
			set(c.path, v)(m)
		}
		o := options
		o.SameTradesAs = write(t, m)
		r := judge(t, good(), goodLogs(), o)
		if c.want != "" {
			demand(t, r, c.want)
		} else if !r.OK() {
			t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
		}
	}
	short := good()
	short["chunks"] = short["chunks"].([]any)[:2]
	o := options
	o.SameTradesAs = write(t, short)
	demand(t, judge(t, good(), goodLogs(), o), "there are 3 chunks (the undisturbed run")
}

// artifacts writes what readers find beside the file, with changes.
func artifacts(t *testing.T, m map[string]any, change func(dir string)) string {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "perf_r1.json"), b)
	for i, c := range m["chunks"].([]any) {
		if b, err = json.Marshal(c); err != nil {
			t.Fatal(err)
		}
		if i < 2 { // nothing was heard of the last one
			put(t, filepath.Join(dir, fmt.Sprintf("chunk_%d", i), "chunk_footer.json"), b)
		}
	}
	if change != nil {
		change(dir)
	}
	return dir
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestArtifacts(t *testing.T) {
	line := func(change func(map[string]any)) []byte {
		m := good()
		change(m)
		b, err := json.Marshal(m["chunks"].([]any)[1])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := func(b []byte) func(string) {
		return func(dir string) { put(t, filepath.Join(dir, "chunk_1", "chunk_footer.json"), b) }
	}
	for _, c := range []struct {
		name      string
		recovered bool
		change    func(dir string)
		want      string
	}{
		{"good", false, nil, ""},
		{"one is missing", false, func(dir string) { os.RemoveAll(filepath.Join(dir, "chunk_1")) }, "chunk_1/chunk_footer.json is missing (the chunk is stopped with 4 bars)"},
		{"one differs", false, one(line(set("chunks.1.pnl_bps", 1.5))), "chunk_1/chunk_footer.json is not what chunks[1] says"},
		{"one is no JSON", false, one([]byte("{")), "chunk_1/chunk_footer.json: not a perf JSON"},
		{"the copy is missing", false, func(dir string) { os.Remove(filepath.Join(dir, "perf_r1.json")) }, "the copy of the file for readers: "},
		{"the copy is another", false, func(dir string) { put(t, filepath.Join(dir, "perf_r1.json"), []byte("{}")) }, "the copy of the file for readers is another"},
		{"recovered, one is older", true, one(line(set("chunks.1.bars_processed", 3))), ""},
		{"recovered, one is missing", true, func(dir string) { os.RemoveAll(filepath.Join(dir, "chunk_1")) }, ""},
		{"recovered, one knows more", true, one(line(set("chunks.1.bars_processed", 5))), "chunk_1/chunk_footer.json: bars_processed is 5 (the file has 4)"},
		{"recovered, one of another plan", true, one(line(set("chunks.1.end_bar", 19))), "chunk_1/chunk_footer.json: bars [10, 19) (the chunk has [10, 20))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good()
			if c.recovered {
				m["export_mode"] = "recovered"
			}
			o := options
			o.Artifacts = artifacts(t, m, c.change)
			r := judge(t, m, goodLogs(), o)
			if c.want != "" {
				demand(t, r, c.want)
			} else if !r.OK() {
				t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
			}
		})
	}
}
