package feature

import "math"

// tiny keeps quotients of flat markets finite. It is the original's.
const tiny = 1e-8

// What features are at bar k of the block. Look-backs must be there.

func (s *state) closeAt(k int) float64 { return s.closes.at(s.back(k)) }

func (s *state) openAt(k int) float64 {
	b := &s.block[k]
	return (b.BidOpen + b.AskOpen) / 2
}

// bps is what a difference of prices comes to at a price.
func bps(difference, price float64) float64 { return float64(difference / price * 1e4) }

func (s *state) atrBps(k int) float64 { return bps(s.meanRange(k), s.closeAt(k)) }

func (s *state) atrs14(c column) {
	if !s.atrKnown {
		s.meanRanges()
	}
	c.take(&s.atr)
}

// atrsBps are the ATRs in bps of the close.
func (s *state) atrsBps(c column) {
	closes := s.closes.since(len(s.block))
	for j, k := range c.at {
		c.out[j*c.stride] = bps(s.meanRange(int(k)), closes[k])
	}
}

func (s *state) spreadBps(k int) float64 {
	b := &s.block[k]
	return bps(b.AskClose-b.BidClose, b.BidClose)
}

func (s *state) spreadsBps(c column) {
	for j, k := range c.at {
		c.out[j*c.stride] = s.spreadBps(int(k))
	}
}

func (s *state) sessionIDs(c column) {
	for j, k := range c.at {
		c.out[j*c.stride] = float64(s.session[k])
	}
}

// emaPositions are how far closes are from EMA200.
func (s *state) emaPositions(c column) {
	closes := s.closes.since(len(s.block))
	for j, k := range c.at {
		c.out[j*c.stride] = closes[k]/s.ema200.at(int(k)) - 1
	}
}

// bodies are the bodies of bars as a part of their ranges, above 0 where the
// close is above the open.
func (s *state) bodies(c column) {
	n := len(s.block)
	closes, highs, lows := s.closes.since(n), s.highs.since(n), s.lows.since(n)
	for j, k := range c.at {
		c.out[j*c.stride] = (closes[k] - s.openAt(int(k))) / (highs[k] - lows[k] + tiny)
	}
}

// wicks are how much longer the upper wicks of bars are than the lower ones,
// as a part of their ranges.
func (s *state) wicks(c column) {
	n := len(s.block)
	closes, highs, lows := s.closes.since(n), s.highs.since(n), s.lows.since(n)
	for j, k := range c.at {
		high, low := highs[k], lows[k]
		top, bottom := order(s.openAt(int(k)), closes[k])
		c.out[j*c.stride] = ((high - top) - (bottom - low)) / (high - low + tiny)
	}
}

// order is the greater and the smaller of two prices. They are not negative,
// so their bits order them; the greater of two integers is found without a
// branch, which would be guessed wrong every other bar.
func order(a, b float64) (top, bottom float64) {
	x, y := math.Float64bits(a), math.Float64bits(b)
	return math.Float64frombits(max(x, y)), math.Float64frombits(min(x, y))
}

// rocs are the changes of the close over n bars.
func (s *state) rocs(c column, n int) {
	closes, before := s.closes.since(len(s.block)), s.closes.last(len(s.block), n)
	for j, k := range c.at {
		c.out[j*c.stride] = closes[k]/before[k] - 1
	}
}

// rangePositions is where closes lie between the highest high and the lowest
// low of rangeBars bars.
func (s *state) rangePositions(c column) {
	if len(c.at) == 0 {
		return
	}
	first := int(c.at[0])
	n := len(s.block) - first
	if 3*len(c.at) < n { // a few bars are cheaper one by one
		for j, k := range c.at {
			c.out[j*c.stride] = s.rangePos(int(k))
		}
		return
	}
	var tops, bottoms [BlockBars + rangeBars]uint64
	greatest(tops[:], s.highs.since(n+rangeBars-1), 0)
	greatest(bottoms[:], s.lows.since(n+rangeBars-1), ^uint64(0))
	closes := s.closes.since(n)
	for j, k := range c.at {
		i := int(k) - first
		c.out[j*c.stride] = position(closes[i], tops[i], ^bottoms[i])
	}
}

// position is where a close lies between two prices given by their bits.
func position(last float64, top, bottom uint64) float64 {
	high, low := math.Float64frombits(top), math.Float64frombits(bottom)
	if high == low {
		return 0.5
	}
	return (last - low) / (high - low)
}

