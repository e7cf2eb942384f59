package feature

import "gx1replay/internal/bars"

// BlockBars is the most bars that a block holds.
const BlockBars = 128

// state is what features are computed from: the bars of the last block with
// what of them is not in a window, and the history that the named features
// need. The recursive part depends on all bars since the data set's first;
// the rest on the last few thousand.
//
// Bars of the block are known by their position k in it, windows by how many
// values were pushed behind: see back.
type state struct {
	block   []bars.Bar // valid until the next push
	session [BlockBars]uint8
	trs     [BlockBars]float64 // true ranges

	// Recursive, with the opening time and the mid close of the last bar.
	seen          int64 // bars since the data set's first
	timeNS        int64
	close         float64
	ema20, ema100 emaColumn
	ema200        emaColumn
	h1, h4        higherColumn

	// Of the bars since the look-backs began.
	pushed              int64
	closes, highs, lows window // of mid prices
	ranges              window // true ranges; exists from the second bar on
	rangeSums           runSums
	ema100s             window
	atrs                ranking
	regimes             [BlockBars]float64

	atr      [BlockBars]float64 // once known, where 14 bars were pushed before
	atrKnown bool

	scratch [2][BlockBars]float64 // of a column, while it is filled
}

// back is the number of bars of the block behind bar k.
func (s *state) back(k int) int { return len(s.block) - 1 - k }

// skip consumes a bar for the recursive part alone.
func (s *state) skip(list []bars.Bar, session int) {
	b := &list[0]
	before, first := s.close, s.seen == 0
	s.block, s.session[0] = list, uint8(session)
	s.timeNS, s.close = b.TimeNS, b.MidClose()
	s.seen++
	s.ema20.push(s.close, first)
	s.ema100.push(s.close, first)
	s.ema200.push(s.close, first)
	s.h1.push(b.TimeNS, before, first)
	s.h4.push(b.TimeNS, before, first)
	s.forget()
}

// forget lets the look-backs begin with the next bar. What windows hold need
// not be cleared: nobody looks further back than the bars that were pushed
// since. A ranking shows all that it holds.
func (s *state) forget() {
	if s.pushed > 0 {
		s.pushed = 0
		s.atrs.reset()
	}
	s.atrKnown = false
}

// push consumes the bars of a block, 1 to BlockBars, column by column.
func (s *state) push(list []bars.Bar, sessions *SessionTable) {
	n := len(list)
	before, first := s.close, s.seen == 0
	closes, highs, lows, ranges := s.closes.extend(n), s.highs.extend(n), s.lows.extend(n), s.trs[:n]
	sessions.fill(s.session[:n], list)
	last := before
	for k := range list {
		b := &list[k]
		c, h, l := b.MidClose(), b.MidHigh(), b.MidLow()
		closes[k], highs[k], lows[k], ranges[k] = c, h, l, trueRange(h, l, last)
		last = c
	}
	if first { // it has none: that needs the close before
		ranges = ranges[1:]
	}
	copy(s.ranges.extend(len(ranges)), ranges)
	s.rangeSums.push(ranges)
	s.block = list
	s.seen += int64(n)
	s.pushed += int64(n)
	s.timeNS, s.close = list[n-1].TimeNS, closes[n-1]
	s.pushMeans(closes, first)
	s.h1.pushAll(list, closes, before, first)
	s.h4.pushAll(list, closes, before, first)
	if s.ema100s.size > 0 {
		copy(s.ema100s.extend(n), s.ema100.ys[1:n+1])
	}
	s.atrKnown = false
	if s.atrs.size > 0 {
		s.rank()
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

// meanRange is the ATR at bar k, in price units. It needs atrBars bars before
// it, because a true range needs the close before it.
func (s *state) meanRange(k int) float64 {
	if !s.atrKnown {
		s.meanRanges()
	}
	return s.atr[k]
}

// meanRanges computes the ATR at each bar of the block that has one. A sum
// waits for each addition, so four are made side by side.
func (s *state) meanRanges() {
	s.atrKnown = true
	n, k := len(s.block), s.firstATR()
	if k == n {
		return
	}
	x := s.ranges.since(n - k + atrBars - 1)
	out := s.atr[k:n]
	for ; len(out) >= 4; out, x = out[4:], x[4:] {
		w := (*[atrBars + 3]float64)(x)
		var a, b, c, d float64
		for i := range atrBars {
			a += w[i]
			b += w[i+1]
			c += w[i+2]
			d += w[i+3]
		}
		out[0], out[1], out[2], out[3] = a/atrBars, b/atrBars, c/atrBars, d/atrBars
	}
	for i := range out {
		out[i] = mean(x[i : i+atrBars])
	}
}

// firstATR is the first bar of the block that has an ATR, or its length.
func (s *state) firstATR() int {
	n := int64(len(s.block))
	return int(n - min(max(s.pushed-atrBars, 0), n))
}

// atrColumn sets out to the ATR in bps of bars from one on, which have one.
func (s *state) atrColumn(from int, out []float64) {
	if !s.atrKnown {
		s.meanRanges()
	}
	n := len(s.block)
	closes := s.closes.since(n)[:len(out)]
	for k := from; k < len(out); k++ {
		out[k] = bps(s.atr[k], closes[k])
	}
}

// rank takes the block's ATRs into the ranking, and says of each bar what
// regime it is in: 0, 1 or 2, whether the ATR is low, middling or high among
// those of the last regimeBars bars, or 0 where there are too few.
func (s *state) rank() {
	first := s.firstATR()
	if first < len(s.block) && !s.atrKnown {
		s.meanRanges()
	}
	for k := first; k < len(s.block); k++ {
		atr := s.atr[k]
		s.atrs.push(atr)
		regime := 1.0
		switch {
		case s.atrs.count < regimeMin || s.atrs.compare(atr, 0, regimeLow) < 0:
			regime = 0
		case s.atrs.compare(atr, 1, regimeHigh) > 0:
			regime = 2
		}
		s.regimes[k] = regime
	}
}
