package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestRound(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{
		{0, 0}, {3, 3}, {2.9999996, 3}, {2.999994, 2.99999}, {1234567, 1234570}, {-0.000123456789, -0.000123457},
		{math.MaxFloat64, 1.79769e308}, {5e-324, 5e-324}, {math.Inf(1), math.Inf(1)},
	} {
		if got := Round(c.x); got != c.want {
			t.Errorf("Round(%v) = %v (want %v)", c.x, got, c.want)
		}
	}
	if !math.IsNaN(Round(math.NaN())) {
		t.Error("Round(NaN) is a number")
	}
	random := rand.New(rand.NewPCG(3, 1))
	for range 1000 {
		x := math.Exp(random.NormFloat64() * 100)
		if r := Round(x); Round(r) != r || !near(r, x, 5.0001e-6) {
			t.Errorf("Round(%v) = %v, rounded again %v", x, r, Round(r))
		}
	}
}
