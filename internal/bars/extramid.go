package bars

import (
	"math"
	"slices"
)

// fileColumns are a bar's columns in files after the time, in their order.
// Mid prices come first.
var fileColumns = [13]struct {
	name string
	of   func(*Bar) float64
}{
	{"open", func(b *Bar) float64 { return (b.BidOpen + b.AskOpen) / 2 }},
	{"high", func(b *Bar) float64 { return b.MidHigh() }},
	{"low", func(b *Bar) float64 { return b.MidLow() }},
	{"close", func(b *Bar) float64 { return b.MidClose() }},
	{"volume", func(b *Bar) float64 { return b.Volume }},
	{"bid_open", func(b *Bar) float64 { return b.BidOpen }},
	{"bid_high", func(b *Bar) float64 { return b.BidHigh }},
	{"bid_low", func(b *Bar) float64 { return b.BidLow }},
	{"bid_close", func(b *Bar) float64 { return b.BidClose }},
	{"ask_open", func(b *Bar) float64 { return b.AskOpen }},
	{"ask_high", func(b *Bar) float64 { return b.AskHigh }},
	{"ask_low", func(b *Bar) float64 { return b.AskLow }},
	{"ask_close", func(b *Bar) float64 { return b.AskClose }},
}

const midColumns = 4 // the first of fileColumns

// isMid tells whether name is that of a mid price.
func isMid(name string) bool {
	for _, f := range fileColumns[:midColumns] {
		if f.name == name {
			return true
		}
	}
	return false
}

// ownMids leaves of columns with mid prices those that are not, to the last
// bit, what we make of bid and ask.
func ownMids(extra []Column, bars []Bar) []Column {
	list := slices.DeleteFunc(extra, func(c Column) bool {
		for _, f := range fileColumns[:midColumns] {
			if f.name == c.Name {
				return c.is(bars, f.of)
			}
		}
		return false
	})
	if len(list) == 0 {
		return nil
	}
	return list
}

func (c *Column) is(bars []Bar, of func(*Bar) float64) bool {
	if c.Nulls != nil || c.Len() != len(bars) {
		return false
	}
	switch c.Kind {
	case Float64, Float32:
		for i, v := range c.Floats {
			if math.Float64bits(v) != math.Float64bits(of(&bars[i])) {
				return false
			}
		}
	case String, Bool, Time, Uint64:
		return false
	default:
		for i, v := range c.Ints {
			// The way back: a float64 does not hold every int64.
			if f := float64(v); f != of(&bars[i]) || f >= math.MaxInt64 || int64(f) != v {
				return false
			}
		}
	}
	return true
}
