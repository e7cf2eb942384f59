package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/policy"
)

// Logistic is one linear model a side: the score is bias + Σ weight·feature,
// summed in the order of the features.
type Logistic struct {
	bias    sides
	weights []sides
}

type sides struct{ long, short float64 }

// NewLogistic makes the logistic model of m. A feature without a weight has
// weight 0.
func NewLogistic(m policy.Model, features []string) (*Logistic, error) {
	long, err := weightsOf("model.long", m.Long, features)
	if err != nil {
		return nil, err
	}
	short, err := weightsOf("model.short", m.Short, features)
	if err != nil {
		return nil, err
	}
	l := &Logistic{bias: sides{m.Long.Bias, m.Short.Bias}, weights: make([]sides, len(features))}
	for i := range l.weights {
		l.weights[i] = sides{long[i], short[i]}
	}
	return l, nil
}

// weightsOf is the weight of each feature on one side.
func weightsOf(key string, l policy.Logistic, features []string) ([]float64, error) {
	if !finite(l.Bias) {
		return nil, fmt.Errorf("%s.bias: %v is not a number (want a finite one)", key, l.Bias)
	}
	weights := make([]float64, len(features))
	names := make([]string, 0, len(l.Weights))
	for name := range l.Weights {
		names = append(names, name)
	}
	slices.Sort(names) // the first error is the same each time
	for _, name := range names {
		w := l.Weights[name]
		i := slices.Index(features, name)
		if i < 0 {
			return nil, fmt.Errorf("%s.weights.%s: the feature is not in the policy's list (%s)", key, name, strings.Join(features, ", "))
		}
		if !finite(w) {
			return nil, fmt.Errorf("%s.weights.%s: %v is not a number (want a finite one)", key, name, w)
		}
		weights[i] = w
	}
	return weights, nil
}

// Score implements Scorer; x has one value a feature. Each sum waits for each
// of its additions, so both are made side by side.
func (l *Logistic) Score(x []float64) (long, short float64) {
	long, short = l.bias.long, l.bias.short
	x = x[:len(l.weights)]
	for i, w := range l.weights {
		long += float64(w.long * x[i])
		short += float64(w.short * x[i])
	}
	return long, short
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
