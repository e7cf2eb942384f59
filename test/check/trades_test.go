package check_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/test/check"
)

// rows are the trades of selectedRun: +100 bps short, -50 bps long, in chunks
// 0 and 1.
const rows = "trade_id,pnl_bps,side,entry_price,exit_price,signal_bar,entry_bar,exit_bar\n" +
	"T2,100,short,1000,990,2,3,12\n" +
	"T11,-50,long,1000,995,11,12,13\n"

// selectedRun is the good run, its trades selected over the stretch.
func selectedRun() map[string]any {
	m := good()
	own := map[string]any{"n_trades_closed": 2, "trades_open": 1, "pnl_bps": 1.0, "open_pnl_bps": 0.0, "drop_reasons": map[string]any{}}
	sum := sha256.Sum256([]byte(rows))
	for path, v := range map[string]any{
		"selection.scope": "stretches", "borders_exact": true, "total_trades": 2, "trades_open": 1, "total_pnl_bps": 50.0,
		"trades":                   map[string]any{"file": "r1/trades_r1.csv", "sha256": hex.EncodeToString(sum[:]), "without_rows": 0},
		"chunks.0.n_trades_closed": 1, "chunks.0.pnl_bps": 100.0, "chunks.0.trades_open": 0, "chunks.0.chunk_local": own,
		"chunks.1.n_trades_closed": 1, "chunks.1.pnl_bps": -50.0, "chunks.1.trades_open": 1, "chunks.1.chunk_local": own,
	} {
		set(path, v)(m)
	}
	return m
}

// judgeWithRows judges m beside a trades file.
func judgeWithRows(t *testing.T, m map[string]any, text string) *check.Report {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "perf.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if text != "" {
		if err := os.MkdirAll(filepath.Join(dir, "r1"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "r1", "trades_r1.csv"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := check.File(path, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTradesAreJudged(t *testing.T) {
	if r := judgeWithRows(t, selectedRun(), rows); !r.OK() {
		t.Fatalf("violations of a good run:\n%s", strings.Join(r.Violations, "\n"))
	}
	row := func(old, new string) func(map[string]any) string {
		return func(m map[string]any) string {
			text := strings.Replace(rows, old, new, 1)
			if text == rows {
				t.Fatalf("there is no %q", old)
			}
			sum := sha256.Sum256([]byte(text))
			set("trades.sha256", hex.EncodeToString(sum[:]))(m)
			return text
		}
	}
	field := func(path string, v any) func(map[string]any) string {
		return func(m map[string]any) string {
			set(path, v)(m)
			return rows
		}
	}
	for _, c := range []struct {
		name   string
		change func(map[string]any) string
		want   string
	}{
		{"no file", func(map[string]any) string { return "" }, "the trades file:"},
		{"another file", func(map[string]any) string { return rows + "\n" }, "has SHA-256"},
		{"a pnl that the prices do not make", row("T2,100,", "T2,101,"), "pnl_bps is 101 (expected 100"},
		{"a row twice", row("T11", "T2,100,short,1000,990,2,3,12\nT11"), "behind a signal at 2"},
		{"a row less", row("T11,-50,long,1000,995,11,12,13\n", ""), "chunks[1] has 1 trades"},
		{"a row of a bar that was not replayed", row("11,12,13", "17,18,19"), "lies at bar 17, which was not replayed"},
		{"an exit before its entry", row("2,3,12", "2,3,1"), "exit at bars 2, 3, 1"},
		{"no number", row("T2,100,", "T2,NaN,"), `pnl_bps is "NaN"`},
		{"a column less", row("signal_bar", "bar"), "no column signal_bar"},
		{"another sum", field("total_pnl_bps", 50.0000000001), "adds up to 50"},
		{"rows said to be lost", field("trades.without_rows", 1), "trades.without_rows is 1 (expected 0"},
		{"scope run of a stopped run", field("selection.scope", "run"), "selection.scope is run with outcome stopped"},
		{"scope chunks with trades of the run", field("selection.scope", "chunks"), "selection.scope is chunks with 2 chunks selected"},
		{"no scope that there is", field("selection.scope", "all"), `selection.scope is "all"`},
	} {
		m := selectedRun()
		text := c.change(m)
		demand(t, judgeWithRows(t, m, text), c.want)
	}
	lost := selectedRun()
	delete(lost["chunks"].([]any)[1].(map[string]any), "chunk_local")
	demand(t, judgeWithRows(t, lost, rows), "borders_exact is true, and chunks[1] with 4 bars has no chunk_local")
}

// What was charged adds up, in each row and over the run, and stands in the
// perf JSON if and only if it is known of every row.
func TestChargesAreJudged(t *testing.T) {
	const charged = "trade_id,pnl_bps,side,entry_price,exit_price,signal_bar,entry_bar,exit_bar,nights,commission_bps,swap_bps,slippage_bps,net_pnl_bps\n" +
		"T2,100,short,1000,990,2,3,12,1,2,-0.5,1,97.5\n" +
		"T11,-50,long,1000,995,11,12,13,0,2,0,1,-53\n"
	good := func(text string) map[string]any {
		m := selectedRun()
		sum := sha256.Sum256([]byte(text))
		set("trades.sha256", hex.EncodeToString(sum[:]))(m)
		m["total_net_pnl_bps"] = 44.5
		return m
	}
	if r := judgeWithRows(t, good(charged), charged); !r.OK() {
		t.Fatalf("violations of a good run:\n%s", strings.Join(r.Violations, "\n"))
	}
	wrong := strings.Replace(charged, "97.5", "98.5", 1)
	demand(t, judgeWithRows(t, good(wrong), wrong), "net_pnl_bps is 98.5 (expected 97.5")
	m := good(charged)
	m["total_net_pnl_bps"] = 44.0
	demand(t, judgeWithRows(t, m, charged), "total_net_pnl_bps is 44 (")
	delete(m, "total_net_pnl_bps")
	demand(t, judgeWithRows(t, m, charged), "total_net_pnl_bps is there false (expected true")
	demand(t, judgeWithRows(t, good(rows), rows), "total_net_pnl_bps is there true (expected false")
}
