package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// borders counts trades chunk by chunk, each from nothing open, and compares with the
// selection over all bars: one slot, signals at random bars.
func borders(c config) ([]*table, error) {
	t := newTable("Trades counted chunk by chunk, with a burn-in in which signals only fill slots: bias of the number of trades, in %",
		"trades, signals", "bars per chunk", "burn-in 0", "50 bars", "200 bars", "95 % quantile of durations, at most a quarter")
	var cell uint64
	for _, s := range []struct {
		name   string
		chance float64 // of a signal at a bar
		held   bool    // losers are held: one trade in ten lasts some seven times as long
	}{{"mean 50 bars, sparse", 0.01, false}, {"mean 50 bars, dense", 0.1, false}, {"losers held, dense", 0.1, true}} {
		for _, size := range c.sizes(2000, 500, 10_000) {
			cell++
			type outcome [4]float64
			results := perTrial(c, cell, func(r *rand.Rand) (o outcome) {
				bars := 40 * size
				signals := drawSignals(r, bars, s.chance, s.held)
				whole := float64(len(selected(signals, 0)))
				quantile := durations(selected(signals, 0))
				for k, burn := range []int{0, 50, 200, min(quantile, size/4)} {
					taken, counted := 0, 0
					for first := 0; first < bars; first += size {
						low, _ := slices.BinarySearchFunc(signals, first, func(s signal, bar int) int { return s.bar - bar })
						high, _ := slices.BinarySearchFunc(signals, first+size, func(s signal, bar int) int { return s.bar - bar })
						taken += len(selected(signals[low:high], first+burn))
						counted += size - burn
					}
					o[k] = float64(taken)/float64(counted)*float64(bars)/whole - 1
				}
				return o
			})
			row := []any{s.name, size}
			for k := range 4 {
				var m mean
				var squares float64
				for _, o := range results {
					m.add(o[k])
					squares += o[k] * o[k]
				}
				row = append(row, fmt.Sprintf("%+.1f", 100*m.value()))
				se := math.Sqrt(max(squares/float64(m.n)-m.value()*m.value(), 0) / float64(m.n))
				if k == 3 && size >= 2000 && math.Abs(m.value()) > 0.01+2*se {
					t.broken = append(t.broken, fmt.Sprintf("%s, %d bars: bias %+.2f %% (want within ±1 %%)", s.name, size, 100*m.value()))
				}
			}
			t.add(row...)
		}
	}
	return []*table{t}, nil
}

type signal struct{ bar, length int }

func drawSignals(r *rand.Rand, bars int, chance float64, held bool) []signal {
	var list []signal
	for bar := range bars {
		if r.Float64() >= chance {
			continue
		}
		mean := 50.0
		if held {
			mean = 32
			if r.IntN(10) == 0 {
				mean = 210
			}
		}
		list = append(list, signal{bar, 1 + int(mean*r.ExpFloat64())})
	}
	return list
}

// selected are the signals that one slot takes; those before from only fill it.
func selected(signals []signal, from int) []signal {
	var taken []signal
	free := 0
	for _, s := range signals {
		if s.bar >= free {
			free = s.bar + s.length
			if s.bar >= from {
				taken = append(taken, s)
			}
		}
	}
	return taken
}

// durations is the 95 % quantile of the trades' durations.
func durations(taken []signal) int {
	var list []int
	for _, s := range taken {
		list = append(list, s.length)
	}
	slices.Sort(list)
	if len(list) == 0 {
		return 0
	}
	return list[len(list)*95/100]
}
