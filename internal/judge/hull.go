package judge

import (
	"fmt"
	"math"
)

const (
	// minPieces opens the interval of Hull.
	minPieces = 6
	// A phase that holds this share of A's time has a part in the void rule.
	minShare = 0.05
	// Prices of two such phases that moved apart by more than this void the interval.
	maxApart = 1.10
)

// Phase is what a run spent in one phase of a chunk.
type Phase struct {
	Seconds float64 // in the whole chunk, as far as it was replayed
	Count   float64 // units of work in that time: model calls, built bars, bars
	Common  float64 // units of work on the common bars of the piece
}

// Side is one run's part of a piece.
type Side struct {
	Seconds float64 // time of replay on the common bars, without start-up and warm-up
	Phases  []Phase // all of the time, in the same order everywhere; none: not reported
}

// Timing is what two runs spent on a piece: a chunk, or the common part of two chunks.
type Timing struct{ A, B Side }

// Speed is how much faster B is than A on common bars.
type Speed struct {
	Interval           // ratio of A's time to B's; without a Reason it has bounds
	Reason      Reason // why there are no bounds
	Pieces      int
	Work        float64   // Q: A's work over B's, at the same prices; 0: unknown
	Price       float64   // V: the ratio of times that the work leaves, Interval.Estimate/Work
	PhasePrices []float64 // B's price over A's, per phase; NaN: the phase has no time
	Apart       float64   // by which factor prices of large phases moved apart
	Smallest    float64   // the smallest ratio above 1 that would be found in 80 % of cases

	core [2]float64 // logarithms between which the interval would shrink with more pieces
}

// Verdict judges the speed.
func (s Speed) Verdict() Verdict { return JudgeRatio(s.Interval, s.Reason, s.Smallest) }

// Hull judges the speed of two runs that were not interleaved and differ in the gate
// only, or in nothing, at confidence 1-alpha. It is an error if alpha is not in (0, 1),
// if pieces report different phases, or if a number is negative or not finite.
// Without 6 pieces, phases and steady prices Speed has a Reason, and its Estimate is
// the plain ratio.
//
// What a gate changes is counts, and counts are exact. With price p = seconds/count
// of a phase in a chunk, L = Σ p_A q_A / Σ p_A q_B (Laspeyres) and P = Σ p_B q_A / Σ p_B
// q_B (Paasche) are indices of work, Q = √(L·P) (Fisher), R = Σ t_A/Σ t_B and V = R/Q.
// V holds the machine and any effect of the gate on prices, which two runs cannot tell
// apart, so the interval is the hull of [min(ln L, ln P) - t·s_Q, max(ln L, ln P) + t·s_Q]
// and ln R ∓ t·s_V, with jackknife errors over pieces: s_Q of (ln L - ln P)/√2, s_V of
// ln V, and t of n-1 degrees of freedom. L is the speed-up on the machine as it was during
// run A, P on that of run B. So the interval of A against B is the inverse of that of B
// against A.
//
// A piece without work of a phase in one run has no price there. The price of that phase
// in the other pieces of the run is taken, else the other run's.
//
// Sources: I. Fisher, The Making of Index Numbers (1922); B. Efron (1982) for the
// jackknife; the rule itself and its errors by simulation: docs/judging.md.
func Hull(pieces []Timing, alpha float64) (Speed, error) {
	if err := checkAlpha(alpha); err != nil {
		return Speed{}, err
	}
	if err := checkPieces(pieces); err != nil {
		return Speed{}, err
	}
	b := newBaskets(pieces)
	s := describe(pieces, b)
	switch {
	case s.Reason != "":
	case s.Pieces < minPieces:
		s.Reason = fewPieces(s.Pieces)
	case s.Apart > maxApart:
		s.Reason = PhasesMoved
	default:
		s.hull(b, alpha)
	}
	return s, nil
}

// Plain describes the speed of two runs that differ in more than the gate. It gives
// no bounds, and the Reason NotInterleaved: a drift of the machine by Estimate would
// explain the whole ratio. It has the errors of Hull.
func Plain(pieces []Timing) (Speed, error) {
	if err := checkPieces(pieces); err != nil {
		return Speed{}, err
	}
	s := describe(pieces, newBaskets(pieces))
	if s.Reason == "" || s.Reason == NoPhases {
		s.Reason = NotInterleaved
	}
	return s, nil
}

// describe fills in what needs no interval.
func describe(pieces []Timing, b baskets) Speed {
	s := Speed{Pieces: len(pieces)}
	whole := b.logs(-1)
	if !finite(whole.ratio) {
		s.Reason = NoTime
		return s
	}
	s.Estimate = Round(exp(whole.ratio))
	if phasesOf(pieces) == 0 {
		s.Reason = NoPhases
		return s
	}
	for _, p := range b.phases {
		s.PhasePrices = append(s.PhasePrices, Round(exp(p.rise())))
	}
	if !finite(whole.work()) {
		s.Reason = NoTime
		return s
	}
	s.Work, s.Price, s.Apart = Round(exp(whole.work())), Round(exp(whole.price())), Round(b.apart())
	return s
}

func (s *Speed) hull(b baskets, alpha float64) {
	n, whole := s.Pieces, b.logs(-1)
	apart, price := make([]float64, n), make([]float64, n)
	for i := range n {
		l := b.logs(i)
		apart[i] = (l.laspeyres - l.paasche) / math.Sqrt2
		price[i] = l.price()
	}
	sQ, sV := jackknife(apart), jackknife(price)
	t := TQuantile(1-alpha/2, float64(n-1))
	least, most := min(whole.laspeyres, whole.paasche), max(whole.laspeyres, whole.paasche)
	s.core = [2]float64{min(least, whole.ratio), max(most, whole.ratio)}
	low := min(least-float64(t*sQ), whole.ratio-float64(t*sV))
	high := max(most+float64(t*sQ), whole.ratio+float64(t*sV))
	if !finite(low, high) {
		s.Reason = NoTime // without one piece nothing is left to divide by
		return
	}
	s.Interval = ratio(whole.ratio, low, high)
	s.Smallest = Round(exp(max(high-whole.ratio, whole.ratio-low) + float64(powerQuantile*max(sQ, sV))))
}

func checkPieces(pieces []Timing) error {
	for i, p := range pieces {
		for _, side := range []struct {
			name string
			Side
		}{{"A", p.A}, {"B", p.B}} {
			if len(side.Phases) != len(pieces[0].A.Phases) {
				return fmt.Errorf("piece %d: %d phases in run %s (want %d, as in the others)", i, len(side.Phases), side.name, len(pieces[0].A.Phases))
			}
			values := []float64{side.Seconds}
			for _, ph := range side.Phases {
				values = append(values, ph.Seconds, ph.Count, ph.Common)
			}
			for _, v := range values {
				if !(v >= 0) || !finite(v) {
					return fmt.Errorf("piece %d, run %s: %v (want a finite number, 0 or more)", i, side.name, v)
				}
			}
		}
	}
	return nil
}
