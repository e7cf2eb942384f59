package compare

import (
	"fmt"
	"math"

	"gx1replay/internal/judge"
)

// Threshold is one of the gate's, judged on common bars.
type Threshold struct {
	Name    string  `json:"name"`
	Value   Number  `json:"value,omitzero"`
	Low     Number  `json:"low,omitzero"` // of its interval; an exact value has none
	High    Number  `json:"high,omitzero"`
	Bound   Bound   `json:"bound"`
	Limit   float64 `json:"threshold"`
	Verdict string  `json:"verdict"` // holds, fails, or cannot say (WHY)

	label, unit string
	holding     judge.Holding
}

// thresholds judges the gate's: a is the run with the gate off, b with it on.
func thresholds(a, b *Run, cover judge.Cover, c Comparison, l Limits) ([]Threshold, error) {
	if x, y := a.File.Report.PregateEnabled, b.File.Report.PregateEnabled; x || !y {
		return nil, fmt.Errorf("%w: pregate_enabled is %v in %s (want false), %v in %s (want true)", ErrRefused, x, a.id(), y, b.id())
	}
	if !gateOnly(c.Inputs) {
		return nil, fmt.Errorf("%w by the gate's thresholds: they differ in more than the gate: %s", ErrRefused, settingsText(Unexpected(c.Inputs, []string{gateKey})))
	}
	features, err := judge.Hull(featureTimings(a, b, cover), alpha)
	if err != nil {
		return nil, fmt.Errorf("judging the feature time of %s and %s: %w", a.id(), b.id(), err)
	}
	list := []Threshold{
		ofSpeed(Speedup, "speed-up", c.Speed.judged, AtLeast, l.MinSpeedup, false),
		exact(SkipPercent, "bars skipped", "%", c.share("bars skipped"), AtLeast, l.MinSkipPercent),
		ofSpeed(FeatureTime, "feature time", features, AtMost, l.MaxFeatureTimeRatio, true),
		c.tradesThreshold(l),
		exact(ModelCalls, "model calls", "×", c.ratioOf("model calls"), AtMost, l.MaxModelCallsRatio),
	}
	return list, nil
}

// featureTimings are the pieces with the time of features alone. Where a piece is
// cut, that is its counts at the prices of the whole chunk.
func featureTimings(a, b *Run, cover judge.Cover) []judge.Timing {
	all, names := timings(a, b, cover)
	alone := func(s judge.Side) judge.Side {
		var out judge.Side
		for i, p := range s.Phases {
			if names[i] != "features" && names[i] != "upkeep of features" {
				continue
			}
			out.Phases = append(out.Phases, p)
			if p.Count > 0 {
				out.Seconds += p.Seconds / p.Count * p.Common
			}
		}
		return out
	}
	for i := range all {
		all[i] = judge.Timing{A: alone(all[i].A), B: alone(all[i].B)}
	}
	return all
}

// ofSpeed judges a ratio of times, A's over B's, or the inverse of it.
func ofSpeed(name, label string, s judge.Speed, bound Bound, limit float64, inverse bool) Threshold {
	t := Threshold{Name: name, label: label, unit: "×", Bound: bound, Limit: limit}
	i, towards, held := s.Interval, judge.AtLeast, limit
	if inverse { // at most x times the time is at least 1/x times the speed
		i, held = i.Inverse(), 1/limit
	}
	if s.Estimate > 0 {
		t.Value = Number{i.Estimate, true}
	}
	if s.Reason == "" {
		t.Low, t.High = Number{i.Low, true}, Number{i.High, true}
	}
	if math.IsInf(held, 0) || held == 0 {
		t.judgeTo(judge.Decision{Holding: judge.Unknown, Reason: judge.NotFinite})
		return t
	}
	t.judgeTo(s.Threshold(towards, held))
	return t
}

// exact judges a quantity that has no interval.
func exact(name, label, unit string, value Number, bound Bound, limit float64) Threshold {
	t := Threshold{Name: name, label: label, unit: unit, Value: value, Bound: bound, Limit: limit}
	if !value.Known {
		t.judgeTo(judge.Decision{Holding: judge.Unknown, Reason: "not counted on the common bars of both runs"})
		return t
	}
	towards := judge.AtLeast
	if bound == AtMost {
		towards = judge.AtMost
	}
	t.judgeTo(judge.HoldsExactly(value.Value, towards, limit))
	return t
}

// tradesThreshold judges the difference in trades on common bars, in numbers if
// the limits have one, else in per cent of A's.
func (c *Comparison) tradesThreshold(l Limits) Threshold {
	t := c.Trades
	apart := Number{math.Abs(float64(t.A - t.B)), t.Error == ""}
	if l.MaxTradesDiff != nil {
		return exact(TradesDiff, "trades apart", "", apart, AtMost, float64(*l.MaxTradesDiff))
	}
	if apart.Known = apart.Known && (t.A > 0 || t.B == 0); apart.Known && t.A > 0 {
		apart.Value *= 100 / float64(t.A)
	}
	return exact(TradesDiff, "trades apart", "%", apart, AtMost, l.MaxTradesDiffPercent)
}

// share is B's count in % of the judged bars.
func (c *Comparison) share(name string) Number {
	for _, n := range c.Counts {
		if n.Name == name && c.Common.Judged > 0 {
			return Number{100 * float64(n.B) / float64(c.Common.Judged), true}
		}
	}
	return Number{}
}

// ratioOf is B's count over A's.
func (c *Comparison) ratioOf(name string) Number {
	for _, n := range c.Counts {
		switch {
		case n.Name != name:
		case n.A > 0:
			return Number{float64(n.B) / float64(n.A), true}
		case n.B == 0:
			return Number{1, true}
		}
	}
	return Number{}
}

func (t *Threshold) judgeTo(d judge.Decision) {
	t.holding = d.Holding
	t.Verdict = string(d.Holding)
	if d.Holding != judge.Unknown {
		return
	}
	why := string(d.Reason)
	switch {
	case why != "":
	case d.None:
		why = "no number of further pieces would decide it: the machine differed, use ab"
	case d.Further > 0:
		why = fmt.Sprintf("about %d more pieces would decide it", d.Further)
	default:
		why = "the interval holds the threshold"
	}
	t.Verdict += " (" + why + ")"
}

// ThresholdVerdict sums up the thresholds: one that fails decides; without one,
// one that is open leaves it open.
func (c *Comparison) ThresholdVerdict() Verdict {
	v := Pass
	for _, t := range c.Thresholds {
		switch t.holding {
		case judge.Fails:
			return Fail
		case judge.Unknown:
			v = CannotCompare
		}
	}
	return v
}
