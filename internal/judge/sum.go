package judge

import "math"

// Sum adds numbers exactly and rounds once, when its value is asked for. So the
// parts of a sum add up to it whatever their order is, and each printed figure
// is the one nearest to the exact one. The zero Sum is 0.
//
// It keeps the sum as numbers whose bits do not overlap. Source: J. R.
// Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust
// Geometric Predicates, Discrete & Computational Geometry 18 (1997), section 2.4.
type Sum struct {
	parts []float64 // rising in magnitude, none of them 0
}

// Add adds x, which must be finite.
func (s *Sum) Add(x float64) {
	kept := 0
	for _, y := range s.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			s.parts[kept] = low
			kept++
		}
		x = high
	}
	s.parts = s.parts[:kept]
	if x != 0 {
		s.parts = append(s.parts, x)
	}
}

// AddSum adds all of o.
func (s *Sum) AddSum(o *Sum) {
	for _, x := range o.parts {
		s.Add(x)
	}
}

// Value is the exact sum, rounded to the nearest number, to an even one where
// two are equally near.
func (s *Sum) Value() float64 {
	i := len(s.parts) - 1
	if i < 0 {
		return 0
	}
	high, low := s.parts[i], 0.0
	for i--; i >= 0; i-- {
		x, y := high, s.parts[i]
		high = x + y
		if low = y - (high - x); low != 0 {
			break
		}
	}
	// Half of a last place, and more of the same sign behind it: the rounding to
	// even has gone the wrong way.
	if i > 0 && (low < 0) == (s.parts[i-1] < 0) && low != 0 {
		if x, y := high+2*low, 2*low; y == x-high {
			high = x
		}
	}
	return high
}
