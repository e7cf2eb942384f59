package trade

import (
	"math"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

// Why a signal became no trade, in the order in which the rules are asked.
const (
	DropPending       = "pending" // its entry bar was not reached yet
	DropExpired       = "entry_expired"
	DropMaxOpen       = "max_open_trades"
	DropMaxOpenSide   = "max_open_trades_per_side"
	DropCooldownEntry = "cooldown_bars_after_entry"
	DropCooldownExit  = "cooldown_bars_after_exit"
)

// dropOrder has them in that order.
var dropOrder = [...]string{DropPending, DropExpired, DropMaxOpen, DropMaxOpenSide, DropCooldownEntry, DropCooldownExit}

// Selector decides which signals become trades (engine.md §4), one signal at a
// time, in the order of bars; with at most one signal a bar that is the order of
// entry, too. A signal with entry bar e is taken if fewer than MaxOpenTrades (and
// a side's limit) taken trades have exit_bar ≥ e, if e - last taken entry >
// CooldownBarsAfterEntry, and if e - last taken exit > CooldownBarsAfterExit,
// where exits are seen only once they are over (exit_bar < e). A trade that is
// open has no exit: it counts up to the bar to which it was followed, and nobody
// knows of later ones.
type Selector struct {
	rules     policy.Risk
	maxOpen   int
	open      exits // taken trades whose exit is not over, or not known
	lastEntry int64 // of a taken trade
	lastExit  int64 // of a taken trade, over before the last offered entry
	dropped   drops
}

// never is long before any bar, and far enough from the least integer that a
// distance to it does not overflow.
const never = math.MinInt64 / 2

// NewSelector starts a selection in which nothing is open.
func NewSelector(rules policy.Risk) *Selector {
	return &Selector{rules: rules, maxOpen: max(rules.MaxOpenTrades, 1), lastEntry: never, lastExit: never}
}

// Offer decides about the next signal in the order of bars and says whether
// it is taken.
func (s *Selector) Offer(sig *Signal) bool {
	if reason := s.judge(sig); reason >= 0 {
		s.dropped[reason]++
		return false
	}
	s.lastEntry = sig.EntryBar
	x := exitOf{bar: sig.ExitBar, side: sideIndex(sig.Side)}
	if sig.Open {
		x.bar, x.unknown = sig.MarkBar, true
	}
	s.open.push(x)
	return true
}

// judge gives the index into dropOrder of the first rule against sig, or -1.
func (s *Selector) judge(sig *Signal) int {
	if sig.Pending() {
		return 0
	}
	if sig.Expired {
		return 1
	}
	e := sig.EntryBar
	s.lastExit = max(s.lastExit, s.open.leave(e))
	r := &s.rules
	switch {
	case s.open.len() >= s.maxOpen:
		return 2
	case r.MaxOpenTradesPerSide > 0 && s.open.perSide[sideIndex(sig.Side)] >= r.MaxOpenTradesPerSide:
		return 3
	case r.CooldownAfterEntryIsSet && e-s.lastEntry <= r.CooldownBarsAfterEntry:
		return 4
	case r.CooldownAfterExitIsSet && e-s.lastExit <= r.CooldownBarsAfterExit:
		return 5
	}
	return -1
}

// Dropped counts what was dropped so far, by reason; what is taken and what is
// dropped add up to the signals.
func (s *Selector) Dropped() footer.Counts { return s.dropped.since(drops{}) }

// drops counts by place in dropOrder.
type drops [len(dropOrder)]int64

// since counts by reason what was dropped after before.
func (d drops) since(before drops) footer.Counts {
	counts := footer.Counts{}
	for i, n := range d {
		if n > before[i] {
			counts[dropOrder[i]] = n - before[i]
		}
	}
	return counts
}

func sideIndex(s Side) int8 {
	if s == Long {
		return 0
	}
	return 1
}
