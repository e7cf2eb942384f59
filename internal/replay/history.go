package replay

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/run"
)

// Movement is how far one feature's values depend on where history begins:
// the largest differences between values with all of history and values of
// sets that began later, over all places where history was cut.
type Movement struct {
	Feature   string `json:"feature"`
	Recursive bool   `json:"recursive"`
	Warmup    int64  `json:"warmup_bars"` // as declared, for M5
	Lookback  int64  `json:"lookback_bars"`
	// AfterWarmup is over the bars at which the cut history already gives a
	// value, AfterLookback over those after its look-back: there a feature
	// that is not recursive moves by 0.
	AfterWarmup   Difference `json:"after_warmup"`
	AfterLookback Difference `json:"after_lookback"`
}

// Difference is the largest one of some values.
type Difference struct {
	Bars int64   `json:"bars"` // compared; 0: there were too few bars
	Abs  float64 `json:"abs"`  // in the feature's unit
	Rel  float64 `json:"rel"`  // of the larger of the two values, 0 to 2
	Bar  int64   `json:"bar"`  // where Abs is largest; -1: nowhere
}

// historyCuts places n cuts evenly over the first half of chunk, so that
// there is as much to compare after each.
func historyCuts(chunk run.BarRange, n int) []int64 {
	cuts := []int64{}
	for k := range int64(n) {
		c := chunk.First + chunk.Len()/2*(k+1)/int64(n)
		if c > 0 && c < chunk.End && !slices.Contains(cuts, c) {
			cuts = append(cuts, c)
		}
	}
	return cuts
}

// moves computes each feature of job's chunk with all of history and with
// what is left from each cut on. It is one pass over the bars.
func moves(ctx context.Context, job Job, src Source, cuts []int64) ([]Movement, error) {
	if len(cuts) == 0 {
		return []Movement{}, nil
	}
	sessions := feature.NewSessionTable(job.Policy.Sessions)
	known := feature.Known()
	var all []*moving
	for _, name := range job.Policy.Features {
		m := &moving{cuts: cuts}
		for range 1 + len(cuts) {
			set, err := feature.New([]string{name}, sessions)
			if err != nil {
				return nil, err
			}
			m.sets = append(m.sets, set)
		}
		info := known[slices.IndexFunc(known, func(i feature.Info) bool { return i.Name == name })]
		m.Movement = Movement{
			Feature: name, Recursive: info.Recursive, Warmup: info.Warmup, Lookback: info.Lookback,
			AfterWarmup: Difference{Bar: -1}, AfterLookback: Difference{Bar: -1},
		}
		m.skip = cuts[0] - m.sets[0].Window()
		all = append(all, m)
	}
	next := int64(0)
	for list, err := range src.Blocks(ctx, run.BarRange{First: 0, End: job.Bars.End}) {
		if err != nil {
			return nil, fmt.Errorf("%w: at bar %d: %w", ErrSource, next, err)
		}
		for _, b := range list {
			if next&1023 == 0 && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			for _, m := range all {
				m.push(next, b)
			}
			next++
		}
	}
	out := make([]Movement, len(all))
	for i, m := range all {
		out[i] = m.Movement
	}
	return out, nil
}

// moving compares one feature.
type moving struct {
	Movement
	cuts []int64
	sets []*feature.Set // with all of history, then one a cut
	skip int64          // bars before this one are for what is recursive alone
}

func (m *moving) push(i int64, b bars.Bar) {
	whole := m.sets[0]
	if i < m.skip {
		whole.Skip(b)
		return
	}
	whole.Push(b)
	var want float64
	have := false
	for k, cut := range m.cuts {
		if i < cut {
			break
		}
		set := m.sets[1+k]
		set.Push(b)
		if !set.Ready() || !whole.Ready() {
			continue
		}
		if !have {
			want, have = whole.Values()[0], true
		}
		got := set.Values()[0]
		m.AfterWarmup.add(i, want, got)
		if i-cut >= m.Lookback {
			m.AfterLookback.add(i, want, got)
		}
	}
}

func (d *Difference) add(bar int64, want, got float64) {
	d.Bars++
	if math.Float64bits(want) == math.Float64bits(got) {
		return
	}
	abs := math.Abs(want - got)
	rel := abs / max(math.Abs(want), math.Abs(got))
	if abs != abs || math.IsInf(abs, 0) {
		abs, rel = math.MaxFloat64, 2 // one of the two is no number
	}
	if abs == 0 {
		rel = 0 // 0 and -0
	}
	if abs > d.Abs {
		d.Abs, d.Bar = abs, bar
	}
	d.Rel = max(d.Rel, rel)
}
