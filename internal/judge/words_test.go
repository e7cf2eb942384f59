package judge

import (
	"math"
	"testing"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		reason    Reason
		want      string
	}{
		{2.6, 3.3, "", "faster"}, {0.5, 0.9, "", "slower"},
		{1.008, 1.016, "", "faster, by less than 3 %"}, {0.98, 0.99, "", "slower, by less than 3 %"},
		{0.99, 1.02, "", "equivalent within ±3 %"}, {1 / 1.03, 1.03, "", "equivalent within ±3 %"},
		{0.99, 1.0301, "", "no difference shown"}, {0.5, 2, "", "no difference shown"},
		{1, 1.2, "", "no difference shown"}, {1.000001, 1.2, "", "no difference shown"}, {1.00001, 1.2, "", "faster"},
		{2, 3, PhasesMoved, "cannot say (phases moved apart)"}, {math.NaN(), 3, "", "cannot say (a value is out of range)"},
		{0, 3, "", "cannot say (a value is out of range)"},
	} {
		i := Interval{Round((c.low + c.high) / 2), Round(c.low), Round(c.high)}
		if got := JudgeRatio(i, c.reason, 0).String(); got != c.want {
			t.Errorf("%v: %q (want %q)", i, got, c.want)
		}
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{{0.1, 2, "higher"}, {-3, -0.1, "lower"}, {-1, 1, "no difference shown"}, {0, 1, "no difference shown"}, {math.Inf(-1), 1, "cannot say (a value is out of range)"}} {
		if got := JudgeDifference(Interval{0, c.low, c.high}, "", 1).String(); got != c.want {
			t.Errorf("difference between %v and %v: %q (want %q)", c.low, c.high, got, c.want)
		}
	}
	if got := JudgeExact(3, 3).String() + ", " + JudgeExact(3, 4).String() + ", " + JudgeExact(math.NaN(), 4).String(); got != "identical, differs, cannot say (a value is out of range)" {
		t.Errorf("exact quantities: %s", got)
	}
	if got := JudgeRatio(Interval{1, 0.9, 1.1}, "", 1.1234567).Smallest; got != 1.12346 {
		t.Errorf("smallest effect %v (want 1.12346)", got)
	}
	if got := (Interval{2, 1, 4}).Inverse(); got != (Interval{0.5, 0.25, 1}) {
		t.Errorf("inverse %v", got)
	}
}

// TestErrors: numbers that no run can have are errors that name the value.
func TestErrors(t *testing.T) {
	bad := gated()
	bad[2].B.Phases[1].Count = -1
	uneven := gated()
	uneven[1].A.Phases = uneven[1].A.Phases[:1]
	nan := math.NaN()
	for _, c := range []struct {
		call string
		err  error
		want string
	}{
		{"Hull, alpha", second(Hull(gated(), 0)), "alpha 0 (want a number between 0 and 1, such as 0.05)"},
		{"Hull, count", second(Hull(bad, 0.05)), "piece 2, run B: -1 (want a finite number, 0 or more)"},
		{"Plain", second(Plain(bad)), "piece 2, run B: -1 (want a finite number, 0 or more)"},
		{"Hull, phases", second(Hull(uneven, 0.05)), "piece 1: 1 phases in run A (want 2, as in the others)"},
		{"Repeats", second(Repeats([]float64{1}, []float64{1, 0}, 0.05)), "total of run 1 of side B: 0 s (want a finite number above 0)"},
		{"Repeats, alpha", second(Repeats(nil, nil, 1)), "alpha 1 (want a number between 0 and 1, such as 0.05)"},
		{"Daily", second(Daily([]float64{1, nan}, 0.05)), "difference of day 1: NaN (want a finite number)"},
		{"Daily, alpha", second(Daily(nil, nan)), "alpha NaN (want a number between 0 and 1, such as 0.05)"},
		{"Sequential", second(Sequential([]Pair{{1, 1, false}, {1, 0, false}}, 0.05)), "pair 1: times 1 and 0 (want finite numbers above 0)"},
		{"Fixed", second(Fixed(nil, -1)), "alpha -1 (want a number between 0 and 1, such as 0.05)"},
		{"Prefix", second(Prefix([]Progress{{1.5, 1, 1}})), "chunk 0 in order of dispatch: progress 1.5, value 1, squares 1 (want finite numbers, progress in [0, 1], squares 0 or more)"},
		{"Estimate", second(Estimate([]Member{{-1, 0}}, 10, Count, 0.05)), "chunk 0 of the prefix: value -1, variance 0 (want finite numbers, 0 or more)"},
		{"Estimate, chunks", second(Estimate([]Member{{1, 0}, {1, 0}}, 1, Count, 0.05)), "prefix of 2 chunks in a run of 1"},
		{"Estimate, alpha", second(Estimate(nil, 1, Count, 2)), "alpha 2 (want a number between 0 and 1, such as 0.05)"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: %v (want %q)", c.call, c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
