package bars

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Times of bars lie in [1900, 2190): 290 years, so that the distance of any
// two fits into an int64 of nanoseconds (292 years) and nothing that counts
// with times can overflow. The generator's last bar lies in it too.
const (
	minTimeNS = -2208988800e9 // 1900-01-01T00:00:00Z
	maxTimeNS = 6942585600e9  // 2190-01-01T00:00:00Z
)

// CellError is a value of a data set that is not what it must be.
type CellError struct {
	Row    int64  // 1 is the first bar
	Line   int    // of a text file, 1 is the header; 0: not a text file
	Column string // as the file names it
	Value  string // as the file has it
	Want   string // what was expected
}

// Error names place, value and what was expected.
func (e *CellError) Error() string {
	place := fmt.Sprintf("row %d", e.Row)
	if e.Line > 0 {
		place = fmt.Sprintf("line %d (bar %d)", e.Line, e.Row)
	}
	return fmt.Sprintf("%s: %s: %s (want %s)", place, e.Column, e.Value, e.Want)
}

// ErrEmpty says that a data set holds no bar.
var ErrEmpty = errors.New("no bars (want at least one)")

// Validate tells whether the bars are a data set: at least one, times that
// rise strictly and lie in the years 1900 to 2189, finite prices above 0,
// on either side low ≤ open, close ≤ high, every bid ≤ its ask, and a
// finite volume ≥ 0. Gaps are data and no error. The error is ErrEmpty or
// the *CellError of the first bad row.
func Validate(bars []Bar) error {
	if len(bars) == 0 {
		return ErrEmpty
	}
	var c checker
	for i := range bars {
		if err := c.next(&bars[i]); err != nil {
			return err
		}
	}
	return nil
}

// checker checks bars in file order.
type checker struct {
	rows   int64 // checked so far
	lastNS int64
}

// next checks the next bar. The first bad value in the order of the columns
// is reported, and after the columns what they say together.
func (c *checker) next(b *Bar) *CellError {
	c.rows++
	if (c.rows > 1 && b.TimeNS <= c.lastNS) || b.TimeNS < minTimeNS || b.TimeNS >= maxTimeNS || !sound(b) {
		return c.explain(b)
	}
	c.lastNS = b.TimeNS
	return nil
}

// sound is false for NaN wherever it stands: each comparison with it is.
func sound(b *Bar) bool {
	return b.BidLow > 0 && b.BidLow <= b.BidOpen && b.BidLow <= b.BidClose &&
		b.BidOpen <= b.BidHigh && b.BidClose <= b.BidHigh && b.BidHigh <= math.MaxFloat64 &&
		b.AskLow <= b.AskOpen && b.AskLow <= b.AskClose &&
		b.AskOpen <= b.AskHigh && b.AskClose <= b.AskHigh && b.AskHigh <= math.MaxFloat64 &&
		b.BidOpen <= b.AskOpen && b.BidHigh <= b.AskHigh && b.BidLow <= b.AskLow && b.BidClose <= b.AskClose &&
		b.Volume >= 0 && b.Volume <= math.MaxFloat64
}

// explain finds what is wrong with a bar that is not sound.
func (c *checker) explain(b *Bar) *CellError {
	bad := func(col column, value, want string) *CellError {
		return &CellError{Row: c.rows, Column: col.String(), Value: value, Want: want}
	}
	switch {
	case b.TimeNS < minTimeNS || b.TimeNS >= maxTimeNS:
		return bad(colTime, formatTime(b.TimeNS), "a time in the years 1900 to 2189")
	case c.rows > 1 && b.TimeNS <= c.lastNS:
		return bad(colTime, formatTime(b.TimeNS), "a time after the bar before, "+formatTime(c.lastNS))
	}
	for col := colBidOpen; col <= colAskClose; col++ {
		if v := *col.float(b); !(v > 0 && v <= math.MaxFloat64) {
			return bad(col, formatFloat(v), "a finite price above 0")
		}
	}
	if v := b.Volume; !(v >= 0 && v <= math.MaxFloat64) {
		return bad(colVolume, formatFloat(v), "a finite volume of at least 0")
	}
	for _, side := range [2][4]column{
		{colBidOpen, colBidHigh, colBidLow, colBidClose},
		{colAskOpen, colAskHigh, colAskLow, colAskClose},
	} {
		open, high, low, closing := side[0], side[1], side[2], side[3]
		for _, other := range []column{open, low, closing} {
			if h, o := *high.float(b), *other.float(b); h < o {
				return bad(high, formatFloat(h), fmt.Sprintf("at least %s %s", other, formatFloat(o)))
			}
		}
		for _, other := range []column{open, closing} {
			if l, o := *low.float(b), *other.float(b); l > o {
				return bad(low, formatFloat(l), fmt.Sprintf("at most %s %s", other, formatFloat(o)))
			}
		}
	}
	for i := range column(4) {
		bid, ask := colBidOpen+i, colAskOpen+i
		if v, a := *bid.float(b), *ask.float(b); v > a {
			return bad(bid, formatFloat(v), fmt.Sprintf("at most %s %s", ask, formatFloat(a)))
		}
	}
	return bad(colTime, formatTime(b.TimeNS), "a sound bar") // sound and explain disagree: a test holds them together
}

// formatFloat is the shortest text that reads back as v.
func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// formatTime is RFC 3339 in UTC with the offset as +00:00.
func formatTime(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.999999999-07:00")
}
