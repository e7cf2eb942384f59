package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"gx1replay/internal/judge"
)

// population makes the values of a run's chunks.
type population struct {
	name  string
	scale judge.Scale
	mean  float64                    // events per chunk
	pnl   func(r *rand.Rand) float64 // of an event; nil: each counts 1
}

// events are those of a chunk: places in it, from 0 to 1 in order, and values.
type events struct {
	at, value []float64
}

// upTo sums the events of the first part of a chunk: their values and squares.
func (e events) upTo(part float64) (sum, squares float64) {
	for i, at := range e.at {
		if at > part {
			break
		}
		sum += e.value[i]
		squares += e.value[i] * e.value[i]
	}
	return sum, squares
}

// chunk draws one. Chunks differ: the mean is lognormal with a CV of 42 %.
func (p population) chunk(r *rand.Rand) events {
	n := poisson(r, p.mean*lognormal(r, 0.42))
	e := events{make([]float64, n), make([]float64, n)}
	for i := range n {
		e.at[i] = r.Float64()
		e.value[i] = 1
		if p.pnl != nil {
			e.value[i] = p.pnl(r)
		}
	}
	slices.Sort(e.at)
	return e
}

// rareLosses is the pnl of a trade that mostly wins a little.
func rareLosses(r *rand.Rand) float64 {
	if r.IntN(100) == 0 {
		return -15 + r.NormFloat64()
	}
	return 0.3 + r.NormFloat64()
}

var populations = []population{
	{"trades, 20 per chunk", judge.Count, 20, nil},
	{"trades, 3 per chunk", judge.Count, 3, nil},
	{"trades, 0.3 per chunk", judge.Count, 0.3, nil},
	{"pnl t3, 20 trades", judge.Signed, 20, t3},
	{"pnl, rare big losses, 20 trades", judge.Signed, 20, rareLosses},
	{"pnl, rare big losses, 3 trades", judge.Signed, 3, rareLosses},
}

// early looks at estimates from complete prefixes after each chunk, up to 95 % of them.
func early(c config) ([]*table, error) {
	var closes []float64
	if c.data != "" {
		var err error
		if closes, err = readCloses(c.data); err != nil {
			return nil, err
		}
	}
	t := newTable("Estimates from complete prefixes of a random order, looked at after each of the first 100 chunks, then after every hundredth part, to 95 %: never wrong, in %",
		"values", "skewness", "chunks", "never wrong", "never opened", "half-width at 25 / 50 % of the chunks")
	var cell uint64
	row := func(name string, scale judge.Scale, sets [][]float64) {
		type outcome struct {
			wrong, opened bool
			widths        [2]float64
		}
		cell++
		results := perTrial(c, cell, func(r *rand.Rand) outcome {
			values := sets[r.IntN(len(sets))]
			order := r.Perm(len(values))
			var truth float64
			for _, v := range values {
				truth += v
			}
			var o outcome
			var prefix []judge.Member
			for n := 1; n <= len(values)*95/100; n++ {
				prefix = append(prefix, judge.Member{Value: values[order[n-1]]})
				if n > 100 && n%max(len(values)/100, 1) != 0 {
					continue
				}
				w := estimate(prefix, len(values), scale)
				if w.Reason != "" {
					continue
				}
				o.opened = true
				o.wrong = o.wrong || truth < w.Low && judge.Round(truth) != w.Low || truth > w.High && judge.Round(truth) != w.High
				for k, at := range []int{4, 2} {
					if n == len(values)/at {
						o.widths[k] = (w.High - w.Low) / 2
					}
				}
			}
			return o
		})
		right, closed := rate{n: len(results)}, rate{n: len(results)}
		var widths [2]mean
		unit := spread(sets, scale)
		for _, o := range results {
			if !o.wrong {
				right.hits++
			}
			if !o.opened {
				closed.hits++
			}
			for k, w := range o.widths {
				if w > 0 {
					widths[k].add(w / unit / float64(len(sets[0])))
				}
			}
		}
		var skews mean
		for _, s := range sets {
			skews.add(skewness(s))
		}
		t.add(name, fmt.Sprintf("%.1f", skews.value()), len(sets[0]), right, closed, widths[0].percent()+" / "+widths[1].percent())
		if scale == judge.Count {
			t.atLeast(fmt.Sprintf("%s, %d chunks", name, len(sets[0])), right, 0.95)
		}
	}
	for _, p := range populations {
		for _, chunks := range c.sizes(200, 1000) {
			sets := make([][]float64, 20)
			for i := range sets {
				r := rand.New(rand.NewPCG(c.seed, uint64(i)))
				for range chunks {
					sum, _ := p.chunk(r).upTo(1)
					sets[i] = append(sets[i], sum)
				}
			}
			row(p.name, p.scale, sets)
		}
	}
	if closes != nil {
		for _, chunks := range c.sizes(200, 1000) {
			counts, pnl := ruleOnBars(closes, chunks)
			row("real bars: trades of a rule", judge.Count, [][]float64{counts})
			row("real bars: their pnl", judge.Signed, [][]float64{pnl})
		}
	}
	return []*table{t}, nil
}

