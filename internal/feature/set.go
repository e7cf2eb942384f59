package feature

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/bars"
)

// Set computes the features that a policy names, and the gate's inputs, bar
// by bar. It is not safe for concurrent use. Nothing is allocated a bar.
//
// To have at bar c exactly what a set has that began with the data set's first
// bar, load a state of a border b ≤ c - Window, or begin with bar 0; Skip the
// bars up to c - Window, and Push the rest. A set that does not need a state
// may begin at c - Lookback without one.
type Set struct {
	sessions SessionTable
	used     []definition // in the order of names
	values   []float64
	warmup   int64 // bars since the data set's first
	ready    []func(s *state, k int) bool
	shown    int64 // Warmup
	lookback int64
	window   int64
	needs    bool
	one      [1]bars.Bar // a block of its own
	at       int         // the bar of the last block that is spoken of
	only     [1]int32    // at
	rows     []float64
	inputs   [2][BlockBars]float64
	state    state
}

// New makes the set of the named features. An unknown name or one that
// stands there twice is an error; the former lists the known ones.
func New(names []string, sessions SessionTable) (*Set, error) {
	s := &Set{sessions: sessions, values: make([]float64, len(names)), lookback: atrBars, window: atrBars}
	s.state.ranges.grow(atrBars)
	s.state.closes.grow(1)
	s.state.highs.grow(1)
	s.state.lows.grow(1)
	known := definitions()
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("features: %s appears twice (want each once)", name)
		}
		k := slices.IndexFunc(known, func(d definition) bool { return d.Name == name })
		if k < 0 {
			return nil, fmt.Errorf("features: %q is unknown (want some of %s)", name, strings.Join(knownNames(), ", "))
		}
		s.add(known[k])
	}
	return s, nil
}

func (s *Set) add(d definition) {
	if d.use != nil {
		d.use(&s.state)
	}
	if d.ready != nil {
		s.ready = append(s.ready, d.ready)
	} else {
		s.warmup = max(s.warmup, d.Warmup)
	}
	s.used = append(s.used, d)
	s.shown = max(s.shown, d.Warmup)
	s.lookback = max(s.lookback, d.Lookback)
	s.window = max(s.window, d.Window)
	s.needs = s.needs || d.Recursive
}

func knownNames() []string {
	var names []string
	for _, d := range definitions() {
		names = append(names, d.Name)
	}
	return names
}

// Warmup is the number of bars of the data set before the first bar at which
// every named feature is usable; with H1 or H4 trends it holds for M5 bars of
// a market without gaps, and Ready alone knows.
func (s *Set) Warmup() int64 { return s.shown }

// Lookback is the number of bars to push before a bar, in a set that begins
// there without a state, so that its features and the gate's inputs are what
// they would be with all of history: the same bits, unless NeedsState. Then
// recursive features differ by what an EMA's start still weighs, less than
// 1e-8 (H1 and H4 trends: in M5 bars).
func (s *Set) Lookback() int64 { return s.lookback }

// NeedsState says whether some feature depends on all bars since the data
// set's first, so that only a state makes it exact.
func (s *Set) NeedsState() bool { return s.needs }

// Window is the number of bars to push before a bar, in a set that loaded a
// state, so that its features and the gate's inputs are the same bits that
// they are with all of history. It is at least 14, for the gate's ATR.
func (s *Set) Window() int64 { return s.window }

// Push consumes the next bar. Bars come in order, without a gap in index.
func (s *Set) Push(b bars.Bar) {
	s.one[0] = b
	s.PushBlock(s.one[:])
}

// PushBlock consumes the next bars, 1 to BlockBars: the same as pushing each,
// and several times as fast. list must not change until the next push or
// skip. Until then At chooses the bar that all else speaks of; it is the last.
func (s *Set) PushBlock(list []bars.Bar) {
	s.state.push(list, &s.sessions)
	s.at = len(list) - 1
}

// At makes bar k of the last block the one that is spoken of as the last bar.
func (s *Set) At(k int) { s.at = k }

