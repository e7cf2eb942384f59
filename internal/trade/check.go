package trade

import (
	"errors"
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"

	"gx1replay/internal/run"
)

const (
	// maxBar bounds bar indices, so that no sum of a few of them overflows.
	maxBar = 1 << 48
	// maxReasonBytes bounds an exit reason; ours have 15 bytes at most.
	maxReasonBytes = 64
)

// ValidateSignals says whether signals, which came from elsewhere, are what a
// replay of chunk can have found in a data set of dataBars bars: each of them
// sound, in the chunk, in order and at most one a bar, with all its bars in
// the data. The error names the signal, the field, its value and what was
// expected.
func ValidateSignals(signals []Signal, chunk run.BarRange, dataBars int64) error {
	for i := range signals {
		s := &signals[i]
		if err := s.placed(chunk, dataBars); err != nil {
			return fmt.Errorf("signal %d (bar %d): %w", i, s.Bar, err)
		}
		if i == 0 {
			continue
		}
		if err := s.after(&signals[i-1]); err != nil {
			return fmt.Errorf("signal %d (bar %d): %w", i, s.Bar, err)
		}
	}
	return nil
}

func (s *Signal) placed(chunk run.BarRange, dataBars int64) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.Bar < chunk.First || s.Bar >= chunk.End {
		return fmt.Errorf("it is not in the chunk (want %d to %d)", chunk.First, chunk.End-1)
	}
	for _, b := range []struct {
		name string
		bar  int64
	}{{"entry_bar", s.EntryBar}, {"exit_bar", s.ExitBar}, {"mark_bar", s.MarkBar}} {
		if b.bar >= dataBars {
			return fmt.Errorf("%s is %d (want less than the data's %d bars)", b.name, b.bar, dataBars)
		}
	}
	return nil
}

// after says whether s can follow before.
func (s *Signal) after(before *Signal) error {
	if s.Bar <= before.Bar {
		return fmt.Errorf("it follows bar %d (want rising bars, one signal per bar)", before.Bar)
	}
	if s.TimeNS <= before.TimeNS {
		return fmt.Errorf("time is %d ns, the one before has %d (want rising times)", s.TimeNS, before.TimeNS)
	}
	return nil
}

// check says whether s is in exactly one of its four states, with nothing set
// that its state does not have, and whether its numbers are finite, in order
// and such that every number of its row in a trades file is finite. Whoever
// followed signals by engine.md passes.
func (s *Signal) check() error {
	if s.Side != Long && s.Side != Short {
		return fmt.Errorf("side is %d (want 1 or -1)", s.Side)
	}
	if s.Bar < 0 || s.Bar >= maxBar {
		return fmt.Errorf("bar is %d (want 0 to 2^48)", s.Bar)
	}
	if !finite(s.Score) {
		return fmt.Errorf("score is %v (want a finite number)", s.Score)
	}
	entered := s.EntryBar != NoBar
	if s.Open != (entered && !s.Closed()) || s.Expired && entered || s.Closed() && !entered {
		return fmt.Errorf("entry_bar %d, exit_bar %d, open %t, expired %t contradict each other", s.EntryBar, s.ExitBar, s.Open, s.Expired)
	}
	if err := s.checkUnset(); err != nil {
		return err
	}
	if entered {
		if err := s.checkEntered(); err != nil {
			return err
		}
	}
	if s.Left != nil {
		return s.Left.check()
	}
	return nil
}

