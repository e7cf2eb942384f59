package model

import (
	"fmt"
	"math"
)

// XGBoost is a binary classifier that XGBoost has trained: objective
// binary:logistic, booster gbtree or dart, numerical splits, one output. It computes
// what Booster.predict does on a CPU: features rounded to float32, v < split
// goes left, NaN is missing and goes the default way, float32 sums from the
// base score on through the trees in the order of the file, each leaf times the
// weight of its tree where trees have weights.
type XGBoost struct {
	forest forest[float32]
	base   float32 // the margin before the first tree
}

// Margin is the log-odds of class 1, the library's output_margin to the bit.
// x has the features in the order that the model was loaded for.
func (m *XGBoost) Margin(x []float64) float32 {
	if len(m.forest.inputs) <= smallInputs {
		var in [smallInputs]float32
		return m.margin(in[:], x)
	}
	var in [maxInputs]float32
	return m.margin(in[:], x)
}

func (m *XGBoost) margin(in []float32, x []float64) float32 {
	for i, f := range m.forest.inputs {
		v := float32(x[f.feature])
		if f.negated {
			v = -v
		}
		in[i] = v
	}
	return m.forest.walk(in, m.base)
}

// Score implements Scorer: class 1 is a long entry, and the log-odds of a
// short one are the negative of its margin.
func (m *XGBoost) Score(x []float64) (long, short float64) {
	margin := float64(m.Margin(x))
	return margin, -margin
}

// baseMargin is the margin of a base score, which files hold as a probability:
// -ln(1/p - 1), each step rounded to float32 (XGBoost's ProbToMargin). The
// library takes the platform's logarithm, and glibc's is not the rounded true
// one, but its neighbour, for one probability in 200; at 0.5, the default of
// older versions, both are 0.
func baseMargin(p float32) float32 {
	odds := float32(1/p) - 1
	return -float32(ln(float64(odds)))
}

// xgbNode is the question v < split of one feature; yes goes left, a missing
// value the default way.
func xgbNode(feature int, split float32, left, right int, defaultLeft bool) treeNode[float32] {
	if !defaultLeft {
		return treeNode[float32]{input: input{feature: feature}, limit: split, no: right, yes: left}
	}
	// right if v ≥ split, which is -v ≤ -split, and that is < the next number
	next := math.Nextafter32(-split, float32(math.Inf(1)))
	return treeNode[float32]{input: input{feature: feature, negated: true}, limit: next, no: left, yes: right}
}

// fieldError names the file and the field.
func fieldError(file, field, format string, args ...any) error {
	return fmt.Errorf("%s: %s: "+format, append([]any{file, field}, args...)...)
}