func estimate(prefix []judge.Member, chunks int, scale judge.Scale) judge.Whole {
	w, err := judge.Estimate(prefix, chunks, scale, alpha)
	if err != nil {
		panic(err)
	}
	return w
}

// mean is a running mean.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(x float64) { m.sum += x; m.n++ }

func (m mean) value() float64 { return m.sum / float64(m.n) }

func (m mean) percent() string {
	if m.n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", 100*m.value())
}

// spread is the unit of half-widths: for counts the mean of a chunk, for pnl its standard
// deviation.
func spread(sets [][]float64, scale judge.Scale) float64 {
	var m mean
	for _, s := range sets {
		avg, sd, _ := moments(s)
		if scale == judge.Count {
			m.add(avg)
		} else {
			m.add(sd)
		}
	}
	return m.value()
}

func skewness(list []float64) float64 {
	_, _, skew := moments(list)
	return skew
}

func moments(list []float64) (avg, sd, skew float64) {
	n := float64(len(list))
	for _, x := range list {
		avg += x / n
	}
	var m2, m3 float64
	for _, x := range list {
		d := x - avg
		m2 += d * d / n
		m3 += d * d * d / n
	}
	sd = math.Sqrt(m2)
	return avg, sd, m3 / (sd * sd * sd)
}

// readCloses reads the column close of a CSV file.
func readCloses(path string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header of %s: %w", path, err)
	}
	column := slices.Index(head, "close")
	if column < 0 {
		return nil, fmt.Errorf("%s has the columns %q (want one named close)", path, head)
	}
	var list []float64
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		v, err := strconv.ParseFloat(row[column], 64)
		if err != nil || !(v > 0) {
			return nil, fmt.Errorf("%s: close %q of bar %d (want a price)", path, row[column], len(list))
		}
		list = append(list, v)
	}
	if len(list) < 5000 {
		return nil, fmt.Errorf("%s has %d bars (want 5000 or more)", path, len(list))
	}
	return list, nil
}

// ruleOnBars counts, per chunk, the trades of a simple rule and their pnl in bps: it buys
// when the close crosses the mean of 20 bars upwards, and sells 10 bars later.
func ruleOnBars(closes []float64, chunks int) (counts, pnl []float64) {
	const window, hold = 20, 10
	counts, pnl = make([]float64, chunks), make([]float64, chunks)
	var sum float64
	above := true
	for i, x := range closes {
		sum += x
		if i >= window {
			sum -= closes[i-window]
		}
		was := above
		above = x > sum/window
		if i >= window && above && !was && i+hold < len(closes) {
			k := i * chunks / len(closes)
			counts[k]++
			pnl[k] += 1e4 * (closes[i+hold]/x - 1)
		}
	}
	return counts, pnl
}
