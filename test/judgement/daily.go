package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gx1replay/internal/judge"
)

// daily counts how often the interval of daily pnl has the true mean.
func daily(c config) ([]*table, error) {
	t := newTable("Daily differences of pnl: how often the interval has the true mean, in %",
		"differences", "days", "equal-weighted cosines", "of sessions open", "Student's t")
	var cell uint64
	for _, d := range []struct {
		name  string
		mean  float64
		draw  func(r *rand.Rand, n int) []float64
		least float64 // share that must be covered; 0: shown only
	}{
		{"t3, every day", 0, everyDay(1), 0.95},
		{"t3, one day in five", 0, everyDay(0.2), 0.95},
		{"volatility clusters", 0, clusters, 0.93},
		{"trades of three days", 0, threeDays, 0.93},
		{"rare big losses, every day", -0.45, losses(1), 0},
		{"rare big losses, one day in five", -0.09, losses(0.2), 0},
	} {
		for _, n := range c.sizes(60, 120, 250, 500) {
			cell++
			type outcome struct{ open, right, student bool }
			results := perTrial(c, cell, func(r *rand.Rand) outcome {
				list := d.draw(r, n)
				got, err := judge.Daily(list, alpha)
				if err != nil {
					panic(err)
				}
				avg, sd, _ := moments(list)
				half := judge.TQuantile(1-alpha/2, float64(n-1)) * sd / math.Sqrt(float64(n-1))
				return outcome{got.Reason == "", got.Low <= d.mean && d.mean <= got.High, math.Abs(avg-d.mean) <= half}
			})
			var open, right, student rate
			open.n = len(results)
			for _, o := range results {
				if o.open {
					open.hits++
					right.n++
					if o.right {
						right.hits++
					}
				}
				student.n++
				if o.student {
					student.hits++
				}
			}
			t.add(d.name, n, right, open, student)
			if d.least > 0 && right.n > 0 {
				t.atLeast(fmt.Sprintf("%s, %d days", d.name, n), right, d.least)
			}
		}
	}
	return []*table{t}, nil
}

// everyDay draws days of which a share differs.
func everyDay(share float64) func(*rand.Rand, int) []float64 {
	return func(r *rand.Rand, n int) []float64 {
		list := make([]float64, n)
		for i := range list {
			if r.Float64() < share {
				list[i] = t3(r)
			}
		}
		return list
	}
}

// clusters has a volatility that changes slowly.
func clusters(r *rand.Rand, n int) []float64 {
	l := load{sd: 0.7, phi: 0.95}
	list := make([]float64, n)
	for i := range list {
		list[i] = r.NormFloat64() * l.next(r)
	}
	return list
}

// threeDays are trades whose difference lasts three days.
func threeDays(r *rand.Rand, n int) []float64 {
	list := make([]float64, n+2)
	for i := range list {
		x := t3(r)
		for k := i; k < min(i+3, len(list)); k++ {
			list[k] += x
		}
	}
	return list[2:]
}

// losses are small gains, and a large loss on one differing day in twenty.
func losses(share float64) func(*rand.Rand, int) []float64 {
	return func(r *rand.Rand, n int) []float64 {
		list := make([]float64, n)
		for i := range list {
			if r.Float64() >= share {
				continue
			}
			if r.IntN(20) == 0 {
				list[i] = -10 + r.NormFloat64()
			} else {
				list[i] = 0.05/0.95 + r.NormFloat64()
			}
		}
		return list
	}
}
