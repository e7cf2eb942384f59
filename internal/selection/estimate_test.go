package selection_test

import (
	"math"
	"testing"
	"time"

	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// A part of a run in random order gives bounds that hold what the whole run has.
func TestEstimateOfAPart(t *testing.T) {
	whole1 := newTraded(t, 1, whole)
	var want, wantPnl float64
	for _, c := range whole1.selected(whole1.selector()).Chunks {
		want += float64(c.Closed + c.Open)
		wantPnl += c.PnlBps
	}
	const chunks = 240 // of five bars
	for _, share := range []int{60, 120, 200} {
		plan := perf.Plan{Order: run.OrderSample, Seed: run.SampleSeed("r1")}
		begun := map[int64]bool{}
		at := 0
		for i := range (run.Plan{Bars: tradedBars, Chunks: chunks, Order: plan.Order, Seed: plan.Seed}).Published() {
			if at++; at <= share {
				begun[int64(i)*tradedBars/chunks] = true
			}
		}
		w := newTraded(t, chunks, func(r run.BarRange) int64 {
			if begun[r.First] {
				return r.Len()
			}
			return 0
		})
		w.report.Plan, w.report.Wall = plan, time.Second
		e := w.selected(w.selector()).Estimate
		if e == nil {
			t.Fatalf("%d of %d chunks: no estimate", share, chunks)
		}
		if e.Chunks != chunks || e.Trades.Members != share || e.Trades.Why != "" {
			t.Errorf("%d chunks: %+v", share, e)
		}
		// Each chunk selects as if nothing was open at its start, so chunks of five
		// bars count too many trades: the bounds are about what such chunks give.
		if f := e.Trades; !(f.Low < f.Value && f.Value < f.High) || f.Value < want/2 {
			t.Errorf("%d chunks: %+v trades (the run has %v)", share, f, want)
		}
		if f := e.PnlBps; !(f.Low <= f.Value && f.Value <= f.High) || math.IsNaN(f.Value) {
			t.Errorf("%d chunks: %+v bps (the run has %v)", share, f, wantPnl)
		}
		if e.PregateSkips != -1 { // the policy has no gate
			t.Errorf("%d bars are skipped without a gate", e.PregateSkips)
		}
	}
}

// Other orders give a value without bounds, a complete run no estimate.
func TestEstimateNeedsARandomOrder(t *testing.T) {
	w := newTraded(t, 5, func(r run.BarRange) int64 {
		if r.First >= 720 {
			return 0
		}
		return r.Len()
	})
	for order, want := range map[run.Order]bool{run.OrderSpread: true, run.OrderTime: false, "": false} {
		w.report.Plan = perf.Plan{Order: order}
		e := w.selected(w.selector()).Estimate
		if (e != nil) != want {
			t.Errorf("order %q: %+v", order, e)
		}
		if e != nil && (e.Trades.Why == "" || e.Trades.Low != 0) {
			t.Errorf("order %q gives bounds: %+v", order, e.Trades)
		}
	}
	done := newTraded(t, 5, whole)
	done.report.Plan = perf.Plan{Order: run.OrderSample}
	if e := done.selected(done.selector()).Estimate; e != nil {
		t.Errorf("a complete run: %+v", e)
	}
}
