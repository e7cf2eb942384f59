package feature

import "gx1replay/internal/bars"

// window keeps the newest values of a series, oldest first, in one piece of
// memory: values are written behind each other, and moved to the front when
// the buffer is full, once in three window lengths.
type window struct {
	size int // values to keep; 0: the window is not used
	buf  []float64
	end  int
}

// grow makes the window keep at least size values. It is called before the
// first push only.
func (w *window) grow(size int) {
	if size > w.size {
		w.size = size
		w.buf = make([]float64, 4*size)
	}
}

func (w *window) push(v float64) {
	if w.size == 0 {
		return
	}
	if w.end == len(w.buf) {
		copy(w.buf, w.buf[w.end-w.size+1:])
		w.end = w.size - 1
	}
	w.buf[w.end] = v
	w.end++
}

// last is the newest n values, oldest first; at least n were pushed and n is
// at most the window's size.
func (w *window) last(n int) []float64 { return w.buf[w.end-n : w.end] }

// ema is an exponential mean as pandas' ewm(span, adjust=False) has it: it
// starts with the first value, then y = (1-a)·y + a·x with a = 2/(span+1).
type ema struct {
	a, keep float64 // a and 1-a; a is 0 while the mean is not used
	y, was  float64 // the mean at this bar and at the one before
}

func (m *ema) use(span float64) {
	m.a = 2 / (span + 1)
	m.keep = 1 - m.a
}

func (m *ema) push(x float64, first bool) {
	if m.a == 0 {
		return
	}
	if first {
		m.y, m.was = x, x
		return
	}
	m.was = m.y
	m.y = float64(m.keep*m.y) + float64(m.a*x)
}

// state is what features are computed from: the last bar's mid prices and
// the history that the named features need.
type state struct {
	bar                    *bars.Bar // valid until the next push
	open, high, low, close float64   // mid
	session                int
	pushed                 int64

	closes, highs, lows window
	ranges              window // true ranges; exists from the second bar on
	ema20, ema100       ema
	ema200              ema

	atr      float64 // cached for this bar
	atrKnown bool
}

func (s *state) push(b *bars.Bar, session int) {
	before := s.close
	s.bar, s.session = b, session
	s.open = (b.BidOpen + b.AskOpen) / 2
	s.high, s.low, s.close = b.MidHigh(), b.MidLow(), b.MidClose()
	first := s.pushed == 0
	s.pushed++
	s.closes.push(s.close)
	s.highs.push(s.high)
	s.lows.push(s.low)
	if !first {
		s.ranges.push(max(s.high, before) - min(s.low, before))
	}
	s.ema20.push(s.close, first)
	s.ema100.push(s.close, first)
	s.ema200.push(s.close, first)
	s.atrKnown = false
}

// atrBars is the length of the ATR.
const atrBars = 14

// meanRange is the ATR at this bar, in price units. It needs atrBars bars
// before this one, because a true range needs the close before it.
func (s *state) meanRange() float64 {
	if !s.atrKnown {
		s.atr = mean(s.ranges.last(atrBars))
		s.atrKnown = true
	}
	return s.atr
}

// mean sums from the oldest value to the newest.
func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
