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
	long, short side
}

type side struct {
	bias    float64
	weights []float64
}

// NewLogistic makes the logistic model of m. A feature without a weight has
// weight 0.
func NewLogistic(m policy.Model, features []string) (*Logistic, error) {
	long, err := newSide("model.long", m.Long, features)
	if err != nil {
		return nil, err
	}
	short, err := newSide("model.short", m.Short, features)
	if err != nil {
		return nil, err
	}
	return &Logistic{long: long, short: short}, nil
}

func newSide(key string, l policy.Logistic, features []string) (side, error) {
	if !finite(l.Bias) {
		return side{}, fmt.Errorf("%s.bias: %v is not a number (want a finite one)", key, l.Bias)
	}
	s := side{bias: l.Bias, weights: make([]float64, len(features))}
	names := make([]string, 0, len(l.Weights))
	for name := range l.Weights {
		names = append(names, name)
	}
	slices.Sort(names) // the first error is the same each time
	for _, name := range names {
		w := l.Weights[name]
		i := slices.Index(features, name)
		if i < 0 {
			return side{}, fmt.Errorf("%s.weights.%s: the feature is not in the policy's list (%s)", key, name, strings.Join(features, ", "))
		}
		if !finite(w) {
			return side{}, fmt.Errorf("%s.weights.%s: %v is not a number (want a finite one)", key, name, w)
		}
		s.weights[i] = w
	}
	return s, nil
}

// Score implements Scorer; x has one value a feature.
func (l *Logistic) Score(x []float64) (long, short float64) {
	return l.long.score(x), l.short.score(x)
}

func (s *side) score(x []float64) float64 {
	sum := s.bias
	for i, w := range s.weights {
		sum += float64(w * x[i])
	}
	return sum
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
