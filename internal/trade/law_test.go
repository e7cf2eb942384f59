package trade

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
)

func drawBars(t *rapid.T) []bars.Bar {
	n := rapid.IntRange(1, 40).Draw(t, "bars")
	x := make([]bars.Bar, n)
	price := int64(100_000)
	var at int64
	for i := range x {
		open := price + rapid.Int64Range(-80, 80).Draw(t, "gap")
		closing := open + rapid.Int64Range(-120, 120).Draw(t, "move")
		high := max(open, closing) + rapid.Int64Range(0, 60).Draw(t, "up")
		low := min(open, closing) - rapid.Int64Range(0, 60).Draw(t, "down")
		spread := float64(rapid.Int64Range(0, 60).Draw(t, "spread")) / 100
		b := func(c int64) float64 { return float64(c) / 100 }
		x[i] = bars.Bar{
			TimeNS:  at,
			BidOpen: b(open), BidHigh: b(high), BidLow: b(low), BidClose: b(closing),
			AskOpen: b(open) + spread, AskHigh: b(high) + spread, AskLow: b(low) + spread, AskClose: b(closing) + spread,
		}
		price = closing
		at += int64(time.Minute) * rapid.SampledFrom([]int64{1, 1, 1, 2, 5}).Draw(t, "minutes")
	}
	return x
}

func drawRules(t *rapid.T) Rules {
	maybe := func(name string) *float64 {
		if !rapid.Bool().Draw(t, name) {
			return nil
		}
		return ptr(float64(rapid.IntRange(1, 40).Draw(t, name+"_bps")))
	}
	var x policy.Exit
	x.StopBps, x.TargetBps = maybe("stop"), maybe("target")
	if a := maybe("break_even"); a != nil {
		x.BreakEven = &policy.BreakEven{ActivateBps: *a, OffsetBps: 1}
	}
	if a := maybe("trailing"); a != nil {
		x.Trailing = &policy.Trailing{ActivateBps: *a, DistanceBps: 4, WithinBars: rapid.Int64Range(0, 5).Draw(t, "within")}
	}
	if rapid.Bool().Draw(t, "rule_a") {
		x.RuleA = &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}
	}
	x.MaxBars = rapid.Int64Range(0, 10).Draw(t, "max_bars")
	p := testPolicy(rapid.SampledFrom([]policy.Fill{policy.FillNextOpen, policy.FillSignalClose}).Draw(t, "fill"), x)
	p.Replay.CloseOpenTradesAtEnd = rapid.Bool().Draw(t, "close_at_end")
	r, err := NewRules(p, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawSide(t *rapid.T) Side { return rapid.SampledFrom([]Side{Long, Short}).Draw(t, "side") }

// Invariant 1: what a trade does up to a bar does not depend on later bars.
func TestInvariant1_LevelsComeFromEarlierBars(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, x, side := drawRules(t), drawBars(t), drawSide(t)
		whole := follow(&r, x, side, false)
		cut := rapid.IntRange(1, len(x)).Draw(t, "cut")
		part := follow(&r, x[:cut], side, false)
		if whole.Closed() && whole.ExitBar < int64(cut) && !reflect.DeepEqual(part, whole) {
			t.Fatalf("with %d bars: %+v\nwith %d bars: %+v", cut, part, len(x), whole)
		}
		if part.Closed() && !reflect.DeepEqual(part, whole) {
			t.Fatalf("closed with %d bars: %+v\nwith all: %+v", cut, part, whole)
		}
	})
}

func TestInvariant2_ExcursionsHoldThePnl(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, x, side := drawRules(t), drawBars(t), drawSide(t)
		s := follow(&r, x, side, true)
		if s.MAEBps > 0 || s.MFEBps < 0 || s.PnlBps() < s.MAEBps || s.PnlBps() > s.MFEBps {
			t.Fatalf("pnl %v, MAE %v, MFE %v", s.PnlBps(), s.MAEBps, s.MFEBps)
		}
		if s.Closed() && (s.ExitBar < s.EntryBar || s.ExitReason == "" || s.Open || s.Expired) {
			t.Fatalf("%+v", s)
		}
		if (s.MAEBps == 0) != (s.MAEBars == 0) || (s.MFEBps == 0) != (s.MFEBars == 0) || s.MFEBars > s.BarsHeld+1 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestInvariant3_LeavingAndResumingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, x, side := drawRules(t), drawBars(t), drawSide(t)
		through := follow(&r, x, side, true)
		f := Follow(&r, 0, &x[0], side, 0.7)
		done := false
		for i := 1; i < len(x) && !done; i++ {
			f = Resume(&r, f.Leave())
			done = f.Step(int64(i), &x[i])
		}
		if !done {
			f = Resume(&r, f.Leave())
			f.End(int64(len(x)-1), &x[len(x)-1])
		}
		if !reflect.DeepEqual(f.Signal, through) {
			t.Fatalf("in pieces: %+v\nthrough: %+v", f.Signal, through)
		}
		if left := f.Leave().Left; (left != nil) != f.Signal.Open {
			t.Fatalf("Left %v of %+v", left, f.Signal)
		}
	})
}

