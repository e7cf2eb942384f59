package trade

import "math/bits"

// ringBars is how far ahead exits have a place of their own: a day of M5
// bars, nearly, and a power of two.
const ringBars = 256

// exits are the open trades by the bars of their exits. Exits of the next
// bars are counted in a ring with a place a bar, all others wait in a heap:
// where trades are short, what a trade costs does not depend on how many are
// open.
type exits struct {
	perSide [2]int
	base    int64 // the ring has the bars from base to base + ringBars - 1
	inRing  int
	ring    [ringBars]exitCount
	filled  [ringBars / 64]uint64 // a bit for each place that is not empty
	others  exitHeap
}

type exitCount struct {
	perSide [2]int32
	known   bool // one of them is an exit
}

type exitOf struct {
	bar     int64
	side    int8
	unknown bool // bar is the last one to which an open trade was followed
}

func (x *exits) len() int { return x.perSide[0] + x.perSide[1] }

func (x *exits) push(e exitOf) {
	x.perSide[e.side]++
	if e.bar < x.base || e.bar-x.base >= ringBars {
		x.others.push(e)
		return
	}
	at := e.bar & (ringBars - 1)
	c := &x.ring[at]
	c.perSide[e.side]++
	c.known = c.known || !e.unknown
	x.filled[at/64] |= 1 << (at % 64)
	x.inRing++
}

// leave takes out all whose bar is before bar, and returns the last bar at
// which there was an exit among them; never, if there was none.
func (x *exits) leave(bar int64) (last int64) {
	last = never
	for len(x.others) > 0 && x.others[0].bar < bar {
		e := x.others.pop()
		x.perSide[e.side]--
		if !e.unknown {
			last = max(last, e.bar)
		}
	}
	for x.inRing > 0 {
		next := x.next()
		if next >= bar {
			break
		}
		at := next & (ringBars - 1)
		c := &x.ring[at]
		x.inRing -= int(c.perSide[0] + c.perSide[1])
		x.perSide[0] -= int(c.perSide[0])
		x.perSide[1] -= int(c.perSide[1])
		if c.known {
			last = max(last, next)
		}
		*c = exitCount{}
		x.filled[at/64] &^= 1 << (at % 64)
	}
	x.base = max(x.base, bar)
	return last
}

// next is the first bar of the ring, which is not empty.
func (x *exits) next() int64 {
	at := x.base & (ringBars - 1)
	word, bit := at/64, at%64
	if m := x.filled[word] >> bit; m != 0 {
		return x.base + int64(bits.TrailingZeros64(m))
	}
	bar := x.base + 64 - bit
	for {
		word = (word + 1) % int64(len(x.filled))
		if m := x.filled[word]; m != 0 {
			return bar + int64(bits.TrailingZeros64(m))
		}
		bar += 64
	}
}

// exitHeap has the earliest exit first.
type exitHeap []exitOf

func (h *exitHeap) push(x exitOf) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].bar <= s[i].bar {
			return
		}
		s[up], s[i] = s[i], s[up]
		i = up
	}
}

func (h *exitHeap) pop() exitOf {
	s := *h
	first := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if s[c].bar < s[least].bar {
				least = c
			}
		}
		if least == i {
			return first
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
