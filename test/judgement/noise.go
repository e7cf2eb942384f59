package main

import (
	"math"
	"math/rand/v2"
)

// lognormal is a factor of mean 1 and coefficient of variation cv.
func lognormal(r *rand.Rand, cv float64) float64 {
	if cv == 0 {
		return 1
	}
	s2 := math.Log(1 + cv*cv)
	return math.Exp(math.Sqrt(s2)*r.NormFloat64() - s2/2)
}

// works are the sizes of n chunks, of mean 1 and coefficient of variation cv.
func works(r *rand.Rand, n int, cv float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = lognormal(r, cv)
	}
	return list
}

// load is a machine's load as a factor of time: the exponential of a first-order
// autoregression.
type load struct {
	sd, phi float64 // standard deviation of the logarithm; correlation from step to step
	x       float64
	started bool
}

func (l *load) next(r *rand.Rand) float64 {
	if l.sd == 0 {
		return 1
	}
	if !l.started {
		l.x, l.started = r.NormFloat64()*l.sd, true
	} else {
		l.x = l.phi*l.x + l.sd*math.Sqrt(1-l.phi*l.phi)*r.NormFloat64()
	}
	return math.Exp(l.x)
}

// poisson draws a count of that mean.
func poisson(r *rand.Rand, mean float64) int {
	if mean > 30 { // in parts: exp(-mean) must not vanish
		return poisson(r, mean/2) + poisson(r, mean/2)
	}
	n, p, limit := 0, r.Float64(), math.Exp(-mean)
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// t3 is a t-distributed number with 3 degrees of freedom.
func t3(r *rand.Rand) float64 {
	var squares float64
	for range 3 {
		x := r.NormFloat64()
		squares += x * x
	}
	return r.NormFloat64() / math.Sqrt(squares/3)
}
