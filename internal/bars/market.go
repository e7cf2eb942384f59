package bars

import (
	"slices"
	"time"
)

// Market is when a market is open, by the data's own weeks.
type Market struct {
	// Weeks is how many the data spans. With less than three the pattern is not
	// the data's own: Saturdays and Sundays are taken as closed.
	Weeks int `json:"weeks"`
	// OpenShare is the share of the week in which there usually are bars.
	OpenShare float64 `json:"open_share"`
	// Closures are gaps in which the market is usually closed; Holidays, those
	// of most of a day in which it is usually open.
	Closures int `json:"closures"`
	Holidays int `json:"holidays"`
	// MissingBars are those of all gaps that are neither.
	MissingBars int64 `json:"missing_bars"`
	// WeekOpens are the changes of the hour at which the week begins, by the
	// data's clock: a market with daylight saving time has two a year in UTC.
	WeekOpens []WeekOpen `json:"week_opens"`

	open    []bool // by slot of the week
	slot    int64  // ns
	perDay  int64  // open slots of a day that has any
	regular bool   // some slot is closed
}

// WeekOpen says that from a day on weeks begin at an hour of the data's clock.
type WeekOpen struct {
	From    time.Time `json:"from"`
	Weekday string    `json:"weekday"`
	Clock   string    `json:"clock"`
}

const (
	week = 7 * day
	// leastSlot bounds the slots of a week for bars of less.
	leastSlot = int64(time.Second)
	// ownWeeks is how many weeks make a pattern.
	ownWeeks = 3
)

// marketOf finds when the market of bars is open.
func marketOf(bars []Bar, length time.Duration) Market {
	m := Market{slot: min(max(int64(length), leastSlot), day), WeekOpens: []WeekOpen{}}
	slots := int(week / m.slot)
	first, last := floorDiv(bars[0].TimeNS, week), floorDiv(bars[len(bars)-1].TimeNS, week)
	m.Weeks = int(last - first + 1)
	m.open = make([]bool, slots+1)
	if m.Weeks < ownWeeks {
		for i := range m.open {
			weekday := time.Unix(0, int64(i)*m.slot).UTC().Weekday()
			m.open[i] = weekday != time.Saturday && weekday != time.Sunday
		}
		for i := range bars {
			m.open[m.slotOf(bars[i].TimeNS)] = true
		}
	} else {
		full := m.fullWeeks(bars, first)
		seen, weeks := make([]int, slots+1), 0
		for _, is := range full {
			if is {
				weeks++
			}
		}
		for i := range bars {
			if full[floorDiv(bars[i].TimeNS, week)-first] {
				seen[m.slotOf(bars[i].TimeNS)]++
			}
		}
		for i, n := range seen {
			m.open[i] = 2*n >= weeks
		}
	}
	open, days := int64(0), map[int64]bool{}
	for i, is := range m.open[:slots] {
		if is {
			open++
			days[int64(i)*m.slot/day] = true
		}
	}
	m.regular = open < int64(slots)
	m.OpenShare = float64(open) / float64(slots)
	if len(days) > 0 {
		m.perDay = max(1, open/int64(len(days)))
	}
	m.WeekOpens = weekOpens(bars)
	return m
}

// fullWeeks are those with at least half of the bars of the fullest one: a
// history may begin with years of daily bars, which are no pattern.
func (m *Market) fullWeeks(bars []Bar, first int64) []bool {
	count := make([]int, m.Weeks)
	for i := range bars {
		count[floorDiv(bars[i].TimeNS, week)-first]++
	}
	most := slices.Max(count)
	full := make([]bool, m.Weeks)
	for i, n := range count {
		full[i] = 2*n >= most
	}
	return full
}

func (m *Market) slotOf(ns int64) int { return int((ns - floorDiv(ns, week)*week) / m.slot) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// missing counts the slots in [from, to) in which the market is usually open,
// and says whether it is closed in some of them.
func (m *Market) missing(from, to int64) (open int64, closed bool) {
	// Whole weeks need no counting.
	if whole := (to - from) / week; whole > 0 {
		for i := range int(week / m.slot) {
			if m.open[i] {
				open += whole
			} else {
				closed = true
			}
		}
		from += whole * week
	}
	for t := from; t < to; t += m.slot {
		if m.open[m.slotOf(t)] {
			open++
		} else {
			closed = true
		}
	}
	return open, closed
}

// gaps tells closures and holidays from holes.
func (in *Inspection) gaps(raw *rawBars, length time.Duration) {
	m := &in.Market
	f := &faults{kind: KindGap}
	for i := 1; i < len(raw.bars); i++ {
		from, to := raw.bars[i-1].TimeNS+int64(length), raw.bars[i].TimeNS
		if to <= from {
			continue
		}
		missing, closed := m.missing(from, to)
		switch {
		case missing == 0:
			m.Closures++
		case m.regular && 4*missing >= 3*m.perDay && missing <= 4*m.perDay:
			m.Holidays++
		case closed && missing*m.slot <= int64(time.Hour):
			m.Closures++ // the market opened late or closed early
		default:
			m.MissingBars += missing
			f.see(i, float64(to-from)/1e9)
		}
	}
	in.add(raw, f)
}

// weekEnd is how long a market is closed at least between two weeks.
const weekEnd = 36 * int64(time.Hour)

// weekOpens finds the hours at which weeks begin, and when that changes for
// three weeks at least.
func weekOpens(bars []Bar) []WeekOpen {
	type opening struct{ at, ofWeek int64 }
	var all []opening
	for i := 1; i < len(bars); i++ {
		if d := bars[i].TimeNS - bars[i-1].TimeNS; d >= weekEnd && d <= 4*day {
			t := bars[i].TimeNS
			all = append(all, opening{t, t - floorDiv(t, week)*week})
		}
	}
	list := []WeekOpen{}
	last := int64(-1)
	for i := 0; i+2 < len(all); i++ {
		if all[i].ofWeek == last || all[i].ofWeek != all[i+1].ofWeek || all[i].ofWeek != all[i+2].ofWeek {
			continue
		}
		last = all[i].ofWeek
		at := time.Unix(0, all[i].at).UTC()
		list = append(list, WeekOpen{From: at, Weekday: at.Weekday().String(), Clock: at.Format("15:04")})
	}
	return slices.Clip(list)
}
