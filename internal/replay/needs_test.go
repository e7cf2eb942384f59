package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

func inspect(t *testing.T, p policy.Policy) (Needs, []string) {
	t.Helper()
	n, found, err := Inspect(p)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, f := range found {
		texts = append(texts, fmt.Sprintf("%s: %s", f.Level, f.Text))
	}
	return n, texts
}

// At M5 the needs are what features declare; elsewhere those of H1 and H4
// trends are as many H1 and H4 bars.
func TestNeedsByTimeframe(t *testing.T) {
	p := everyFeature(1).Policy
	for timeframe, h1 := range map[string]int64{"M5": 78 * 12, "m1": 78 * 60, "H1": 78, "H4": 78, "M15": 78 * 4} {
		p.Timeframe = timeframe
		n, _ := inspect(t, p)
		if n.TimeframeAssumed {
			t.Errorf("%s is unknown", timeframe)
		}
		for i, info := range feature.Known() {
			got := n.Features[i]
			switch {
			case info.Name == "h1_trend":
				if got.Warmup != h1 || got.Lookback != h1*260/78 {
					t.Errorf("%s: %+v (want a warm-up of %d, a look-back of %d)", timeframe, got, h1, h1*260/78)
				}
			case info.Name == "h4_trend" && timeframe != "M5":
			case got.Name != info.Name || got.Warmup != info.Warmup || got.Lookback != info.Lookback || got.Recursive != info.Recursive || got.Unit != info.Unit:
				t.Errorf("%s: %+v (want %+v)", timeframe, got, info)
			}
		}
	}
	p.Timeframe = "M5"
	n, _ := inspect(t, p)
	if n.WarmupBars != 78*48 || n.WarmupBy != "h4_trend" || n.WarmupDays != 13 || n.LookbackBars != 260*48 {
		t.Errorf("%+v (want 3744 bars, 13 days, for h4_trend, and 12480 of look-back)", n)
	}
	p.WarmupBars = 5000
	if n, _ = inspect(t, p); n.WarmupBars != 5000 || n.WarmupBy != "warmup_bars" {
		t.Errorf("%+v", n)
	}
	p.Features, p.WarmupBars = []string{"body_pct"}, 0
	if n, _ = inspect(t, p); n.WarmupBars != 0 || n.WarmupBy != "" || n.LookbackBars != 14 {
		t.Errorf("%+v (want no warm-up, and 14 bars of look-back for the gate)", n)
	}
}

