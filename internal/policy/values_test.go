package policy

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// checkValues holds that the values of p are read back as a policy that replays
// like p, and that a policy without unknown keys even has the same digest.
func checkValues(t *testing.T, p Policy, gateOnly bool) {
	t.Helper()
	b, err := p.Values(gateOnly)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(p.Name, b, Options{GateOnly: gateOnly})
	if err != nil {
		t.Fatalf("reading the values back: %v\n%s", err, b)
	}
	if gateOnly {
		p.Pregate.EnabledSource = SourceYAML
		if again.Name != p.Name || !reflect.DeepEqual(again.Pregate, p.Pregate) {
			t.Errorf("name %q and gate %+v, want %q and %+v\n%s", again.Name, again.Pregate, p.Name, p.Pregate, b)
		}
		return
	}
	if len(p.UnknownKeys) == 0 && again.SHA256WithoutGate != p.SHA256WithoutGate && !hasHarmless(p) {
		t.Errorf("sha256_without_gate %s, want %s\n%s", again.SHA256WithoutGate, p.SHA256WithoutGate, b)
	}
	rest := p
	rest.UnknownKeys, rest.MissingIncludes, rest.ModelFiles, rest.Files = again.UnknownKeys, again.MissingIncludes, again.ModelFiles, again.Files
	rest.SHA256, rest.SHA256WithoutGate, rest.Content = again.SHA256, again.SHA256WithoutGate, again.Content
	rest.Pregate.EnabledSource = again.Pregate.EnabledSource
	if !reflect.DeepEqual(again, rest) {
		t.Errorf("got  %+v\nwant %+v\n%s", again, rest, b)
	}
	if len(again.UnknownKeys) > 0 {
		t.Errorf("keys %v are unknown\n%s", again.UnknownKeys, b)
	}
	more, err := again.Values(false)
	if err != nil || !bytes.Equal(more, b) {
		t.Errorf("written again they are %s (%v), want %s", more, err, b)
	}
}

// hasHarmless: keys that change nothing and are in no list count in the digest
// all the same.
func hasHarmless(p Policy) bool {
	again, err := Parse(p.Name, p.Content, Options{})
	if err != nil || len(again.MissingIncludes) > 0 {
		return true
	}
	return bytes.Contains(p.Content, []byte("exit_config")) || bytes.Contains(p.Content, []byte("entry_config"))
}

func TestValuesAreReadBack(t *testing.T) {
	docs := map[string]string{
		"full": full, "empty": "{}",
		"odd":      "policy_name: \"<a> & ü\"\nmodel: {kind: xgboost, path: \"a\\u2028\\x7f\\x85\\uFEFF\\\"b\"}\nwarmup_bars: 7\nsessions: {A: 0-12, B: 12-24}\nentry: {sessions: [B], max_gap: 300us}\n",
		"numbers":  "model: {kind: logistic, long: {bias: 1e-9, weights: {roc20: 1e22}}, short: {bias: -0.1}}\nexit: {stop_bps: 0.000001, rule_a: true}\n",
		"cooldown": "risk: {cooldown_bars_after_entry: 0, cooldown_bars_after_exit: -1, max_open_trades_per_side: -1}\n",
	}
	for name, doc := range docs {
		t.Run(name, func(t *testing.T) {
			for _, gateOnly := range []bool{false, true} {
				checkValues(t, parse(t, doc, Options{GateOnly: gateOnly}), gateOnly)
			}
		})
	}
	for _, pattern := range []string{examples + "/*.yaml", "testdata/*.yaml", "testdata/original/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			for _, gateOnly := range []bool{false, true} {
				if p, err := Load(file, Options{GateOnly: gateOnly}); err == nil {
					t.Run(filepath.Base(file), func(t *testing.T) { checkValues(t, p, gateOnly) })
				}
			}
		}
	}
}

// The switch of the gate is the one in effect, defaults are filled in, nothing
// is null.
func TestValuesAreEffective(t *testing.T) {
	off := false
	p := parse(t, "replay_config: {replay_pregate: {enabled: true, max_spread_bps: 3}}\nexecution: {max_open_trades: 4}\nnobody_reads: 1\n", Options{PregateFlag: &off})
	b, err := p.Values(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"replay_pregate":{"enabled":false,"allow_sessions":[],"max_spread_bps":3}`, `"max_open_trades":4`,
		`"follow_bars":5760`, `"p_side_min":{"long":0.5,"short":0.5}`, `"eof_close_reason":"REPLAY_EOF"`, `"US":[16,22]`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	for _, not := range []string{"null", "nobody_reads"} {
		if strings.Contains(string(b), not) {
			t.Errorf("%s in %s", not, b)
		}
	}
	gate, err := p.Values(true)
	if err != nil || !json.Valid(gate) || strings.Contains(string(gate), "follow_bars") {
		t.Errorf("of a command: %s, %v", gate, err)
	}
}
