package bars

import (
	"fmt"
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

// String is the column's name in files.
func (c column) String() string {
	switch c {
	case colTime:
		return "time"
	case colBidOpen:
		return "bid_open"
	case colBidHigh:
		return "bid_high"
	case colBidLow:
		return "bid_low"
	case colBidClose:
		return "bid_close"
	case colAskOpen:
		return "ask_open"
	case colAskHigh:
		return "ask_high"
	case colAskLow:
		return "ask_low"
	case colAskClose:
		return "ask_close"
	case colVolume:
		return "volume"
	}
	return fmt.Sprintf("column(%d)", int(c))
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
// column in the file, by our column, and the name it has there. In the bid
// form there are no ask columns (-1): the file's four prices are bids.
type layout struct {
	index   [columnCount]int
	name    [columnCount]string
	bidForm bool
}

// names that stand for a column where the first of them is missing.
// pandas calls an index without a name __index_level_0__.
func (c column) names() []string {
	switch c {
	case colTime:
		return []string{"time", "__index_level_0__"}
	case colVolume:
		return []string{"volume", "tick_volume"}
	}
	return []string{c.String()}
}

// matchColumns finds the columns of a bar in a file's header. Upper and
// lower case are the same; columns that we do not know are ignored. Where
// no bid or ask price is there and allowBidForm is set, open, high, low and
// close are taken as bids.
func matchColumns(header []string, allowBidForm bool) (layout, error) {
	at := make(map[string]int, len(header))
	found := make([]string, len(header))
	for i, h := range header {
		name := strings.ToLower(strings.TrimSpace(h))
		found[i] = name
		if _, twice := at[name]; twice && isOurs(name) {
			return layout{}, fmt.Errorf("header: column %q is there twice (want each once)", name)
		}
		at[name] = i
	}
	var l layout
	l.bidForm = allowBidForm && !hasQuotes(at)
	var missing []string
	for c := range columnCount {
		l.index[c] = -1
		names := c.names()
		if l.bidForm && c != colTime && c != colVolume {
			bid, isBid := strings.CutPrefix(c.String(), "bid_")
			if !isBid {
				continue
			}
			names = []string{bid}
		}
		for _, name := range names {
			if i, ok := at[name]; ok {
				l.index[c], l.name[c] = i, strings.TrimSpace(header[i])
				break
			}
		}
		if l.index[c] < 0 {
			missing = append(missing, names[0])
		}
	}
	if len(missing) > 0 {
		want := "time, bid_open, bid_high, bid_low, bid_close, ask_open, ask_high, ask_low, ask_close, volume"
		if allowBidForm {
			want += "; or time, open, high, low, close, tick_volume, whose prices are bids"
		}
		return layout{}, fmt.Errorf("header: missing columns %s (found %s; want %s)",
			strings.Join(missing, ", "), quoteList(found), want)
	}
	return l, nil
}

func isOurs(name string) bool {
	switch name {
	case "open", "high", "low", "close":
		return true
	}
	for c := range columnCount {
		for _, n := range c.names() {
			if n == name {
				return true
			}
		}
	}
	return false
}

// hasQuotes tells whether any column of bid or ask prices is there.
func hasQuotes(names map[string]int) bool {
	for c := colBidOpen; c <= colAskClose; c++ {
		if _, ok := names[c.String()]; ok {
			return true
		}
	}
	return false
}

// asInFile gives an error's column the name that it has in the file.
func (l *layout) asInFile(e *CellError) {
	if l.bidForm {
		e.Want = strings.ReplaceAll(e.Want, "bid_", "")
	}
	for c := range columnCount {
		if e.Column == c.String() && l.name[c] != "" {
			e.Column = l.name[c]
			return
		}
	}
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
