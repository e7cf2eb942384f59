package trade

import (
	"cmp"
	"math"
	"slices"

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

// dropOrder is the order in which drops are listed.
var dropOrder = [...]string{DropPending, DropExpired, DropMaxOpen, DropMaxOpenSide, DropCooldownEntry, DropCooldownExit}

// Trade is a signal that the selection took.
type Trade struct {
	Signal
	PnlBps float64 // of an open trade: at its mark price
}

// Drop counts the signals that were dropped for one reason.
type Drop struct {
	Reason string
	N      int64
}

// Select decides which signals become trades (engine.md §4). A signal with
// entry bar e is taken if fewer than MaxOpenTrades (and a side's limit) taken
// trades have exit_bar ≥ e, if e - last taken entry > CooldownBarsAfterEntry,
// and if e - last taken exit > CooldownBarsAfterExit, where exits are seen only
// once they are over (exit_bar < e). A trade that is open has no exit: it
// counts up to the bar to which it was followed, and nobody knows of later ones.
//
// Trades come in the order of entry; with at most one signal a bar that is
// the order of signals too. The drops have one entry for each reason that
// occurred, in a fixed order; taken and dropped add up to the signals. The
// input is not changed.
func Select(signals []Signal, rules policy.Risk) (taken []Trade, dropped []Drop) {
	sel := NewSelector(rules)
	signals = inOrder(signals)
	for i := range signals {
		if s := &signals[i]; sel.Offer(s) {
			taken = append(taken, Trade{Signal: *s, PnlBps: s.PnlBps()})
		}
	}
	return taken, sel.Dropped()
}

// inOrder is the signals by bar; what the engine makes is in order already.
func inOrder(signals []Signal) []Signal {
	for i := 1; i < len(signals); i++ {
		if signals[i].Bar < signals[i-1].Bar {
			signals = slices.Clone(signals)
			slices.SortStableFunc(signals, func(a, b Signal) int { return cmp.Compare(a.Bar, b.Bar) })
			break
		}
	}
	return signals
}

// Selector is the selection one signal at a time.
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

// Dropped counts what was dropped so far, by reason, in a fixed order.
func (s *Selector) Dropped() []Drop { return dropsSince(drops{}, s.dropped) }

// drops counts by place in dropOrder.
type drops [len(dropOrder)]int64

// dropsSince lists what was dropped between two moments.
func dropsSince(before, now drops) []Drop {
	var list []Drop
	for i, n := range now {
		if n > before[i] {
			list = append(list, Drop{Reason: dropOrder[i], N: n - before[i]})
		}
	}
	return list
}

func sideIndex(s Side) int8 {
	if s == Long {
		return 0
	}
	return 1
}
