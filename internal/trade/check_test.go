package trade

import (
	"math"
	"strings"
	"testing"

	"gx1replay/internal/run"
)

func TestValidateSignalsRefuses(t *testing.T) {
	chunk := run.BarRange{First: 10, End: 60_000}
	const dataBars = 60_000
	if err := ValidateSignals(fixture(), chunk, dataBars); err != nil {
		t.Fatal(err)
	}
	if err := ValidateSignals(nil, chunk, dataBars); err != nil {
		t.Fatal(err)
	}
	// Places in the fixture.
	const first, expired, atClose, open, pending = 0, 4, 5, 7, 8
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		i      int
		change func(*Signal)
		want   string
	}{
		{"before the chunk", first, func(s *Signal) { s.Bar = 9; s.EntryBar = 9 }, "signal 0 (bar 9): it is not in the chunk (want 10 to 59999)"},
		{"after the chunk", pending, func(s *Signal) { s.Bar = 60_000 }, "it is not in the chunk"},
		{"negative bar", first, func(s *Signal) { s.Bar = -1 }, "bar is -1"},
		{"two a bar", 1, func(s *Signal) { s.Bar = 10; s.EntryBar = 10 }, "signal 1 (bar 10): it follows bar 10 (want rising bars, one signal per bar)"},
		{"out of order", 3, func(s *Signal) { s.Bar = 11; s.EntryBar = 12 }, "it follows bar 13"},
		{"a time that stands", 1, func(s *Signal) { s.TimeNS = minute(10) }, "want rising times"},
		{"no side", first, func(s *Signal) { s.Side = 0 }, "side is 0"},
		{"score", first, func(s *Signal) { s.Score = nan }, "score is NaN"},
		{"closed and open", first, func(s *Signal) { s.Open = true }, "contradict each other"},
		{"closed and expired", first, func(s *Signal) { s.Expired = true }, "contradict each other"},
		{"closed without entry", first, func(s *Signal) { s.EntryBar = NoBar }, "contradict each other"},
		{"open without entry", pending, func(s *Signal) { s.Open = true }, "contradict each other"},
		{"exit before entry", first, func(s *Signal) { s.ExitBar = 10 }, "exit_bar is 10 (want at least entry_bar 11)"},
		{"exit time before entry", first, func(s *Signal) { s.ExitTimeNS = minute(10) }, "want them in order"},
		{"entry time before signal", first, func(s *Signal) { s.EntryTimeNS = minute(9) }, "want them in order"},
		{"entry before signal", first, func(s *Signal) { s.EntryBar = 9 }, "entry_bar is 9"},
		{"entry late", first, func(s *Signal) { s.EntryBar = 12 }, "entry_bar is 12 (want the signal's bar or the next)"},
		{"exit past the data", first, func(s *Signal) { s.ExitBar = dataBars }, "exit_bar is 60000 (want less than the data's 60000 bars)"},
		{"exit past all bars", first, func(s *Signal) { s.ExitBar = math.MaxInt64 }, "exit_bar is"},
		{"mark past the data", open, func(s *Signal) { s.MarkBar = dataBars }, "mark_bar is 60000"},
		{"mark before entry", open, func(s *Signal) { s.MarkBar = 50_000 }, "mark_bar is 50000 (want at least entry_bar 50001)"},
		{"entry price", first, func(s *Signal) { s.EntryPrice = 0 }, "entry_price is 0"},
		{"entry price NaN", first, func(s *Signal) { s.EntryPrice = nan }, "no number"},
		{"exit price", first, func(s *Signal) { s.ExitPrice = inf }, "exit_price is +Inf"},
		{"mark price", open, func(s *Signal) { s.MarkPrice = -1 }, "mark_price is -1"},
		{"pnl overflows", first, func(s *Signal) { s.EntryPrice, s.ExitPrice = 1e-300, 1e300 }, "not finite"},
		{"efficiency overflows", first, func(s *Signal) { s.MFEBps, s.ExitPrice = 5e-324, 1 }, "not finite"},
		{"mae above 0", first, func(s *Signal) { s.MAEBps = 1 }, "mae_bps is 1"},
		{"mfe below 0", first, func(s *Signal) { s.MFEBps = -1 }, "mfe_bps is -1"},
		{"mfe infinite", first, func(s *Signal) { s.MFEBps = inf }, "mfe_bps is +Inf"},
		{"mfe after the exit", first, func(s *Signal) { s.MFEBars = 22 }, "mfe_bars is 22 (want 0 to 21)"},
		{"mae after the exit, entered at the close", atClose, func(s *Signal) { s.MAEBars = 5 }, "mae_bars is 5 (want 0 to 4)"},
		{"held", first, func(s *Signal) { s.BarsHeld = -1 }, "bars_held is -1"},
		{"no reason", first, func(s *Signal) { s.ExitReason = "" }, "exit_reason is"},
		{"a long reason", first, func(s *Signal) { s.ExitReason = strings.Repeat("x", 65) }, "with 65 bytes"},
		{"a reason of two lines", first, func(s *Signal) { s.ExitReason = "a\nb" }, "printable"},
		{"a reason that is no text", first, func(s *Signal) { s.ExitReason = "\xff" }, "UTF-8"},
		{"a price where none is", expired, func(s *Signal) { s.EntryPrice = 1 }, "its state does not have"},
		{"an exit where none is", open, func(s *Signal) { s.ExitReason = ExitStop }, "its state does not have"},
		{"a left state where none is", first, func(s *Signal) { s.Left = &State{ClosePrice: 1} }, "left state there true"},
		{"no left state", open, func(s *Signal) { s.Left = nil }, "left state there false (want both or none)"},
		{"no left state of a pending one", pending, func(s *Signal) { s.Left = nil }, "left state there false"},
		{"left close", pending, func(s *Signal) { s.Left = &State{} }, "left.close_price is 0"},
		{"left stop", open, func(s *Signal) { s.Left = &State{ClosePrice: 1, Stop: nan} }, "stop NaN"},
		{"left best", open, func(s *Signal) { s.Left = &State{ClosePrice: 1, Best: inf} }, "best +Inf"},
		{"left reason", open, func(s *Signal) { s.Left = &State{ClosePrice: 1, StopReason: "\x00"} }, "left.stop_reason is"},
		{"left exit", open, func(s *Signal) { s.Left = &State{ClosePrice: 1, Exit: "\x00"} }, "left.exit is"},
	} {
		signals := fixture()
		c.change(&signals[c.i])
		err := ValidateSignals(signals, chunk, dataBars)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v (want one with %q)", c.name, err, c.want)
		}
	}
}
