package policy

import (
	"fmt"
	"slices"
)

// Exit says how a trade ends. Nil rules do not apply. exitRules says what is
// read of each; package trade follows them.
type Exit struct {
	StopBps   *float64   `json:"stop_bps,omitempty"`
	TargetBps *float64   `json:"target_bps,omitempty"`
	BreakEven *BreakEven `json:"break_even,omitempty" digest:"break_even"`
	Trailing  *Trailing  `json:"trailing,omitempty" digest:"trailing"`
	RuleA     *RuleA     `json:"rule_a,omitempty" digest:"rule_a"`
	MaxBars   int64      `json:"max_bars"` // 0: no limit
}

// BreakEven moves the stop to entry plus OffsetBps once the trade was
// ActivateBps in favour.
type BreakEven struct {
	ActivateBps float64 `json:"activate_bps"`
	OffsetBps   float64 `json:"offset_bps"`
}

// Trailing keeps the stop DistanceBps behind the best price once the trade
// was ActivateBps in favour within the first WithinBars bars (0: any time).
type Trailing struct {
	ActivateBps float64 `json:"activate_bps"`
	DistanceBps float64 `json:"distance_bps"`
	WithinBars  int64   `json:"within_bars"`
}

// RuleA is the original's exit on small profits.
type RuleA struct {
	ProfitMinBps         float64 `json:"profit_min_bps"`
	ProfitMaxBps         float64 `json:"profit_max_bps"`
	AdaptiveThresholdBps float64 `json:"adaptive_threshold_bps"`
	AdaptiveBars         int64   `json:"adaptive_bars"`
	TrailingStopBps      float64 `json:"trailing_stop_bps"`
}

// exitRule is one rule of an exit block.
type exitRule struct {
	key  string
	read func(s *section, x *Exit)
	// ends says which trades the rule ends; empty: the policy does not have it.
	ends func(x *Exit) string
}

// exitRules are the rules that a policy can have. In an exit_config their keys
// tell our rules from the original's, which have other names.
func exitRules() []exitRule {
	return []exitRule{
		{
			"stop_bps", func(s *section, x *Exit) { x.StopBps = s.number("stop_bps", distance) },
			func(x *Exit) string { return endsAt(x.StopBps, "a trade that loses %g bps") },
		},
		{
			"target_bps", func(s *section, x *Exit) { x.TargetBps = s.number("target_bps", distance) },
			func(x *Exit) string { return endsAt(x.TargetBps, "a trade that gains %g bps") },
		},
		{"break_even", func(s *section, x *Exit) { x.BreakEven = s.breakEven() }, (*Exit).breakEvenEnds},
		{"trailing", func(s *section, x *Exit) { x.Trailing = s.trailing() }, (*Exit).trailingEnds},
		{"rule_a", func(s *section, x *Exit) { x.RuleA = s.ruleA() }, (*Exit).ruleAEnds},
		{
			"max_bars", func(s *section, x *Exit) { x.MaxBars = s.bars("max_bars", 0) },
			func(x *Exit) string {
				if x.MaxBars <= 0 {
					return ""
				}
				return fmt.Sprintf("every trade, at its bar %d", x.MaxBars)
			},
		},
	}
}

func endsAt(bps *float64, form string) string {
	if bps == nil {
		return ""
	}
	return fmt.Sprintf(form, *bps)
}

// ExitRule says of one rule which trades it ends.
type ExitRule struct {
	Rule string `json:"rule"`
	Ends string `json:"ends"`
}

// Rules are the rules that x has.
func (x Exit) Rules() []ExitRule {
	rules := []ExitRule{}
	for _, r := range exitRules() {
		if ends := r.ends(&x); ends != "" {
			rules = append(rules, ExitRule{r.key, ends})
		}
	}
	return rules
}

// Unbounded says which trades x may hold for ever, which is then held; empty:
// none.
func (x Exit) Unbounded(held string) string {
	// A trailing stop without an activation acts from the first bar on.
	stopped := x.StopBps != nil || x.Trailing != nil && x.Trailing.ActivateBps <= 0
	switch {
	case x.MaxBars > 0:
		return ""
	case len(x.Rules()) == 0:
		return fmt.Sprintf("exit has no rule: every trade is held %s (max_bars bounds it)", held)
	case stopped && (x.TargetBps != nil || x.Trailing != nil):
		return fmt.Sprintf("exit has no max_bars: a trade whose price reaches no level is held %s", held)
	case stopped && x.RuleA != nil:
		return fmt.Sprintf("exit.rule_a has no upper bound: a trade whose closes jump past %g to %g bps and that stays above its stop is held %s (max_bars, target_bps or trailing bounds it)",
			x.RuleA.ProfitMinBps, x.RuleA.ProfitMaxBps, held)
	case stopped:
		return fmt.Sprintf("exit bounds losses alone: a trade that stays above its stop is held %s (max_bars, target_bps or trailing bounds it)", held)
	case x.RuleA != nil && x.TargetBps == nil:
		return fmt.Sprintf("exit.rule_a has no stop: a loser, or a trade whose closes jump past %g to %g bps, is held %s (stop_bps bounds its loss, max_bars its time)",
			x.RuleA.ProfitMinBps, x.RuleA.ProfitMaxBps, held)
	case x.RuleA != nil:
		return fmt.Sprintf("exit.rule_a has no stop: a loser is held %s (stop_bps bounds its loss, max_bars its time)", held)
	}
	return fmt.Sprintf("exit has no stop: a trade that never gains enough is held %s, whatever it loses (stop_bps bounds its loss, max_bars its time)", held)
}

