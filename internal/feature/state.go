package feature

import (
	"math"

	"gx1replay/internal/bars"
)

// state is what features are computed from: the last bar's mid prices and
// the history that the named features need. The recursive part depends on all
// bars since the data set's first; the rest on the last few thousand.
type state struct {
	bar                    *bars.Bar // valid until the next push
	open, high, low, close float64   // mid
	session                int

	// Recursive, with bar.TimeNS and close of the last bar.
	seen          int64 // bars since the data set's first
	timeNS        int64
	ema20, ema100 ema
	ema200        ema
	h1, h4        higher

	// Of the bars since the look-backs began.
	pushed              int64
	closes, highs, lows window
	ranges              window // true ranges; exists from the second bar on
	rangeSums           runSums
	ema100s             window
	atrs                ranking

	atr      float64 // cached for this bar
	atrKnown bool
}

// roll consumes a bar for the recursive part.
func (s *state) roll(b *bars.Bar, session int) {
	before, first := s.close, s.seen == 0
	s.bar, s.session, s.timeNS = b, session, b.TimeNS
	s.open = (b.BidOpen + b.AskOpen) / 2
	s.high, s.low, s.close = b.MidHigh(), b.MidLow(), b.MidClose()
	s.seen++
	s.ema20.push(s.close, first)
	s.ema100.push(s.close, first)
	s.ema200.push(s.close, first)
	s.h1.push(b.TimeNS, before, first)
	s.h4.push(b.TimeNS, before, first)
	s.atrKnown = false
}

// skip consumes a bar for the recursive part alone.
func (s *state) skip(b *bars.Bar, session int) {
	s.roll(b, session)
	if s.pushed > 0 {
		s.forget()
	}
}

// forget lets the look-backs begin with the next bar. What windows hold need
// not be cleared: nobody looks further back than the bars that were pushed
// since. A ranking shows all that it holds.
func (s *state) forget() {
	s.pushed = 0
	s.atrs.reset()
	s.atrKnown = false
}

func (s *state) push(b *bars.Bar, session int) {
	before, first := s.close, s.seen == 0
	s.roll(b, session)
	s.pushed++
	s.closes.push(s.close)
	s.highs.push(s.high)
	s.lows.push(s.low)
	s.ema100s.push(s.ema100.y)
	if !first {
		r := trueRange(s.high, s.low, before)
		s.ranges.push(r)
		s.rangeSums.push(r)
	}
	if s.atrs.size > 0 && s.pushed > atrBars {
		s.atrs.push(s.meanRange())
	}
}

func trueRange(high, low, before float64) float64 {
	if before > high {
		high = before
	}
	if before < low {
		low = before
	}
	return high - low
}

// meanRange is the ATR at this bar, in price units. It needs atrBars bars
// before this one, because a true range needs the close before it.
func (s *state) meanRange() float64 {
	if !s.atrKnown {
		s.atr = mean(s.ranges.last(atrBars))
		s.atrKnown = true
	}
	return s.atr
}

func (s *state) atrBps() float64 { return float64(s.meanRange() / s.close * 1e4) }

func (s *state) spreadBps() float64 {
	return float64((s.bar.AskClose - s.bar.BidClose) / s.bar.BidClose * 1e4)
}

// tiny keeps quotients of flat markets finite. It is the original's.
const tiny = 1e-8

func (s *state) bodyPct() float64 { return (s.close - s.open) / (s.high - s.low + tiny) }

func (s *state) wickAsym() float64 {
	top, bottom := s.open, s.close
	if bottom > top {
		top, bottom = bottom, top
	}
	return ((s.high - top) - (bottom - s.low)) / (s.high - s.low + tiny)
}

func (s *state) rangePos() float64 {
	// Prices are not negative, so their bits order them; a greatest integer is
	// found without branches, and these would be guessed wrong every other bar.
	highs, lows := s.highs.last(rangeBars), s.lows.last(rangeBars)
	top, bottom := math.Float64bits(s.high), math.Float64bits(s.low)
	for i := range highs {
		top = max(top, math.Float64bits(highs[i]))
		bottom = min(bottom, math.Float64bits(lows[i]))
	}
	high, low := math.Float64frombits(top), math.Float64frombits(bottom)
	if high == low {
		return 0.5
	}
	return (s.close - low) / (high - low)
}

func (s *state) std() float64 {
	x := s.closes.last(stdBars)
	m := mean(x)
	var sum float64
	for _, v := range x {
		d := v - m
		sum += float64(d * d)
	}
	return math.Sqrt(sum / (stdBars - 1))
}

// atrZ compares the mean true range of 50 bars with that of 200.
func (s *state) atrZ() float64 {
	return s.rangeSums.mean(50)/(s.rangeSums.mean(200)+tiny) - 1
}

// regime is 0, 1 or 2: whether the ATR is low, middling or high among those
// of the last regimeBars bars.
func (s *state) regime() float64 {
	atr := s.meanRange()
	if atr < s.atrs.quantile(0, regimeLow) {
		return 0
	}
	if atr >= s.atrs.quantile(1, regimeHigh) {
		return 2
	}
	return 1
}

// dayTrend is how far EMA100 moved in dayBars bars, in mean true ranges.
func (s *state) dayTrend() float64 {
	return (s.ema100.y - s.ema100s.last(dayBars + 1)[0]) / (s.rangeSums.mean(100) + tiny)
}
