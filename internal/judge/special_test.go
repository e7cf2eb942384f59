package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// near reports whether got is want within a relative error.
func near(got, want, rel float64) bool {
	return got == want || math.Abs(got-want) <= rel*math.Abs(want)
}

// allowed is the relative error that the doc comments allow.
func allowed(nu float64) float64 {
	if nu > 10_000 {
		return 1e-10
	}
	return 1e-12
}

func TestTables(t *testing.T) {
	for _, c := range tailTable {
		if got := TTail(c.t, c.nu); !near(got, c.want, allowed(c.nu)) {
			t.Errorf("TTail(%v, %v) = %.17g (want %.17g)", c.t, c.nu, got, c.want)
		}
		if got := TTail(-c.t, c.nu); !near(got, 1-c.want, allowed(c.nu)) {
			t.Errorf("TTail(%v, %v) = %.17g (want %.17g)", -c.t, c.nu, got, 1-c.want)
		}
	}
	for _, c := range quantileTable {
		if got := TQuantile(c.p, c.nu); !near(got, c.want, allowed(c.nu)) {
			t.Errorf("TQuantile(%v, %v) = %.17g (want %.17g)", c.p, c.nu, got, c.want)
		}
	}
	for _, c := range normalTable {
		if got := TTail(c.x, math.Inf(1)); !near(got, c.tail, 1e-12) {
			t.Errorf("tail above %v of the normal distribution = %.17g (want %.17g)", c.x, got, c.tail)
		}
	}
	for _, c := range normalQuantiles {
		if got := TQuantile(c.p, math.Inf(1)); !near(got, c.want, 1e-12) {
			t.Errorf("normal quantile of %v = %.17g (want %.17g)", c.p, got, c.want)
		}
	}
	for _, c := range expTable {
		if got := exp(c.x); !near(got, c.want, 2.3e-16) && math.Abs(got-c.want) > 5e-324 {
			t.Errorf("exp(%v) = %.17g (want %.17g)", c.x, got, c.want)
		}
	}
	for _, c := range lnTable {
		if got := ln(c.x); !near(got, c.want, 2.3e-16) {
			t.Errorf("ln(%v) = %.17g (want %.17g)", c.x, got, c.want)
		}
	}
}

// TestPublishedTable compares with the printed digits of Abramowitz and Stegun
// (1964), table 26.10 (two-sided probabilities) and table 26.5.
func TestPublishedTable(t *testing.T) {
	for _, c := range []struct{ p, nu, want float64 }{
		{0.95, 1, 6.314}, {0.975, 1, 12.706}, {0.995, 1, 63.657}, {0.975, 2, 4.303}, {0.995, 2, 9.925},
		{0.975, 5, 2.571}, {0.975, 6, 2.447}, {0.975, 10, 2.228}, {0.995, 10, 3.169}, {0.975, 15, 2.131},
		{0.975, 29, 2.045}, {0.95, 30, 1.697}, {0.975, 60, 2.000}, {0.975, 120, 1.980}, {0.975, math.Inf(1), 1.960},
		{0.8, math.Inf(1), 0.842}, {0.995, math.Inf(1), 2.576},
	} {
		if got := TQuantile(c.p, c.nu); math.Abs(got-c.want) > 0.00051 {
			t.Errorf("TQuantile(%v, %v) = %v (want %v)", c.p, c.nu, got, c.want)
		}
	}
}

// TestAgainstTheStandardLibrary: the standard library's functions are within 1 ulp
// of the true value where Go has no assembler, and so are these.
func TestAgainstTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		x := random.NormFloat64() * 50
		if got, want := exp(x), math.Exp(x); !near(got, want, 4.5e-16) {
			t.Fatalf("exp(%v) = %.17g (math.Exp: %.17g)", x, got, want)
		}
		y := math.Exp(x)
		if got, want := ln(y), math.Log(y); !near(got, want, 4.5e-16) {
			t.Fatalf("ln(%v) = %.17g (math.Log: %.17g)", y, got, want)
		}
		u := math.Exp(-math.Abs(x))
		if got, want := ln1p(u), math.Log1p(u); !near(got, want, 9e-16) {
			t.Fatalf("ln1p(%v) = %.17g (math.Log1p: %.17g)", u, got, want)
		}
		k, n := int64(random.IntN(2000)-1000), int64(1+random.IntN(300))
		if got, want := cosQuarters(k, n), math.Cos(math.Pi/2*float64(k)/float64(n)); math.Abs(got-want) > 1e-12 {
			t.Fatalf("cosQuarters(%d, %d) = %.17g (math.Cos: %.17g)", k, n, got, want)
		}
	}
}

func TestEdges(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"exp(+Inf)", exp(inf), inf}, {"exp(-Inf)", exp(-inf), 0}, {"exp(710)", exp(710), inf}, {"exp(0)", exp(0), 1},
		{"exp(NaN)", exp(nan), nan}, {"ln(0)", ln(0), -inf}, {"ln(-1)", ln(-1), nan}, {"ln(1)", ln(1), 0}, {"ln(+Inf)", ln(inf), inf},
		{"ln1p(0)", ln1p(0), 0}, {"ln1p(1e-300)", ln1p(1e-300), 1e-300},
		{"cos 0", cosQuarters(0, 3), 1}, {"cos π/2", cosQuarters(3, 3), 0}, {"cos π", cosQuarters(6, 3), -1},
		{"cos 3π/2", cosQuarters(9, 3), 0}, {"cos 2π", cosQuarters(12, 3), 1}, {"cos -2π", cosQuarters(-12, 3), 1},
		{"TTail(0)", TTail(0, 3), 0.5}, {"TTail(+Inf)", TTail(inf, 3), 0}, {"TTail(-Inf)", TTail(-inf, 3), 1},
		{"TTail of nu 0", TTail(1, 0), nan}, {"TTail of NaN", TTail(nan, 1), nan},
		{"TQuantile(0)", TQuantile(0, 3), -inf}, {"TQuantile(1)", TQuantile(1, 3), inf}, {"TQuantile(½)", TQuantile(0.5, 3), 0},
		{"TQuantile(1.1)", TQuantile(1.1, 3), nan}, {"TQuantile of nu -1", TQuantile(0.9, -1), nan},
	} {
		if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("%s = %v (want %v)", c.name, c.got, c.want)
		}
	}
}

// TestQuantileInvertsTail at random arguments.
func TestQuantileInvertsTail(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	for range 2000 {
		nu := math.Exp(random.Float64()*12 - 0.7)
		p := 1 / (1 + math.Exp(random.NormFloat64()*4))
		x := TQuantile(p, nu)
		if got := 1 - TTail(x, nu); !near(got, p, 1e-11) && p > 1e-9 {
			t.Errorf("1-TTail(TQuantile(%v, %v)) = %v", p, nu, got)
		}
		if got := TQuantile(1-p, nu); math.Abs(got+x) > 1e-6*math.Abs(x) && p > 1e-6 && p < 1-1e-6 {
			t.Errorf("TQuantile(%v, %v) = %v (want %v)", 1-p, nu, got, -x)
		}
	}
}
