package judge

import (
	"fmt"
	"math"
)

// minDays and minDiffering open the interval of Daily. With rare large losses and
// 12 to 24 days that differ, every interval that was tried covers 50 to 75 %.
const (
	minDays      = 60
	minDiffering = 50
)

// Days is the mean daily difference in pnl. Its interval is about days like these:
// on these days the difference is a fact.
type Days struct {
	Interval         // bps per day
	Reason   Reason  // why there is no interval; the estimate is valid if there are days
	Count    int     // common days
	Differ   int     // days on which the difference is not 0
	Freedom  int     // degrees of freedom ν of the interval
	Smallest float64 // the smallest mean difference that would be found in 80 % of cases, bps per day
}

// Daily is the mean of daily differences, B minus A in bps, one for each common
// day in order of time, with an interval of confidence 1-alpha. A day without
// trades is 0. The interval is given from 60 days of which 50 differ. It is an error
// if alpha is not in (0, 1) or a difference is not finite.
//
// Source: E. Lazarus, D. J. Lewis, J. H. Stock, M. W. Watson, HAR Inference:
// Recommendations for Practice, Journal of Business and Economic Statistics 36 (2018),
// 541-559: the long-run variance by equal-weighted cosines, ν = max(4, ⌊0.4 n^⅔⌋),
// Λ_j = √(2/n) Σ cos(π j (t-½)/n) d_t, and mean ± t(ν) √(ΣΛ_j²/ν/n).
func Daily(differences []float64, alpha float64) (Days, error) {
	if err := checkAlpha(alpha); err != nil {
		return Days{}, err
	}
	n := len(differences)
	d := Days{Count: n}
	for i, x := range differences {
		if !finite(x) {
			return Days{}, fmt.Errorf("difference of day %d: %v (want a finite number)", i, x)
		}
		if x != 0 {
			d.Differ++
		}
	}
	if n > 0 {
		d.Estimate = Round(total(differences) / float64(n))
	}
	switch {
	case n < minDays:
		d.Reason = FewDays
	case d.Differ < minDiffering:
		d.Reason = FewDifferences
	default:
		d.interval(differences, alpha)
	}
	return d, nil
}

func (d *Days) interval(differences []float64, alpha float64) {
	mean, se, freedom := cosines(differences)
	t := TQuantile(1-alpha/2, float64(freedom))
	half := float64(t * se)
	d.Freedom = freedom
	d.Interval = Interval{Round(mean), Round(mean - half), Round(mean + half)}
	d.Smallest = Round(float64((t + powerQuantile) * se))
	if !d.finite() {
		d.Interval, d.Reason = Interval{}, NotFinite
	}
}

// cosines is the mean of values in order of time, its standard error and the degrees of
// freedom of that.
func cosines(values []float64) (mean, se float64, freedom int) {
	n := int64(len(values))
	// 0.4 n^⅔ = (0.064 n²)^⅓, found in integers: the greatest k with k³ ≤ 0.064 n².
	k := int64(4)
	for float64(int64((k+1)*(k+1)*(k+1))) <= float64(0.064*float64(int64(n*n))) {
		k++
	}
	var squares Sum
	for j := int64(1); j <= k; j++ {
		var s Sum
		for i, x := range values {
			s.Add(float64(cosQuarters(int64(j*int64(i+i+1)), n) * x))
		}
		weight := s.Value()
		squares.Add(float64(weight * weight))
	}
	variance := float64(2/float64(n)*squares.Value()) / float64(k)
	return total(values) / float64(n), math.Sqrt(variance / float64(n)), int(k)
}

// powerQuantile is the normal quantile of 0.8: an effect of (t + 0.84) standard
// errors is found in 80 % of cases.
const powerQuantile = 0.84

func checkAlpha(alpha float64) error {
	if !(alpha > 0 && alpha < 1) {
		return fmt.Errorf("alpha %v (want a number between 0 and 1, such as 0.05)", alpha)
	}
	return nil
}