// checkUnset refuses what the state of s does not have. What a decoder would
// not give back must not be lost in silence.
func (s *Signal) checkUnset() error {
	bare := Signal{
		Bar: s.Bar, TimeNS: s.TimeNS, Side: s.Side, Score: s.Score, Open: s.Open, Expired: s.Expired, Left: s.Left,
		EntryBar: NoBar, ExitBar: NoBar, MarkBar: NoBar,
	}
	if s.EntryBar != NoBar {
		bare.EntryBar, bare.EntryTimeNS, bare.EntryPrice = s.EntryBar, s.EntryTimeNS, s.EntryPrice
		bare.BarsHeld, bare.MAEBps, bare.MFEBps, bare.MAEBars, bare.MFEBars = s.BarsHeld, s.MAEBps, s.MFEBps, s.MAEBars, s.MFEBars
	}
	if s.Closed() {
		bare.ExitBar, bare.ExitTimeNS, bare.ExitPrice, bare.ExitReason = s.ExitBar, s.ExitTimeNS, s.ExitPrice, s.ExitReason
	}
	if s.Open {
		bare.MarkBar, bare.MarkPrice = s.MarkBar, s.MarkPrice
	}
	// Equality is by value and a NaN equals nothing: that is refused as well.
	if bare != *s {
		return errors.New("it holds entry, exit or mark values that its state does not have, or one that is no number")
	}
	if unresolved := s.Open || s.Pending(); unresolved != (s.Left != nil) {
		return fmt.Errorf("pending or open %t, left state there %t (want both or none)", unresolved, s.Left != nil)
	}
	return nil
}

func (s *Signal) checkEntered() error {
	last, lastTime, price := s.MarkBar, s.EntryTimeNS, s.MarkPrice
	lastName, priceName := "mark_bar", "mark_price"
	if s.Closed() {
		last, lastTime, price = s.ExitBar, s.ExitTimeNS, s.ExitPrice
		lastName, priceName = "exit_bar", "exit_price"
		if err := checkReason("exit_reason", s.ExitReason); err != nil {
			return err
		}
	}
	switch {
	case s.EntryBar != s.Bar && s.EntryBar != s.Bar+1:
		return fmt.Errorf("entry_bar is %d (want the signal's bar or the next)", s.EntryBar)
	case last < s.EntryBar || last >= maxBar:
		return fmt.Errorf("%s is %d (want at least entry_bar %d)", lastName, last, s.EntryBar)
	case s.EntryTimeNS < s.TimeNS || lastTime < s.EntryTimeNS:
		return fmt.Errorf("signal, entry and exit are at %d, %d, %d ns (want them in order)", s.TimeNS, s.EntryTimeNS, lastTime)
	case !(finite(s.EntryPrice) && s.EntryPrice > 0):
		return fmt.Errorf("entry_price is %v (want a finite price above 0)", s.EntryPrice)
	case !(finite(price) && price > 0):
		return fmt.Errorf("%s is %v (want a finite price above 0)", priceName, price)
	case !(finite(s.MAEBps) && s.MAEBps <= 0):
		return fmt.Errorf("mae_bps is %v (want a finite number, at most 0)", s.MAEBps)
	case !(finite(s.MFEBps) && s.MFEBps >= 0):
		return fmt.Errorf("mfe_bps is %v (want a finite number, at least 0)", s.MFEBps)
	case !finite(s.PnlBps()) || !finite(closeToMFE(s)) || !finite(exitEfficiency(s)):
		return fmt.Errorf("pnl_bps %v beside mfe_bps %v: a figure of the trade is not finite", s.PnlBps(), s.MFEBps)
	}
	held := last - s.EntryBar // the number of the last bar
	if s.EntryBar != s.Bar {
		held++
	}
	for _, n := range []struct {
		name string
		bars int64
	}{{"bars_held", s.BarsHeld}, {"mae_bars", s.MAEBars}, {"mfe_bars", s.MFEBars}} {
		if n.bars < 0 || n.bars > held {
			return fmt.Errorf("%s is %d (want 0 to %d)", n.name, n.bars, held)
		}
	}
	return nil
}

func checkReason(field, text string) error {
	if text == "" || len(text) > maxReasonBytes || !utf8.ValidString(text) {
		return fmt.Errorf("%s is %.20q with %d bytes (want 1 to %d of UTF-8)", field, text, len(text), maxReasonBytes)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%s is %q (want printable characters)", field, text)
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
