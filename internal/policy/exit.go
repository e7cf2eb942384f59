package policy

import "slices"

// exitKeys are the keys of the exit block. In an exit_config they tell our
// rules from the original's, which have other names.
var exitKeys = [...]string{"stop_bps", "target_bps", "break_even", "trailing", "rule_a", "max_bars"}

// The keys that name other files.
const (
	entryConfig = "entry_config"
	exitConfig  = "exit_config"
)

// exit reads the exit rules: of exit if the policy has it, else those of
// exit_config, directly in it or in an exit map of its own.
func (d *document) exit() {
	s := d.top.sub("exit")
	c := d.top.take(exitConfig)
	if c != nil && c.kind == list {
		d.top.bad(c, exitConfig, "a path or a map", "the name of a YAML file, or exit rules")
	}
	if c != nil && c.kind != mapping {
		c = nil // a path that leads nowhere was said when includes were merged
	}
	if d.top.has("exit") {
		d.exitRules(s)
		d.unusedExitConfig(c)
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

// unusedExitConfig keeps an exit_config that the policy's own exit overrules:
// it changes nothing here, and a user's command may read it.
func (d *document) unusedExitConfig(c *node) {
	if c != nil {
		d.r.others = append(d.r.others, other{path: exitConfig, val: c, harmless: true})
	}
}

func hasExitKey(n *node) bool {
	return slices.ContainsFunc(exitKeys[:], func(key string) bool { return n.get(key) != nil })
}

// exitRules reads the rules of an exit block and closes s.
func (d *document) exitRules(s *section) {
	x := &d.p.Exit
	x.StopBps = s.number("stop_bps", "a distance in bps", wantBps, bps)
	x.TargetBps = s.number("target_bps", "a distance in bps", wantBps, bps)
	x.MaxBars = s.count("max_bars", "a number of bars", 0, 0, maxBars)
	x.BreakEven = s.breakEven()
	x.Trailing = s.trailing()
	x.RuleA = s.ruleA()
	s.done()
}

func (s *section) breakEven() *BreakEven {
	b := s.sub("break_even")
	if b.n == nil {
		return nil
	}
	defer b.done()
	out := &BreakEven{
		ActivateBps: b.numberOr("activate_bps", 0, "a distance in bps", wantBps, bps),
		OffsetBps:   b.numberOr("offset_bps", 0, "an offset in bps", "a number between -10000 and 10000", offset),
	}
	if !b.has("activate_bps") {
		b.missing("activate_bps", wantBps)
		return nil
	}
	if out.ActivateBps > 0 && out.OffsetBps >= out.ActivateBps {
		b.bad(b.n.get("offset_bps"), "offset_bps", "an offset below the activation", "less than activate_bps, "+num(out.ActivateBps))
	}
	return out
}

func offset(v float64) bool { return v > -maxBps && v < maxBps }

func (s *section) trailing() *Trailing {
	t := s.sub("trailing")
	if t.n == nil {
		return nil
	}
	defer t.done()
	out := &Trailing{
		ActivateBps: t.numberOr("activate_bps", 0, "a distance in bps", "a number >= 0 and < 10000", bpsOrZero),
		DistanceBps: t.numberOr("distance_bps", 0, "a distance in bps", wantBps, bps),
		WithinBars:  t.count("within_bars", "a number of bars", 0, 0, maxBars),
	}
	if !t.has("distance_bps") {
		t.missing("distance_bps", wantBps)
		return nil
	}
	return out
}

func bpsOrZero(v float64) bool { return v >= 0 && v < maxBps }

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
		ProfitMinBps:         a.numberOr("profit_min_bps", 6, "a profit in bps", wantBps, bps),
		ProfitMaxBps:         a.numberOr("profit_max_bps", 9, "a profit in bps", wantBps, bps),
		AdaptiveThresholdBps: a.numberOr("adaptive_threshold_bps", 4, "a profit in bps", "a number >= 0 and < 10000", bpsOrZero),
		AdaptiveBars:         a.count("adaptive_bars", "a number of bars", 3, 1, maxBars),
		TrailingStopBps:      a.numberOr("trailing_stop_bps", 2, "a distance in bps", wantBps, bps),
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
