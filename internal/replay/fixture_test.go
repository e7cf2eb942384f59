package replay

import (
	"context"
	"iter"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// rng is splitmix64: the same numbers on every machine.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *rng) below(n uint64) int64 { return int64(r.next() % n) }

// testBars makes n M5 bars whose prices are whole cents: a random walk with
// spreads of 10 to 79 cents and a gap of two days each 300 bars.
func testBars(n int, seed uint64) []bars.Bar {
	r := rng(seed)
	out := make([]bars.Bar, n)
	t := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	mid := int64(200_000)
	for i := range out {
		if i > 0 {
			t += int64(5 * time.Minute)
			if i%300 == 0 {
				t += int64(48 * time.Hour)
			}
		}
		open := mid
		closing := open + r.below(201) - 100
		high := max(open, closing) + r.below(60)
		low := min(open, closing) - r.below(60)
		spread := 10 + r.below(70)
		cents := func(c int64) float64 { return float64(c) / 100 }
		out[i] = bars.Bar{
			TimeNS:  t,
			BidOpen: cents(open), BidHigh: cents(high), BidLow: cents(low), BidClose: cents(closing),
			AskOpen: cents(open + spread), AskHigh: cents(high + spread), AskLow: cents(low + spread), AskClose: cents(closing + spread),
			Volume: float64(1 + r.below(500)),
		}
		mid = closing + r.below(21) - 10
	}
	return out
}

// each yields bars without an error.
func each(list []bars.Bar) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		for _, b := range list {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// memory is a source over bars in memory; it notes how far it was read.
type memory struct {
	bars  []bars.Bar
	asked run.BarRange
	read  int64 // one past the last bar that was yielded
}

func (m *memory) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	m.asked = r
	return func(yield func([]bars.Bar, error) bool) {
		for i := r.First; i < r.End; i++ {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			m.read = i + 1
			if !yield(m.bars[i:i+1], nil) {
				return
			}
		}
	}
}

func ptr(v float64) *float64 { return &v }

// testPolicy has a gate that skips for each reason, features with a finite
// look-back, a model that makes a signal at about one bar in ten, and every
// exit rule.
func testPolicy() policy.Policy {
	return policy.Policy{
		Name: "test",
		Pregate: policy.Pregate{
			Enabled:       true,
			AllowSessions: []string{"EU", "OVERLAP", "US"},
			MaxSpreadBps:  ptr(3.5),
			MinATRBps:     ptr(5.6),
			MaxATRBps:     ptr(6.6),
		},
		Sessions: []policy.MarketSession{
			{Name: "EU", StartHour: 7, EndHour: 12},
			{Name: "OVERLAP", StartHour: 12, EndHour: 16},
			{Name: "US", StartHour: 16, EndHour: 22},
			{Name: "ASIA", StartHour: 22, EndHour: 7},
		},
		Features: []string{"atr_bps", "body_pct", "roc20", "range_pos", "session_id", "std50"},
		Model: &policy.Model{
			Kind:  policy.KindLogistic,
			Long:  policy.Logistic{Bias: -0.4, Weights: map[string]float64{"body_pct": 1, "roc20": 200}},
			Short: policy.Logistic{Bias: -0.4, Weights: map[string]float64{"body_pct": -1, "range_pos": -0.5}},
		},
		Entry: policy.Entry{
			PSideMin:  policy.Sides{Long: 0.55, Short: 0.55},
			MarginMin: policy.Sides{Long: 0.1, Short: 0.1},
		},
		Exit: policy.Exit{
			StopBps:   ptr(12),
			TargetBps: ptr(15),
			BreakEven: &policy.BreakEven{ActivateBps: 6, OffsetBps: 1},
			Trailing:  &policy.Trailing{ActivateBps: 9, DistanceBps: 5},
			MaxBars:   12,
		},
		Risk: policy.Risk{MaxOpenTrades: 2},
		Replay: policy.Replay{
			Fill: policy.FillNextOpen, FollowBars: 5760,
			CloseOpenTradesAtEnd: true, EOFCloseReason: "REPLAY_EOF", EOFPriceSource: "side",
		},
	}
}

func testJob(n int64) Job {
	return Job{
		Bars: run.BarRange{First: 0, End: n}, DataBars: n,
		BarLength: 5 * time.Minute, Policy: testPolicy(), ReportEvery: time.Hour,
	}
}

func sessionTable(t testing.TB) feature.SessionTable {
	t.Helper()
	table := feature.NewSessionTable(testPolicy().Sessions)
	return table
}
