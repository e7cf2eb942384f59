package judge

import (
	"fmt"
	"math"
)

// minRuns per side open the interval of Repeats.
const minRuns = 3

// Repeats judges the speed of several runs per side, which alternated in time, from
// the total seconds of each on common bars, at confidence 1-alpha. It is an error if
// alpha is not in (0, 1) or a total is not positive and finite. Below 3 runs on a side
// Speed has a Reason. The ratio is that of the geometric means.
//
// Source: Student's two-sample t with a common variance, k_A + k_B - 2 degrees of
// freedom, on the logarithms (Snedecor and Cochran, Statistical Methods, 6th edition,
// 1967, 4.9).
func Repeats(a, b []float64, alpha float64) (Speed, error) {
	if err := checkAlpha(alpha); err != nil {
		return Speed{}, err
	}
	var sides [2]struct{ mean, squares, n float64 }
	for k, totals := range [][]float64{a, b} {
		logs := make([]float64, len(totals))
		for i, t := range totals {
			if !(t > 0) || !finite(t) {
				return Speed{}, fmt.Errorf("total of run %d of side %c: %v s (want a finite number above 0)", i, 'A'+k, t)
			}
			logs[i] = ln(t)
		}
		n := float64(len(logs))
		mean := total(logs) / n
		sides[k].mean, sides[k].squares, sides[k].n = mean, squaresAbout(logs, mean), n
	}
	x, y := sides[0], sides[1]
	s := Speed{Pieces: len(a) + len(b)}
	r := x.mean - y.mean
	if !finite(r) {
		s.Reason = FewRuns
		return s, nil
	}
	s.Estimate = Round(exp(r))
	if len(a) < minRuns || len(b) < minRuns {
		s.Reason = FewRuns
		return s, nil
	}
	freedom := x.n + y.n - 2
	se := math.Sqrt(float64((x.squares + y.squares) / freedom * (1/x.n + 1/y.n)))
	t := TQuantile(1-alpha/2, freedom)
	half := float64(t * se)
	s.Interval = ratio(r, r-half, r+half)
	s.core = [2]float64{r, r}
	s.Smallest = Round(exp(float64((t + powerQuantile) * se)))
	return s, nil
}
