package judge

import (
	"fmt"
	"math"
)

const (
	// The interval opens at so many chunks, and at minSkewed·γ̂² (Cochran, Sampling
	// Techniques, 3rd edition, 1977, 2.15).
	minMembers = 30
	minSkewed  = 25
	// No interval is given for runs of fewer chunks.
	minChunks = 200
)

// Scale is how an estimate's interval is made.
type Scale int

const (
	Count  Scale = iota // counts and times: above 0, interval by the logarithm
	Signed              // pnl: of either sign
)

// Whole is what a run would give if it were replayed to its end.
type Whole struct {
	Interval        // of the total over all chunks
	Reason   Reason // why there are no bounds; the estimate is valid if there are members
	Members  int    // chunks of the prefix
	Opens    int    // of NotEnoughChunks: at how many members it would open
}

// Within reports whether both bounds are within a share of the estimate, such as 0.1
// for ±10 %. It is the rule of --stop-when.
func (w Whole) Within(share float64) bool {
	if w.Reason != "" {
		return false
	}
	room := float64(share * math.Abs(w.Estimate))
	return w.High-w.Estimate <= room && w.Estimate-w.Low <= room
}

// Estimate says what all chunks would give, from a prefix of their random order. Its
// interval of confidence 1-alpha holds at every moment, also at one that was chosen by
// looking. chunks is the number of chunks of the run without failed ones. It does not
// cover losses rarer than those seen. It is an error if alpha is not in (0, 1), if there
// are more members than chunks, or if a value is not finite or, of a Count, negative.
//
// With s² the sample variance less the mean variance of the extrapolations (at least a
// quarter of it), h = m·√(s²/n·(N-n)/(N-1) + Σv_i/n²), and m as in Sequential with ν = n
// and ν·g replaced by 8.782·[n/(N-n)]/[n*/(N-n*)], n* = max(30, N/20).
//
// Source: (S_n - nμ)/(N-n) is a martingale (R. J. Serfling, Probability inequalities for
// the sum in sampling without replacement, Annals of Statistics 2, 1974); the normal
// mixture over its clock n/(N-n); simulations in docs/judging.md.
func Estimate(prefix []Member, chunks int, scale Scale, alpha float64) (Whole, error) {
	if err := checkAlpha(alpha); err != nil {
		return Whole{}, err
	}
	n := len(prefix)
	if n > chunks {
		return Whole{}, fmt.Errorf("prefix of %d chunks in a run of %d", n, chunks)
	}
	values, variances := make([]float64, n), make([]float64, n)
	for i, p := range prefix {
		if !finite(p.Value, p.Variance) || p.Variance < 0 || scale == Count && p.Value < 0 {
			return Whole{}, fmt.Errorf("chunk %d of the prefix: value %v, variance %v (want finite numbers, 0 or more)", i, p.Value, p.Variance)
		}
		values[i], variances[i] = p.Value, p.Variance
	}
	w := Whole{Members: n}
	if n == 0 {
		w.Reason = NotEnoughChunks
		return w, nil
	}
	size, mean := float64(n), total(values)/float64(n)
	w.Estimate = Round(float64(mean * float64(chunks)))
	spread, skewed := moments(values, mean)
	w.Opens = max(minMembers, int(min(math.Ceil(float64(minSkewed*skewed*skewed)), 1e9)))
	switch {
	case chunks < minChunks:
		w.Reason = FewChunks
	case n < w.Opens:
		w.Reason = NotEnoughChunks
	case scale == Count && mean == 0:
		w.Reason = NothingSeen
	default:
		ofMeans := total(variances)
		s2 := max(spread-ofMeans/size, spread/4)
		all := float64(chunks)
		se := math.Sqrt(float64(s2/size*((all-size)/(all-1))) + ofMeans/float64(size*size))
		w.bounds(mean, se, all, scale, alpha)
	}
	if w.Reason != NotEnoughChunks {
		w.Opens = 0
	}
	return w, nil
}

func (w *Whole) bounds(mean, se, all float64, scale Scale, alpha float64) {
	h := 0.0
	if se > 0 { // it is 0 at the end
		n := float64(w.Members)
		first := max(minMembers, all/20)
		elapsed := n / max(all-n, 1) / (first / (all - first))
		h = float64(multiplier(n, float64(clock(alpha)*elapsed), alpha) * se)
	}
	i := Interval{w.Estimate, Round(float64((mean - h) * all)), Round(float64((mean + h) * all))}
	if scale == Count {
		i.Low, i.High = Round(float64(mean*all*exp(-h/mean))), Round(float64(mean*all*exp(h/mean)))
	}
	if !i.finite() {
		w.Reason = NotFinite
		return
	}
	w.Interval = i
}

// moments are the sample variance and skewness of values, 0 where there is none.
func moments(values []float64, mean float64) (variance, skewness float64) {
	n := float64(len(values))
	if n < 2 {
		return 0, 0
	}
	squares := squaresAbout(values, mean)
	sd := math.Sqrt(squares / n)
	if !(sd > 0) {
		return 0, 0
	}
	var cubes Sum
	for _, x := range values {
		z := (x - mean) / sd
		cubes.Add(float64(z * z * z))
	}
	return squares / (n - 1), cubes.Value() / n
}
