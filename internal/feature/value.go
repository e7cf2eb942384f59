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

func (s *state) atrBps(k int) float64 { return float64(s.meanRange(k) / s.closeAt(k) * 1e4) }

func (s *state) spreadBps(k int) float64 {
	b := &s.block[k]
	return float64((b.AskClose - b.BidClose) / b.BidClose * 1e4)
}

func (s *state) bodyPct(k int) float64 {
	b := &s.block[k]
	return (b.MidClose() - s.openAt(k)) / (b.MidHigh() - b.MidLow() + tiny)
}

func (s *state) wickAsym(k int) float64 {
	b := &s.block[k]
	high, low := b.MidHigh(), b.MidLow()
	top, bottom := s.openAt(k), b.MidClose()
	if bottom > top {
		top, bottom = bottom, top
	}
	return ((high - top) - (bottom - low)) / (high - low + tiny)
}

// roc is the change of the close over n bars.
func (s *state) roc(k, n int) float64 {
	back := s.back(k)
	return s.closes.at(back)/s.closes.at(back+n) - 1
}

func (s *state) rangePos(k int) float64 {
	// Prices are not negative, so their bits order them; a greatest integer is
	// found without branches, and these would be guessed wrong every other bar.
	back := s.back(k)
	highs := (*[rangeBars]float64)(s.highs.last(rangeBars, back))
	lows := (*[rangeBars]float64)(s.lows.last(rangeBars, back))
	top, bottom := math.Float64bits(highs[0]), math.Float64bits(lows[0])
	for i := range highs {
		top = max(top, math.Float64bits(highs[i]))
		bottom = min(bottom, math.Float64bits(lows[i]))
	}
	high, low := math.Float64frombits(top), math.Float64frombits(bottom)
	if high == low {
		return 0.5
	}
	return (s.closes.at(back) - low) / (high - low)
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

// atrZ compares the mean true range of 50 bars with that of 200.
func (s *state) atrZ(k int) float64 {
	back := s.back(k)
	return s.rangeSums.mean(50, back)/(s.rangeSums.mean(200, back)+tiny) - 1
}

// dayTrend is how far EMA100 moved in dayBars bars, in mean true ranges.
func (s *state) dayTrend(k int) float64 {
	back := s.back(k)
	return (s.ema100.ys[k] - s.ema100s.at(back+dayBars)) / (s.rangeSums.mean(100, back) + tiny)
}
