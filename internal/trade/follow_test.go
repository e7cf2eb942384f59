package trade

import (
	"math"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
)

// ptr and bar keep the tables short. A bar's bid is given; the ask is one
// above it. Bars are a minute apart unless a test says otherwise.
func ptr(v float64) *float64 { return &v }

func bar(open, high, low, close float64) bars.Bar {
	return bars.Bar{
		BidOpen: open, BidHigh: high, BidLow: low, BidClose: close,
		AskOpen: open + 1, AskHigh: high + 1, AskLow: low + 1, AskClose: close + 1,
	}
}

func testPolicy(fill policy.Fill, exit policy.Exit) policy.Policy {
	return policy.Policy{
		Exit: exit,
		Replay: policy.Replay{
			Fill: fill, CloseOpenTradesAtEnd: true, EOFCloseReason: "REPLAY_EOF", EOFPriceSource: "side",
		},
	}
}

func testRules(t testing.TB, fill policy.Fill, exit policy.Exit) Rules {
	t.Helper()
	r, err := NewRules(testPolicy(fill, exit), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// numbered gives bars their times, a minute apart from 0.
func numbered(x []bars.Bar) []bars.Bar {
	for i := range x {
		x[i].TimeNS = int64(i) * int64(time.Minute)
	}
	return x
}

// follow runs a signal at bar 0 of x to its end or to the end of x; eof says
// that x's last bar is the data's.
func follow(r *Rules, x []bars.Bar, side Side, eof bool) Signal {
	f := Follow(r, 0, &x[0], side, 0.7)
	for i := 1; i < len(x); i++ {
		if f.Step(int64(i), &x[i]) {
			return f.Signal
		}
	}
	if eof {
		f.End(int64(len(x)-1), &x[len(x)-1])
	}
	return f.Signal
}

type want struct {
	entry, exit         float64 // prices
	exitBar, held       int64
	reason              string
	mae, mfe            float64 // bps
	maeBars, mfeBars    int64
	entryBar            int64
	expired, open, pend bool
}

// Every price is chosen so that the arithmetic can be done in the head: a
// long enters at ask 1000, a short at bid 1000, so that 1 bps is 0.1.
func TestFollow(t *testing.T) {
	stop20 := policy.Exit{StopBps: ptr(20)} // long: 1000·(1-0.0020) = 998; short: 1002
	target30 := policy.Exit{TargetBps: ptr(30)}
	both := policy.Exit{StopBps: ptr(20), TargetBps: ptr(30)}
	ruleA := policy.Exit{RuleA: &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}}
	signal := bar(999, 999, 999, 999) // ask close 1000, bid close 999
	entry := bar(999, 999.5, 998.5, 999)
	for _, c := range []struct {
		name string
		fill policy.Fill
		exit policy.Exit
		side Side
		bars []bars.Bar
		eof  bool
		want want
	}{
		{
			name: "long stop: bid_low 997.9 ≤ 998, filled at 998", exit: stop20, side: Long,
			bars: []bars.Bar{signal, entry, bar(999, 999, 997.9, 998.5)},
			// Entry bar: low 998.5 is -15 bps, high 999.5 is -5. Exit -20 bps.
			want: want{entry: 1000, entryBar: 1, exit: 998, exitBar: 2, held: 2, reason: "stop", mae: -20, maeBars: 2},
		},
		{
			name: "long stop touched exactly", exit: stop20, side: Long,
			bars: []bars.Bar{signal, entry, bar(999, 999, 998, 998.5)},
			want: want{entry: 1000, entryBar: 1, exit: 998, exitBar: 2, held: 2, reason: "stop", mae: -20, maeBars: 2},
		},
		{
			name: "gap through the stop: filled at the open", exit: stop20, side: Long,
			bars: []bars.Bar{signal, entry, bar(995, 1010, 994, 1005)},
			// Exit at bid_open 995: -50 bps; the bar's high came after it.
			want: want{entry: 1000, entryBar: 1, exit: 995, exitBar: 2, held: 2, reason: "stop", mae: -50, maeBars: 2},
		},
		{
			name: "the entry bar counts: stop in it, bar 1", exit: stop20, side: Long,
			bars: []bars.Bar{signal, bar(999, 1000, 997, 998)},
			want: want{entry: 1000, entryBar: 1, exit: 998, exitBar: 1, held: 1, reason: "stop", mae: -20, maeBars: 1},
		},
		{
			name: "a spread wider than the stop: out at the entry bar's bid_open", exit: policy.Exit{StopBps: ptr(5)}, side: Long,
			bars: []bars.Bar{signal, bar(999, 1000, 998.9, 999)},
			// The stop is 999.5 and the bid opens at 999, below it: -10 bps.
			want: want{entry: 1000, entryBar: 1, exit: 999, exitBar: 1, held: 1, reason: "stop", mae: -10, maeBars: 1},
		},
		{
			name: "long target: bid_high 1003 ≥ 1003", exit: target30, side: Long,
			bars: []bars.Bar{signal, entry, bar(1000, 1003, 999, 1001)},
			// MAE is of the entry bar: 998.5, -15 bps. The exit's bar counts with its fill.
			want: want{entry: 1000, entryBar: 1, exit: 1003, exitBar: 2, held: 2, reason: "target", mae: -15, maeBars: 1, mfe: 30, mfeBars: 2},
		},
		{
			name: "gap through the target: filled at the open", exit: target30, side: Long,
			bars: []bars.Bar{signal, entry, bar(1005, 1006, 1004, 1004)},
			want: want{entry: 1000, entryBar: 1, exit: 1005, exitBar: 2, held: 2, reason: "target", mae: -15, maeBars: 1, mfe: 50, mfeBars: 2},
		},
		{
			name: "a bar that touches both: the stop", exit: both, side: Long,
			bars: []bars.Bar{signal, entry, bar(999, 1010, 990, 1005)},
			want: want{entry: 1000, entryBar: 1, exit: 998, exitBar: 2, held: 2, reason: "stop", mae: -20, maeBars: 2},
		},
		{
			name: "short stop on the ask: ask_high 1002 ≥ 1002", exit: both, side: Short,
			// In at bid_open 1000. Bar 1's ask: 1000.5 to 1001.5, MAE -15, no MFE.
			bars: []bars.Bar{signal, bar(1000, 1000.5, 999.5, 1000), bar(1000, 1001, 996, 999)},
			want: want{entry: 1000, entryBar: 1, exit: 1002, exitBar: 2, held: 2, reason: "stop", mae: -20, maeBars: 2},
		},
		{
			name: "short gap through the stop", exit: both, side: Short,
			bars: []bars.Bar{signal, bar(1000, 1000.5, 999.5, 1000), bar(1004, 1005, 996, 999)},
			// Out at ask_open 1005: -50 bps.
			want: want{entry: 1000, entryBar: 1, exit: 1005, exitBar: 2, held: 2, reason: "stop", mae: -50, maeBars: 2},
		},
		{
			name: "short target on the ask: ask_low 997 ≤ 997", exit: both, side: Short,
			bars: []bars.Bar{signal, bar(1000, 1000.5, 999.5, 1000), bar(999, 1000, 996, 999)},
			want: want{entry: 1000, entryBar: 1, exit: 997, exitBar: 2, held: 2, reason: "target", mae: -15, maeBars: 1, mfe: 30, mfeBars: 2},
		},
		{
			name: "break-even acts from the next bar", side: Long,
			exit: policy.Exit{StopBps: ptr(20), BreakEven: &policy.BreakEven{ActivateBps: 10, OffsetBps: 2}},
			bars: []bars.Bar{
				signal,
				bar(999, 1001, 998.5, 1000.5),     // high: +10 bps activates; its low 998.5 < 1000.2 is no exit
				bar(1000.5, 1000.8, 1000.1, 1000), // low ≤ 1000·1.0002 = 1000.2
			},
			want: want{entry: 1000, entryBar: 1, exit: 1000.2, exitBar: 2, held: 2, reason: "break_even", mae: -15, maeBars: 1, mfe: 10, mfeBars: 1},
		},
		{
			name: "break-even that was not reached", side: Long,
			exit: policy.Exit{StopBps: ptr(20), BreakEven: &policy.BreakEven{ActivateBps: 10.1}},
			bars: []bars.Bar{signal, bar(999, 1001, 998.5, 1000.5), bar(1000, 1000, 997, 999)},
			want: want{entry: 1000, entryBar: 1, exit: 998, exitBar: 2, held: 2, reason: "stop", mae: -20, maeBars: 2, mfe: 10, mfeBars: 1},
		},
		{
			name: "trailing follows the best price and never goes back", side: Long,
			exit: policy.Exit{StopBps: ptr(20), Trailing: &policy.Trailing{ActivateBps: 10, DistanceBps: 5}},
			bars: []bars.Bar{
				signal,
				bar(999, 1001, 998.5, 1001),   // +10: on, stop 1001 - 0.5 = 1000.5
				bar(1001, 1004, 1000.6, 1002), // low above it; best 1004, stop 1003.5
				bar(1003.8, 1003.9, 1003.6, 1003.7),
				bar(1003.6, 1003.6, 1003, 1003), // low ≤ 1003.5
			},
			want: want{entry: 1000, entryBar: 1, exit: 1003.5, exitBar: 4, held: 4, reason: "trailing", mae: -15, maeBars: 1, mfe: 40, mfeBars: 2},
		},
		{
			name: "short trailing", side: Short,
			exit: policy.Exit{Trailing: &policy.Trailing{ActivateBps: 10, DistanceBps: 5}},
			bars: []bars.Bar{
				signal,
				bar(1000, 1000, 997, 998), // ask_low 998: +20; stop 998.5 from the next bar
				bar(996, 998, 996, 997),   // ask 997 to 999: 999 ≥ 998.5
			},
			want: want{entry: 1000, entryBar: 1, exit: 998.5, exitBar: 2, held: 2, reason: "trailing", mae: -10, maeBars: 1, mfe: 20, mfeBars: 1},
		},
		{
			name: "trailing reached after within_bars stays off", side: Long,
			exit: policy.Exit{MaxBars: 3, Trailing: &policy.Trailing{ActivateBps: 10, DistanceBps: 5, WithinBars: 1}},
			bars: []bars.Bar{signal, entry, bar(999, 1002, 999, 999), bar(999, 999, 998.9, 999), bar(999, 999, 998, 998)},
			// Bar 2 reaches +20, too late. Bar 3 is the last held; out at bar 4's open.
			want: want{entry: 1000, entryBar: 1, exit: 999, exitBar: 4, held: 3, reason: "max_bars", mae: -15, maeBars: 1, mfe: 20, mfeBars: 2},
		},
		{
			name: "max_bars 1, next_open: judged at bar 1's close, out at bar 2's open", exit: policy.Exit{MaxBars: 1, StopBps: ptr(20)}, side: Long,
			bars: []bars.Bar{signal, entry, bar(990, 1010, 980, 1000)},
			// The open of 990 is below the stop too; the rule came first. -100 bps at bar number 2.
			want: want{entry: 1000, entryBar: 1, exit: 990, exitBar: 2, held: 1, reason: "max_bars", mae: -100, maeBars: 2},
		},
		{
			name: "max_bars 2, signal_close: in at the signal's close, out at the second close after", fill: policy.FillSignalClose,
			exit: policy.Exit{MaxBars: 2}, side: Long,
			bars: []bars.Bar{signal, bar(1000, 1001, 999, 1000), bar(1000, 1003, 1000, 1002)},
			// In at ask_close 1000 of bar 0; out at bid_close 1002 of bar 2. MAE bar 1: 999.
			want: want{entry: 1000, entryBar: 0, exit: 1002, exitBar: 2, held: 2, reason: "max_bars", mae: -10, maeBars: 1, mfe: 30, mfeBars: 2},
		},
		{
			name: "signal_close short: in at bid_close, stops still act within bars", fill: policy.FillSignalClose, exit: stop20, side: Short,
			bars: []bars.Bar{bar(1000, 1000, 1000, 1000), bar(1000, 1001.5, 998, 999)},
			want: want{entry: 1000, entryBar: 0, exit: 1002, exitBar: 1, held: 1, reason: "stop", mae: -20, maeBars: 1},
		},
		{
			name: "RULE A: a close within 6 to 9 bps leaves at the next open", exit: ruleA, side: Long,
			bars: []bars.Bar{
				signal, entry, entry, entry,
				bar(999, 1000.8, 999, 1000.7), // bar 4: +7, and too late for the adaptive part
				bar(1000.9, 1001, 1000, 1000), // open: +9
			},
			want: want{entry: 1000, entryBar: 1, exit: 1000.9, exitBar: 5, held: 4, reason: "RULE_A_PROFIT", mae: -15, maeBars: 1, mfe: 9, mfeBars: 5},
		},
		{
			name: "RULE A: a jump past the band is held", exit: ruleA, side: Long, eof: true,
			bars: []bars.Bar{signal, entry, entry, entry, bar(999, 1002, 999, 1002), bar(1002, 1003, 1001, 1002)},
			want: want{entry: 1000, entryBar: 1, exit: 1002, exitBar: 5, held: 5, reason: "REPLAY_EOF", mae: -15, maeBars: 1, mfe: 30, mfeBars: 5},
		},
		{
			name: "RULE A: 4 bps within 3 bars turns its trailing on; the band no longer counts", exit: ruleA, side: Long, fill: policy.FillSignalClose,
			bars: []bars.Bar{
				signal,
				bar(999, 1000.4, 999, 1000.4),      // +4: on
				bar(1000.4, 1000.7, 1000, 1000.7),  // +7 would be in the band
				bar(1000.7, 1000.8, 1000, 1000.55), // +5.5 > 7 - 2
				bar(1000.5, 1000.6, 1000, 1000.4),  // +4 ≤ 5
			},
			want: want{entry: 1000, entryBar: 0, exit: 1000.4, exitBar: 4, held: 4, reason: "RULE_A_TRAILING", mae: -10, maeBars: 1, mfe: 8, mfeBars: 3},
		},
		{
			name: "data's end: what is open leaves at its side's close", exit: stop20, side: Short, eof: true,
			bars: []bars.Bar{signal, bar(1000, 1000.5, 999.5, 1000), bar(999, 999.5, 998, 998.5)},
			// Out at ask_close 999.5: +5 bps. Bar 2's ask_low 999 is +10.
			want: want{entry: 1000, entryBar: 1, exit: 999.5, exitBar: 2, held: 2, reason: "REPLAY_EOF", mae: -15, maeBars: 1, mfe: 10, mfeBars: 2},
		},
		{
			name: "data's end comes before the open that max_bars wanted", exit: policy.Exit{MaxBars: 1}, side: Long, eof: true,
			bars: []bars.Bar{signal, entry},
			want: want{entry: 1000, entryBar: 1, exit: 999, exitBar: 1, held: 1, reason: "REPLAY_EOF", mae: -15, maeBars: 1},
		},
		{
			name: "no next bar: expired", exit: stop20, side: Long, eof: true,
			bars: []bars.Bar{signal},
			want: want{entryBar: NoBar, exitBar: NoBar, expired: true},
		},
		{
			name: "not followed to the end: open and marked", exit: stop20, side: Long,
			bars: []bars.Bar{signal, entry, bar(999, 1001, 998.8, 1000.5)},
			want: want{entry: 1000, entryBar: 1, exitBar: NoBar, held: 2, open: true, mae: -15, maeBars: 1, mfe: 10, mfeBars: 2},
		},
		{
			name: "nothing seen yet: pending", exit: stop20, side: Long,
			bars: []bars.Bar{signal},
			want: want{entryBar: NoBar, exitBar: NoBar, pend: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fill := c.fill
			if fill == "" {
				fill = policy.FillNextOpen
			}
			r := testRules(t, fill, c.exit)
			x := numbered(c.bars)
			check(t, follow(&r, x, c.side, c.eof), c.want)
		})
	}
}

func check(t *testing.T, s Signal, w want) {
	t.Helper()
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v (want %v)", what, got, want)
		}
	}
	near("entry price", s.EntryPrice, w.entry)
	near("exit price", s.ExitPrice, w.exit)
	near("MAE", s.MAEBps, w.mae)
	near("MFE", s.MFEBps, w.mfe)
	if s.EntryBar != w.entryBar || s.ExitBar != w.exitBar || s.BarsHeld != w.held || s.ExitReason != w.reason {
		t.Errorf("entry bar %d, exit bar %d, held %d, reason %q (want %d, %d, %d, %q)",
			s.EntryBar, s.ExitBar, s.BarsHeld, s.ExitReason, w.entryBar, w.exitBar, w.held, w.reason)
	}
	if s.MAEBars != w.maeBars || s.MFEBars != w.mfeBars {
		t.Errorf("MAE at bar %d, MFE at bar %d (want %d, %d)", s.MAEBars, s.MFEBars, w.maeBars, w.mfeBars)
	}
	if s.Expired != w.expired || s.Open != w.open || s.Pending() != w.pend || s.Closed() != (w.exitBar != NoBar) {
		t.Errorf("expired %v open %v pending %v closed %v (want %v %v %v %v)",
			s.Expired, s.Open, s.Pending(), s.Closed(), w.expired, w.open, w.pend, w.exitBar != NoBar)
	}
}

