package selection

import (
	"context"
	"errors"
	"iter"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// someBars are bars in memory.
type someBars []bars.Bar

func (s someBars) Bars(_ context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		for _, b := range s[r.First:r.End] {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// lostBars are bars that cannot be read.
type lostBars struct{}

func (lostBars) Bars(context.Context, run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) { yield(bars.Bar{}, errors.New("gone")) }
}

// Prices that no bar can give are counted, those of either side of it are not.
func TestFillsOutsideTheirBars(t *testing.T) {
	list := someBars{
		{TimeNS: 0, BidOpen: 100, BidHigh: 102, BidLow: 99, BidClose: 101, AskOpen: 100.1, AskHigh: 102.1, AskLow: 99.1, AskClose: 101.1},
		{TimeNS: 300e9, BidOpen: 101, BidHigh: 104, BidLow: 100, BidClose: 103, AskOpen: 101.1, AskHigh: 104.1, AskLow: 100.1, AskClose: 103.1},
	}
	signal := func(entry, exit float64) *trade.Signal {
		return &trade.Signal{Bar: 0, Side: trade.Long, EntryBar: 0, EntryPrice: entry, ExitBar: 1, ExitPrice: exit, MarkBar: trade.NoBar}
	}
	for _, c := range []struct {
		entry, exit float64
		outside     int64
	}{
		{100.05, 103, 0},             // mid, and the bid
		{99, 104.1, 0},               // the bid's low, the ask's high
		{98.9999999999, 104.1001, 1}, // rounding, and more than that
		{98.9, 104.2, 2},
		{102.2, 99.9, 2},
	} {
		var f fillCheck
		if err := f.check(t.Context(), signal(c.entry, c.exit), list); err != nil || f.fills != 2 || f.outside != c.outside {
			t.Errorf("%v: %d of %d, %v", c, f.outside, f.fills, err)
		}
		if (f.remark() == "") != (c.outside == 0) {
			t.Errorf("%v: %q", c, f.remark())
		}
	}
	var f fillCheck
	open := signal(98, 0)
	open.ExitBar, open.Open = trade.NoBar, true
	for _, s := range []*trade.Signal{open, {EntryBar: trade.NoBar, ExitBar: trade.NoBar, Expired: true}, signal(100, 103)} {
		if err := f.check(t.Context(), s, list); err != nil {
			t.Fatal(err)
		}
	}
	const want = "1 of 3 fills of the command lie outside the prices of their bars; the first is the entry at 98 in the bar of 1970-01-01T00:00:00Z, whose prices are 99 to 102.1"
	if f.remark() != want {
		t.Errorf("%q\nwant %q", f.remark(), want)
	}
	var lost fillCheck
	if err := lost.check(t.Context(), signal(1, 1), lostBars{}); err != nil || lost.remark() != "" {
		t.Errorf("bars that cannot be read: %v, %q", err, lost.remark())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(fillCheck).check(ctx, signal(1, 1), lostBars{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of ctx: %v", err)
	}
}
