package feature

import (
	"time"

	"gx1replay/internal/bars"
)

// ema is an exponential mean as pandas' ewm(span, adjust=False) has it: it
// starts with the first value, then y = (1-a)·y + a·x with a = 2/(span+1).
type ema struct {
	a, keep float64 // a and 1-a; a is 0 while the mean is not used
	y       float64
}

func (m *ema) use(span float64) {
	m.a = 2 / (span + 1)
	m.keep = 1 - m.a
}

func (m *ema) used() bool { return m.a != 0 }

func (m *ema) push(x float64, first bool) {
	switch {
	case m.a == 0:
	case first:
		m.y = x
	default:
		m.y = m.next(m.y, x)
	}
}

// next is the mean after y and a value.
func (m *ema) next(y, x float64) float64 { return float64(m.keep*y) + float64(m.a*x) }

// emaColumn is a mean with what it was at each bar of the last block.
type emaColumn struct {
	ema
	ys [BlockBars + 1]float64 // before the block, then at each bar
}

// at is the mean at bar k of the block.
func (m *emaColumn) at(k int) float64 { return m.ys[k+1] }

// slopes are how far the mean moved at bars of the block.
func (m *emaColumn) slopes(c column) {
	for j, k := range c.at {
		c.out[j*c.stride] = m.ys[k+1] - m.ys[k]
	}
}

// pushMeans consumes a block's closes for the three means. A mean waits for
// the bar before it, so they are made side by side, those that nobody uses
// included: they stay 0.
func (s *state) pushMeans(closes []float64, first bool) {
	fast, middle, slow := &s.ema20, &s.ema100, &s.ema200
	if !fast.used() && !middle.used() && !slow.used() {
		return
	}
	from := 0
	for _, m := range [3]*emaColumn{fast, middle, slow} {
		if first {
			m.push(closes[0], true)
			m.ys[1] = m.y
			from = 1
		}
		m.ys[0] = m.y
	}
	x, y, z := fast.y, middle.y, slow.y
	for k := from; k < len(closes); k++ {
		c := closes[k]
		x, y, z = fast.next(x, c), middle.next(y, c), slow.next(z, c)
		fast.ys[k+1], middle.ys[k+1], slow.ys[k+1] = x, y, z
	}
	fast.y, middle.y, slow.y = x, y, z
}

const (
	h1 = int64(time.Hour)
	h4 = 4 * h1

	fastSpan = 12
	slowSpan = 26
	// trendBars is how many bars of the higher timeframe must be complete
	// before their trend is used: three slow spans, after which the first bar
	// weighs (1-2/27)^78 = 0.25 %.
	trendBars = 3 * slowSpan
)

// higher is the trend on a higher timeframe. Its bars are the pieces of time
// [k·period, (k+1)·period) since 1970 UTC in which there is at least one bar;
// their close is the close of the last bar that opens in them. Such a bar is
// complete, and in the trend, from the first bar on that opens at or after
// its end: nothing that a trader could not have known is in it.
type higher struct {
	period     int64 // ns; 0: not used
	end        int64 // ns, of the bar that is forming
	completed  int64
	fast, slow ema // of the completed bars' closes
}

func (h *higher) use(period int64) {
	h.period = period
	h.fast.use(fastSpan)
	h.slow.use(slowSpan)
}

// push sees a bar that opens at timeNS; before is the close of the bar before
// it, if it is not the first.
func (h *higher) push(timeNS int64, before float64, first bool) {
	if h.period == 0 || !first && timeNS < h.end {
		return
	}
	if !first {
		h.fast.push(before, h.completed == 0)
		h.slow.push(before, h.completed == 0)
		h.completed++
	}
	h.end = periodEnd(timeNS, h.period)
}

func (h *higher) trend() float64 { return h.fast.y - h.slow.y }

// higherColumn is a trend with what it was at each bar of the last block.
type higherColumn struct {
	higher
	trends [BlockBars]float64
	done   [BlockBars]int64 // completed
}

// pushAll sees the bars of a block; closes are theirs, before is the close of
// the bar before them.
func (h *higherColumn) pushAll(list []bars.Bar, closes []float64, before float64, first bool) {
	if h.period == 0 {
		return
	}
	trends, done := h.trends[:len(list)], h.done[:len(list)]
	trend, completed, end := h.trend(), h.completed, h.end
	for k := range list {
		if first || list[k].TimeNS >= end {
			h.push(list[k].TimeNS, before, first)
			trend, completed, end = h.trend(), h.completed, h.end
			first = false
		}
		before = closes[k]
		trends[k], done[k] = trend, completed
	}
}

// periodEnd is the end of the period that holds timeNS.
func periodEnd(timeNS, period int64) int64 {
	in := timeNS % period
	if in < 0 {
		in += period
	}
	return timeNS - in + period
}