// What a policy has for max_gap counts; its default goes by the bars' length.
func TestDefaultMaxGap(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct{ own, length, want time.Duration }{
		{0, time.Minute, 2 * time.Minute},
		{0, 12 * time.Hour, day},
		{0, day - 1, 2*day - 2},
		{0, day, 5 * day},
		{0, 2 * day, 5 * day},
		{0, 3 * day, 6 * day},
		{0, 7 * day, 14 * day},
		{time.Hour, day, time.Hour},
		{30 * day, time.Minute, 30 * day},
	} {
		if got := MaxGap(policy.Entry{MaxGap: c.own}, c.length); got != c.want {
			t.Errorf("max_gap %v, bars of %v: %v (want %v)", c.own, c.length, got, c.want)
		}
	}
}

// The next bar may open max_gap after the signal bar and not later; the
// default is two bar lengths. It holds for either fill.
func TestMaxGap(t *testing.T) {
	for _, fill := range []policy.Fill{policy.FillNextOpen, policy.FillSignalClose} {
		for _, c := range []struct {
			maxGap, gap time.Duration
			expired     bool
		}{
			{0, 2 * time.Minute, false},
			{0, 2*time.Minute + 1, true},
			{time.Hour, time.Hour, false},
			{time.Hour, 49 * time.Hour, true},
		} {
			p := testPolicy(fill, policy.Exit{})
			p.Entry.MaxGap = c.maxGap
			r, err := NewRules(p, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			x := []bars.Bar{bar(999, 999, 999, 999), bar(999, 999, 999, 999)}
			x[1].TimeNS = int64(c.gap)
			s := follow(&r, x, Long, false)
			if s.Expired != c.expired || s.Open == c.expired {
				t.Errorf("%s, max_gap %v, gap %v: expired %v open %v (want expired %v)", fill, c.maxGap, c.gap, s.Expired, s.Open, c.expired)
			}
		}
	}
}

func TestEndPrices(t *testing.T) {
	last := bar(999, 1003, 998, 1001) // bid close 1001, ask close 1002
	for _, c := range []struct {
		source string
		side   Side
		price  float64
	}{
		{"mid", Long, 1001.5}, {"bid", Short, 1001}, {"ask", Long, 1002}, {"side", Long, 1001}, {"side", Short, 1002},
	} {
		p := testPolicy(policy.FillNextOpen, policy.Exit{})
		p.Replay.EOFPriceSource = c.source
		r, err := NewRules(p, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s := follow(&r, numbered([]bars.Bar{bar(1000, 1000, 1000, 1000), last}), c.side, true)
		if s.ExitPrice != c.price || s.ExitReason != "REPLAY_EOF" {
			t.Errorf("%s %v: out at %v, %q (want %v)", c.source, c.side, s.ExitPrice, s.ExitReason, c.price)
		}
	}
	p := testPolicy(policy.FillNextOpen, policy.Exit{})
	p.Replay.CloseOpenTradesAtEnd = false
	r, err := NewRules(p, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s := follow(&r, numbered([]bars.Bar{bar(999, 999, 999, 999), last}), Long, true)
	// In at 1000; marked at bid 1001: +10 bps.
	if !s.Open || s.MarkBar != 1 || s.MarkPrice != 1001 || math.Abs(s.PnlBps()-10) > 1e-9 {
		t.Errorf("not closed at the end: %+v", s)
	}
}

func TestNewRulesErrors(t *testing.T) {
	good := testPolicy(policy.FillNextOpen, policy.Exit{})
	for name, change := range map[string]func(*policy.Policy){
		"fill":   func(p *policy.Policy) { p.Replay.Fill = "open" },
		"gap":    func(p *policy.Policy) { p.Entry.MaxGap = -1 },
		"price":  func(p *policy.Policy) { p.Replay.EOFPriceSource = "last" },
		"reason": func(p *policy.Policy) { p.Replay.EOFCloseReason = "" },
	} {
		p := good
		change(&p)
		if _, err := NewRules(p, time.Minute); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewRules(good, time.Minute); err != nil {
		t.Error(err)
	}
}
