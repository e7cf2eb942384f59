package replay

import (
	"fmt"
	"iter"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// SkippedBars finds the bars of a data set that the policy's pregate skips,
// without a model: it sees bars only. all yields the data set's n bars from the
// first on. Warm-up is decided before the pregate: no such bar is in the set. A
// policy whose pregate is off skips none, and nothing is read. An error is all's,
// or one of the policy.
func SkippedBars(p policy.Policy, n int64, all iter.Seq2[bars.Bar, error]) (trade.BarSet, error) {
	if !p.Pregate.Enabled {
		return trade.BarSet{}, nil
	}
	sessions := feature.NewSessionTable(p.Sessions)
	set, err := feature.New(p.Features, sessions)
	if err != nil {
		return trade.BarSet{}, err
	}
	g, err := newGate(p.Pregate, sessions)
	if err != nil {
		return trade.BarSet{}, err
	}
	var (
		skipped  = trade.NewBarSet(n)
		next     int64 // index of the block's first bar
		verdicts [blockBars]verdict
	)
	block := func(buf []bars.Bar) {
		set.PushBlock(buf)
		from := max(set.ReadyFrom(), int(min(p.WarmupBars-next, int64(len(buf)))))
		g.judge(set.Inputs(), from, verdicts[:])
		for k := from; k < len(buf); k++ {
			if verdicts[k] != pass {
				skipped.Add(next + int64(k))
			}
		}
		next += int64(len(buf))
	}
	buf := make([]bars.Bar, 0, blockBars)
	for b, err := range all {
		if err != nil {
			return trade.BarSet{}, fmt.Errorf("%w: %w", ErrSource, err)
		}
		if next+int64(len(buf)) == n {
			return trade.BarSet{}, fmt.Errorf("%w: there are more than %d bars", ErrSource, n)
		}
		if buf = append(buf, b); len(buf) == cap(buf) {
			block(buf)
			buf = buf[:0]
		}
	}
	if len(buf) > 0 {
		block(buf)
	}
	if next != n {
		return trade.BarSet{}, fmt.Errorf("%w: the bars end at %d (want %d)", ErrSource, next, n)
	}
	return skipped, nil
}
