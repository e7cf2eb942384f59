package judge

import "math"

// normalTail is the probability that a standard normal value is above x. The
// relative error is below 1e-12.
//
// Source: Abramowitz and Stegun (1964): the series 26.2.11 for x below 2.5, the
// continued fraction 26.2.14 above.
func normalTail(x float64) float64 {
	if x < 0 {
		return 1 - normalTail(-x)
	}
	if x < 2.5 {
		x2 := float64(x * x)
		term, sum := x, x
		for i := 3.0; term > float64(1e-18*sum); i += 2 {
			term = float64(term*x2) / i
			sum += term
		}
		return 0.5 - float64(normalDensity(x)*sum)
	}
	f := x
	for i := 120.0; i >= 1; i-- {
		f = x + i/f
	}
	return normalDensity(x) / f
}

// normalDensity is e^(-x²/2)/√(2π).
func normalDensity(x float64) float64 {
	return exp(-float64(x*x)/2) / math.Sqrt(float64(2*math.Pi))
}
