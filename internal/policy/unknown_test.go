package policy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// ownedPolicy has every section and key that the built-in engine reads.
const ownedPolicy = `policy_name: all
version: v
instrument: XAU_USD
timeframe: M5
warmup_bars: 1
sessions: {ALL: 00-24}
replay_config: {replay_pregate: {enabled: true, allow_sessions: [ALL], max_spread_bps: 2, min_atr_bps: 1, max_atr_bps: 9}}
features: [roc20]
model: {kind: logistic, long: {bias: 1, weights: {roc20: 1}}, short: {bias: 1, weights: {roc20: 1}}, latency: 0s, accept_newer_version: false}
entry: {p_side_min: {long: 0.5, short: 0.5}, margin_min: {long: 0.1, short: 0.1}, sessions: [ALL], max_gap: 10m}
exit:
  stop_bps: 5
  target_bps: 5
  break_even: {activate_bps: 2, offset_bps: 1}
  trailing: {activate_bps: 1, distance_bps: 2, within_bars: 3}
  rule_a: {profit_min_bps: 6, profit_max_bps: 9, adaptive_threshold_bps: 4, adaptive_bars: 3, trailing_stop_bps: 2}
  max_bars: 5
execution: {max_open_trades: 2}
risk: {max_open_trades: 1, max_open_trades_per_side: 1, cooldown_bars_after_entry: 1, cooldown_bars_after_exit: 1}
replay: {fill: next_open, follow_bars: 10, close_open_trades_at_end: true, eof_close_reason: END, eof_price_source: side}
costs: {commission_bps: 1, commission_per_trade_bps: 1, swap_long_bps_per_night: 1, swap_short_bps_per_night: 1, rollover_hour_utc: 1, triple_swap_weekday: monday, slippage_bps: 1}
`

// keyPaths are the paths of all keys of a map and of what is in it.
func keyPaths(n *node, path string) []string {
	var out []string
	for _, p := range n.pairs {
		at := join(path, p.key.text)
		out = append(out, at)
		out = append(out, keyPaths(p.val, at)...)
	}
	return out
}

// renamed is ownedPolicy with another name for the key at path.
func renamed(t *testing.T, path, to string) string {
	t.Helper()
	var errs Errors
	root := parseTree("p.yaml", []byte(ownedPolicy), &errs)
	n := root
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		n = n.get(step)
	}
	for i := range n.pairs {
		if p := &n.pairs[i]; p.key.text == steps[len(steps)-1] {
			p.key = &node{tag: "!!str", text: to}
			return string(root.content())
		}
	}
	t.Fatalf("no key %s", path)
	return ""
}

// Every key of every section, misspelt, is an error that names it; so a new one
// is tried by itself once ownedPolicy has it, and TestOwnedPolicyIsWhole sees
// that it has.
func TestMisspeltKeys(t *testing.T) {
	var errs Errors
	paths := keyPaths(parseTree("p.yaml", []byte(ownedPolicy), &errs), "")
	if len(errs) > 0 || len(paths) < 50 {
		t.Fatalf("%v, %d keys", errs, len(paths))
	}
	if _, err := Parse("p.yaml", []byte(ownedPolicy), Options{RefuseMistakes: true, Strict: true, NeedModel: true}); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"sessions.ALL": true, "model.long.weights.roc20": true, "model.short.weights.roc20": true} // a user's
	for _, path := range paths {
		if names[path] {
			continue
		}
		key := path[strings.LastIndex(path, ".")+1:]
		for _, wrong := range []string{key + key[len(key)-1:], key[:1] + key[2:], key[:len(key)-2] + key[len(key)-1:] + key[len(key)-2:len(key)-1]} {
			if wrong == key {
				continue
			}
			doc := renamed(t, path, wrong)
			at := path[:len(path)-len(key)] + wrong
			want := fmt.Sprintf("%s: is an unknown key (want %s, the nearest one; --lenient ignores unknown keys)", at, key)
			if _, err := Parse("p.yaml", []byte(doc), Options{RefuseMistakes: true}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\n(want %s)", at, err, want)
			}
			p, err := Parse("p.yaml", []byte(doc), Options{})
			if err == nil && fmt.Sprint(p.UnknownKeys) != "["+at+"]" {
				t.Errorf("%s, lenient: unknown keys %q", at, p.UnknownKeys)
			}
			if err != nil && strings.Contains(err.Error(), "unknown key") {
				t.Errorf("%s, lenient: %v", at, err)
			}
		}
	}
}

// TestOwnedPolicyIsWhole: ownedPolicy has every key that its sections read.
func TestOwnedPolicyIsWhole(t *testing.T) {
	p := parse(t, ownedPolicy, Options{NeedModel: true})
	b, err := p.Values(false)
	if err != nil {
		t.Fatal(err)
	}
	var errs Errors
	have := keyPaths(parseTree("p.yaml", []byte(ownedPolicy), &errs), "")
	for _, path := range keyPaths(parseTree("values", b, &errs), "") {
		if !strings.Contains("\n"+strings.Join(have, "\n")+"\n", "\n"+path+"\n") {
			t.Errorf("policy.values has %s, and ownedPolicy does not", path)
		}
	}
	if len(errs) > 0 {
		t.Fatal(errs)
	}
}

