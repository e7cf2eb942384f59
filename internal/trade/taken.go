package trade

import (
	"fmt"
	"iter"
	"math/bits"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

// Picks says which signals of a list were taken, with one bit for each: of
// millions of signals a list of indices costs more to write than the
// selection to make.
type Picks struct {
	marks []uint64
	n     int
	why   []int8 // by signal: an index into dropOrder, or -1; nil: was not asked for
}

// Dropped says why signal i was dropped, or that it was taken, if the pass
// kept reasons.
func (p Picks) Dropped(i int) (taken bool, reason string) {
	if p.why[i] < 0 {
		return true, ""
	}
	return false, dropOrder[p.why[i]]
}

// Len is the number of signals that were taken.
func (p Picks) Len() int { return p.n }

// All yields the indices of the signals that were taken, rising.
func (p Picks) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, m := range p.marks {
			for ; m != 0; m &= m - 1 {
				if !yield(64*w + bits.TrailingZeros64(m)) {
					return
				}
			}
		}
	}
}

// Closed yields the signals of list, the one that p was made of, that were
// taken and have an exit, in order: the trades that files and figures are
// about.
func (p Picks) Closed(list []Signal) iter.Seq[*Signal] {
	return func(yield func(*Signal) bool) {
		for i := range p.All() {
			if s := &list[i]; s.Closed() && !yield(s) {
				return
			}
		}
	}
}

// Takes says whether Offer would take sig, the next signal in the order of
// bars, and counts nothing. It does not depend on the exit of sig, so a
// signal that is still open need be followed to its end only if it is taken.
func (s *Selector) Takes(sig *Signal) bool { return s.judge(sig) < 0 }

// Pass is the selection over a run whose signals come in pieces, in the order
// of time.
type Pass struct {
	// KeepReasons keeps why each signal was dropped, in a byte, for
	// Picks.Dropped.
	KeepReasons bool

	sel  *Selector
	last int64 // bar of the signal before
}

// NewPass begins a selection in which nothing is open.
func NewPass(rules policy.Risk) *Pass { return &Pass{sel: NewSelector(rules), last: -1} }

// Next says which of signals, the next piece, become trades, and counts by
// reason those of them that do not. Signals must be in rising order of bars, one a bar,
// behind those of all pieces before; anything else is an error.
//
// finish may be nil. Otherwise it is given, in order, each signal whose end is
// needed and not known: every pending one (whether it enters is open) and
// every open one that is taken (later decisions wait for its exit). It may
// follow the signal on in place; its error ends the selection.
func (p *Pass) Next(signals []Signal, finish func(*Signal) error) (Picks, footer.Counts, error) {
	sel, before := p.sel, p.sel.dropped
	picks := Picks{marks: make([]uint64, (len(signals)+63)/64)}
	if p.KeepReasons {
		picks.why = make([]int8, len(signals))
	}
	for i := range signals {
		s := &signals[i]
		if s.Bar <= p.last {
			return Picks{}, nil, fmt.Errorf("selecting signal %d: its bar %d follows bar %d (want rising bars, one signal per bar)", i, s.Bar, p.last)
		}
		p.last = s.Bar
		if finish != nil && !s.Closed() && (s.Pending() || s.Open && sel.Takes(s)) {
			if err := finish(s); err != nil {
				return Picks{}, nil, fmt.Errorf("following signal %d (bar %d) to its end: %w", i, s.Bar, err)
			}
		}
		if p.KeepReasons {
			picks.why[i] = int8(sel.judge(s))
		}
		if sel.Offer(s) {
			picks.marks[i/64] |= 1 << (i % 64)
			picks.n++
		}
	}
	return picks, sel.dropped.since(before), nil
}