// literal is engine.md §4, written down as it stands and as slow as it is.
func literal(signals []Signal, r policy.Risk) (taken []int, drops map[string]int64) {
	drops = map[string]int64{}
next:
	for i, s := range signals {
		if s.Expired {
			drops["entry_expired"]++
			continue
		}
		if s.EntryBar == NoBar {
			drops["pending"]++
			continue
		}
		e := s.EntryBar
		var open, openSide int
		lastEntry, lastExit := int64(-1<<60), int64(-1<<60)
		for _, k := range taken {
			o := signals[k]
			if max(o.MarkBar, o.ExitBar) >= e { // an open one has the first, a closed one the second
				open++
				if o.Side == s.Side {
					openSide++
				}
			} else if !o.Open {
				lastExit = max(lastExit, o.ExitBar)
			}
			lastEntry = max(lastEntry, o.EntryBar)
		}
		for _, rule := range []struct {
			reason string
			ok     bool
		}{
			{"max_open_trades", open < max(1, r.MaxOpenTrades)},
			{"max_open_trades_per_side", r.MaxOpenTradesPerSide <= 0 || openSide < r.MaxOpenTradesPerSide},
			{"cooldown_bars_after_entry", !r.CooldownAfterEntryIsSet || e-lastEntry > r.CooldownBarsAfterEntry},
			{"cooldown_bars_after_exit", !r.CooldownAfterExitIsSet || e-lastExit > r.CooldownBarsAfterExit},
		} {
			if !rule.ok {
				drops[rule.reason]++
				continue next
			}
		}
		taken = append(taken, i)
	}
	return taken, drops
}

func drawSignals(t *rapid.T) []Signal {
	n := rapid.IntRange(0, 60).Draw(t, "signals")
	out := make([]Signal, n)
	bar := int64(0)
	for i := range out {
		bar += rapid.Int64Range(1, 4).Draw(t, "distance")
		s := Signal{Bar: bar, Side: drawSide(t), EntryBar: bar + 1, ExitBar: NoBar, MarkBar: NoBar, EntryPrice: 1000}
		switch rapid.IntRange(0, 9).Draw(t, "state") {
		case 0:
			s.EntryBar, s.Expired = NoBar, true
		case 1:
			s.EntryBar = NoBar
		case 2:
			s.Open, s.MarkBar = true, s.EntryBar+rapid.Int64Range(0, 20).Draw(t, "followed")
		default:
			s.ExitBar = s.EntryBar + rapid.Int64Range(0, 20).Draw(t, "held")
			s.ExitPrice = 1000 + float64(rapid.IntRange(-5, 5).Draw(t, "pnl"))
		}
		out[i] = s
	}
	return out
}

func drawRisk(t *rapid.T) policy.Risk {
	return policy.Risk{
		MaxOpenTrades:           rapid.IntRange(-1, 6).Draw(t, "max"),
		MaxOpenTradesPerSide:    rapid.IntRange(0, 3).Draw(t, "side_max"),
		CooldownBarsAfterEntry:  rapid.Int64Range(-1, 6).Draw(t, "after_entry"),
		CooldownBarsAfterExit:   rapid.Int64Range(-1, 6).Draw(t, "after_exit"),
		CooldownAfterEntryIsSet: rapid.Bool().Draw(t, "entry_set"),
		CooldownAfterExitIsSet:  rapid.Bool().Draw(t, "exit_set"),
	}
}

