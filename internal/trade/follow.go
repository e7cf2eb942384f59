package trade

import (
	"fmt"
	"iter"

	"gx1replay/internal/bars"
)

// Follower follows one signal bar by bar, from the bar after the signal's.
// Its Signal is up to date after every step.
type Follower struct {
	Signal Signal
	rules  *Rules
	state  State
	target float64 // price; only if the rules have a target
}

// Follow starts to follow a signal for side at bar i, whose data is b. The
// rules must outlive the follower.
func Follow(rules *Rules, i int64, b *bars.Bar, side Side, score float64) Follower {
	f := Follower{rules: rules}
	f.Signal = Signal{
		Bar: i, TimeNS: b.TimeNS, Side: side, Score: score,
		EntryBar: NoBar, ExitBar: NoBar, MarkBar: NoBar,
	}
	f.state.ClosePrice = b.AskClose
	if side == Short {
		f.state.ClosePrice = b.BidClose
	}
	return f
}

// Resume goes on with a signal that another follower left: one that has Left.
// The next bar to give is the one after those that it had seen.
func Resume(rules *Rules, s Signal) Follower {
	f := Follower{Signal: s, rules: rules, state: *s.Left}
	f.Signal.Left = nil
	f.setTarget()
	return f
}

// Next is the bar that comes after those to which the signal was followed.
func (s *Signal) Next() int64 {
	if s.Open && s.MarkBar >= s.Bar {
		return s.MarkBar + 1
	}
	return s.Bar + 1
}

// Finish follows s, which a follower left pending or open, to its end. next
// yields the bars of the data set from s.Next() on, to the last one, which is
// dataBars - 1. What has come to an end, or was followed to the data's, stays
// as it is. An error of next leaves s as it was.
func Finish(rules *Rules, s *Signal, dataBars int64, next iter.Seq2[bars.Bar, error]) error {
	i := s.Next()
	if s.Left == nil || i >= dataBars {
		return nil
	}
	f := Resume(rules, *s)
	for b, err := range next {
		if err != nil {
			return err
		}
		if f.Step(i, &b) || i == dataBars-1 && f.End(i, &b) {
			*s = f.Leave()
			return nil
		}
		if i++; i == dataBars {
			*s = f.Leave()
			return nil
		}
	}
	return fmt.Errorf("the bars end at %d (want %d)", i, dataBars)
}

// Leave is the signal as it stands, with the state that Resume needs if it is
// pending or open.
func (f *Follower) Leave() Signal {
	s := f.Signal
	if s.Open || s.Pending() {
		left := f.state
		s.Left = &left
	}
	return s
}

// Step gives the next bar, i with data b, and says whether the signal has
// come to its end: closed or expired. The order within a bar: entry, an exit
// that the last close decided, stop, target, then excursions, the levels for
// the next bar, and the rules that are judged at the close.
func (f *Follower) Step(i int64, b *bars.Bar) (done bool) {
	s := &f.Signal
	if s.Pending() && !f.enter(i, b) {
		s.Expired = true
		return true
	}
	q := leavingSide(s.Side, b)
	n := s.BarsHeld + 1
	if f.state.Exit != "" {
		return f.leaveAt(i, b, n, q.open, f.state.Exit)
	}
	s.BarsHeld = n
	worst, best := q.low, q.high
	if s.Side == Short {
		worst, best = q.high, q.low
	}
	if f.state.StopReason != "" && !f.better(worst, f.state.Stop) {
		return f.leaveAt(i, b, n, f.worse(f.state.Stop, q.open), f.state.StopReason)
	}
	if f.rules.exit.TargetBps != nil && !f.better(f.target, best) {
		price := f.target
		if f.better(q.open, price) {
			price = q.open
		}
		return f.leaveAt(i, b, n, price, ExitTarget)
	}
	f.excursion(worst, n)
	f.excursion(best, n)
	f.moveStop(best, n)
	s.MarkBar, s.MarkPrice = i, q.close
	reason := f.judge(q.close, n)
	if reason == "" {
		return false
	}
	if f.rules.atClose {
		return f.leaveAt(i, b, n, q.close, reason)
	}
	f.state.Exit = reason
	return false
}

// End says that bar i, the one of the last Step (or the signal's own), was
// the data's last: what is pending expires, what is open closes if the policy
// says so. It says whether the signal has come to its end.
func (f *Follower) End(i int64, b *bars.Bar) (done bool) {
	s := &f.Signal
	if s.Pending() {
		s.Expired = true
		return true
	}
	if !f.rules.closeAtEnd {
		return false
	}
	return f.leaveAt(i, b, s.BarsHeld, f.rules.endPrice(s.Side, b), f.rules.endReason)
}

// enter enters at the bar after the signal's if that came in time.
func (f *Follower) enter(i int64, b *bars.Bar) bool {
	s := &f.Signal
	if b.TimeNS-s.TimeNS > f.rules.maxGapNS {
		return false
	}
	s.EntryBar, s.EntryTimeNS, s.EntryPrice = i, b.TimeNS, b.AskOpen
	if s.Side == Short {
		s.EntryPrice = b.BidOpen
	}
	if f.rules.atClose {
		s.EntryBar, s.EntryTimeNS, s.EntryPrice = s.Bar, s.TimeNS, f.state.ClosePrice
	}
	s.Open = true
	f.state.Best = s.EntryPrice
	f.setTarget()
	f.setStop()
	return true
}

// leaveAt closes the trade at bar i, bar number n of the trade.
func (f *Follower) leaveAt(i int64, b *bars.Bar, n int64, price float64, reason string) bool {
	s := &f.Signal
	s.ExitBar, s.ExitTimeNS, s.ExitPrice, s.ExitReason = i, b.TimeNS, price, reason
	f.excursion(price, n)
	s.Open, s.MarkBar, s.MarkPrice = false, NoBar, 0
	return true
}

// better says whether price a is strictly more favourable than b.
func (f *Follower) better(a, b float64) bool {
	if f.Signal.Side == Long {
		return a > b
	}
	return a < b
}

func (f *Follower) worse(a, b float64) float64 {
	if f.better(a, b) {
		return b
	}
	return a
}

func (f *Follower) excursion(price float64, n int64) {
	s := &f.Signal
	bps := pnlBps(s.Side, s.EntryPrice, price)
	if bps > s.MFEBps {
		s.MFEBps, s.MFEBars = bps, n
	}
	if bps < s.MAEBps {
		s.MAEBps, s.MAEBars = bps, n
	}
}
