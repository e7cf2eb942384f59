package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// quantity is a number, or why there is none. An unknown one without a why
// belongs to a side that was not read, which is said once and not here.
type quantity struct {
	value float64
	known bool
	why   string
}

func known(v float64) quantity              { return quantity{value: v, known: true} }
func unknown(whys ...string) quantity       { return quantity{why: joined(whys)} }
func (q quantity) times(f float64) quantity { q.value *= f; return q }

// joined are the texts that say something, each once.
func joined(texts []string) string {
	var out []string
	for _, t := range texts {
		if t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return strings.Join(out, "; ")
}

// over divides a by b. zero says what it is that b must not be.
func (a quantity) over(b quantity, zero string) quantity {
	if !a.known || !b.known {
		return unknown(a.why, b.why)
	}
	if b.value == 0 {
		return unknown(zero + " is 0: nothing can be divided by it")
	}
	v := a.value / b.value
	if math.IsInf(v, 0) {
		return unknown(zero + " is too small to divide by")
	}
	return known(v)
}

// by multiplies known quantities.
func (a quantity) by(b quantity) quantity { return known(a.value * b.value) }

// rate is one quantity per another, and what the two are called.
type rate struct {
	num, den         quantity
	numName, denName string
}

func (r rate) value() quantity { return r.num.over(r.den, r.denName) }

// ratio is r / base, by one division, so that a ratio that is a threshold
// exactly is not rounded off it.
func (r rate) ratio(base rate) quantity {
	if a, b := r.value(), base.value(); !a.known || !b.known {
		return unknown(a.why, b.why)
	}
	return r.num.by(base.den).over(base.num.by(r.den), base.numName)
}

// away is how far b lies from a, whichever is larger.
func (a quantity) away(b quantity) quantity {
	if !a.known || !b.known {
		return unknown(a.why, b.why)
	}
	return known(math.Abs(b.value - a.value))
}

// sample is what one side has measured over a set of bars: sums over chunks.
type sample struct {
	side string // OFF or ON, for texts

	bars       quantity // stepped over, each once
	wallSec    quantity // of the chunks' engines, not of the run
	featureSec quantity
	calls      quantity // of the model
	skips      quantity // bars
	trades     quantity // closed

	// Only shown.
	pregateSec, modelSec, policySec, ioSec, warmupSec quantity
	tradesOpen, pnlBps                                quantity
}

// measure adds up the chunks of a whole run.
func measure(side string, f perf.File) sample {
	s := sample{side: side}
	sums := []*sum{
		{name: "bars_processed", into: &s.bars, of: func(f *footer.Footer) float64 { return float64(f.BarsProcessed) }},
		{name: "wall_clock_sec", into: &s.wallSec, of: func(f *footer.Footer) float64 { return f.WallClockSec }},
		{name: "t_feature_build_total_sec", into: &s.featureSec, of: func(f *footer.Footer) float64 { return f.TFeatureBuildSec }},
		{name: "n_model_calls", into: &s.calls, of: func(f *footer.Footer) float64 { return float64(f.NModelCalls) }},
		{name: "pregate_skips", into: &s.skips, of: func(f *footer.Footer) float64 { return float64(f.PregateSkips) }},
		{name: "n_trades_closed", into: &s.trades, of: func(f *footer.Footer) float64 { return float64(f.NTradesClosed) }},
		{name: "t_pregate_total_sec", into: &s.pregateSec, of: func(f *footer.Footer) float64 { return f.TPregateTotalSec }},
		{name: "t_model_total_sec", into: &s.modelSec, of: func(f *footer.Footer) float64 { return f.TModelTotalSec }},
		{name: "t_policy_total_sec", into: &s.policySec, of: func(f *footer.Footer) float64 { return f.TPolicyTotalSec }},
		{name: "t_io_total_sec", into: &s.ioSec, of: func(f *footer.Footer) float64 { return f.TIOTotalSec }},
		{name: "t_warmup_sec", into: &s.warmupSec, of: func(f *footer.Footer) float64 { return f.TWarmupSec }},
		{name: "trades_open", into: &s.tradesOpen, of: func(f *footer.Footer) float64 { return float64(f.TradesOpen) }},
		{name: "pnl_bps", into: &s.pnlBps, signed: true, of: func(f *footer.Footer) float64 { return f.PnlBps }},
	}
	for i, c := range f.Chunks {
		if c.Line.IsZero() { // nothing was measured; the run is not complete
			continue
		}
		ft, t := c.Line.Footer(), f.ChunkTrades(i)
		ft.NTradesClosed, ft.TradesOpen, ft.PnlBps = t.Closed, t.Open, t.PnlBps
		for _, a := range sums {
			a.add(&ft)
		}
	}
	for _, a := range sums {
		*a.into = a.result(side, len(f.Chunks))
	}
	return s
}

// sum adds up one field of the chunks.
type sum struct {
	name   string
	into   *quantity
	of     func(*footer.Footer) float64
	signed bool

	value                   float64
	silent, infinite, wrong spoiled
}

// spoiled counts chunks whose field cannot be used.
type spoiled struct {
	n     int
	first int64 // chunk_idx
	value float64
}

func (s *spoiled) note(idx int64, v float64) {
	if s.n == 0 {
		s.first, s.value = idx, v
	}
	s.n++
}

// maxSum bounds a sum: counts up to it are exact.
const maxSum = 1 << 53

func (a *sum) add(f *footer.Footer) {
	v := a.of(f)
	switch {
	case slices.Contains(f.Unreported, a.name):
		a.silent.note(f.ChunkIdx, v)
	case slices.Contains(f.NonfiniteFields, a.name):
		a.infinite.note(f.ChunkIdx, v)
	case v < 0 && !a.signed, math.Abs(v) > maxSum:
		a.wrong.note(f.ChunkIdx, v)
	default:
		a.value += v
	}
}

func (a *sum) result(side string, chunks int) quantity {
	say := func(s spoiled, what string) string {
		if s.n == 0 {
			return ""
		}
		return fmt.Sprintf("%s: %s %s in %d of %d chunks, first in chunk %d", side, a.name, what, s.n, chunks, s.first)
	}
	why := joined([]string{
		say(a.silent, "is not reported"),
		say(a.infinite, "was not finite"),
		say(a.wrong, fmt.Sprintf("is %v (want 0 to 2^53)", a.wrong.value)),
	})
	switch {
	case why != "":
		return unknown(why)
	case math.Abs(a.value) > maxSum:
		return unknown(fmt.Sprintf("%s: %s adds up to %v (at most 2^53)", side, a.name, a.value))
	}
	return known(a.value)
}
