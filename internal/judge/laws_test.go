package judge

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// anyTime is a time that a file may hold, of any size.
var anyTime = rapid.Custom(func(t *rapid.T) float64 {
	return rapid.OneOf(
		rapid.Float64Range(0.5, 2), rapid.Float64Range(0, math.MaxFloat64),
		rapid.SampledFrom([]float64{0, 5e-324, 1e-300, 1, 1e300, math.MaxFloat64}),
	).Draw(t, "time")
})

var anyPieces = rapid.Custom(func(t *rapid.T) []Timing {
	phases := rapid.IntRange(0, 4).Draw(t, "phases")
	side := rapid.Custom(func(t *rapid.T) Side {
		s := Side{Seconds: anyTime.Draw(t, "seconds")}
		for range phases {
			s.Phases = append(s.Phases, Phase{anyTime.Draw(t, "phase"), anyTime.Draw(t, "count"), anyTime.Draw(t, "common")})
		}
		return s
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Timing { return Timing{side.Draw(t, "A"), side.Draw(t, "B")} }), 0, 12).Draw(t, "pieces")
})

// sane fails if an interval is none.
func sane(t *rapid.T, what string, i Interval, reason Reason) {
	t.Helper()
	if reason == "" && !(i.finite() && i.Low <= i.Estimate && i.Estimate <= i.High) {
		t.Fatalf("%s: the interval %v without a reason", what, i)
	}
}

func TestInvariant4_AnyInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := anyPieces.Draw(t, "pieces")
		s, err := Hull(pieces, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		sane(t, "Hull", s.Interval, s.Reason)
		_ = s.Threshold(AtLeast, 3)
		_ = s.Verdict().String()
		if _, err := Plain(pieces); err != nil {
			t.Fatal(err)
		}
		numbers := rapid.SliceOfN(rapid.Float64(), 0, 80).Draw(t, "numbers")
		if d, err := Daily(numbers, 0.05); err == nil {
			sane(t, "Daily", d.Interval, d.Reason)
		}
		var pairs []Pair
		var prefix []Progress
		for i := 0; i+2 < len(numbers); i += 3 {
			pairs = append(pairs, Pair{numbers[i], numbers[i+1], numbers[i+2] > 0})
			prefix = append(prefix, Progress{numbers[i], numbers[i+1], numbers[i+2]})
		}
		for range 40 {
			pairs = append(pairs, Pair{anyTime.Draw(t, "a"), anyTime.Draw(t, "b"), rapid.Bool().Draw(t, "first")})
			prefix = append(prefix, Progress{rapid.Float64Range(0, 1).Draw(t, "done"), anyTime.Draw(t, "value"), anyTime.Draw(t, "squares")})
		}
		for _, list := range [][]Pair{pairs, pairs[len(pairs)-40:]} {
			if c, err := Sequential(list, 0.05); err == nil {
				sane(t, "Sequential", c.Interval, c.Reason)
				_ = c.Moved()
			}
			if c, err := Fixed(list, 0.05); err == nil {
				sane(t, "Fixed", c.Interval, c.Reason)
			}
		}
		for _, list := range [][]Progress{prefix, prefix[len(prefix)-40:]} {
			members, err := Prefix(list)
			if err != nil {
				continue
			}
			for _, scale := range []Scale{Count, Signed} {
				if w, err := Estimate(members, 300, scale, 0.05); err == nil && len(members) > 0 {
					sane(t, "Estimate", w.Interval, w.Reason)
				}
			}
		}
		if s, err := Repeats(numbers, numbers, 0.05); err == nil {
			sane(t, "Repeats", s.Interval, s.Reason)
		}
	})
}

func TestInvariant2_OrderOfPiecesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mixed := rapid.Permutation(gated()).Draw(t, "pieces")
		if a, b := second2(Hull(gated(), 0.05)), second2(Hull(mixed, 0.05)); a.Interval != b.Interval || a.core != b.core || a.Smallest != b.Smallest {
			t.Fatalf("%+v and %+v", a, b)
		}
		pairs := rapid.Permutation(alternating(25)).Draw(t, "pairs")
		if a, b := second2(Sequential(alternating(25), 0.05)), second2(Sequential(pairs, 0.05)); a != b {
			t.Fatalf("%+v and %+v", a, b)
		}
		list := rapid.Permutation(members()).Draw(t, "members")
		if a, b := second2(Estimate(members(), 400, Count, 0.05)), second2(Estimate(list, 400, Count, 0.05)); a != b {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func second2[T any](v T, _ error) T { return v }

// TestInvariant3_ValuesAreRounded: what is judged is what is printed.
func TestInvariant3_ValuesAreRounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pairs := make([]Pair, 20)
		for i := range pairs {
			pairs[i] = Pair{rapid.Float64Range(0.9, 1.1).Draw(t, "a"), rapid.Float64Range(0.9, 1.1).Draw(t, "b"), rapid.Bool().Draw(t, "first")}
		}
		c := second2(Sequential(pairs, 0.05))
		for _, x := range []float64{c.Estimate, c.Low, c.High, c.Smallest, c.Order} {
			if Round(x) != x {
				t.Fatalf("%v is not rounded: %+v", x, c)
			}
		}
	})
}

