package model

import "math"

// LightGBM is a binary classifier that LightGBM has trained: objective
// binary, boosting gbdt (or what is saved like it: dart, goss), numerical
// splits, constant leaves. It computes what Booster.predict does: float64,
// v <= threshold goes left, missing values as each split's missing type says,
// values within ±1e-35 read as 0, sums from 0 on through the trees in the
// order of the file.
type LightGBM struct {
	forest  forest[float64]
	sigmoid float64 // log-odds of one unit of the margin, > 0
}

// lgbZero is LightGBM's kZeroThreshold, a float32 there.
const lgbZero = float64(float32(1e-35))

// Margin is the library's raw score (raw_score=True) to the bit. x has the
// features in the order that the model was loaded for.
func (m *LightGBM) Margin(x []float64) float64 {
	if len(m.forest.inputs) <= smallInputs {
		var in [smallInputs]float64
		return m.margin(in[:], x)
	}
	var in [maxInputs]float64
	return m.margin(in[:], x)
}

func (m *LightGBM) margin(in, x []float64) float64 {
	for i, f := range m.forest.inputs {
		v := x[f.feature]
		if v >= -lgbZero && v <= lgbZero {
			v = 0
		}
		switch {
		case v > math.MaxFloat64: // see lgbNode
			v = math.MaxFloat64
		case f.missing == missingNone && v != v:
			v = 0
		case f.missing == missingZero && v == 0:
			v = math.NaN()
		}
		if f.negated {
			v = -v
		}
		in[i] = v
	}
	return m.forest.walk(in, 0)
}

// Score implements Scorer: class 1 is a long entry. The log-odds are sigmoid ·
// margin, the probability 1/(1+exp(-sigmoid·margin)); those of a short entry
// are their negative.
func (m *LightGBM) Score(x []float64) (long, short float64) {
	odds := float64(m.sigmoid * m.Margin(x))
	return odds, -odds
}

// lgbNode is the question v <= threshold of one feature; yes goes left, a
// missing value the default way. The threshold is below MaxFloat64, or it is
// +Inf, which parts the missing values from all others: then v < +Inf has to
// hold for +Inf too, so that is read as MaxFloat64.
func lgbNode(feature int, threshold float64, left, right int, kind missing, defaultLeft bool) treeNode[float64] {
	if defaultLeft && kind != missingNone {
		// right if v > threshold
		return treeNode[float64]{input: input{feature, kind, true}, limit: -threshold, no: left, yes: right}
	}
	next := math.Nextafter(threshold, math.Inf(1)) // v ≤ t is v < the next number
	return treeNode[float64]{input: input{feature, kind, false}, limit: next, no: right, yes: left}
}
