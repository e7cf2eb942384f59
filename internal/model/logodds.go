package model

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01 // ln 2, its upper 32 bits: k·ln2Hi is exact for |k| < 2^20
	ln2Lo = 1.90821492927058770002e-10 // the rest
)

// Sigmoid is 1/(1+exp(-x)), the probability of log-odds x: 0 at -Inf, 1 at
// +Inf, NaN for NaN. It is within 4 ulp of the true value and the same bits
// on every machine.
func Sigmoid(x float64) float64 {
	switch {
	case x >= 0:
		return 1 / (1 + expNeg(-x))
	case x < 0:
		e := expNeg(x)
		return e / (1 + e)
	}
	return x
}

// Logit is ln(p/(1-p)), the log-odds of probability p: -Inf for p ≤ 0, so
// that every score reaches it, and +Inf for p ≥ 1, so that none does.
func Logit(p float64) float64 {
	switch {
	case p <= 0:
		return math.Inf(-1)
	case p >= 1:
		return math.Inf(1)
	case p != p:
		return p
	}
	return ln(p / (1 - p))
}

// expNeg is exp(x) for x ≤ 0; below -708, where it leaves the normal numbers,
// it is 0. With k = round(x/ln 2) and r = x - k·ln 2, |r| ≤ 0.35, exp(x) is
// 2^k times the Taylor series of exp(r), whose first term left out is below
// 1e-17. Each product is rounded by itself, so that none is fused.
func expNeg(x float64) float64 {
	if x < -708 {
		return 0
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := (x - float64(k*ln2Hi)) - float64(k*ln2Lo)
	sum := 1.0
	for n := 13.0; n >= 1; n-- {
		sum = 1 + float64(sum*r)/n
	}
	return float64(sum * math.Float64frombits(uint64(int64(k)+1023)<<52))
}

// ln is the natural logarithm of a positive number. With x = m·2^k,
// m in [√½, √2), and s = (m-1)/(m+1), ln m = 2·(s + s³/3 + s⁵/5 + …); the
// first term left out is below 1e-18.
func ln(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		k--
	}
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	var sum float64
	for n := 25.0; n >= 3; n -= 2 {
		sum = float64(sum*s2) + 1/n
	}
	lnM := float64(2*s) + float64(2*float64(s*float64(s2*sum)))
	return float64(float64(k)*ln2Hi) + (float64(float64(k)*ln2Lo) + lnM)
}
