package judge

import (
	"fmt"
	"math"
)

const (
	// The sequence opens at these, of pairs and of their Kish number.
	minPairs = 12
	minKish  = 8
	// It is closed while the Kish number is below this share of the pairs.
	minKishShare = 0.6
	// Pairs of each order from which the order effect is taken out.
	minOrder = 3
	// The number of pairs for which smallest effects are named, and for which the
	// sequence is tuned.
	namedPairs = 30
	// maxPairs bounds the search for the pairs still needed.
	maxPairs = 100_000
)

// Pair is two members that ran one after the other in the same slot.
type Pair struct {
	A, B   float64 // seconds of each member
	BFirst bool    // B ran before A
}

// Compared is what pairs say of the speed.
type Compared struct {
	Interval        // ratio of A's time to B's, without the order effect once it can be told
	Reason   Reason // why there are no bounds
	Pairs    int
	Kish     float64 // effective number of pairs: fewer where some are much longer
	Order    float64 // time of the member that ran first over that of the second; 0: unknown
	SD       float64 // standard deviation of the logarithm of a pair's ratio
	Smallest float64 // the ratio above 1 that pairs like these find in 80 % of cases, by pair 30 or by now
	Needed   int     // further pairs that would decide, at the present ratio; 0: decided, or more than 100,000

	e, se float64
}

// Verdict judges the speed.
func (c Compared) Verdict() Verdict { return JudgeRatio(c.Interval, c.Reason, c.Smallest) }

// Sequential judges pairs by an interval of confidence 1-alpha that may be looked at
// after each pair: the chance that it is ever wrong is alpha. The order of arms in a
// pair, or in a block of pairs, must have been drawn by a coin of its own. It is an error
// if alpha is not in (0, 1), or a time is not positive and finite. It opens at 12 pairs
// and Kish number 8, and is closed while that is below 0.6 of the pairs.
//
// With k arms against one baseline, alpha is divided by k-1; of m controls, by m.
//
// Sources: see multiplier; L. Kish, Survey Sampling (1965) for (Σx)²/Σx².
func Sequential(pairs []Pair, alpha float64) (Compared, error) {
	c, err := comparePairs(pairs, alpha)
	if err != nil || c.Reason != "" {
		return c, err
	}
	g, perPair := tuning(alpha), c.Kish/float64(c.Pairs)
	switch {
	case c.Pairs < minPairs:
		c.Reason = fewPairs(c.Pairs, minPairs)
	case perPair < minKishShare:
		c.Reason = FewCarry
	case c.Kish < minKish:
		c.Reason = fewPairs(c.Pairs, int(math.Ceil(minKish/perPair)))
	default:
		c.bounds(multiplier(c.Kish, float64(c.Kish*g), alpha))
	}
	at := float64(float64(max(c.Pairs, namedPairs)) * perPair)
	m := multiplier(at, float64(at*g), alpha)
	c.Smallest = smallestRatio(float64((m + powerQuantile) * c.SD / math.Sqrt(at)))
	c.Needed = c.needed(perPair, g, alpha)
	return c, nil
}

// Fixed judges pairs whose number was fixed in advance and that were not looked at
// before. It gives a narrower interval of confidence 1-alpha, by Student's t with n-1
// degrees of freedom, or n-2 once the order effect is taken out. It has the errors of
// Sequential, and a Reason for fewer than 6 pairs.
func Fixed(pairs []Pair, alpha float64) (Compared, error) {
	c, err := comparePairs(pairs, alpha)
	if err != nil || c.Reason != "" {
		return c, err
	}
	if c.Pairs < minPieces {
		c.Reason = fewPairs(c.Pairs, minPieces)
		return c, nil
	}
	freedom := float64(c.Pairs - 1)
	if c.Order > 0 {
		freedom--
	}
	t := TQuantile(1-alpha/2, freedom)
	c.bounds(t)
	c.Smallest = smallestRatio(float64((t + powerQuantile) * c.se))
	return c, nil
}

// smallestRatio is the ratio of an effect in logarithms; 0 if it is not finite.
func smallestRatio(effect float64) float64 {
	if r := Round(exp(effect)); finite(r) {
		return r
	}
	return 0
}

// bounds sets the interval of m standard errors; it stays closed where m is infinite.
func (c *Compared) bounds(m float64) {
	half := float64(m * c.se)
	if !finite(half) {
		c.Reason = fewPairs(c.Pairs, c.Pairs+1)
		return
	}
	c.Interval = ratio(c.e, c.e-half, c.e+half)
}