// rangePos is rangePositions of one bar.
func (s *state) rangePos(k int) float64 {
	back := s.back(k)
	highs := (*[rangeBars]float64)(s.highs.last(rangeBars, back))
	lows := (*[rangeBars]float64)(s.lows.last(rangeBars, back))
	top, bottom := math.Float64bits(highs[0]), math.Float64bits(lows[0])
	for i := range highs {
		top = max(top, math.Float64bits(highs[i]))
		bottom = min(bottom, math.Float64bits(lows[i]))
	}
	return position(s.closes.at(back), top, bottom)
}

// greatest sets out[i] to the greatest of the rangeBars values from x[i] on,
// as bits with those of flip turned over, so that with all of them it is the
// smallest. The greatest of 2 and 4 values is made of two halves, and that of
// 20 of five fours. Prices are not negative, so their bits order them; the
// greater of two integers is found without a branch, which would be guessed
// wrong every other bar.
func greatest(out []uint64, x []float64, flip uint64) {
	out = out[:len(x)]
	for i, v := range x {
		out[i] = math.Float64bits(v) ^ flip
	}
	for i, v := range out[1:] {
		out[i] = max(out[i], v)
	}
	for i, v := range out[2:] {
		out[i] = max(out[i], v)
	}
	for ; len(out) >= rangeBars; out = out[1:] {
		fours := (*[rangeBars]uint64)(out)
		out[0] = max(max(fours[0], fours[4]), max(fours[8], fours[12]), fours[16])
	}
}

func (s *state) std(k int) float64 {
	x := s.closes.last(stdBars, s.back(k))
	m := mean(x)
	var sum float64
	for _, v := range x {
		d := v - m
		sum += float64(d * d)
	}
	return math.Sqrt(sum / (stdBars - 1))
}

// stds computes std at four bars side by side, because a sum waits for each of
// its additions.
func (s *state) stds(c column) {
	at, out, stride := c.at, c.out, c.stride
	j := 0
	for ; j+4 <= len(at); j += 4 {
		wa := (*[stdBars]float64)(s.closes.last(stdBars, s.back(int(at[j]))))
		wb := (*[stdBars]float64)(s.closes.last(stdBars, s.back(int(at[j+1]))))
		wc := (*[stdBars]float64)(s.closes.last(stdBars, s.back(int(at[j+2]))))
		wd := (*[stdBars]float64)(s.closes.last(stdBars, s.back(int(at[j+3]))))
		var a, b, c, d float64
		for i := range stdBars {
			a += wa[i]
			b += wb[i]
			c += wc[i]
			d += wd[i]
		}
		ma, mb, mc, md := a/stdBars, b/stdBars, c/stdBars, d/stdBars
		a, b, c, d = 0, 0, 0, 0
		for i := range stdBars {
			da, db, dc, dd := wa[i]-ma, wb[i]-mb, wc[i]-mc, wd[i]-md
			a += float64(da * da)
			b += float64(db * db)
			c += float64(dc * dc)
			d += float64(dd * dd)
		}
		out[j*stride] = math.Sqrt(a / (stdBars - 1))
		out[(j+1)*stride] = math.Sqrt(b / (stdBars - 1))
		out[(j+2)*stride] = math.Sqrt(c / (stdBars - 1))
		out[(j+3)*stride] = math.Sqrt(d / (stdBars - 1))
	}
	for ; j < len(at); j++ {
		out[j*stride] = s.std(int(at[j]))
	}
}

// atrZs compare the mean true range of 50 bars with that of 200.
func (s *state) atrZs(c column) {
	fast := column{c.at, s.scratch[0][:], 1}
	slow := column{c.at, s.scratch[1][:], 1}
	s.rangeSums.means(50, len(s.block), fast)
	s.rangeSums.means(200, len(s.block), slow)
	for j := range c.at {
		c.out[j*c.stride] = fast.out[j]/(slow.out[j]+tiny) - 1
	}
}

// dayTrends are how far EMA100 moved in dayBars bars, in mean true ranges.
func (s *state) dayTrends(c column) {
	ranges := column{c.at, s.scratch[0][:], 1}
	s.rangeSums.means(100, len(s.block), ranges)
	before := s.ema100s.last(len(s.block), dayBars)
	for j, k := range c.at {
		c.out[j*c.stride] = (s.ema100.at(int(k)) - before[k]) / (ranges.out[j] + tiny)
	}
}