func TestInvariant4_SelectIsTheContract(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		signals, risk := drawSignals(t), drawRisk(t)
		wantTaken, wantDrops := literal(signals, risk)
		taken, drops := Select(signals, risk)
		if len(taken) != len(wantTaken) {
			t.Fatalf("%d taken (want %d)", len(taken), len(wantTaken))
		}
		for k, i := range wantTaken {
			if !reflect.DeepEqual(taken[k].Signal, signals[i]) || taken[k].PnlBps != signals[i].PnlBps() {
				t.Fatalf("trade %d is %+v (want signal %d)", k, taken[k], i)
			}
		}
		if total := int64(len(taken)) + sum(drops); !maps.Equal(drops, wantDrops) || total != int64(len(signals)) {
			t.Fatalf("drops %v (want %v), %d in all of %d", drops, wantDrops, total, len(signals))
		}
		// A prefix decides as the whole did.
		cut := rapid.IntRange(0, len(signals)).Draw(t, "cut")
		early, _ := Select(signals[:cut], risk)
		if len(early) > len(taken) || (len(early) > 0 && !reflect.DeepEqual(early, taken[:len(early)])) {
			t.Fatalf("the first %d signals alone give %d trades that differ", cut, len(early))
		}
		shuffled := rapid.Permutation(signals).Draw(t, "shuffled")
		again, _ := Select(shuffled, risk)
		if !reflect.DeepEqual(again, taken) {
			t.Fatal("the order of the input changed the trades")
		}
	})
}

func TestSelectByHand(t *testing.T) {
	sig := func(e, x int64, side Side) Signal {
		return Signal{Bar: e - 1, Side: side, EntryBar: e, ExitBar: x, EntryPrice: 1000, ExitPrice: 1001}
	}
	for _, c := range []struct {
		name    string
		risk    policy.Risk
		signals []Signal
		taken   []int64 // entry bars
		drops   footer.Counts
	}{
		{
			name: "one at a time: exit_bar ≥ e is still open, exit_bar < e is not", risk: policy.Risk{MaxOpenTrades: 1},
			signals: []Signal{sig(10, 20, Long), sig(19, 25, Long), sig(20, 22, Short), sig(21, 30, Long)},
			taken:   []int64{10, 21}, drops: footer.Counts{"max_open_trades": 2},
		},
		{
			name: "a dropped signal blocks nobody", risk: policy.Risk{MaxOpenTrades: 1},
			signals: []Signal{sig(10, 12, Long), sig(11, 99, Long), sig(13, 14, Long)},
			taken:   []int64{10, 13}, drops: footer.Counts{"max_open_trades": 1},
		},
		{
			name: "a side's limit", risk: policy.Risk{MaxOpenTrades: 3, MaxOpenTradesPerSide: 1},
			signals: []Signal{sig(10, 20, Long), sig(11, 20, Long), sig(12, 20, Short), sig(13, 20, Short)},
			taken:   []int64{10, 12}, drops: footer.Counts{"max_open_trades_per_side": 2},
		},
		{
			name: "after an entry: e - 10 > 3", risk: policy.Risk{MaxOpenTrades: 9, CooldownAfterEntryIsSet: true, CooldownBarsAfterEntry: 3},
			signals: []Signal{sig(10, 50, Long), sig(13, 50, Long), sig(14, 50, Long)},
			taken:   []int64{10, 14}, drops: footer.Counts{"cooldown_bars_after_entry": 1},
		},
		{
			name:    "after an exit that is over: e - 12 > 3; an exit to come is not seen",
			risk:    policy.Risk{MaxOpenTrades: 9, CooldownAfterExitIsSet: true, CooldownBarsAfterExit: 3},
			signals: []Signal{sig(10, 12, Long), sig(11, 40, Long), sig(12, 40, Long), sig(13, 40, Long), sig(15, 40, Long), sig(16, 40, Long)},
			taken:   []int64{10, 11, 12, 16}, drops: footer.Counts{"cooldown_bars_after_exit": 2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			taken, drops := Select(c.signals, c.risk)
			var got []int64
			for _, tr := range taken {
				got = append(got, tr.EntryBar)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.taken) || fmt.Sprint(drops) != fmt.Sprint(c.drops) {
				t.Errorf("taken %v, dropped %v (want %v, %v)", got, drops, c.taken, c.drops)
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	signals := make([]Signal, 1_000_000)
	for i := range signals {
		e := int64(i) + 1
		signals[i] = Signal{Bar: e - 1, Side: Side(1 - 2*(i&1)), EntryBar: e, ExitBar: e + int64(i*7919%97), EntryPrice: 1000, ExitPrice: 1000 + math.Mod(float64(i), 7)}
	}
	for b.Loop() {
		sel := NewSelector(policy.Risk{MaxOpenTrades: 10})
		n := 0
		for i := range signals {
			if sel.Offer(&signals[i]) {
				n++
			}
		}
		if n == 0 {
			b.Fatal("nothing taken")
		}
	}
}
