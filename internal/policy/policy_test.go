package policy

import (
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func lines(s string) iter.Seq[string] {
	return strings.SplitSeq(strings.TrimRight(s, "\n"), "\n")
}

// checkRoundTrip is the law of Content: it parses to the same Policy.
func checkRoundTrip(t *testing.T, p Policy, opt Options) {
	t.Helper()
	p.Files = nil // a document that stands alone has none
	again, err := Parse("elsewhere.yaml", p.Content, opt)
	if err != nil {
		t.Fatalf("content does not parse: %v\n%s", err, p.Content)
	}
	if !reflect.DeepEqual(again, p) {
		t.Fatalf("content parses to another policy:\n got %+v\nwant %+v\n%s", again, p, p.Content)
	}
	opt.PregateEnv, opt.PregateFlag = nil, nil
	worker, err := Parse("worker.yaml", p.Content, opt)
	if err != nil {
		t.Fatalf("content does not parse without overrides: %v", err)
	}
	p.Pregate.EnabledSource = SourceYAML
	if !reflect.DeepEqual(worker, p) {
		t.Fatalf("without overrides the content parses to another policy:\n got %+v\nwant %+v", worker, p)
	}
}

func TestDefaults(t *testing.T) {
	p, err := Parse("dir/some_policy.yaml", []byte("{}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{
		Name:    "some_policy",
		Pregate: Pregate{EnabledSource: SourceYAML},
		Sessions: []MarketSession{
			{"EU", 7, 12}, {"OVERLAP", 12, 16}, {"US", 16, 22}, {"ASIA", 22, 7},
		},
		Entry: Entry{PSideMin: Sides{0.5, 0.5}},
		Risk:  Risk{MaxOpenTrades: 1},
		Replay: Replay{Fill: FillNextOpen, FollowBars: 5760, CloseOpenTradesAtEnd: true,
			EOFCloseReason: "REPLAY_EOF", EOFPriceSource: "side"},
		SHA256: p.SHA256, SHA256WithoutGate: p.SHA256WithoutGate, Content: p.Content,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
	checkRoundTrip(t, p, Options{})
}

const full = `
policy_name: All keys
version: 2.10
instrument: XAUUSD
timeframe: H1
warmup_bars: 1_000
sessions: {NIGHT: "20-4", DAY: [04, 20]}
features: [roc20, atr_bps]
replay_config:
  replay_pregate: {enabled: on, allow_sessions: [NIGHT], max_spread_bps: 2.5, min_atr_bps: 0, max_atr_bps: 1e2}
model:
  kind: logistic
  long: {bias: -3, weights: {atr_bps: .5, roc20: +3}}
  short: {bias: 1}
  latency: 300us
entry: {p_side_min: 0.6, margin_min: {short: 0.2}, sessions: [DAY, NIGHT], max_gap: 2h}
exit:
  stop_bps: 20
  target_bps: 30
  break_even: {activate_bps: 10, offset_bps: -1}
  trailing: {activate_bps: 12, distance_bps: 6, within_bars: 5}
  rule_a: {adaptive_bars: 4}
  max_bars: 48
risk: {max_open_trades: 2, max_open_trades_per_side: 1, cooldown_bars_after_entry: 0, cooldown_bars_after_exit: -1}
execution: {max_open_trades: 7}
replay: {fill: signal_close, follow_bars: 10, close_open_trades_at_end: no, eof_close_reason: END, eof_price_source: bid}
`

func TestEveryKey(t *testing.T) {
	p := parse(t, full, Options{NeedModel: true, Strict: true})
	want := Policy{
		Name: "All keys", Version: "2.10", Instrument: "XAUUSD", Timeframe: "H1", WarmupBars: 1000,
		Pregate: Pregate{Enabled: true, EnabledSource: SourceYAML, AllowSessions: []string{"NIGHT"},
			MaxSpreadBps: new(2.5), MinATRBps: new(0.0), MaxATRBps: new(100.0)},
		Sessions: []MarketSession{{"DAY", 4, 20}, {"NIGHT", 20, 4}},
		Features: []string{"roc20", "atr_bps"},
		Model: &Model{Kind: KindLogistic, Latency: 300 * time.Microsecond,
			Long:  Logistic{Bias: -3, Weights: map[string]float64{"atr_bps": 0.5, "roc20": 3}},
			Short: Logistic{Bias: 1, Weights: map[string]float64{}}},
		Entry: Entry{PSideMin: Sides{0.6, 0.6}, MarginMin: Sides{0, 0.2},
			Sessions: []string{"DAY", "NIGHT"}, MaxGap: 2 * time.Hour},
		Exit: Exit{StopBps: new(20.0), TargetBps: new(30.0), BreakEven: &BreakEven{10, -1},
			Trailing: &Trailing{12, 6, 5}, RuleA: &RuleA{6, 9, 4, 4, 2}, MaxBars: 48},
		Risk: Risk{MaxOpenTrades: 2, MaxOpenTradesPerSide: 1, CooldownAfterEntryIsSet: true},
		Replay: Replay{Fill: FillSignalClose, FollowBars: 10, EOFCloseReason: "END",
			EOFPriceSource: "bid"},
		SHA256: p.SHA256, SHA256WithoutGate: p.SHA256WithoutGate, Content: p.Content,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
	checkRoundTrip(t, p, Options{NeedModel: true, Strict: true})
}

func TestSmallForms(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		got       func(Policy) any
		want      any
	}{
		{"name from version", "version: 1.0", func(p Policy) any { return p.Name }, "1.0"},
		{"null is absent", "policy_name: ~\nversion:\nwarmup_bars: null", func(p Policy) any { return p.Name }, "p"},
		{"features from weights, sorted", "model: {kind: logistic, long: {weights: {b: 1, a: 2}}, short: {weights: {c: 1}}}",
			func(p Policy) any { return p.Features }, []string{"a", "b", "c"}},
		{"execution's limit", "execution: {max_open_trades: 4}", func(p Policy) any { return p.Risk.MaxOpenTrades }, 4},
		{"risk's limit wins", "execution: {max_open_trades: 4}\nrisk: {max_open_trades: 5}", func(p Policy) any { return p.Risk.MaxOpenTrades }, 5},
		{"no limit a side", "risk: {max_open_trades_per_side: -1}", func(p Policy) any { return p.Risk.MaxOpenTradesPerSide }, 0},
		{"one session for the day", "sessions: {ALL: 00-24}", func(p Policy) any { return p.Sessions }, []MarketSession{{"ALL", 0, 24}}},
		{"midnight is 24", "sessions: {A: 0-8, B: [08, 0]}", func(p Policy) any { return p.Sessions }, []MarketSession{{"A", 0, 8}, {"B", 8, 24}}},
		{"rule_a by true", "exit: {rule_a: true}", func(p Policy) any { return p.Exit.RuleA }, &RuleA{6, 9, 4, 3, 2}},
		{"rule_a by a map", "exit: {rule_a: {}}", func(p Policy) any { return p.Exit.RuleA }, &RuleA{6, 9, 4, 3, 2}},
		{"rule_a by false", "exit: {rule_a: false}", func(p Policy) any { return p.Exit.RuleA }, (*RuleA)(nil)},
		{"exit rules in exit_config", "exit_config: {stop_bps: 5}", func(p Policy) any { return *p.Exit.StopBps }, 5.0},
		{"exit rules in exit_config.exit", "exit_config: {exit: {max_bars: 5}}", func(p Policy) any { return p.Exit.MaxBars }, int64(5)},
		{"exit wins over exit_config", "exit: {max_bars: 6}\nexit_config: {max_bars: 5, stop_bps: 1}", func(p Policy) any { return p.Exit }, Exit{MaxBars: 6}},
		{"anchors and merge keys", "x: &x {stop_bps: 5, max_bars: 7}\nexit: {<<: [*x, {max_bars: 8, target_bps: 9}], stop_bps: 6}",
			func(p Policy) any { return []any{*p.Exit.StopBps, *p.Exit.TargetBps, p.Exit.MaxBars} }, []any{6.0, 9.0, int64(7)}},
		{"model files", "model: {kind: xgboost, path: all.json, paths: {US: us.json}, eu_model_path: eu.json}",
			func(p Policy) any { return []any{p.Model.Path, p.Model.Paths} },
			[]any{"all.json", map[string]string{"US": "us.json", "EU": "eu.json"}}},
		{"a refused key that is off", "exit: {close_on_opposite: false}\nrisk: {martingale: 0}\nnetting: none", func(p Policy) any { return p.UnknownKeys }, []string(nil)},
		{"unknown keys", "zz: 1\nreplay_pregate: {enabled: true}\nexit: {a.b: 1, q: {r: 2}}\nrule: [1]\n",
			func(p Policy) any { return p.UnknownKeys }, []string{`exit."a.b"`, "exit.q", "replay_pregate", "rule", "zz"}},
		{"the gate from nowhere else", "replay_pregate: {enabled: true}\npregate: {enabled: true}", func(p Policy) any { return p.Pregate.Enabled }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, c.doc, Options{})
			if got := c.got(p); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			checkRoundTrip(t, p, Options{})
		})
	}
}

func TestPregateOverrides(t *testing.T) {
	for _, c := range []struct {
		yaml       string
		env        string // `-`: not set
		flag       *bool
		want       bool
		wantSource Source
	}{
		{"", "-", nil, false, SourceYAML},
		{"true", "-", nil, true, SourceYAML},
		{"true", "0", nil, false, SourceEnv},
		{"false", "1", nil, true, SourceEnv},
		{"", "TRUE", nil, true, SourceEnv},
		{"true", "False", nil, false, SourceEnv},
		{"true", "true", new(false), false, SourceFlag},
		{"false", "0", new(true), true, SourceFlag},
		{"true", "nonsense", new(true), true, SourceFlag},
	} {
		opt := Options{PregateFlag: c.flag}
		if c.env != "-" {
			opt.PregateEnv = &c.env
		}
		doc := "{}"
		if c.yaml != "" {
			doc = "replay_config: {replay_pregate: {enabled: " + c.yaml + "}}"
		}
		p := parse(t, doc, opt)
		if p.Pregate.Enabled != c.want || p.Pregate.EnabledSource != c.wantSource {
			t.Errorf("%+v: enabled %t from %s", c, p.Pregate.Enabled, p.Pregate.EnabledSource)
		}
		checkRoundTrip(t, p, opt)
	}
}

func TestOriginalLikePolicy(t *testing.T) {
	p := load(t, filepath.Join("testdata", "original", "sniper_v3.yaml"), Options{})
	if p.Name != "SNIPER_V3" || p.Instrument != "XAU_USD" || p.WarmupBars != 288 || p.Risk.MaxOpenTrades != 3 {
		t.Errorf("the policy's own keys do not win: %+v", p)
	}
	if !p.Pregate.Enabled || *p.Pregate.MaxSpreadBps != 2.5 || p.Replay.EOFPriceSource != "mid" {
		t.Errorf("gate %+v, replay %+v", p.Pregate, p.Replay)
	}
	if want := (Sides{0.62, 0.64}); p.Entry.PSideMin != want {
		t.Errorf("entry from the include: %+v", p.Entry)
	}
	if want := (&RuleA{6, 10, 4, 3, 2}); !reflect.DeepEqual(p.Exit.RuleA, want) || p.Exit.MaxBars != 288 {
		t.Errorf("exit from the include: %+v", p.Exit)
	}
	want := []string{"entry.stage0", "entry_models", "execution.broker", "exit_config.diagnostics", "exit_config.exit.type",
		"logging", "replay.dump_journal", "replay_config.chunking", "replay_config.replay_pregate.warmup_ready_required",
		"xgb_entry", "xgb_entry_us"}
	if !slices.Equal(p.UnknownKeys, want) {
		t.Errorf("unknown keys %q\nwant %q", p.UnknownKeys, want)
	}
	checkRoundTrip(t, p, Options{})

	golden := filepath.Join("testdata", "original", "sniper_v3.content.golden")
	checkGolden(t, golden, string(p.Content))
}

// checkGolden compares got with a file; GX1R_UPDATE_GOLDEN=1 writes it.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("GX1R_UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(readFile(t, file)); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}
