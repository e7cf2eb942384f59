package judge_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"gx1replay/internal/judge"
)

// exact is the sum of list by big floats that are wide enough for every bit.
func exact(list []float64) float64 {
	sum := new(big.Float).SetPrec(2400)
	for _, x := range list {
		sum.Add(sum, new(big.Float).SetPrec(2400).SetFloat64(x))
	}
	v, _ := sum.Float64()
	return v
}

func TestSumIsExactInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		list := make([]float64, rng.IntN(40))
		for i := range list {
			list[i] = math.Ldexp(rng.Float64()-0.5, rng.IntN(200)-100)
			if i > 0 && rng.IntN(3) == 0 {
				list[i] = -list[rng.IntN(i)] // cancels
			}
		}
		var sum judge.Sum
		for _, i := range rng.Perm(len(list)) {
			sum.Add(list[i])
		}
		if got, want := sum.Value(), exact(list); got != want {
			t.Fatalf("the sum of %v is %v (want %v)", list, got, want)
		}
	}
}

func TestSumRoundsOnce(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{
		{nil, 0},
		{[]float64{0, 0}, 0},
		{[]float64{1, 1e100, 1, -1e100}, 2},
		{[]float64{1, 0x1p-53}, 1},                                   // halfway, to even
		{[]float64{1, 0x1p-53, 0x1p-110}, 1 + 0x1p-52},               // a little more than halfway
		{[]float64{1 + 0x1p-52, 0x1p-53}, 1 + 0x1p-51},               // halfway, to even
		{[]float64{1 + 0x1p-52, 0x1p-53, -0x1p-110}, 1 + 0x1p-52},    // a little less than halfway
		{[]float64{-1, -0x1p-53, -0x1p-110}, -(1 + 0x1p-52)},         // the same with the other sign
		{[]float64{0x1p1023, -0x1p1023, 0x1p-1074}, 0x1p-1074},       // the least number stays
		{[]float64{0.1, 0.2, -0.3}, 2.7755575615628914e-17},          // none of the three is a decimal
		{[]float64{1e16, 1, 1, 1, 1, -1e16, 0.5, -0.25, -0.25}, 4.0}, //
	} {
		var sum judge.Sum
		for _, x := range c.list {
			sum.Add(x)
		}
		if got := sum.Value(); got != c.want {
			t.Errorf("the sum of %v is %v (want %v)", c.list, got, c.want)
		}
		if got := exact(c.list); got != c.want {
			t.Errorf("the case of %v is wrong: %v (want %v)", c.list, got, c.want)
		}
	}
}

func TestSumsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var all, parts judge.Sum
		for range rng.IntN(5) {
			var part judge.Sum
			for range rng.IntN(20) {
				x := math.Ldexp(rng.NormFloat64(), rng.IntN(80)-40)
				all.Add(x)
				part.Add(x)
			}
			parts.AddSum(&part)
		}
		if all.Value() != parts.Value() {
			t.Fatalf("the parts add up to %v (want %v)", parts.Value(), all.Value())
		}
	}
}