// needed counts further pairs until the interval excludes 1 or lies within ±3 %, if
// ratio and deviation stay as they are.
func (c Compared) needed(perPair, g, alpha float64) int {
	size, band := math.Abs(c.e), ln(EquivalentWithin)
	decided := func(pairs int) bool {
		nu := float64(float64(pairs) * perPair)
		if pairs < minPairs || nu < minKish {
			return false
		}
		half := float64(multiplier(nu, float64(nu*g), alpha) * c.SD / math.Sqrt(nu))
		return half < size || size+half <= band
	}
	if perPair < minKishShare || decided(c.Pairs) || !decided(maxPairs) {
		return 0
	}
	// Between no and yes: the half-width falls with the number of pairs.
	no, yes := c.Pairs, maxPairs
	for yes-no > 1 {
		if middle := no + (yes-no)/2; decided(middle) {
			yes = middle
		} else {
			no = middle
		}
	}
	return yes - c.Pairs
}

// comparePairs estimates the ratio, its standard error and the order effect.
func comparePairs(pairs []Pair, alpha float64) (Compared, error) {
	if err := checkAlpha(alpha); err != nil {
		return Compared{}, err
	}
	n := len(pairs)
	a, b := make([]float64, n), make([]float64, n)
	for i, p := range pairs {
		if !(p.A > 0) || !(p.B > 0) || !finite(p.A, p.B) {
			return Compared{}, fmt.Errorf("pair %d: times %v and %v (want finite numbers above 0)", i, p.A, p.B)
		}
		a[i], b[i] = p.A, p.B
	}
	c := Compared{Pairs: n}
	if n < 2 {
		c.Reason = fewPairs(n, minPairs)
		return c, nil
	}
	c.Kish = min(kish(a), kish(b))
	c.estimate(a, b, pairs)
	c.SD = float64(c.se * math.Sqrt(c.Kish))
	c.Estimate = Round(exp(c.e))
	if !finite(c.e, c.se, c.Kish) {
		return Compared{Pairs: n, Reason: NotFinite}, nil
	}
	return c, nil
}

// estimate sets the logarithm of the ratio of totals and its standard error, by the
// jackknife's influence values. The order effect is taken out: the estimate is the mean of
// both orders' means, and the error that within orders.
func (c *Compared) estimate(a, b []float64, pairs []Pair) {
	n := float64(len(pairs))
	sumA, sumB := total(a), total(b)
	influence := make([]float64, len(pairs))
	for i := range pairs {
		influence[i] = ln((sumA - a[i]) / (sumB - b[i]))
	}
	mean := total(influence) / n
	for i := range influence {
		influence[i] = float64((n - 1) * (mean - influence[i]))
	}
	c.e = ln(sumA / sumB)
	c.se = math.Sqrt(squaresAbout(influence, 0) / float64(n*(n-1)))

	var orders [2][]float64
	for i, p := range pairs {
		k := 0
		if p.BFirst {
			k = 1
		}
		orders[k] = append(orders[k], influence[i])
	}
	x, y := orders[0], orders[1]
	if len(x) < minOrder || len(y) < minOrder {
		return
	}
	nx, ny := float64(len(x)), float64(len(y))
	meanX, meanY := total(x)/nx, total(y)/ny
	within := (squaresAbout(x, meanX) + squaresAbout(y, meanY)) / (n - 2)
	c.e += (meanX + meanY) / 2
	c.se = math.Sqrt(float64(within*(1/nx+1/ny))) / 2
	c.Order = Round(exp((meanX - meanY) / 2))
}

// kish is the effective number of values whose sum is taken.
func kish(values []float64) float64 {
	sum := total(values)
	scaled := make([]float64, len(values)) // so that no square leaves the range
	for i, x := range values {
		x = x / sum
		scaled[i] = float64(x * x)
	}
	return 1 / total(scaled)
}

// controlBand is how far the ratio of a control may move.
const controlBand = 1.02

// Moved reports whether the ratio of a control, a phase that the arms cannot touch, has
// moved by more than 2 %: its interval excludes [1/1.02, 1.02]. Then no verdict of the
// arms is valid, and its Reason is ControlMoved. Of m controls each is judged by
// Sequential at alpha/m.
func (c Compared) Moved() bool {
	return c.Reason == "" && c.finite() && (c.Low > controlBand || c.High < Round(1/controlBand))
}
