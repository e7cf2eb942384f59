package judge

import "math"

// TTail is the probability that a t-distributed value with nu degrees of freedom
// is above t. nu is positive, and may be +Inf for the normal distribution. NaN for
// other nu. The relative error is below 1e-12 for nu ≤ 10,000 and below 1e-10 up to
// 1e6, for probabilities above 1e-100.
//
// Source: Abramowitz and Stegun (1964) 26.7.1 and 26.5.27: the tail is half of the
// regularized incomplete beta function I_x(ν/2, ½), x = ν/(ν+t²).
func TTail(t, nu float64) float64 {
	switch {
	case math.IsNaN(t) || math.IsNaN(nu) || nu <= 0:
		return math.NaN()
	case math.IsInf(nu, 1):
		return normalTail(t)
	case t < 0:
		return 1 - TTail(-t, nu)
	}
	t2 := float64(t * t)
	if math.IsInf(t2, 1) {
		return 0
	}
	a := nu / 2
	x, y := nu/(nu+t2), t2/(nu+t2) // x + y = 1
	// x^a · y^½ / B(a, ½), of both forms of the continued fraction.
	front := float64(exp(-float64(a*ln1p(t2/nu))) * math.Sqrt(y) * gammaRatio(a) / math.Sqrt(math.Pi))
	if x < (a+1)/(a+2.5) {
		return float64(front * betaFraction(a, 0.5, x) / a / 2)
	}
	return 0.5 - float64(front*betaFraction(0.5, a, y)) // I_x(a,b) = 1 - I_y(b,a); divided by b = ½ and by 2
}

// TQuantile is the value below which a t-distributed one with nu degrees of
// freedom is with probability p. It is -Inf for p = 0, +Inf for p = 1, and NaN for
// p outside [0, 1] or nu not positive. nu = +Inf gives the normal quantile. The
// relative error is below 1e-12 for nu in [0.5, 10,000] and below 1e-10 up to 1e6,
// for p in [1e-10, 1-1e-10].
//
// It is found by Newton's method on TTail, kept between bounds by bisection.
func TQuantile(p, nu float64) float64 {
	switch {
	case math.IsNaN(p) || math.IsNaN(nu) || p < 0 || p > 1 || nu <= 0:
		return math.NaN()
	case p == 0.5:
		return 0
	case p < 0.5:
		return -tQuantileAbove(p, nu)
	}
	return tQuantileAbove(1-p, nu)
}

// tQuantileAbove is the value above which the probability is q, 0 ≤ q < ½.
func tQuantileAbove(q, nu float64) float64 {
	if q == 0 {
		return math.Inf(1)
	}
	low, high := 0.0, 1.0
	for TTail(high, nu) > q {
		low, high = high, float64(high*2)
		if math.IsInf(high, 1) {
			return high
		}
	}
	x := (low + high) / 2
	for range 200 {
		excess := TTail(x, nu) - q
		if excess > 0 {
			low = x
		} else {
			high = x
		}
		next := x + excess/tDensity(x, nu)
		if !(next > low && next < high) {
			next = low + (high-low)/2
		}
		if math.Abs(next-x) <= float64(1e-15*x) {
			return next
		}
		x = next
	}
	return x
}

// tDensity is the density of the t distribution (Abramowitz and Stegun 26.7.2).
func tDensity(t, nu float64) float64 {
	t2 := float64(t * t)
	if math.IsInf(nu, 1) {
		return normalDensity(t)
	}
	return float64(gammaRatio(nu/2) / math.Sqrt(float64(nu*math.Pi)) * exp(-float64((nu+1)/2*ln1p(t2/nu))))
}

// gammaRatio is Γ(a+½)/Γ(a) for a > 0.
//
// Source: the difference of two Stirling series (Abramowitz and Stegun 6.1.40), in
// which the even powers cancel: ln of the ratio is ½ ln a - 1/(8a) + 1/(192a³) -
// 1/(640a⁵) + 17/(14336a⁷) - 31/(18432a⁹) + …; the next term is below 1e-16 for a ≥
// 16. Smaller a go up by Γ(a+1) = a·Γ(a).
func gammaRatio(a float64) float64 {
	down := 1.0
	for a < 16 {
		down = float64(down * (a / (a + 0.5)))
		a++
	}
	u := 1 / a
	u2 := float64(u * u)
	s := -1.0/8 + float64(u2*(1.0/192+float64(u2*(-1.0/640+float64(u2*(17.0/14336-float64(u2*(31.0/18432))))))))
	return float64(down * math.Sqrt(a) * exp(float64(u*s)))
}

// betaFraction is the continued fraction of the incomplete beta function, by which
// I_x(a, b) = x^a (1-x)^b / (a B(a, b)) · betaFraction. It converges quickly for
// x < (a+1)/(a+b+2).
//
// Source: DLMF 8.17.22, evaluated by Lentz's method (Numerical Recipes, 3rd edition,
// 6.4).
func betaFraction(a, b, x float64) float64 {
	const tiny = 1e-300
	away := func(v float64) float64 { // from zero
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/away(1-float64((a+b)*x)/(a+1))
	f := d
	for m := 1.0; m <= 10_000; m++ {
		even := float64(m * (b - m) * x / ((a + float64(2*m) - 1) * (a + float64(2*m))))
		d, c = 1/away(1+float64(even*d)), away(1+even/c)
		f = float64(f * float64(d*c))
		odd := -float64((a + m) * (a + b + m) * x / ((a + float64(2*m)) * (a + float64(2*m) + 1)))
		d, c = 1/away(1+float64(odd*d)), away(1+odd/c)
		step := float64(d * c)
		f = float64(f * step)
		if math.Abs(step-1) < 1e-16 {
			break
		}
	}
	return f
}