// Skip consumes the next bar for what is recursive alone, which is several
// times as fast. What looks back over bars begins anew with the next Push, as
// after LoadState.
func (s *Set) Skip(b bars.Bar) {
	s.one[0] = b
	s.state.skip(s.one[:], s.sessions.At(b.TimeNS))
	s.at = 0
}

// Seen is the number of bars of the data set up to the last bar, itself
// included: those of the loaded state, and those pushed and skipped since.
func (s *Set) Seen() int64 { return s.state.seen }

// Ready says whether every named feature is usable at the last bar: the data
// set has enough bars before it, and Window of them were pushed, or all.
func (s *Set) Ready() bool { return s.readyAt(s.at) }

// ReadyFrom is the first bar of the last block at which Ready is true, and it
// is at all after it; the block's length if there is none.
func (s *Set) ReadyFrom() int {
	k := 0
	for k < len(s.state.block) && !s.readyAt(k) {
		k++
	}
	return k
}

func (s *Set) readyAt(k int) bool {
	st := &s.state
	back := int64(st.back(k))
	seen, pushed := st.seen-back, st.pushed-back
	if seen <= s.warmup || pushed <= s.window && pushed < seen {
		return false
	}
	for _, ready := range s.ready {
		if !ready(st, k) {
			return false
		}
	}
	return true
}

// Values computes the features of the last bar, in the order of their names.
// The slice is reused by the next call. Ready must be true.
func (s *Set) Values() []float64 {
	s.only[0] = int32(s.at)
	for i := range s.used {
		s.used[i].fill(&s.state, column{at: s.only[:], out: s.values[i:], stride: 1})
	}
	return s.values
}

// Rows computes the features of the bars at of the last block, one row after
// the other: the same as Values for each, and faster. Ready must be true at
// each. The slice is reused by the next call.
func (s *Set) Rows(at []int32) []float64 {
	n := len(s.used)
	if s.rows == nil {
		s.rows = make([]float64, n*BlockBars)
	}
	if len(at) == 0 {
		return s.rows[:0]
	}
	for i := range s.used {
		s.used[i].fill(&s.state, column{at: at, out: s.rows[i : n*len(at)], stride: n})
	}
	return s.rows[:n*len(at)]
}

// Inputs are what the gate looks at, at each bar of the last block. Of the
// columns in bps NaN means that there is no value: see Set.SpreadBps, ATRBps.
type Inputs struct {
	Sessions  []uint8 // ids of market sessions
	SpreadBps []float64
	ATRBps    []float64
}

// Inputs computes the gate's inputs of the last block. The slices are reused
// by the next call.
func (s *Set) Inputs() Inputs {
	st := &s.state
	n := len(st.block)
	in := Inputs{Sessions: s.Sessions(), SpreadBps: s.inputs[0][:n], ATRBps: s.inputs[1][:n]}
	for k := range in.SpreadBps {
		in.SpreadBps[k] = math.NaN()
		if st.block[k].BidClose > 0 {
			in.SpreadBps[k] = st.spreadBps(k)
		}
	}
	from := st.firstATR()
	for k := range from {
		in.ATRBps[k] = math.NaN()
	}
	if from < n {
		st.atrColumn(from, in.ATRBps)
	}
	return in
}

// Sessions are the ids of the market sessions of the last block's bars.
func (s *Set) Sessions() []uint8 { return s.state.session[:len(s.state.block)] }

// Session is the market session's id at the last bar.
func (s *Set) Session() int { return int(s.state.session[s.at]) }

// ATRBps is the ATR at the last bar in bps of the mid close; false while there
// are not 14 bars before it, because a true range needs the close before it.
func (s *Set) ATRBps() (float64, bool) {
	if s.state.pushed-int64(s.state.back(s.at)) <= atrBars {
		return 0, false
	}
	return s.state.atrBps(s.at), true
}

// SpreadBps is the spread at the last bar's close in bps of the bid; false
// before the first bar and where the bid is no price.
func (s *Set) SpreadBps() (float64, bool) {
	if len(s.state.block) == 0 || !(s.state.block[s.at].BidClose > 0) {
		return 0, false
	}
	return s.state.spreadBps(s.at), true
}
