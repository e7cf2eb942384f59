package compare

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Verdict of a comparison, or of one figure.
type Verdict string

const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	CannotCompare Verdict = "cannot_compare" // of a comparison
	NotJudged     Verdict = "not_judged"     // of a figure
)

// Bound says on which side of its threshold a value must be; the threshold
// itself keeps it.
type Bound string

const (
	AtLeast Bound = "at_least"
	AtMost  Bound = "at_most"
)

// Names of the figures, in the order of a report.
const (
	Speedup     = "speedup"
	SkipPercent = "skip_percent"
	FeatureTime = "feature_time_ratio"
	TradesDiff  = "trades_diff_percent"
	ModelCalls  = "model_calls_ratio"
)

// Limits are the thresholds. Each is finite and 0 or more.
type Limits struct {
	MinSpeedup           float64 // ON's bars per second over OFF's
	MinSkipPercent       float64 // of ON's bars
	MaxFeatureTimeRatio  float64 // ON's feature time per bar over OFF's
	MaxTradesDiffPercent float64 // of OFF's trades, either way
	MaxTradesDiff        *int    // in trades, instead of per cent; on common bars only
	MaxModelCallsRatio   float64 // ON's calls over OFF's
}

// DefaultLimits are the original's.
func DefaultLimits() Limits {
	return Limits{MinSpeedup: 3, MinSkipPercent: 80, MaxFeatureTimeRatio: 0.30, MaxTradesDiffPercent: 0.1, MaxModelCallsRatio: 1}
}

// Check says which limits are no thresholds. Judge demands that it finds
// nothing.
func (l Limits) Check() error {
	var errs []error
	for _, c := range []struct {
		name  string
		value float64
	}{
		{Speedup, l.MinSpeedup}, {SkipPercent, l.MinSkipPercent}, {FeatureTime, l.MaxFeatureTimeRatio},
		{TradesDiff, l.MaxTradesDiffPercent}, {ModelCalls, l.MaxModelCallsRatio},
	} {
		if !(c.value >= 0) || math.IsInf(c.value, 0) {
			errs = append(errs, fmt.Errorf("threshold of %s: %v (want a finite number, 0 or more)", c.name, c.value))
		}
	}
	return errors.Join(errs...)
}

// Number is a number that may be unknown; its zero value is. In JSON an
// unknown one is left out (omitzero).
type Number struct {
	Value float64
	Known bool
}

// IsZero reports whether n is unknown.
func (n Number) IsZero() bool { return !n.Known }

// MarshalJSON writes the value.
func (n Number) MarshalJSON() ([]byte, error) { return json.Marshal(n.Value) }

func (q quantity) number() Number {
	if !q.known {
		return Number{}
	}
	return Number{Value: q.value, Known: true}
}

// Figure is one number that is held against a threshold.
type Figure struct {
	Name      string  `json:"name"`
	Unit      string  `json:"unit"` // of Off and On
	Off       Number  `json:"off,omitzero"`
	On        Number  `json:"on,omitzero"`
	Value     Number  `json:"value,omitzero"` // what is judged; a ratio, or per cent
	Bound     Bound   `json:"bound"`
	Threshold float64 `json:"threshold"`
	Verdict   Verdict `json:"verdict"`

	label, sign string // for people: what it is, and the unit of Value
}

// Problem is a reason why figures are not judged.
type Problem struct {
	Figures []string `json:"figures"` // names, in the order of the report
	Text    string   `json:"text"`
}

// Result is a comparison.
type Result struct {
	Verdict  Verdict
	Off, On  Facts
	Figures  []Figure
	Problems []Problem
	// Notes are differences that change no verdict, and that a reader of the
	// figures should know.
	Notes []string
}

// Judge compares two runs. It is total: sides that were not read, or that
// cannot be compared, give a result that says so.
func Judge(off, on Side, l Limits) Result {
	a, b := sample{side: "OFF"}, sample{side: "ON"}
	if off.Err == nil {
		a = measure(a.side, off.File)
	}
	if on.Err == nil {
		b = measure(b.side, on.File)
	}
	r := Result{Off: facts(off, a), On: facts(on, b), Problems: []Problem{}, Notes: []string{}}
	whys := map[string]string{}
	for _, f := range figures(a, b, l) {
		whys[f.Name] = f.value.why
		r.Figures = append(r.Figures, f.Figure)
	}
	for _, side := range []struct {
		name string
		Side
	}{{"OFF", off}, {"ON", on}} {
		if side.Err != nil {
			r.problem(fmt.Sprintf("%s cannot be used: %v", side.name, side.Err))
		}
	}
	if off.Err == nil && on.Err == nil {
		r.compareRuns(off.File, on.File, a, b)
	} else {
		r.lonely(off, on)
	}
	for _, f := range r.Figures {
		if why := whys[f.Name]; why != "" {
			r.problem(why, f.Name)
		}
	}
	r.decide()
	return r
}

