package judge

import "math"

// Bound says on which side of its limit a value must be; the limit itself holds.
type Bound string

const (
	AtLeast Bound = "at least"
	AtMost  Bound = "at most"
)

// Holding is the judgement of one threshold.
type Holding string

const (
	Holds   Holding = "holds"      // the whole interval does
	Fails   Holding = "fails"      // no part of it does
	Unknown Holding = "cannot say" // else
)

// maxFurther bounds the number of pieces that is worth naming.
const maxFurther = 1_000_000

// Decision is a judged threshold.
type Decision struct {
	Holding
	Reason  Reason // of Unknown, if there is no interval
	Further int    // of Unknown: pieces that would probably decide it; 0: none would, or unknown
	None    bool   // of Unknown: no number of pieces would, because the machine differed; use ab
}

// Threshold judges whether the speed keeps a limit above 0. The number of further
// pieces is n((w/d)² - 1), rounded up: the width w of the interval on the side of the
// limit shrinks as √n, while the distance d stays.
func (s Speed) Threshold(bound Bound, limit float64) Decision {
	if s.Reason == "" && !(s.finite() && s.Low > 0 && limit > 0 && finite(limit)) {
		s.Reason = NotFinite
	}
	if s.Reason != "" {
		return Decision{Holding: Unknown, Reason: s.Reason}
	}
	limit = Round(limit)
	above, below := Holds, Fails
	if bound == AtMost {
		above, below = Fails, Holds
	}
	switch {
	case s.Low > limit || s.Low == limit && above == Holds:
		return Decision{Holding: above}
	case s.High < limit || s.High == limit && below == Holds:
		return Decision{Holding: below}
	}
	return s.undecided(ln(limit))
}

// undecided counts further pieces until the interval no longer has the limit.
func (s Speed) undecided(limit float64) Decision {
	d := Decision{Holding: Unknown}
	var width, distance float64
	switch {
	case s.core[0] > limit:
		width, distance = s.core[0]-ln(s.Low), s.core[0]-limit
	case s.core[1] < limit:
		width, distance = ln(s.High)-s.core[1], limit-s.core[1]
	default:
		d.None = true
		return d
	}
	q := width / distance
	further := math.Floor(float64(float64(s.Pieces)*(float64(q*q)-1))) + 1
	if further >= 1 && further <= maxFurther {
		d.Further = int(further)
	}
	return d
}

// HoldsExactly judges an exact quantity: skip ratio, calls, trades.
func HoldsExactly(value float64, bound Bound, limit float64) Decision {
	value, limit = Round(value), Round(limit)
	switch {
	case !finite(value, limit):
		return Decision{Holding: Unknown, Reason: NotFinite}
	case bound == AtLeast && value >= limit, bound == AtMost && value <= limit:
		return Decision{Holding: Holds}
	}
	return Decision{Holding: Fails}
}
