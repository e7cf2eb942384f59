package compare_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
)

var names = []string{compare.Speedup, compare.SkipPercent, compare.FeatureTime, compare.TradesDiff, compare.ModelCalls}

func TestPass(t *testing.T) {
	r := compare.Judge(offRun().side(t), onRun().side(t), compare.DefaultLimits())
	if r.Verdict != compare.Pass || len(r.Problems) > 0 || len(r.Notes) > 0 {
		t.Fatalf("%s, problems %v, notes %v (want pass and none)", r.Verdict, r.Problems, r.Notes)
	}
	want := []struct{ off, on, value float64 }{
		{1000 / 48.0, 1000 / 12.0, 4}, {0, 840, 84}, {8, 2, 0.25}, {200, 200, 0}, {960, 120, 0.125},
	}
	for i, f := range r.Figures {
		if f.Name != names[i] || f.Off.Value != want[i].off || f.On.Value != want[i].on || f.Value.Value != want[i].value || f.Verdict != compare.Pass {
			t.Errorf("%s: OFF %v, ON %v, value %v, %s (want %s: %+v, pass)", f.Name, f.Off.Value, f.On.Value, f.Value.Value, f.Verdict, names[i], want[i])
		}
	}
}

// Each threshold keeps what lies on it and refuses what lies behind it.
func TestInvariant1_EachThresholdPassesAndFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits func(*compare.Limits, float64)
		keeps  float64 // the fixture's value as a threshold
		misses float64
		on     func(*footer.Footer) // the fixture's ON beyond the default threshold
		least  func(*footer.Footer) // and on it, exactly
	}{
		{compare.Speedup, func(l *compare.Limits, v float64) { l.MinSpeedup = v }, 4, math.Nextafter(4, 5),
			func(f *footer.Footer) { f.WallClockSec = 4.001 }, func(f *footer.Footer) { f.WallClockSec = 4 }},
		{compare.SkipPercent, func(l *compare.Limits, v float64) { l.MinSkipPercent = v }, 84, math.Nextafter(84, 85),
			func(f *footer.Footer) { f.PregateSkips = 199 }, func(f *footer.Footer) { f.PregateSkips = 200 }},
		{compare.FeatureTime, func(l *compare.Limits, v float64) { l.MaxFeatureTimeRatio = v }, 0.25, math.Nextafter(0.25, 0),
			func(f *footer.Footer) { f.TFeatureBuildSec = 0.6001 }, func(f *footer.Footer) { f.TFeatureBuildSec = 0.6 }},
		{compare.TradesDiff, func(l *compare.Limits, v float64) { l.MaxTradesDiffPercent = v }, 0, -1,
			func(f *footer.Footer) { f.NTradesClosed = 51 }, func(f *footer.Footer) { f.NTradesClosed = 50 }},
		{compare.TradesDiff, func(l *compare.Limits, v float64) { l.MaxTradesDiffPercent = v }, 0, -1,
			func(f *footer.Footer) { f.NTradesClosed = 49 }, func(f *footer.Footer) { f.NTradesClosed = 50 }},
		{compare.ModelCalls, func(l *compare.Limits, v float64) { l.MaxModelCallsRatio = v }, 0.125, math.Nextafter(0.125, 0),
			func(f *footer.Footer) { f.NModelCalls = 241 }, func(f *footer.Footer) { f.NModelCalls = 240 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(what string, on aRun, l compare.Limits, want compare.Verdict) {
				t.Helper()
				r := compare.Judge(offRun().side(t), on.side(t), l)
				if f := named(t, r, c.name); f.Verdict != want || r.Verdict != want {
					t.Errorf("%s: value %v of a threshold %v is %s, the comparison %s (want %s)", what, f.Value.Value, f.Threshold, f.Verdict, r.Verdict, want)
				}
				for _, f := range r.Figures {
					if f.Name != c.name && f.Verdict != compare.Pass {
						t.Errorf("%s: %s is %s, too", what, f.Name, f.Verdict)
					}
				}
			}
			l := compare.DefaultLimits()
			c.limits(&l, c.keeps)
			check("the value as the threshold", onRun(), l, compare.Pass)
			c.limits(&l, c.misses)
			check("a threshold next to the value", onRun(), l, compare.Fail)
			on := onRun()
			on.each(c.on)
			check("a value beyond the default", on, compare.DefaultLimits(), compare.Fail)
			on.each(c.least)
			check("a value on the default", on, compare.DefaultLimits(), compare.Pass)
		})
	}
}

