package replay

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted is the part of a footer that no clock is in.
func counted(f footer.Footer) footer.Footer {
	f.WallClockSec, f.BarsPerSec, f.FeatureTimeMeanMS = 0, 0, 0
	f.TStartupSec, f.TWarmupSec, f.TIOTotalSec = 0, 0, 0
	f.TFeatureBuildSec, f.TFeatureUpkeepSec, f.TPregateTotalSec, f.TModelTotalSec, f.TPolicyTotalSec = 0, 0, 0, 0, 0
	f.Checkpoints = slices.Clone(f.Checkpoints)
	for i := range f.Checkpoints {
		f.Checkpoints[i][1] = 0
	}
	return f
}

// identities are Invariant 1 and what the reasons must add up to.
func identities(f footer.Footer, gate bool) error {
	passes := f.TotalBars - f.BarsSkippedWarmup
	if gate {
		passes = f.PregatePasses
		if f.TotalBars != f.BarsSkippedWarmup+f.PregateSkips+f.PregatePasses {
			return fmt.Errorf("warm-up %d + skips %d + passes %d are not total_bars %d", f.BarsSkippedWarmup, f.PregateSkips, f.PregatePasses, f.TotalBars)
		}
	} else if f.PregateSkips+f.PregatePasses+f.PregateMissingInputs != 0 {
		return errors.New("the gate is off and counted")
	}
	if f.TotalBars != f.BarsProcessed || f.NModelCalls != passes || f.PregateMissingInputs > f.PregatePasses {
		return fmt.Errorf("total %d, processed %d, calls %d, passes %d, missing %d", f.TotalBars, f.BarsProcessed, f.NModelCalls, passes, f.PregateMissingInputs)
	}
	var skips, drops int64
	for _, n := range f.SkipReasons {
		skips += n
	}
	for _, n := range f.DropReasons {
		drops += n
	}
	if skips != f.PregateSkips || drops+f.NTradesClosed+f.TradesOpen != f.NSignals {
		return fmt.Errorf("reasons %v of %d skips, %v of %d signals (%d closed, %d open)", f.SkipReasons, f.PregateSkips, f.DropReasons, f.NSignals, f.NTradesClosed, f.TradesOpen)
	}
	return nil
}

