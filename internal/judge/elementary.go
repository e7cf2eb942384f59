package judge

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01 // ln 2, its upper 32 bits: k·ln2Hi is exact for |k| < 2^20
	ln2Lo = 1.90821492927058770002e-10 // the rest
)

// exp is e^x within 1 ulp: 0 below -745, +Inf above 709.78.
//
// Source: FreeBSD's msun/src/e_exp.c (Sun Microsystems, 1993). With x = k·ln 2 + r,
// |r| ≤ 0.35, e^r is a rational function of r whose polynomial approximates
// r·(e^r+1)/(e^r-1).
func exp(x float64) float64 {
	const (
		p1 = 1.66666666666666657415e-01
		p2 = -2.77777777770155933842e-03
		p3 = 6.61375632143793436117e-05
		p4 = -1.65339022054652515390e-06
		p5 = 4.13813679705723846039e-08
	)
	switch {
	case math.IsNaN(x):
		return x
	case x > 709.782712893384:
		return math.Inf(1)
	case x < -745.1332191019412:
		return 0
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	hi, lo := x-float64(k*ln2Hi), float64(k*ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := r - float64(t*(p1+float64(t*(p2+float64(t*(p3+float64(t*(p4+float64(t*p5)))))))))
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return math.Ldexp(y, int(k))
}

// ln is the natural logarithm within 1 ulp: -Inf for 0, NaN below.
//
// Source: FreeBSD's msun/src/e_log.c (Sun Microsystems, 1993). With x = 2^k·(1+f),
// 1+f in [√½, √2), and s = f/(2+f), ln(1+f) = f - f²/2 + s·(f²/2 + R(s²)).
func ln(x float64) float64 {
	const (
		l1 = 6.666666666666735130e-01
		l2 = 3.999999999940941908e-01
		l3 = 2.857142874366239149e-01
		l4 = 2.222219843214978396e-01
		l5 = 1.818357216161805012e-01
		l6 = 1.531383769920937332e-01
		l7 = 1.479819860511658591e-01
	)
	switch {
	case math.IsNaN(x) || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m = float64(m * 2)
		e--
	}
	f, k := m-1, float64(e)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * (l1 + float64(s4*(l3+float64(s4*(l5+float64(s4*l7)))))))
	t2 := float64(s4 * (l2 + float64(s4*(l4+float64(s4*l6)))))
	half := float64(0.5 * f * f)
	return float64(k*ln2Hi) - ((half - (float64(s*(half+t1+t2)) + float64(k*ln2Lo))) - f)
}

// ln1p is ln(1+u) for u > -1, also for u near 0.
//
// Source: W. Kahan, in Hewlett-Packard's HP-15C Advanced Functions Handbook (1982):
// the rounding of 1+u cancels in ln(w)·u/(w-1).
func ln1p(u float64) float64 {
	w := 1 + u
	if w == 1 {
		return u
	}
	return float64(ln(w) * u / (w - 1))
}

// cosQuarters is cos(π/2 · k/n) for n > 0, within 2 ulp, and exact at multiples of
// a right angle. The angle is reduced in integers.
//
// Source: the Taylor series of cosine and sine at 0 (Abramowitz and Stegun, 1964,
// 4.3.65 and 4.3.66), up to x^19 for |x| ≤ π/4; the first term left out is below 1e-20.
func cosQuarters(k, n int64) float64 {
	turn := int64(4 * n)
	k = (k%turn + turn) % turn
	if k > turn-k {
		k = turn - k // cos(2π - x) = cos x
	}
	sign := 1.0
	if k > n {
		k, sign = turn/2-k, -1 // cos(π - x) = -cos x
	}
	if k <= n-k {
		return float64(sign * series(1, float64(math.Pi/2*float64(k))/float64(n), 0))
	}
	x := float64(math.Pi/2*float64(n-k)) / float64(n)
	return float64(sign * series(x, x, 1))
}

// series is first · (1 - x²/((d+1)(d+2)) · (1 - x²/((d+3)(d+4)) · (…))): the cosine
// of x for first 1 and d 0, the sine for first x and d 1.
func series(first, x, d float64) float64 {
	x2 := float64(x * x)
	sum := 1.0
	for i := d + 17; i > d; i -= 2 {
		sum = 1 - float64(x2*sum)/float64(i*(i+1))
	}
	return float64(first * sum)
}
