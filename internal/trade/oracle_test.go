package trade

import (
	"cmp"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

// tradeOf is a signal that the selection took.
type tradeOf struct {
	Signal
	PnlBps float64 // of an open trade: at its mark price
}

// Select selects among signals, which come in any order and are not changed.
func Select(signals []Signal, rules policy.Risk) (taken []tradeOf, dropped footer.Counts) {
	sel := NewSelector(rules)
	for _, s := range slices.SortedStableFunc(slices.Values(signals), func(a, b Signal) int { return cmp.Compare(a.Bar, b.Bar) }) {
		if sel.Offer(&s) {
			taken = append(taken, tradeOf{Signal: s, PnlBps: s.PnlBps()})
		}
	}
	return taken, sel.Dropped()
}

// Taken is one Pass over all signals of a run.
func Taken(signals []Signal, rules policy.Risk, finish func(*Signal) error) (Picks, footer.Counts, error) {
	return NewPass(rules).Next(signals, finish)
}

// attribute is the part of an attribution that the signals of a run tell.
func attribute(signals []Signal, taken Picks, dropped footer.Counts) Attribution {
	a := NewAttribution()
	for s := range taken.Closed(signals) {
		a.AddTrade(s.ExitReason)
	}
	a.AddSignals(int64(len(signals)), int64(taken.Len())-a.NTrades, dropped)
	return a
}

func sum(c footer.Counts) (n int64) {
	for _, x := range c {
		n += x
	}
	return n
}
