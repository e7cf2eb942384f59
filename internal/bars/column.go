package bars

import (
	"fmt"
	"slices"
	"strings"
)

// column names a value of a bar. The order is the canonical one, and the
// order in which a row is checked.
type column int

const (
	colTime column = iota
	colBidOpen
	colBidHigh
	colBidLow
	colBidClose
	colAskOpen
	colAskHigh
	colAskLow
	colAskClose
	colVolume
	columnCount
)

var columnNames = [columnCount]string{"time", "bid_open", "bid_high", "bid_low", "bid_close",
	"ask_open", "ask_high", "ask_low", "ask_close", "volume"}

// String is the column's name in files.
func (c column) String() string { return columnNames[c] }

// columnOf is the column of that name, columnCount if there is none.
func columnOf(name string) column {
	if i := slices.Index(columnNames[:], name); i >= 0 {
		return column(i)
	}
	return columnCount
}

// float is the bar's value in c, which is not colTime.
func (c column) float(b *Bar) *float64 {
	switch c {
	case colBidOpen:
		return &b.BidOpen
	case colBidHigh:
		return &b.BidHigh
	case colBidLow:
		return &b.BidLow
	case colBidClose:
		return &b.BidClose
	case colAskOpen:
		return &b.AskOpen
	case colAskHigh:
		return &b.AskHigh
	case colAskLow:
		return &b.AskLow
	case colAskClose:
		return &b.AskClose
	default:
		return &b.Volume
	}
}

// layout says where a file keeps the values of a bar: the index of a
// column in the file, by our column, and the name it has there; -1 where the
// file has none. In the bid form there are no ask columns: the file's four
// prices are bids.
type layout struct {
	index   [columnCount]int
	name    [columnCount]string
	clock   int // of the column with the clock, where that of the time has the date alone
	spread  int // of the column with spreads in points
	bidForm bool
	plain   bool // the bids are named open, high, low, close
	// copyRates: the columns are those of MetaTrader's copy_rates.
	copyRates bool
}

// asInFile gives an error's column the name that it has in the file.
func (l *layout) asInFile(e *CellError) {
	if l.plain {
		e.Want = strings.ReplaceAll(e.Want, "bid_", "")
	}
	for c := range columnCount {
		if e.Column == c.String() && l.name[c] != "" {
			e.Column = l.name[c]
			return
		}
	}
}

// describe says which columns of the file are a bar's.
func (l *layout) describe() string {
	var list []string
	for c := range columnCount {
		if l.index[c] < 0 {
			continue
		}
		name := c.String()
		if l.plain {
			name = strings.TrimPrefix(name, "bid_")
		}
		if l.name[c] != name {
			name += " is " + l.name[c]
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// quoteList prints at most the first 20 names: a header can be anything.
func quoteList(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i == 20 {
			fmt.Fprintf(&b, ", and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(shorten(n))
	}
	return b.String()
}

// shorten quotes a piece of a file for a message, at most 40 bytes of it.
func shorten(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q…", s[:40])
	}
	return fmt.Sprintf("%q", s)
}