// problem adds a reason for these figures, or for all.
func (r *Result) problem(text string, names ...string) {
	var of []string
	for _, f := range r.Figures { // in the order of the report
		if len(names) == 0 || slices.Contains(names, f.Name) {
			of = append(of, f.Name)
		}
	}
	for i, p := range r.Problems {
		if p.Text == text {
			for _, name := range of {
				if !slices.Contains(p.Figures, name) {
					r.Problems[i].Figures = append(r.Problems[i].Figures, name)
				}
			}
			return
		}
	}
	r.Problems = append(r.Problems, Problem{of, text})
}

// decide takes back the verdicts of figures that have a problem, and sums up:
// one that fails decides whatever the others are; without one, one that is
// not judged leaves it open.
func (r *Result) decide() {
	for i, f := range r.Figures {
		if slices.ContainsFunc(r.Problems, func(p Problem) bool { return slices.Contains(p.Figures, f.Name) }) {
			r.Figures[i].Verdict = NotJudged
		}
	}
	r.Verdict = Pass
	for _, f := range r.Figures {
		switch {
		case f.Verdict == Fail:
			r.Verdict = Fail
			return
		case f.Verdict != Pass:
			r.Verdict = CannotCompare
		}
	}
}

// figure is a Figure and how its value came about.
type figure struct {
	Figure
	value quantity
}

// figures computes all figures and judges those that have a value.
func figures(off, on sample, l Limits) []figure {
	offSpeed := rate{off.bars, off.wallSec, "OFF: the number of bars", "OFF: the sum of wall_clock_sec"}
	onSpeed := rate{on.bars, on.wallSec, "ON: the number of bars", "ON: the sum of wall_clock_sec"}
	offFeature := rate{off.featureSec.times(1000), off.bars, "OFF: the sum of t_feature_build_total_sec", "OFF: the number of bars"}
	onFeature := rate{on.featureSec.times(1000), on.bars, "ON: the sum of t_feature_build_total_sec", "ON: the number of bars"}
	of := func(name, label, unit, sign string, a, b, value quantity, bound Bound, threshold float64) figure {
		v := value.number()
		return figure{Figure{
			Name: name, Unit: unit, Off: a.number(), On: b.number(), Value: v,
			Bound: bound, Threshold: threshold, Verdict: hold(v, bound, threshold), label: label, sign: sign,
		}, value}
	}
	return []figure{
		of(Speedup, "speed-up", "bars/s", "×", offSpeed.value(), onSpeed.value(),
			onSpeed.ratio(offSpeed), AtLeast, l.MinSpeedup),
		of(SkipPercent, "bars skipped", "bars", "%", off.skips, on.skips,
			on.skips.times(100).over(on.bars, "ON: the number of bars"), AtLeast, l.MinSkipPercent),
		of(FeatureTime, "feature time per bar", "ms", "×", offFeature.value(), onFeature.value(),
			onFeature.ratio(offFeature), AtMost, l.MaxFeatureTimeRatio),
		of(TradesDiff, "trades closed", "trades", "% apart", off.trades, on.trades,
			off.trades.away(on.trades).times(100).over(off.trades, "OFF: the number of closed trades"), AtMost, l.MaxTradesDiffPercent),
		of(ModelCalls, "model calls", "calls", "×", off.calls, on.calls,
			on.calls.over(off.calls, "OFF: the number of model calls"), AtMost, l.MaxModelCallsRatio),
	}
}

func hold(v Number, bound Bound, threshold float64) Verdict {
	switch {
	case !v.Known:
		return NotJudged
	case bound == AtLeast && v.Value >= threshold, bound == AtMost && v.Value <= threshold:
		return Pass
	}
	return Fail
}

// beside compares for displays: -1, 0 or 1 as v stands to the threshold.
func (f Figure) beside(v float64) int { return cmp.Compare(v, f.Threshold) }