// 0.1 % of 1,000 trades is one, either way.
func TestTradesWithinAPermille(t *testing.T) {
	for on, want := range map[int64]compare.Verdict{998: compare.Fail, 999: compare.Pass, 1000: compare.Pass, 1001: compare.Pass, 1002: compare.Fail} {
		a, b := offRun(), onRun()
		a.each(func(f *footer.Footer) { f.NTradesClosed = 250 })
		b.each(func(f *footer.Footer) { f.NTradesClosed = 250 })
		b.footers[0].NTradesClosed += on - 1000
		if r := compare.Judge(a.side(t), b.side(t), compare.DefaultLimits()); r.Verdict != want {
			t.Errorf("1000 trades and %d: %s (want %s)", on, r.Verdict, want)
		}
	}
}

// notJudged says which figures are not.
func notJudged(r compare.Result) []string {
	var out []string
	for _, f := range r.Figures {
		if f.Verdict == compare.NotJudged {
			out = append(out, f.Name)
		}
	}
	return out
}

// Every field that a figure stands on, spoiled in one chunk of either side.
func TestInvariant2_SpoiledFieldsAreNotJudged(t *testing.T) {
	fields := []struct {
		name    string
		off, on []string // figures that stand on it
		set     func(*footer.Footer, float64)
	}{
		{"wall_clock_sec", []string{compare.Speedup}, []string{compare.Speedup}, func(f *footer.Footer, v float64) { f.WallClockSec = v }},
		{"t_feature_build_total_sec", []string{compare.FeatureTime}, []string{compare.FeatureTime}, func(f *footer.Footer, v float64) { f.TFeatureBuildSec = v }},
		{"n_model_calls", []string{compare.ModelCalls}, []string{compare.ModelCalls}, func(f *footer.Footer, v float64) { f.NModelCalls = int64(v) }},
		{"n_trades_closed", []string{compare.TradesDiff}, []string{compare.TradesDiff}, func(f *footer.Footer, v float64) { f.NTradesClosed = int64(v) }},
		{"pregate_skips", nil, []string{compare.SkipPercent}, func(f *footer.Footer, v float64) { f.PregateSkips = int64(v) }},
		{"bars_processed", []string{compare.Speedup, compare.FeatureTime}, []string{compare.Speedup, compare.SkipPercent, compare.FeatureTime}, nil},
	}
	for _, field := range fields {
		for _, how := range []struct {
			name, text string
			spoil      func(*footer.Footer)
		}{
			{"unreported", "is not reported", func(f *footer.Footer) { f.Unreported = []string{field.name} }},
			{"nonfinite", "was not finite", func(f *footer.Footer) { f.NonfiniteFields = []string{field.name} }},
			{"negative", "want 0 to 2^53", func(f *footer.Footer) { field.set(f, -1) }},
			{"beyond counting", "want 0 to 2^53", func(f *footer.Footer) { field.set(f, 1<<60) }},
		} {
			if field.set == nil && strings.Contains(how.text, "want") {
				continue // perf refuses such a file
			}
			t.Run(field.name+"/"+how.name, func(t *testing.T) {
				for _, side := range []string{"OFF", "ON"} {
					off, on, want := offRun(), onRun(), field.on
					if side == "OFF" {
						want = field.off
						how.spoil(&off.footers[2])
					} else {
						how.spoil(&on.footers[2])
					}
					r := compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
					if got := notJudged(r); !slices.Equal(got, want) {
						t.Errorf("%s: not judged are %v (want %v); problems %v", side, got, want, r.Problems)
					}
					if len(want) == 0 { // nothing is judged by it, and it is said all the same
						if r.Verdict != compare.Pass || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "OFF: "+field.name) {
							t.Errorf("%s: %s, notes %q (want pass and a note)", side, r.Verdict, r.Notes)
						}
						continue
					}
					if r.Verdict != compare.CannotCompare {
						t.Errorf("%s: %s (want cannot_compare)", side, r.Verdict)
					}
					said := side + ": " + field.name + " " + how.text
					if strings.HasPrefix(how.text, "want") {
						said = side + ": " + field.name + " is "
					}
					if !slices.ContainsFunc(r.Problems, func(p compare.Problem) bool {
						return strings.Contains(p.Text, said) && strings.Contains(p.Text, "in 1 of 4 chunks, first in chunk 2") && strings.Contains(p.Text, how.text)
					}) {
						t.Errorf("%s: nobody says %q: %v", side, said, r.Problems)
					}
				}
			})
		}
	}
}

