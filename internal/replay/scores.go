package replay

import (
	"fmt"
	"math"

	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Scores are the probabilities of somebody else's model, for the bars of a
// chunk from its first on. Where they end before the chunk does, the replay
// ends with them, as if it had been stopped there.
//
// A score is compared as it is given: the side with the higher probability, at
// least p_side_min (a p_side_min of 1 or more is never reached), ahead by
// margin_min or more. The model that is built in compares sides and p_side_min
// as log-odds. A probability that was made of log-odds x by model.Sigmoid
// therefore decides as x does, but for what its rounding hides: x within some
// units in the last place of the threshold, and two sides whose probabilities
// are as close, such as two that are both 1. The margin is the same to the bit.
type Scores struct {
	First int64 // the bar of the first score; the chunk's first
	// PLong and PShort are the probabilities of a long and of a short entry, 0
	// to 1, one of each a bar. Where one of them is NaN there is no signal.
	PLong, PShort []float64
}

// Len is the number of bars that have a score.
func (s *Scores) Len() int64 { return int64(len(s.PLong)) }

func (s *Scores) validate(chunk run.BarRange) error {
	if s.First != chunk.First || s.Len() > chunk.Len() || len(s.PLong) != len(s.PShort) {
		return fmt.Errorf("job: %d long and %d short scores from bar %d on (want as many of each, at most %d, from bar %d on)",
			len(s.PLong), len(s.PShort), s.First, chunk.Len(), chunk.First)
	}
	for k, p := range s.PLong {
		for _, p := range [2]float64{p, s.PShort[k]} {
			if p < 0 || p > 1 {
				return fmt.Errorf("job: the score of bar %d is %v (want a probability, 0 to 1)", s.First+int64(k), p)
			}
		}
	}
	return nil
}

// decide makes a decision of the score of that bar, which lies in market
// session session.
func (s *Scores) decide(r *entryRule, bar int64, session int) (side trade.Side, p float64, what trade.BarDecision) {
	k := bar - s.First
	long, short := s.PLong[k], s.PShort[k]
	x := r.better(session, long, short, &r.leastP)
	side, why := x.side, x.why
	if why == trade.DecisionSignal && x.lead > 0 && x.score-x.other < x.lead {
		side, why = 0, trade.DecisionMargin
	}
	what = sided(why, long, short)
	if why.HasScore() {
		what.Score = max(long, short)
	}
	return side, x.score, what
}

// leastP are the probabilities that reach p_side_min. No log-odds reach 1, so a
// probability of 1 does not either.
func leastP(p policy.Sides) policy.Sides {
	one := func(p float64) float64 {
		if p >= 1 {
			return math.Inf(1)
		}
		return p
	}
	return policy.Sides{Long: one(p.Long), Short: one(p.Short)}
}
