package judge

import "math"

// baskets are the sums of Hull per piece, so that each can be left out.
type baskets struct {
	tA, tB         column // times on the common bars
	aa, ab, ba, bb column // p_A q_A, p_A q_B, p_B q_A, p_B q_B, over all phases
	phases         []phaseBaskets
}

// phaseBaskets are the same of one phase, over all pieces.
type phaseBaskets struct{ aa, ab, ba, bb float64 }

// column has one value per piece.
type column struct {
	values []float64
	sum    float64
}

func newColumn(values []float64) column { return column{values, total(values)} }

// without is the sum without piece i; -1 leaves none out.
func (c column) without(i int) float64 {
	if i < 0 {
		return c.sum
	}
	return c.sum - c.values[i]
}

func newBaskets(pieces []Timing) baskets {
	n := len(pieces)
	tA, tB := make([]float64, n), make([]float64, n)
	sums := make([][4]Sum, n)
	b := baskets{}
	for i, p := range pieces {
		tA[i], tB[i] = p.A.Seconds, p.B.Seconds
	}
	for j := range phasesOf(pieces) {
		var of [4]Sum
		pooledA, pooledB := pooled(pieces, j)
		for i, p := range pieces {
			a, b := p.A.Phases[j], p.B.Phases[j]
			priceA, priceB := prices(a, b, pooledA, pooledB)
			for k, x := range [4]float64{
				float64(priceA * a.Common), float64(priceA * b.Common), float64(priceB * a.Common), float64(priceB * b.Common),
			} {
				sums[i][k].Add(x)
				of[k].Add(x)
			}
		}
		b.phases = append(b.phases, phaseBaskets{of[0].Value(), of[1].Value(), of[2].Value(), of[3].Value()})
	}
	pick := func(k int) column {
		values := make([]float64, n)
		for i := range values {
			values[i] = sums[i][k].Value()
		}
		return newColumn(values)
	}
	b.tA, b.tB = newColumn(tA), newColumn(tB)
	b.aa, b.ab, b.ba, b.bb = pick(0), pick(1), pick(2), pick(3)
	return b
}

// phasesOf is how many phases each piece has.
func phasesOf(pieces []Timing) int {
	if len(pieces) == 0 {
		return 0
	}
	return len(pieces[0].A.Phases)
}

// pooled are the prices of a phase over all pieces of each run; NaN: no work.
func pooled(pieces []Timing, phase int) (a, b float64) {
	var tA, qA, tB, qB Sum
	for _, p := range pieces {
		tA.Add(p.A.Phases[phase].Seconds)
		qA.Add(p.A.Phases[phase].Count)
		tB.Add(p.B.Phases[phase].Seconds)
		qB.Add(p.B.Phases[phase].Count)
	}
	return tA.Value() / qA.Value(), tB.Value() / qB.Value()
}

// prices of a phase in a piece: of the piece, else of the run, else of the other
// run. 0 if no run has one.
func prices(a, b Phase, pooledA, pooledB float64) (priceA, priceB float64) {
	of := func(p Phase, pool float64) float64 {
		if p.Count > 0 {
			return p.Seconds / p.Count
		}
		return pool
	}
	priceA, priceB = of(a, pooledA), of(b, pooledB)
	if !finite(priceA) {
		priceA = priceB
	}
	if !finite(priceB) {
		priceB = priceA
	}
	if !finite(priceA) {
		return 0, 0
	}
	return priceA, priceB
}

// logs are the logarithms of the indices.
type logs struct{ ratio, laspeyres, paasche float64 }

func (b baskets) logs(without int) logs {
	return logs{
		ratio:     ln(b.tA.without(without) / b.tB.without(without)),
		laspeyres: ln(b.aa.without(without) / b.ab.without(without)),
		paasche:   ln(b.ba.without(without) / b.bb.without(without)),
	}
}

func (l logs) work() float64  { return (l.laspeyres + l.paasche) / 2 }
func (l logs) price() float64 { return l.ratio - l.work() }

// rise is the ratio of B's price of a phase to A's, √(Σp_B q_A/Σp_A q_A · Σp_B q_B/Σp_A
// q_B) (Fisher's price index of one phase); where one basket is empty, by the other.
// It is a logarithm, NaN if the phase has no time in either.
func (p phaseBaskets) rise() float64 {
	byA, byB := ln(p.ba/p.aa), ln(p.bb/p.ab)
	switch {
	case math.IsNaN(byA):
		return byB
	case math.IsNaN(byB):
		return byA
	}
	return (byA + byB) / 2
}

// apart is the greatest factor by which the price of one large phase rose more than
// that of another.
func (b baskets) apart() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range b.phases {
		if p.aa > 0 && p.aa >= float64(minShare*b.aa.sum) {
			rise := p.rise()
			low, high = min(low, rise), max(high, rise)
		}
	}
	if high < low {
		return 1 // no large phase
	}
	if !finite(low, high) {
		return math.Inf(1) // one costs nothing in B
	}
	return exp(high - low)
}