func TestInvariant3_ZeroDenominators(t *testing.T) {
	for _, c := range []struct {
		figure, text string
		off, on      func(*footer.Footer)
	}{
		{compare.Speedup, "OFF: the sum of wall_clock_sec is 0", func(f *footer.Footer) { f.WallClockSec = 0 }, nil},
		{compare.Speedup, "ON: the sum of wall_clock_sec is 0", nil, func(f *footer.Footer) { f.WallClockSec = 0 }},
		{compare.Speedup, "too small", nil, func(f *footer.Footer) { f.WallClockSec = 5e-324 }},
		{compare.FeatureTime, "OFF: the sum of t_feature_build_total_sec is 0", func(f *footer.Footer) { f.TFeatureBuildSec = 0 }, nil},
		{compare.TradesDiff, "OFF: the number of closed trades is 0", func(f *footer.Footer) { f.NTradesClosed = 0 }, func(f *footer.Footer) { f.NTradesClosed = 0 }},
		{compare.ModelCalls, "OFF: the number of model calls is 0", func(f *footer.Footer) { f.NModelCalls = 0 }, func(f *footer.Footer) { f.NModelCalls = 0 }},
	} {
		off, on := offRun(), onRun()
		if c.off != nil {
			off.each(c.off)
		}
		if c.on != nil {
			on.each(c.on)
		}
		r := compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
		if r.Verdict != compare.CannotCompare || !slices.Equal(notJudged(r), []string{c.figure}) || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, c.text) {
			t.Errorf("%s: %s, not judged %v, problems %v (want %s alone, because %s)", c.text, r.Verdict, notJudged(r), r.Problems, c.figure, c.text)
		}
		if named(t, r, c.figure).Value.Known {
			t.Errorf("%s: the value is %v (want none)", c.text, named(t, r, c.figure).Value.Value)
		}
	}
}

// No bars at all: a run that was stopped before it had a plan.
func TestInvariant3_NoBars(t *testing.T) {
	none := offRun()
	none.footers, none.planned, none.report.Data.Bars = nil, nil, 0
	r := compare.Judge(none.side(t), onRun().side(t), compare.DefaultLimits())
	if r.Verdict != compare.CannotCompare || len(notJudged(r)) != len(names) {
		t.Errorf("%s, not judged %v (want none judged)", r.Verdict, notJudged(r))
	}
}

// A figure that misses its threshold is a fail though another is not judged.
func TestFailOutranksNotJudged(t *testing.T) {
	on := onRun()
	on.each(func(f *footer.Footer) { f.WallClockSec, f.Unreported = 11, []string{"t_feature_build_total_sec"} })
	r := compare.Judge(offRun().side(t), on.side(t), compare.DefaultLimits())
	if r.Verdict != compare.Fail || !slices.Equal(notJudged(r), []string{compare.FeatureTime}) {
		t.Errorf("%s, not judged %v (want fail, and the feature time)", r.Verdict, notJudged(r))
	}
}

func TestLimitsCheck(t *testing.T) {
	if err := compare.DefaultLimits().Check(); err != nil {
		t.Error(err)
	}
	for _, v := range []float64{-1, math.NaN(), math.Inf(1)} {
		for i, set := range []func(*compare.Limits){
			func(l *compare.Limits) { l.MinSpeedup = v }, func(l *compare.Limits) { l.MinSkipPercent = v },
			func(l *compare.Limits) { l.MaxFeatureTimeRatio = v }, func(l *compare.Limits) { l.MaxTradesDiffPercent = v },
			func(l *compare.Limits) { l.MaxModelCallsRatio = v },
		} {
			l := compare.DefaultLimits()
			set(&l)
			if err := l.Check(); err == nil || !strings.Contains(err.Error(), names[i]) {
				t.Errorf("%s %v: %v (want an error that names it)", names[i], v, err)
			}
		}
	}
}
