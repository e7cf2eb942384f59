package judge

import "math"

// tuning is g at alpha: the variance of the effect, in units of the variance of one
// pair, for which the sequence is narrowest near 30 pairs. 0.2927 at alpha 0.05.
//
// Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, Time-uniform
// central limit theory and asymptotic confidence sequences, Annals of Statistics 52
// (2024): the approximation (-2 ln α + ln(-2 ln α) + 1)/n of the best mixture at time n.
func tuning(alpha float64) float64 { return clock(alpha) / 30 }

// clock is -2 ln α + ln(-2 ln α) + 1: 8.782 at alpha 0.05.
func clock(alpha float64) float64 {
	l := -float64(2 * ln(alpha))
	return l + ln(l) + 1
}

// multiplier is m, by which a standard error that was estimated from nu values becomes
// the half-width of an interval that holds at every look. ng is nu·g. It is +Inf where
// the mixture cannot exclude anything yet, and NaN below nu = 2.
//
// Source: T. L. Lai, On confidence sequences, Annals of Statistics 4 (1976), and H. Wang,
// A. Ramdas, Anytime-valid t-tests and confidence sequences for Gaussian means with
// unknown variance, Sequential Analysis 44 (2025): the mixture over N(0, g) of effect/σ
// with the right Haar prior on σ. With k = ((1+ng)/α²)^(1/ν),
// m = √((ν-1)(k-1)(1+ng)/(1+ng-k)).
func multiplier(nu, ng, alpha float64) float64 {
	if !(nu >= 2) {
		return math.NaN()
	}
	k := exp((ln(1+ng) - float64(2*ln(alpha))) / nu)
	if !(1+ng > k) {
		return math.Inf(1)
	}
	return math.Sqrt(float64((nu - 1) * (k - 1) * ((1 + ng) / (1 + ng - k))))
}