// TestSwappingSides: A against B is the inverse of B against A.
func TestSwappingSides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(12, 40).Draw(t, "n")
		var pairs, swapped []Pair
		for range n {
			p := Pair{rapid.Float64Range(0.8, 1.3).Draw(t, "a"), rapid.Float64Range(0.8, 1.3).Draw(t, "b"), rapid.Bool().Draw(t, "first")}
			pairs, swapped = append(pairs, p), append(swapped, Pair{p.B, p.A, !p.BFirst})
		}
		c, d := second2(Sequential(pairs, 0.05)), second2(Sequential(swapped, 0.05)).Inverse()
		if !near(c.Low, d.Low, 2e-5) || !near(c.High, d.High, 2e-5) {
			t.Fatalf("%v, swapped %v", c.Interval, d)
		}
	})
}

// TestSwappingRuns: the same of the hull.
func TestSwappingRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, swapped := gated(), gated()
		for i := range list {
			for _, s := range []*Side{&list[i].A, &list[i].B} {
				factor := rapid.Float64Range(0.9, 1.1).Draw(t, "factor")
				s.Seconds *= factor
				for j := range s.Phases {
					s.Phases[j].Seconds *= factor
				}
			}
			swapped[i] = Timing{list[i].B, list[i].A}
		}
		c, d := second2(Hull(list, 0.05)), second2(Hull(swapped, 0.05))
		if i := d.Inverse(); !near(c.Low, i.Low, 2e-5) || !near(c.High, i.High, 2e-5) || c.Reason != d.Reason {
			t.Fatalf("%+v, swapped %+v", c, d)
		}
	})
}

// TestUnitsDoNotMatter: seconds or nanoseconds.
func TestUnitsDoNotMatter(t *testing.T) {
	const unit = 1 << 30
	scaled := gated()
	for i := range scaled {
		for _, s := range []*Side{&scaled[i].A, &scaled[i].B} {
			s.Seconds *= unit
			for j := range s.Phases {
				s.Phases[j].Seconds *= unit
			}
		}
	}
	if a, b := second2(Hull(gated(), 0.05)), second2(Hull(scaled, 0.05)); a.Interval != b.Interval {
		t.Errorf("%v and %v", a.Interval, b.Interval)
	}
}

// TestSumOfWhatIsNotFinite: a sum with a term that is not finite, or that leaves the
// range of float64, is not finite either.
func TestSumOfWhatIsNotFinite(t *testing.T) {
	inf := math.Inf(1)
	for _, list := range [][]float64{{math.NaN()}, {inf}, {-inf, 1}, {1e308, 1e308}, {1e308, 1e308, -1e308, -1e308, 3}, {1, inf, -inf}, {1e-300, inf, 5, -7}} {
		if got := total(list); finite(got) {
			t.Errorf("sum of %v = %v (want NaN or an infinity)", list, got)
		}
	}
}

// TestTotalIsExact compares with a big.Float that is wide enough for all float64.
func TestTotalIsExact(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) float64 {
		return math.Ldexp(float64(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "bits")), rapid.IntRange(-1074, 900).Draw(t, "exponent"))
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(number, 0, 30).Draw(t, "terms")
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 29), 0, 10).Draw(t, "cancelled") {
			if i < len(list) {
				list = append(list, -list[i])
			}
		}
		sum := new(big.Float).SetPrec(2300)
		for _, x := range list {
			sum.Add(sum, new(big.Float).SetFloat64(x))
		}
		want, _ := sum.Float64()
		if got := total(list); got != want {
			t.Fatalf("the sum is %v (want %v)", got, want)
		}
		if got := total(rapid.Permutation(list).Draw(t, "mixed")); got != want {
			t.Fatalf("in another order the sum is %v (want %v)", got, want)
		}
	})
}
