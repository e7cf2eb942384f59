package judge

import "fmt"

// minProgress is the progress from which a chunk is extrapolated.
const minProgress = 0.25

// Progress is how far a chunk is, and what it gave so far.
type Progress struct {
	Done    float64 // share of its bars that were replayed, 0 to 1; a chunk that was released has 0
	Value   float64 // a count of events, a time, or pnl, in the bars replayed
	Squares float64 // of what adds up to Value: the number of events, or Σ pnl²
}

// Member is a chunk of a prefix: its value at its end, and the variance of that if it
// was extrapolated.
type Member struct{ Value, Variance float64 }

// Prefix takes from the chunks in order of dispatch those before the first whose
// progress is below 0.25, and extrapolates the unfinished ones: x/f, with variance
// Σx²·(1-f)/f². Who finishes first is no sample, but an order that was drawn before is. A
// chunk that failed is not part of the population: leave it out. It is an error if a
// number is not finite, Done not in [0, 1], or Squares negative.
//
// Source: the variance is that of a binomial thinning, conditional on the rate
// (W. G. Cochran, Sampling Techniques, 3rd edition, 1977, 11.6, for two-stage samples).
func Prefix(dispatched []Progress) ([]Member, error) {
	var list []Member
	for i, p := range dispatched {
		if !finite(p.Done, p.Value, p.Squares) || p.Done < 0 || p.Done > 1 || p.Squares < 0 {
			return nil, fmt.Errorf("chunk %d in order of dispatch: progress %v, value %v, squares %v (want finite numbers, progress in [0, 1], squares 0 or more)",
				i, p.Done, p.Value, p.Squares)
		}
	}
	for _, p := range dispatched {
		if p.Done < minProgress {
			break
		}
		m := Member{Value: p.Value / p.Done}
		m.Variance = float64(p.Squares * ((1 - p.Done) / float64(p.Done*p.Done)))
		list = append(list, m)
	}
	return list, nil
}
