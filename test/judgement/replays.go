package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"gx1replay/internal/judge"
)

// replays looks at whole replays by several workers at 60 moments, with unfinished
// chunks. A chunk takes longer the more events it has.
func replays(c config) ([]*table, error) {
	t := newTable("Whole replays, looked at 60 times: never wrong in %, half-width, and bias of the total",
		"values", "chunks", "workers", "never wrong", "half-width at 10 / 25 / 50 % of the bars", "bias at 10 %: completed chunks only", "sums per replayed bar", "bias at 25 %: the estimate, where open")
	var cell uint64
	for _, p := range []population{populations[0], populations[1], populations[3]} {
		for _, chunks := range c.sizes(200, 1000) {
			for _, workers := range []int{2, 8, 100} {
				cell++
				results := perTrial(c, cell, func(r *rand.Rand) replayed { return p.replay(r, chunks, workers) })
				right := rate{n: len(results)}
				var widths, biases [3]mean
				for _, o := range results {
					if !o.wrong {
						right.hits++
					}
					for k := range 3 {
						if o.known[k] {
							widths[k].add(o.widths[k])
						}
						if o.sampled[k] {
							biases[k].add(o.biases[k])
						}
					}
				}
				bias := func(k int) string {
					if p.scale != judge.Count || biases[k].n == 0 {
						return "–"
					}
					return fmt.Sprintf("%+.1f", 100*biases[k].value())
				}
				t.add(p.name, chunks, workers, right, fmt.Sprintf("%s / %s / %s", widths[0].percent(), widths[1].percent(), widths[2].percent()), bias(0), bias(1), bias(2))
				if p.scale == judge.Count {
					t.atLeast(fmt.Sprintf("%s, %d chunks, %d workers", p.name, chunks, workers), right, 0.95)
				}
			}
		}
	}
	return []*table{t}, nil
}

// replayed is what was seen of a replay.
type replayed struct {
	wrong          bool
	known, sampled [3]bool
	widths, biases [3]float64 // of the three moments; of the three ways to estimate
}

// slice is when and how long a worker replays a chunk.
type slice struct{ start, end float64 }

func (s slice) done(now float64) float64 {
	return min(max((now-s.start)/(s.end-s.start), 0), 1)
}

// replay draws a run and looks at it.
func (p population) replay(r *rand.Rand, chunks, workers int) replayed {
	list := make([]events, chunks) // in order of dispatch: they are drawn alike
	var truth, squares float64
	free := make([]float64, workers) // when each worker is free
	times := make([]slice, chunks)
	for i := range list {
		list[i] = p.chunk(r)
		sum, sq := list[i].upTo(1)
		truth, squares = truth+sum, squares+sq
		first := slices.Index(free, slices.Min(free))
		length := (0.3 + float64(len(list[i].at))/p.mean) * lognormal(r, 0.2)
		times[i] = slice{free[first], free[first] + length}
		free[first] += length
	}
	end := slices.Max(free)
	unit := truth
	if p.scale != judge.Count {
		_, sd, _ := moments(totals(list))
		unit = sd * float64(chunks)
	}
	var o replayed
	next := 0
	marks := []float64{0.1, 0.25, 0.5}
	for look := 1; look < 60; look++ {
		now := end * float64(look) / 60
		view := seen(list, times, now)
		members, err := judge.Prefix(view.prefix)
		if err != nil {
			panic(err)
		}
		if len(members) == 0 {
			continue
		}
		w := estimate(members, chunks, p.scale)
		if w.Reason == "" {
			o.wrong = o.wrong || truth < w.Low || truth > w.High
		}
		if next < len(marks) && view.bars >= marks[next]*float64(chunks) {
			if next == 0 {
				o.bias(view, truth, chunks)
			}
			if next == 1 && w.Reason == "" {
				o.biases[2], o.sampled[2] = w.Estimate/truth-1, true
			}
			if w.Reason == "" {
				o.widths[next], o.known[next] = (w.High-w.Low)/2/unit, true
			}
			next++
		}
	}
	return o
}

func totals(list []events) []float64 {
	var sums []float64
	for _, e := range list {
		sum, _ := e.upTo(1)
		sums = append(sums, sum)
	}
	return sums
}

// view is a run at a moment.
type view struct {
	prefix     []judge.Progress
	bars       float64 // replayed, in chunks
	sum        float64 // of values, of all chunks
	completed  float64
	nCompleted int
}

func seen(list []events, times []slice, now float64) view {
	var v view
	for i, e := range list {
		f := times[i].done(now)
		sum, squares := e.upTo(f)
		if f == 0 {
			sum, squares = 0, 0
		}
		v.prefix = append(v.prefix, judge.Progress{Done: f, Value: sum, Squares: squares})
		v.bars += f
		v.sum += sum
		if f == 1 {
			v.completed += sum
			v.nCompleted++
		}
	}
	return v
}

// bias notes how far two estimates that are not made are from the truth.
func (o *replayed) bias(v view, truth float64, chunks int) {
	all := float64(chunks)
	if v.nCompleted > 0 {
		o.biases[0], o.sampled[0] = v.completed/float64(v.nCompleted)*all/truth-1, true
	}
	o.biases[1], o.sampled[1] = v.sum/v.bars*all/truth-1, true
}
