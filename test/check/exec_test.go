package check_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"gx1replay/test/check"
)

// left is what two commands left, put together.
const left = "entry_time,pnl_bps\n2026-01-02,1\n2026-01-03,2\n2026-01-04,3\n2026-01-05,4\n"

// commanded is the good run with a command as its engine, which counts bars,
// calls and trades and nothing else.
func commanded() map[string]any {
	m := good()
	m["env_info"] = map[string]any{"engine": "exec"}
	sum := sha256.Sum256([]byte(left))
	m["trades"] = map[string]any{"file": "r1/trades_r1.csv", "sha256": hex.EncodeToString(sum[:]), "without_rows": 0}
	set("selection.scope", "command")(m)
	for _, c := range m["chunks"].([]any) {
		for _, name := range []string{"bars_skipped_warmup", "pregate_skips", "pregate_passes"} {
			c.(map[string]any)[name] = 0
		}
		c.(map[string]any)["skip_reasons"] = map[string]any{}
		c.(map[string]any)["unreported"] = []any{"bars_skipped_warmup", "pregate_skips", "pregate_passes"}
		c.(map[string]any)["t_startup_sec"] = 0.4 // the command's own phases lie within it
	}
	return m
}

func TestACommandsRunPasses(t *testing.T) {
	if r := judgeWithRows(t, commanded(), left); !r.OK() {
		t.Fatalf("violations of a good run:\n%s", strings.Join(r.Violations, "\n"))
	}
}

func TestWrongOfACommand(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		rows   string
		want   string
	}{
		{"an unreported field has a value", set("chunks.0.pregate_skips", 2), left, "chunks[0].pregate_skips is 2 and named in unreported"},
		{"unreported is missing", set("chunks.0.unreported", nil), left, "chunks[0].unreported is no list"},
		{"more passes than bars", func(m map[string]any) {
			set("chunks.0.pregate_passes", 11)(m)
			set("chunks.0.unreported", []any{"pregate_skips"})(m)
		}, left, "pregate_passes 11 (total_bars is 10)"},
		{"borders are exact", set("borders_exact", true), left, "borders_exact true"},
		{"not by a command", set("env_info.engine", "builtin"), left, "by a command false"},
		{"a row is missing", func(m map[string]any) {
			set("chunks.1.bars_processed", 0)(m) // what is done, is ok
			set("chunks.1.n_trades_closed", 0)(m)
		}, "entry_time,pnl_bps\n2026-01-02,1\n", "has 1 rows"},
		{"the trades file is another", func(m map[string]any) {}, strings.Replace(left, "4", "5", 1), "has SHA-256"},
		{"there is no trades file", func(m map[string]any) {}, "", "the trades file: "},
	} {
		m := commanded()
		c.change(m)
		if c.name == "a row is missing" {
			sum := sha256.Sum256([]byte(c.rows))
			set("trades.sha256", hex.EncodeToString(sum[:]))(m)
		}
		r := judgeWithRows(t, m, c.rows)
		if !slices.ContainsFunc(r.Violations, func(v string) bool { return strings.Contains(v, c.want) }) {
			t.Errorf("%s: %q (want %q)", c.name, r.Violations, c.want)
		}
	}
}

// Commands log under their own numbers, and one that dies of a stop may have
// counted bars of which it had not said anything.
func TestLogsOfCommands(t *testing.T) {
	logs := func() map[string]string {
		l := goodLogs()
		return map[string]string{"701.log": l["11.log"], "702.log": l["12.log"]}
	}
	more := func(n int) map[string]string {
		l := logs()
		for bar := range n {
			l["702.log"] += "1 1 " + string(rune('0'+(14+bar)/10)) + string(rune('0'+(14+bar)%10)) + "\n"
		}
		return l
	}
	for _, c := range []struct {
		name   string
		logs   map[string]string
		behind int64
		want   string // of a violation; empty: none
	}{
		{"what it counted", logs(), 0, ""},
		{"two bars more, and none allowed", more(2), 0, "2 are unreported"},
		{"two bars more, of two", more(2), 2, ""},
		{"three bars more, of two", more(3), 2, "3 are unreported"},
		{"a bar less", map[string]string{"701.log": logs()["701.log"], "702.log": strings.Replace(logs()["702.log"], "1 1 13\n", "", 1)}, 5, "has logged 3 bars"},
		{"an attempt in two processes", map[string]string{"701.log": logs()["701.log"], "702.log": logs()["702.log"], "703.log": "1 1 10\n"}, 5, "it stands in 702.log too"},
	} {
		m := commanded()
		m["trades"] = map[string]any{"file": "", "sha256": "", "without_rows": 0}
		o := options
		o.Behind = c.behind
		r := judge(t, m, c.logs, o)
		found := slices.ContainsFunc(r.Violations, func(v string) bool { return strings.Contains(v, c.want) })
		if c.want == "" && !r.OK() || c.want != "" && !found {
			t.Errorf("%s: %q (want %q)", c.name, r.Violations, c.want)
		}
	}
}

// What commands leave as trades is the same, stopped or not, once the run is
// complete; other violations of a file that is half another are not looked at.
func TestTradesLeftByCommandsAreKept(t *testing.T) {
	whole := func(digest string) map[string]any {
		m := commanded()
		set("outcome", "complete")(m)
		set("trades.sha256", strings.Repeat(digest, 32))(m)
		return m
	}
	other := func(v string) bool { return strings.HasPrefix(v, "trades.sha256 is") }
	o := check.Options{SameTradesAs: write(t, whole("ab")), MaxUnreported: -1}
	if r := judge(t, whole("cd"), nil, o); !slices.ContainsFunc(r.Violations, other) {
		t.Errorf("another trades file: %q", r.Violations)
	}
	if r := judge(t, whole("ab"), nil, o); slices.ContainsFunc(r.Violations, other) {
		t.Errorf("the same trades file: %q", r.Violations)
	}
}