func TestTimeframe(t *testing.T) {
	for text, want := range map[string]time.Duration{"M5": 5 * time.Minute, "h4": 4 * time.Hour, "D1": 24 * time.Hour, "W1": 168 * time.Hour, "M30": 30 * time.Minute} {
		if got, ok := timeframe(text); got != want || !ok {
			t.Errorf("%s: %v, %v (want %v)", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "5", "M", "M0", "MN1", "M5 ", "M99999", "5m"} {
		if got, ok := timeframe(text); got != 5*time.Minute || ok {
			t.Errorf("%q: %v, %v (want M5, assumed)", text, got, ok)
		}
	}
}

func TestUnknownFeatures(t *testing.T) {
	p := testPolicy()
	p.Features = []string{"roc21", "body_pct", "zap"}
	_, _, err := Inspect(p)
	if err == nil || !strings.Contains(err.Error(), `"roc21" is unknown`) || !strings.Contains(err.Error(), `"zap" is unknown`) {
		t.Errorf("%v (want both)", err)
	}
	p.Features = []string{"body_pct", "body_pct"}
	if _, _, err = Inspect(p); err == nil || !strings.Contains(err.Error(), "appears twice") {
		t.Errorf("%v", err)
	}
}

func TestFindingsOfExits(t *testing.T) {
	rule := &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}
	for name, c := range map[string]struct {
		exit policy.Exit
		want string // begins the only finding; empty: none
	}{
		"none":                {policy.Exit{}, "exit has no rule: every trade is held to the data's end"},
		"RULE A":              {policy.Exit{RuleA: rule}, "exit.rule_a has no stop: a loser, or a trade whose closes jump past 6 to 9 bps, is held to the data's end"},
		"RULE A, target":      {policy.Exit{RuleA: rule, TargetBps: ptr(20)}, "exit.rule_a has no stop: a loser is held to the data's end"},
		"RULE A, stop":        {policy.Exit{RuleA: rule, StopBps: ptr(20)}, "exit.rule_a has no upper bound: a trade whose closes jump past 6 to 9 bps and that stays above its stop is held"},
		"stop":                {policy.Exit{StopBps: ptr(20)}, "exit bounds losses alone"},
		"target":              {policy.Exit{TargetBps: ptr(20)}, "exit has no stop: a trade that never gains enough is held"},
		"break-even":          {policy.Exit{BreakEven: &policy.BreakEven{ActivateBps: 5}}, "exit has no stop"},
		"trailing, activated": {policy.Exit{Trailing: &policy.Trailing{ActivateBps: 5, DistanceBps: 5}}, "exit has no stop"},
		"trailing":            {policy.Exit{Trailing: &policy.Trailing{DistanceBps: 5}}, "exit has no max_bars: a trade whose price reaches no level is held"},
		"stop and target":     {policy.Exit{StopBps: ptr(20), TargetBps: ptr(20)}, "exit has no max_bars"},
		"max_bars":            {policy.Exit{MaxBars: 96}, ""},
		"RULE A, max_bars":    {policy.Exit{RuleA: rule, MaxBars: 96}, ""},
		"long":                {policy.Exit{MaxBars: 6000}, "exit.max_bars 6000 is above replay.follow_bars 5760"},
	} {
		p := testPolicy()
		p.Exit = c.exit
		got := exitFindings(p)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Level != LevelWarning || c.want == "" || !strings.HasPrefix(got[0].Text, c.want) {
			t.Errorf("%s: %v (want %q)", name, got, c.want)
		}
	}
	p := testPolicy()
	p.Exit = policy.Exit{}
	p.Replay.CloseOpenTradesAtEnd = false
	if got := exitFindings(p); len(got) != 1 || !strings.Contains(got[0].Text, "beyond the data's end") {
		t.Errorf("%v", got)
	}
}

// Each rule says whom it ends, with its numbers.
func TestExitRules(t *testing.T) {
	p := testPolicy()
	p.Exit.Trailing.WithinBars = 4
	p.Exit.RuleA = &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}
	n, _ := inspect(t, p)
	var got []string
	for _, r := range n.Exits {
		got = append(got, r.Rule+": "+r.Ends)
	}
	want := []string{
		"stop_bps: a trade that loses 12 bps",
		"target_bps: a trade that gains 15 bps",
		"break_even: a trade that gained 6 bps and falls back to 1",
		"trailing: a trade that gained 9 bps in its first 4 bars and falls 5 bps behind its best",
		"rule_a: a trade with a close between 6 and 9 bps; one with a close of 4 bps or more in its first 3 bars instead when a close is 2 bps behind its best",
		"max_bars: every trade, at its bar 12",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || !n.BoundedExits {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func TestFindingsOfGateAndModel(t *testing.T) {
	p := testPolicy()
	p.Timeframe = "M5"
	_, found := inspect(t, p)
	if len(found) != 1 || found[0] != "warning: features that are computed and have no weight: atr_bps, session_id, std50" {
		t.Errorf("%q", found)
	}
	p.Features = []string{"body_pct", "roc20", "range_pos"}
	p.Timeframe = "fast"
	p.Entry.Sessions = []string{"ASIA"}
	p.Exit = policy.Exit{}
	_, found = inspect(t, p)
	if len(found) != 3 || !strings.HasPrefix(found[1], "warning: no market session is in allow_sessions and in entry.sessions") || !strings.HasPrefix(found[2], `warning: timeframe "fast" names no bar length`) {
		t.Errorf("%q", found)
	}
	p = testPolicy()
	p.Model = &policy.Model{Kind: policy.KindXGBoost, Paths: map[string]string{"EU": "a", "US": "b"}}
	if got := modelFindings(p); len(got) != 1 || got[0].Text != "market sessions without a model, so without signals: OVERLAP, ASIA" {
		t.Errorf("%v", got)
	}
	p.Model.Path = "all"
	if got := modelFindings(p); len(got) != 0 {
		t.Errorf("%v", got)
	}
	p.Pregate = policy.Pregate{Enabled: true}
	if got := gateFindings(p); len(got) != 1 || !strings.HasPrefix(got[0].Text, "the gate is on and has no limit") {
		t.Errorf("%v", got)
	}
	p.Pregate.Enabled = false
	if got := gateFindings(p); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
