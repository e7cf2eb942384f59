package trade

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
	c := &x.ring[e.bar&(ringBars-1)]
	c.perSide[e.side]++
	c.known = c.known || !e.unknown
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
	for ; x.inRing > 0 && x.base < bar; x.base++ {
		c := &x.ring[x.base&(ringBars-1)]
		n := [2]int{int(c.perSide[0]), int(c.perSide[1])}
		x.inRing -= n[0] + n[1]
		x.perSide[0] -= n[0]
		x.perSide[1] -= n[1]
		if c.known {
			last = max(last, x.base)
		}
		*c = exitCount{}
	}
	x.base = max(x.base, bar)
	return last
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