func mustRun(t testing.TB, job Job, src Source) Result {
	t.Helper()
	res, err := Run(context.Background(), job, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// The fixture must exercise what the laws speak of.
func TestInvariant1_WholeRun(t *testing.T) {
	const n = 6000
	res := mustRun(t, testJob(n), &memory{bars: testBars(n, 1)})
	f := res.Footer
	if err := identities(f, true); err != nil {
		t.Error(err)
	}
	if f.BarsProcessed != n || f.BarsSkippedWarmup != 49 || f.PlannedBars != n || f.EndBar != n {
		t.Errorf("bars %d of %d, warm-up %d (want %d and 49: std50 needs 49 bars before)", f.BarsProcessed, f.PlannedBars, f.BarsSkippedWarmup, n)
	}
	for _, reason := range reasonNames {
		if f.SkipReasons[reason] == 0 {
			t.Errorf("the fixture never skips for %s", reason)
		}
	}
	reasons := map[string]bool{}
	expired := 0
	for _, s := range res.Signals {
		reasons[s.ExitReason] = true
		if s.Expired {
			expired++
		}
	}
	for _, reason := range []string{trade.ExitStop, trade.ExitTarget, trade.ExitBreakEven, trade.ExitTrailing, trade.ExitMaxBars} {
		if !reasons[reason] {
			t.Errorf("the fixture has no exit by %s (has %v)", reason, reasons)
		}
	}
	if len(res.Signals) < 100 || expired == 0 || f.NTradesClosed < 50 || f.DropReasons["max_open_trades"] == 0 {
		t.Errorf("%d signals, %d expired, %d trades, drops %v", len(res.Signals), expired, f.NTradesClosed, f.DropReasons)
	}
	if f.StartTS != "2024-01-01T00:00:00Z" || f.EndTS == "" || f.Phase != footer.PhaseReplay || f.Engine != "builtin" {
		t.Errorf("start %q end %q phase %q engine %q", f.StartTS, f.EndTS, f.Phase, f.Engine)
	}
	taken := selected(res.Signals, testPolicy().Risk)
	var pnl float64
	for _, tr := range taken {
		pnl += tr.PnlBps()
	}
	if int64(len(taken)) != f.NTradesClosed || pnl != f.PnlBps {
		t.Errorf("the footer has %d trades, %v bps; the selection %d, %v", f.NTradesClosed, f.PnlBps, len(taken), pnl)
	}
}

// selected are the signals that become trades.
func selected(signals []trade.Signal, risk policy.Risk) (taken []trade.Signal) {
	sel := trade.NewSelector(risk)
	for _, s := range signals {
		if sel.Offer(&s) {
			taken = append(taken, s)
		}
	}
	return taken
}

// Invariant 3, for any cut: each bar is counted once, reasons and signals are
// the same, each to its exit.
func TestInvariant3_AnyCut(t *testing.T) {
	const n = 3000
	data := testBars(n, 2)
	whole := mustRun(t, testJob(n), &memory{bars: data})
	rapid.Check(t, func(t *rapid.T) {
		cuts := rapid.SliceOfNDistinct(rapid.Int64Range(1, n-1), 0, 12, rapid.ID).Draw(t, "cuts")
		slices.Sort(cuts)
		cuts = append(cuts, n)
		var first, total, warm, skips, passes, missing, calls int64
		reasons := footer.Counts{}
		var signals []trade.Signal
		for _, end := range cuts {
			job := testJob(n)
			job.Bars = run.BarRange{First: first, End: end}
			job.OnBar = func(bar int64) error {
				if bar != total {
					return fmt.Errorf("OnBar(%d) after %d bars", bar, total)
				}
				total++
				return nil
			}
			src := &memory{bars: data}
			res, err := Run(context.Background(), job, src, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := max(0, first-49); src.asked.First != want {
				t.Fatalf("read from bar %d (want %d)", src.asked.First, want)
			}
			f := res.Footer
			if err := identities(f, true); err != nil || f.BarsProcessed != end-first {
				t.Fatalf("chunk [%d, %d): %d bars, %v", first, end, f.BarsProcessed, err)
			}
			warm, skips, passes = warm+f.BarsSkippedWarmup, skips+f.PregateSkips, passes+f.PregatePasses
			missing, calls = missing+f.PregateMissingInputs, calls+f.NModelCalls
			for k, v := range f.SkipReasons {
				reasons[k] += v
			}
			signals = append(signals, res.Signals...)
			first = end
		}
		w := whole.Footer
		if total != n || warm != w.BarsSkippedWarmup || skips != w.PregateSkips || passes != w.PregatePasses ||
			missing != w.PregateMissingInputs || calls != w.NModelCalls || !reflect.DeepEqual(reasons, w.SkipReasons) {
			t.Fatalf("bars %d warm-up %d skips %d passes %d missing %d calls %d reasons %v, whole %+v", total, warm, skips, passes, missing, calls, reasons, counted(w))
		}
		if !reflect.DeepEqual(signals, whole.Signals) {
			t.Fatalf("%d signals that differ from the whole's %d", len(signals), len(whole.Signals))
		}
	})
}

// Following is bounded, and reading ends with the last open signal.
func TestFollowing(t *testing.T) {
	const n = 4000
	data := testBars(n, 7)
	whole := mustRun(t, testJob(n), &memory{bars: data}).Signals
	for end := int64(1000); end < 1100; end++ {
		job := testJob(n)
		job.Bars = run.BarRange{First: 900, End: end}
		src := &memory{bars: data}
		res := mustRun(t, job, src)
		last := end // one past the last bar that an own signal needs
		for _, s := range whole {
			if s.Bar >= 900 && s.Bar < end && s.Closed() {
				last = max(last, s.ExitBar+1)
			} else if s.Bar == end-1 && s.Expired {
				last = max(last, end+1)
			}
		}
		if src.read < last || src.read >= last+followBlock {
			t.Fatalf("chunk to %d: read up to bar %d (want %d, and less than %d more)", end, src.read, last, followBlock)
		}
		job.Policy.Replay.FollowBars = 3
		src = &memory{bars: data}
		short := mustRun(t, job, src)
		if src.asked.End != end+3 {
			t.Fatalf("asked for bars to %d (want %d)", src.asked.End, end+3)
		}
		for k, s := range short.Signals {
			full := res.Signals[k]
			if left := full.Closed() && full.ExitBar >= end+3; s.Open != left || (s.Left != nil) != left {
				t.Fatalf("chunk to %d, following 3 bars: %+v (whole: %+v)", end, s, full)
			}
		}
		if short.Footer.BarsProcessed != res.Footer.BarsProcessed {
			t.Fatal("following changed the count of bars")
		}
	}
}

func TestDataEnd(t *testing.T) {
	const n = 1000
	data := testBars(n, 8)
	job := testJob(n)
	job.Policy.Pregate.Enabled = false
	job.Policy.Exit = policy.Exit{}
	res := mustRun(t, job, &memory{bars: data})
	for _, s := range res.Signals {
		switch {
		case s.Expired:
		case s.ExitBar != n-1 || s.ExitReason != "REPLAY_EOF":
			t.Fatalf("%+v (want an exit at the data's end)", s)
		}
	}
	if f := res.Footer; f.TradesOpen != 0 || f.NTradesClosed != 2 {
		t.Errorf("%d trades closed, %d open (want 2, 0)", f.NTradesClosed, f.TradesOpen)
	}
	job.Policy.Replay.CloseOpenTradesAtEnd = false
	res = mustRun(t, job, &memory{bars: data})
	var open float64
	for _, tr := range selected(res.Signals, job.Policy.Risk) {
		open += tr.PnlBps()
		if !tr.Open || tr.MarkBar != n-1 || tr.Left == nil {
			t.Errorf("%+v (want it open, marked at the last bar)", tr)
		}
	}
	if f := res.Footer; f.TradesOpen != 2 || f.OpenPnlBps != open || f.NTradesClosed != 0 || f.PnlBps != 0 {
		t.Errorf("%d open with %v bps, %d closed with %v (want 2 with %v)", f.TradesOpen, f.OpenPnlBps, f.NTradesClosed, f.PnlBps, open)
	}
}

// The same signals, to the bit, on every machine.
func TestGoldenSignals(t *testing.T) {
	const want = "dd42558a593d1978594302b1f62deda40586b1bb1918677b629c001c8a8e6c71"
	job := testJob(20_000)
	job.Policy.Features = append(job.Policy.Features, "ema20_slope", "pos_vs_ema200")
	job.Policy.Model.Long.Weights["ema20_slope"] = 0.7
	job.Policy.Model.Short.Weights["pos_vs_ema200"] = -90
	job.Policy.Exit.RuleA = &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}
	a, _, err := trade.EncodeSignals("signals", mustRun(t, job, &memory{bars: testBars(20_000, 14)}).Signals)
	if err != nil || a.SHA256 != want {
		t.Errorf("digest %s, %v (want %s)", a.SHA256, err, want)
	}
}
