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

// Score implements Scorer; x has one value a feature.
func (l *Logistic) Score(x []float64) (long, short float64) {
	long, short = l.bias.long, l.bias.short
	x = x[:len(l.weights)]
	for i, w := range l.weights {
		long += float64(w.long * x[i])
		short += float64(w.short * x[i])
	}
	return long, short
}

// scoreRows is Score of each row. A sum waits for each of its additions, so
// the two of four rows are made side by side.
func (l *Logistic) scoreRows(rows, long, short []float64) {
	n := len(l.weights)
	for ; len(long) >= 4; long, short, rows = long[4:], short[4:], rows[4*n:] {
		a, b, c, d := rows[:n], rows[n:2*n], rows[2*n:3*n], rows[3*n:4*n]
		a0, b0, c0, d0 := l.bias.long, l.bias.long, l.bias.long, l.bias.long
		a1, b1, c1, d1 := l.bias.short, l.bias.short, l.bias.short, l.bias.short
		for i, w := range l.weights {
			a0 += float64(w.long * a[i])
			b0 += float64(w.long * b[i])
			c0 += float64(w.long * c[i])
			d0 += float64(w.long * d[i])
			a1 += float64(w.short * a[i])
			b1 += float64(w.short * b[i])
			c1 += float64(w.short * c[i])
			d1 += float64(w.short * d[i])
		}
		long[0], long[1], long[2], long[3] = a0, b0, c0, d0
		short[0], short[1], short[2], short[3] = a1, b1, c1, d1
	}
	for i := range long {
		long[i], short[i] = l.Score(rows[i*n : (i+1)*n])
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