// exit reads the exit rules: of exit if the policy has it, else those of
// exit_config, directly in it or in an exit map of its own.
func (d *document) exit() {
	s := d.top.sub("exit")
	c := d.top.take(exitConfig)
	if c != nil && c.kind == list {
		d.top.bad(c, exitConfig, "a path or a map", "the name of a YAML file, or exit rules")
	}
	if c != nil && c.kind != mapping {
		c = nil // merging the includes has reported a path that leads nowhere
	}
	if d.top.has("exit") {
		d.exitRules(s)
		if c != nil { // it changes nothing here, and a user's command may read it
			d.r.others = append(d.r.others, other{path: exitConfig, val: c, harmless: true})
		}
		return
	}
	if c == nil {
		return
	}
	outer := d.r.section(c, exitConfig)
	switch inner := c.get("exit"); {
	case hasExitKey(c):
		d.exitRules(outer)
	case inner != nil && hasExitKey(inner):
		d.exitRules(outer.sub("exit"))
		outer.done()
	default:
		outer.done()
	}
}

func hasExitKey(n *node) bool {
	return slices.ContainsFunc(exitRules(), func(r exitRule) bool { return n.get(r.key) != nil })
}

// exitRules reads the rules of an exit block and closes s.
func (d *document) exitRules(s *section) {
	for _, r := range exitRules() {
		r.read(s, &d.p.Exit)
	}
	s.done()
}

func (s *section) breakEven() *BreakEven {
	b := s.sub("break_even")
	if b.n == nil {
		return nil
	}
	defer b.done()
	out := &BreakEven{ActivateBps: b.numberOr("activate_bps", 0, distance), OffsetBps: b.numberOr("offset_bps", 0, offset)}
	if !b.has("activate_bps") {
		b.missing("activate_bps", wantBps)
		return nil
	}
	if out.ActivateBps > 0 && out.OffsetBps >= out.ActivateBps {
		b.bad(b.n.get("offset_bps"), "offset_bps", "an offset below the activation", "less than activate_bps, "+num(out.ActivateBps))
	}
	return out
}

func (x *Exit) breakEvenEnds() string {
	b := x.BreakEven
	if b == nil {
		return ""
	}
	return fmt.Sprintf("a trade that gained %g bps and falls back to %g", b.ActivateBps, b.OffsetBps)
}

func (s *section) trailing() *Trailing {
	t := s.sub("trailing")
	if t.n == nil {
		return nil
	}
	defer t.done()
	out := &Trailing{
		ActivateBps: t.numberOr("activate_bps", 0, distanceOrZero),
		DistanceBps: t.numberOr("distance_bps", 0, distance),
		WithinBars:  t.bars("within_bars", 0),
	}
	if !t.has("distance_bps") {
		t.missing("distance_bps", wantBps)
		return nil
	}
	return out
}

func (x *Exit) trailingEnds() string {
	t := x.Trailing
	if t == nil {
		return ""
	}
	within := ""
	if t.WithinBars > 0 {
		within = fmt.Sprintf(" in its first %d bars", t.WithinBars)
	}
	return fmt.Sprintf("a trade that gained %g bps%s and falls %g bps behind its best", t.ActivateBps, within, t.DistanceBps)
}

// ruleA reads rule_a: true for all defaults, or a map of what differs.
func (s *section) ruleA() *RuleA {
	v := s.take("rule_a")
	if v == nil {
		return nil
	}
	a := s.r.section(nil, s.at("rule_a"))
	if on, ok := v.boolean(); ok {
		if !on {
			return nil
		}
	} else {
		a = s.sub("rule_a")
	}
	out := &RuleA{
		ProfitMinBps:         a.numberOr("profit_min_bps", 6, profit),
		ProfitMaxBps:         a.numberOr("profit_max_bps", 9, profit),
		AdaptiveThresholdBps: a.numberOr("adaptive_threshold_bps", 4, profitOrZero),
		AdaptiveBars:         a.count("adaptive_bars", "a number of bars", 3, 1, maxBars),
		TrailingStopBps:      a.numberOr("trailing_stop_bps", 2, distance),
	}
	if lo, hi := out.ProfitMinBps, out.ProfitMaxBps; hi <= lo {
		at := a.n.get("profit_max_bps")
		if at.absent() {
			at = v // the default is too low
		}
		a.fail(at, "profit_max_bps", "%s is not an upper limit (want more than profit_min_bps, %s)", num(hi), num(lo))
	}
	a.done()
	return out
}

func (x *Exit) ruleAEnds() string {
	a := x.RuleA
	if a == nil {
		return ""
	}
	return fmt.Sprintf("a trade with a close between %g and %g bps; one with a close of %g bps or more in its first %d bars instead when a close is %g bps behind its best",
		a.ProfitMinBps, a.ProfitMaxBps, a.AdaptiveThresholdBps, a.AdaptiveBars, a.TrailingStopBps)
}
