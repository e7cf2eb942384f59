package feature

import (
	"fmt"
	"slices"
	"strings"

	"gx1replay/internal/bars"
)

// Set computes the features that a policy names, and the gate's inputs, bar
// by bar. It is not safe for concurrent use. Nothing is allocated a bar.
type Set struct {
	sessions SessionTable
	used     []definition // in the order of names
	values   []float64
	warmup   int64
	bar      bars.Bar
	state    state
}

// New makes the set of the named features. An unknown name or one that
// stands there twice is an error; the former lists the known ones.
func New(names []string, sessions SessionTable) (*Set, error) {
	if sessions.Len() == 0 {
		return nil, fmt.Errorf("features need market sessions, and there are none")
	}
	s := &Set{sessions: sessions, values: make([]float64, len(names))}
	s.state.ranges.grow(atrBars)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("features: %s stands there twice (want each once)", name)
		}
		k := slices.IndexFunc(definitions, func(d definition) bool { return d.Name == name })
		if k < 0 {
			return nil, fmt.Errorf("features: %q is unknown (want some of %s)", name, strings.Join(knownNames(), ", "))
		}
		d := definitions[k]
		if d.use != nil {
			d.use(&s.state)
		}
		s.used = append(s.used, d)
		s.warmup = max(s.warmup, d.Warmup)
	}
	return s, nil
}

func knownNames() []string {
	names := make([]string, len(definitions))
	for i, d := range definitions {
		names[i] = d.Name
	}
	return names
}

// Warmup is the number of bars needed before the first bar at which every
// named feature is usable.
func (s *Set) Warmup() int64 { return s.warmup }

// Lookback is the number of bars to push before a bar so that its features
// and the gate's inputs are what they would be with all of history (EMAs to
// less than 1e-8 of the weight of what came before).
func (s *Set) Lookback() int64 { return max(s.warmup, atrBars) }

// Push consumes the next bar. Bars come in order, without a gap in index.
func (s *Set) Push(b bars.Bar) {
	s.bar = b
	s.state.push(&s.bar, s.sessions.At(b.TimeNS))
}

// Ready says whether every named feature is usable at the last bar.
func (s *Set) Ready() bool { return s.state.pushed > s.warmup }

// Values computes the features of the last bar, in the order of their names.
// The slice is reused by the next call. Ready must be true.
func (s *Set) Values() []float64 {
	for i := range s.used {
		s.values[i] = s.used[i].value(&s.state)
	}
	return s.values
}

// Session is the market session's id at the last bar.
func (s *Set) Session() int { return s.state.session }

// ATRBps is the ATR at the last bar in bps of the mid close; false while there
// are not 14 bars before it, because a true range needs the close before it.
func (s *Set) ATRBps() (float64, bool) {
	if s.state.pushed <= atrBars {
		return 0, false
	}
	return s.state.atrBps(), true
}

// SpreadBps is the spread at the last bar's close in bps of the bid; false
// before the first bar and where the bid is no price.
func (s *Set) SpreadBps() (float64, bool) {
	if s.state.pushed == 0 || !(s.bar.BidClose > 0) {
		return 0, false
	}
	return s.state.spreadBps(), true
}
