package judge

import "math"

// jackknife is the standard error of a statistic from its values without one
// observation each.
//
// Source: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982),
// equation 3.1: √((n-1)/n · Σ(θ_i - mean)²).
func jackknife(without []float64) float64 {
	n := float64(len(without))
	return math.Sqrt(float64((n - 1) / n * squaresAbout(without, total(without)/n)))
}

// squaresAbout is the sum of squared deviations from center.
func squaresAbout(values []float64, center float64) float64 {
	var s Sum
	for _, x := range values {
		d := x - center
		s.Add(float64(d * d))
	}
	return s.Value()
}

// total is the sum of values, rounded once. It is not finite if a value is not, or if
// a partial sum is out of range.
func total(values []float64) float64 {
	s := Sum{parts: make([]float64, 0, 8)}
	for _, x := range values {
		s.Add(x)
	}
	return s.Value()
}
