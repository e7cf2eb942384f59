package bars

import (
	"fmt"
	"math"
	"slices"
)

// fileColumn says where a column of a file that we write comes from: it is one
// of a bar's, or else an extra column's place.
type fileColumn struct {
	name  string
	of    func(*Bar) float64 // nil: an extra column
	extra int
}

// mids are the mid prices in files. They are for readers: we compute them and
// never read them.
var mids = [...]fileColumn{
	{name: "open", of: func(b *Bar) float64 { return (b.BidOpen + b.AskOpen) / 2 }},
	{name: "high", of: func(b *Bar) float64 { return b.MidHigh() }},
	{name: "low", of: func(b *Bar) float64 { return b.MidLow() }},
	{name: "close", of: func(b *Bar) float64 { return b.MidClose() }},
}

// midOf is the index in mids of a name, -1 if it is not one of theirs.
func midOf(name string) int {
	return slices.IndexFunc(mids[:], func(f fileColumn) bool { return f.name == name })
}

// placeColumns is the order of a file's columns after the time: mid prices,
// volume, bids and asks, and then the extra columns that have none of their
// names.
func placeColumns(extra []Shape) []fileColumn {
	list := slices.Clone(mids[:])
	list = append(list,
		fileColumn{name: "volume", of: func(b *Bar) float64 { return b.Volume }},
		fileColumn{name: "bid_open", of: func(b *Bar) float64 { return b.BidOpen }},
		fileColumn{name: "bid_high", of: func(b *Bar) float64 { return b.BidHigh }},
		fileColumn{name: "bid_low", of: func(b *Bar) float64 { return b.BidLow }},
		fileColumn{name: "bid_close", of: func(b *Bar) float64 { return b.BidClose }},
		fileColumn{name: "ask_open", of: func(b *Bar) float64 { return b.AskOpen }},
		fileColumn{name: "ask_high", of: func(b *Bar) float64 { return b.AskHigh }},
		fileColumn{name: "ask_low", of: func(b *Bar) float64 { return b.AskLow }},
		fileColumn{name: "ask_close", of: func(b *Bar) float64 { return b.AskClose }})
	for i, s := range extra {
		if k := midOf(s.Name); k >= 0 {
			list[k] = fileColumn{name: s.Name, extra: i}
		} else {
			list = append(list, fileColumn{name: s.Name, extra: i})
		}
	}
	return list
}

// checkBlock says whether a block of rows fits what its writer began with.
func checkBlock(shapes []Shape, bars []Bar, extra []Column) error {
	if len(extra) != len(shapes) {
		return fmt.Errorf("writing bars: %d extra columns (want %d as before)", len(extra), len(shapes))
	}
	for i := range extra {
		if c, s := &extra[i], &shapes[i]; c.Shape != *s {
			return fmt.Errorf("writing bars: extra column %s of kind %s (want %s of kind %s as before)",
				shorten(c.Name), c.Kind, shorten(s.Name), s.Kind)
		}
		if err := extra[i].checkLen(len(bars)); err != nil {
			return fmt.Errorf("writing bars: %w", err)
		}
	}
	return nil
}

// ownMids leaves of columns with mid prices those that are not, to the last
// bit, what we make of bid and ask.
func ownMids(extra []Column, bars []Bar) []Column {
	list := slices.DeleteFunc(extra, func(c Column) bool {
		k := midOf(c.Name)
		return k >= 0 && c.is(bars, mids[k].of)
	})
	if len(list) == 0 {
		return nil
	}
	return list
}

// is reports whether the column has the values of, no nulls among them.
func (c *Column) is(bars []Bar, of func(*Bar) float64) bool {
	if c.Nulls != nil || len(c.Bits) != len(bars) || c.Kind == Bool || c.Kind == Time || c.Kind == Uint64 {
		return false
	}
	for i := range bars {
		want := of(&bars[i])
		if c.Kind == Float64 || c.Kind == Float32 {
			if math.Float64bits(c.float(i)) != math.Float64bits(want) {
				return false
			}
			continue
		}
		// The way back: a float64 does not hold every int64.
		v := int64(c.Bits[i])
		if f := float64(v); f != want || f >= math.MaxInt64 || int64(f) != v {
			return false
		}
	}
	return true
}
