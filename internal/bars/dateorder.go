package bars

import (
	"fmt"
	"math"
)

// dateOrder reads dates whose year is last. In 01/02/2024 either number may be
// the month; a number above 12 somewhere in the file tells which. Dates with
// dots have the day first wherever they are in use.
type dateOrder struct {
	separator    byte
	monthIsFirst bool
	other        []int64 // the times with the month first, while nothing tells
	above12      [2]sighted
	example      sighted
}

// read reads the time of a row, from 1, with the day first if nothing tells.
func (o *dateOrder) read(row int, s string) (moment, error) {
	first, n := leadingDigits(s, 2)
	if n == 0 || n >= len(s) || !isDateSeparator(s[n]) {
		return moment{}, errTimeForm
	}
	separator := s[n]
	second, k := leadingDigits(s[n+1:], 2)
	at := n + 1 + k
	if k == 0 || at >= len(s) || s[at] != separator {
		return moment{}, errTimeForm
	}
	year, digits := leadingDigits(s[at+1:], 4)
	if digits != 4 {
		return moment{}, fmt.Errorf("%w; the year in four digits, or --time-format", errTimeForm)
	}
	clock, err := parseClock(s[at+5:])
	if err != nil {
		return moment{}, err
	}
	dayFirst, errDay := dateNS(year, second, first)
	monthFirst, errMonth := dateNS(year, first, second)
	switch {
	case errDay != nil && errMonth != nil:
		return moment{}, errDay
	case errDay != nil:
		dayFirst = math.MinInt64
		o.above12[1].see(row, s)
	case errMonth != nil:
		monthFirst = math.MinInt64
		o.above12[0].see(row, s)
	}
	if row == 1 {
		o.separator = separator
		o.example.see(row, s)
	} else if separator != o.separator {
		return moment{}, errTimeOther
	}
	o.other = append(o.other, plus(monthFirst, clock.wallNS-clock.offsetNS))
	clock.wallNS = plus(dayFirst, clock.wallNS)
	return clock, nil
}

// plus adds to a midnight, if there is one.
func plus(midnight, clock int64) int64 {
	if midnight == math.MinInt64 {
		return midnight
	}
	return midnight + clock
}

// cut forgets all but the first rows.
func (o *dateOrder) cut(rows int) {
	if rows < len(o.other) {
		o.other = o.other[:rows]
	}
}

// settle says which number is the day, or that nothing tells.
func (o *dateOrder) settle(bars []Bar, at func(row int) string) error {
	day, month := o.above12[0], o.above12[1]
	switch {
	case len(o.other) == 0:
		return nil
	case day.row > 0 && month.row > 0:
		return fmt.Errorf("times: %s has the day first, %s, and %s the month, %s (want one order in the whole file)",
			at(day.row-1), shorten(day.text), at(month.row-1), shorten(month.text))
	case month.row > 0 && o.separator == '.':
		return fmt.Errorf("times: %s: %s (want the day first in dates with dots; --time-format %%m.%%d.%%Y… reads others)",
			at(month.row-1), shorten(month.text))
	case month.row > 0:
		o.monthIsFirst = true
		for i := range bars {
			bars[i].TimeNS = o.other[i]
		}
	case day.row == 0 && o.separator != '.':
		return fmt.Errorf("times: %s: in %s, and in each other time, either the day or the month may be first (want --time-format %%d/%%m/%%Y… or %%m/%%d/%%Y…)",
			at(o.example.row-1), shorten(o.example.text))
	}
	o.other = nil
	return nil
}
