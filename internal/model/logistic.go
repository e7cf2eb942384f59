package model

import (
	"math"

	"gx1replay/internal/policy"
)

// Logistic is one linear model a side: the score is bias + Σ weight·feature,
// summed in the order of the features.
type Logistic struct {
	bias    sides
	weights []sides
}

type sides struct{ long, short float64 }

// NewLogistic makes the logistic model of m, whose policy lists the features. A
// feature without a weight has weight 0.
func NewLogistic(m policy.Model, features []string) *Logistic {
	l := &Logistic{bias: sides{m.Long.Bias, m.Short.Bias}}
	for _, name := range features {
		l.weights = append(l.weights, sides{m.Long.Weights[name], m.Short.Weights[name]})
	}
	return l
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