func TestUnknownKeys(t *testing.T) {
	const far = "quasar_policy_of_another_program"
	for _, c := range []struct{ doc, want string }{
		{"exit: {target_bp: 5}", "p.yaml:1:8: exit.target_bp: is an unknown key (want target_bps, the nearest one; --lenient ignores unknown keys)"},
		{"exitt: {stop_bps: 5}", "p.yaml:1:1: exitt: is an unknown key (want exit, the nearest one; --lenient ignores unknown keys)"},
		{"replay_config: {replay_pregates: {enabled: true}}", "p.yaml:1:17: replay_config.replay_pregates: is an unknown key (want replay_pregate, the nearest one; --lenient ignores unknown keys)"},
		{"execution: {max_open_trade: 3}", "p.yaml:1:13: execution.max_open_trade: is an unknown key (want max_open_trades, the nearest one; --lenient ignores unknown keys)"},
		{"exit_config: {exit: {max_bars: 5, stop_bp: 2}}", "p.yaml:1:35: exit_config.exit.stop_bp: is an unknown key (want stop_bps, the nearest one; --lenient ignores unknown keys)"},
		{"exit_config: {break_even: {activate_bps: 5, " + far + ": 2}}", "p.yaml:1:45: exit_config.break_even." + far + ": is an unknown key (want activate_bps, offset_bps; --lenient ignores unknown keys)"},
		{"risk: {5: 2}", "p.yaml:1:8: risk.5: is an unknown key (want cooldown_bars_after_entry, cooldown_bars_after_exit, max_open_trades, max_open_trades_per_side; --lenient ignores unknown keys)"},
		{"exit: {break_even: {offset_bps: 1}}", "p.yaml:1:20: exit.break_even.activate_bps: is missing (want a number > 0 and < 10000)"},
		{"model: {kind: forest, path: m, long: {bias: 1}}", `p.yaml:1:15: model.kind: "forest" is not a kind of model (want logistic, xgboost, lightgbm)` + "\n" + "p.yaml:1:8: model.kind: is missing"},
		// other programs'
		{far + ": 1\nexecution: {" + far + ": 1}\nreplay_config: {" + far + ": 1}\nexit_config: {" + far + ": 1, exit: {type: x, max_bars: 5}}", ""},
		{"replay_config: {replay_pregate: {warmup_ready_required: true}}\nentry: {stage0: x}\nreplay: {dump_journal: true}", ""},
		{"ex: {a: 1}\nzz: 1\nrule: 2\nnote: 3", ""},
	} {
		_, err := Parse("p.yaml", []byte(c.doc), Options{RefuseMistakes: true})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if strings.HasPrefix(c.doc, "model") { // of one position; their order is not the point
			if strings.Contains(got, "unknown key") || !strings.Contains(got, "model.kind") {
				t.Errorf("%s: %s", c.doc, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.doc, got, c.want)
		}
		if _, err := Parse("p.yaml", []byte(c.doc), Options{}); err != nil && strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s, lenient: %v", c.doc, err)
		}
	}
	load(t, filepath.Join("testdata", "original", "sniper_v3.yaml"), Options{RefuseMistakes: true})
}

// A decimal comma inside braces is an error, also where keys may be anything.
func TestDecimalCommas(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{"exit: {stop_bps: 2,5}", "p.yaml:1:18: exit.stop_bps: 2,5 has a decimal comma, which begins a new key inside braces (want 2.5)"},
		{"exit: {stop_bps: 2, 5, max_bars: 3}", "p.yaml:1:18: exit.stop_bps: 2,5 has a decimal comma, which begins a new key inside braces (want 2.5)"},
		{"exit: {max_bars: 3, stop_bps: 2,05}", "p.yaml:1:31: exit.stop_bps: 2,05 has a decimal comma, which begins a new key inside braces (want 2.05)"},
		{"entry: {p_side_min: 0,55}", "p.yaml:1:21: entry.p_side_min: 0,55 has a decimal comma, which begins a new key inside braces (want 0.55)"},
		{"model: {kind: logistic, long: {bias: -1,5, weights: {roc20: 1,5}}, short: {bias: -50}}",
			"p.yaml:1:38: model.long.bias: -1,5 has a decimal comma, which begins a new key inside braces (want -1.5)\n" +
				"p.yaml:1:61: model.long.weights.roc20: 1,5 has a decimal comma, which begins a new key inside braces (want 1.5)"},
		{"exit: {stop_bps: 2,5, target_bps: 3,5}",
			"p.yaml:1:18: exit.stop_bps: 2,5 has a decimal comma, which begins a new key inside braces (want 2.5)\n" +
				"p.yaml:1:35: exit.target_bps: 3,5 has a decimal comma, which begins a new key inside braces (want 3.5)"},
		{"note: {a: 1.234,5}", "p.yaml:1:11: note.a: 1.234,5 has a decimal comma, which begins a new key inside braces (want a decimal point)"},
		{"note: {a: 1,000,5}", "p.yaml:1:11: note.a: 1,000 has a decimal comma, which begins a new key inside braces (want 1.000)"},
		{"note: [{a: -2,5e-3}]", "p.yaml:1:12: note[0].a: -2,5e-3 has a decimal comma, which begins a new key inside braces (want -2.5e-3)"},
		{"note: {1, 2, 3}\nb: {a: 1, b}\nc: {a: x, 5}\nd: {a: 2, 5: 1}\ne: {a: 2, '5'}\nf: [2,5]\nsessions: {A: [0,8], B: [8,0]}", ""},
		{"note:\n  a: 2\n  5:\n", ""},
	} {
		for _, opt := range []Options{{}, {RefuseMistakes: true}} {
			_, err := Parse("p.yaml", []byte(c.doc), opt)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s:\ngot  %s\nwant %s", c.doc, got, c.want)
			}
		}
	}
}
