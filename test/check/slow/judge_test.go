package slow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// agreed is what a product and a slow engine that agree have left.
func agreed(t *testing.T) (perf, trades string, want Replayed) {
	t.Helper()
	want, err := Parse([]byte(`{"rows": [{"trade_id": "T000000001", "pnl_bps": 10.5, "score": 0.5}],
		"counts": {"n_signals": 3, "n_model_calls": 9, "bars_skipped_warmup": 1, "trades_open": 1, "drop:entry_expired": 1}, "open_pnl_bps": 2.5}`))
	if err != nil {
		t.Fatal(err)
	}
	return `{"outcome": "complete", "borders_exact": true, "trades": {"file": "t.csv"}, "chunks": [
		{"n_signals": 1, "n_model_calls": 4, "bars_skipped_warmup": 1, "trades_open": 0, "open_pnl_bps": 0, "drop_reasons": {"entry_expired": 1}, "skip_reasons": {}},
		{"n_signals": 2, "n_model_calls": 5, "bars_skipped_warmup": 0, "trades_open": 1, "open_pnl_bps": 2.5, "drop_reasons": {}, "skip_reasons": {}}]}`,
		"trade_id,pnl_bps,score\nT000000001,10.5,0.500000000000001\n", want
}

// Every difference is named, and there is none where both agree.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(perf, trades *string, want *Replayed)
		want   string // empty: none
	}{
		{"they agree", func(*string, *string, *Replayed) {}, ""},
		{"a pnl", func(_, trades *string, _ *Replayed) {
			*trades = strings.Replace(*trades, "10.5", "10.500000000000002", 1)
		}, "T000000001: pnl_bps is 10.500000000000002 (the slow engine has 10.5)"},
		{"a score", func(_, trades *string, _ *Replayed) { *trades = strings.Replace(*trades, "0.500", "0.501", 1) }, "T000000001: score is"},
		{"an id", func(_, trades *string, _ *Replayed) {
			*trades = strings.Replace(*trades, "T000000001", "T000000002", 1)
		}, "T000000002: trade_id is T000000002"},
		{"a text for a number", func(_, trades *string, _ *Replayed) { *trades = strings.Replace(*trades, "10.5", "x", 1) }, "pnl_bps is x"},
		{"a trade less", func(_, trades *string, _ *Replayed) { *trades = "trade_id,pnl_bps,score\n" }, "0 trades (the slow engine has 1)"},
		{"a column more", func(_, _ *string, want *Replayed) { want.Rows[0]["nights"] = 1.0 }, "the slow engine has 4"},
		{"signals", func(_, _ *string, want *Replayed) { want.Counts["n_signals"] = 4 }, "n_signals is 3 (the slow engine has 4)"},
		{"a reason that the product has not", func(_, _ *string, want *Replayed) { want.Counts["skip:atr_too_low"] = 2 }, "skip:atr_too_low is 0 (the slow engine has 2)"},
		{"a reason that only the product has", func(_, _ *string, want *Replayed) { delete(want.Counts, "drop:entry_expired") }, "drop:entry_expired is 1 (the slow engine has 0)"},
		{"open pnl", func(_, _ *string, want *Replayed) { want.OpenPnlBps = 2.6 }, "open_pnl_bps is 2.5 (the slow engine has 2.6)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			perf, trades, want := agreed(t)
			c.change(&perf, &trades, &want)
			path := filepath.Join(t.TempDir(), "p.json")
			for name, content := range map[string]string{path: perf, filepath.Join(filepath.Dir(path), "t.csv"): trades} {
				if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Judge(path, want)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(got, "\n"); c.want == "" && len(got) > 0 || !strings.Contains(text, c.want) {
				t.Errorf("%q (want %q)", got, c.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "p.json")
	perf, _, want := agreed(t)
	for name, content := range map[string]string{"stopped": strings.Replace(perf, "complete", "stopped", 1), "inexact": strings.Replace(perf, "true", "false", 1), "no JSON": "{"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Judge(path, want); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A case is the same whenever it is drawn, and ten in a row have all exits.
func TestDraw(t *testing.T) {
	rules := map[string]bool{}
	for k := range 10 {
		a, err := Draw(7, k, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Draw(7, k, true)
		if err != nil || string(a.Policy) != string(b.Policy) || string(a.Bars) != string(b.Bars) || a.Chunks != b.Chunks {
			t.Errorf("case %d differs when drawn again: %v", k, err)
		}
		var p struct{ Exit map[string]any }
		if err := json.Unmarshal(a.Policy, &p); err != nil {
			t.Fatal(err)
		}
		for rule := range p.Exit {
			rules[rule] = true
		}
	}
	for _, rule := range []string{"stop_bps", "target_bps", "break_even", "trailing", "rule_a", "max_bars"} {
		if !rules[rule] {
			t.Errorf("no policy has %s", rule)
		}
	}
}
