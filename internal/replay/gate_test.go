package replay

import (
	"math"
	"reflect"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Without a gate nothing is skipped, and the gate changes no decision on the
// bars that it lets pass.
func TestGateDecidesOnlyWhereToLook(t *testing.T) {
	const n = 6000
	data := testBars(n, 1)
	on := testJob(n)
	off := on
	off.Policy.Pregate.Enabled = false
	gated, open := mustRun(t, on, &memory{bars: data}), mustRun(t, off, &memory{bars: data})
	if err := identities(open.Footer, false); err != nil {
		t.Error(err)
	}
	if open.Footer.NModelCalls != n-49 || gated.Footer.NModelCalls >= open.Footer.NModelCalls {
		t.Errorf("model calls %d off, %d on", open.Footer.NModelCalls, gated.Footer.NModelCalls)
	}
	byBar := map[int64]trade.Signal{}
	for _, s := range open.Signals {
		byBar[s.Bar] = s
	}
	for _, s := range gated.Signals {
		if !reflect.DeepEqual(byBar[s.Bar], s) {
			t.Fatalf("bar %d: %+v with the gate, %+v without", s.Bar, s, byBar[s.Bar])
		}
	}
	if len(gated.Signals) == 0 || len(gated.Signals) >= len(open.Signals) {
		t.Errorf("%d signals with the gate, %d without", len(gated.Signals), len(open.Signals))
	}
}

// The gate's limits, at their edges, and a missing ATR.
func TestGate(t *testing.T) {
	job := testJob(30)
	job.Policy.Features = nil
	job.Policy.Model = &policy.Model{Kind: policy.KindLogistic}
	data := testBars(30, 1)
	for i := range data { // spread 100 bps at bid 2000, TR 1 % of it
		mid := 2000.0
		data[i].BidOpen, data[i].BidHigh, data[i].BidLow, data[i].BidClose = mid, mid+10, mid-10, mid
		data[i].AskOpen, data[i].AskHigh, data[i].AskLow, data[i].AskClose = mid+20, mid+30, mid+10, mid+20
	}
	meanRange, close := 20.0, 2010.0
	atr := meanRange / close * 1e4
	for _, c := range []struct {
		name                 string
		gate                 policy.Pregate
		skips                footer.Counts
		passes, missingInput int64
	}{
		{"empty limits pass all", policy.Pregate{}, footer.Counts{}, 30, 14},
		{"a spread at the limit passes", policy.Pregate{MaxSpreadBps: ptr(100)}, footer.Counts{}, 30, 14},
		{"a spread above it skips", policy.Pregate{MaxSpreadBps: ptr(99.9)}, footer.Counts{"spread_too_high": 30}, 0, 0},
		{"an ATR at the lower limit passes", policy.Pregate{MinATRBps: &atr, MaxATRBps: &atr}, footer.Counts{}, 30, 14},
		{"a missing ATR never skips", policy.Pregate{MinATRBps: ptr(1000)}, footer.Counts{"atr_too_low": 16}, 14, 14},
		{"above the upper limit", policy.Pregate{MaxATRBps: ptr(1)}, footer.Counts{"atr_too_high": 16}, 14, 14},
		{"the session comes first", policy.Pregate{AllowSessions: []string{"EU"}, MaxSpreadBps: ptr(1)}, footer.Counts{"session_not_allowed": 30}, 0, 0},
		{"the spread comes before the ATR", policy.Pregate{MaxSpreadBps: ptr(1), MinATRBps: ptr(1000)}, footer.Counts{"spread_too_high": 30}, 0, 0},
	} {
		job.Policy.Pregate = c.gate
		job.Policy.Pregate.Enabled = true
		f := mustRun(t, job, &memory{bars: data}).Footer
		if err := identities(f, true); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !reflect.DeepEqual(f.SkipReasons, c.skips) || f.PregatePasses != c.passes || f.PregateMissingInputs != c.missingInput {
			t.Errorf("%s: skips %v, passes %d, missing %d (want %v, %d, %d)", c.name, f.SkipReasons, f.PregatePasses, f.PregateMissingInputs, c.skips, c.passes, c.missingInput)
		}
	}
}

// Bars of the policy's own warm-up count from the data's start.
func TestPolicyWarmup(t *testing.T) {
	const n = 500
	data := testBars(n, 3)
	for _, c := range []struct{ first, end, want int64 }{{0, 200, 100}, {80, 200, 20}, {100, 200, 0}} {
		job := testJob(n)
		job.Policy.WarmupBars = 100
		job.Bars = run.BarRange{First: c.first, End: c.end}
		if got := mustRun(t, job, &memory{bars: data}).Footer.BarsSkippedWarmup; got != c.want {
			t.Errorf("[%d, %d): %d bars of warm-up (want %d)", c.first, c.end, got, c.want)
		}
	}
}

func TestEntryRule(t *testing.T) {
	rule := func(e policy.Entry) func(session int, long, short float64) (trade.Side, float64, trade.Decision) {
		t.Helper()
		r, err := newEntryRule(e, sessionTable(t))
		if err != nil {
			t.Fatal(err)
		}
		return r.decide
	}
	half := policy.Sides{Long: 0.5, Short: 0.5}
	for _, c := range []struct {
		name        string
		entry       policy.Entry
		session     int
		long, short float64
		side        trade.Side
		why         trade.Decision
	}{
		{"the higher side", policy.Entry{PSideMin: half}, 0, 1, 0.5, trade.Long, trade.DecisionSignal},
		{"the higher side, short", policy.Entry{PSideMin: half}, 0, 0.5, 1, trade.Short, trade.DecisionSignal},
		{"equal: none", policy.Entry{PSideMin: half}, 0, 1, 1, 0, trade.DecisionEqual},
		{"at the threshold", policy.Entry{PSideMin: half}, 0, 0, -1, trade.Long, trade.DecisionSignal},
		{"below it: none, the other side does not step in", policy.Entry{PSideMin: policy.Sides{Long: 0.9, Short: 0.1}}, 0, 1, 0.5, 0, trade.DecisionPSideMin},
		{"p 0 is reached by all", policy.Entry{}, 0, -50, -60, trade.Long, trade.DecisionSignal},
		{"p 1 by none", policy.Entry{PSideMin: policy.Sides{Long: 1}}, 0, 500, -60, 0, trade.DecisionPSideMin},
		{"both saturate at p 1: the scores still differ", policy.Entry{PSideMin: half}, 0, 101, 100, trade.Long, trade.DecisionSignal},
		{"a lead of 0.2 is not 0.5 - 0.4", policy.Entry{MarginMin: policy.Sides{Long: 0.2}}, 0, 0, -0.4, 0, trade.DecisionMargin},
		{"a lead of 0.5 - 0.27", policy.Entry{MarginMin: policy.Sides{Long: 0.2}}, 0, 0, -1, trade.Long, trade.DecisionSignal},
		{"the lead is the side's own", policy.Entry{MarginMin: policy.Sides{Short: 0.9}}, 0, 0, -0.1, trade.Long, trade.DecisionSignal},
		{"a market session for entries", policy.Entry{Sessions: []string{"EU"}}, 0, 1, 0, trade.Long, trade.DecisionSignal},
		{"no number", policy.Entry{PSideMin: half}, 0, math.NaN(), 1, 0, trade.DecisionNoSignal},
		{"and one that is not", policy.Entry{Sessions: []string{"EU"}}, 1, 1, 0, 0, trade.DecisionSession},
	} {
		if side, p, why := rule(c.entry)(c.session, c.long, c.short); side != c.side || (side == 0) != (p == 0) || why != c.why {
			t.Errorf("%s: side %v, p %v, decision %d (want side %v, decision %d)", c.name, side, p, why, c.side, c.why)
		}
	}
}
