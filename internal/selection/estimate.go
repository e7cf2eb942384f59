package selection

import (
	"math"
	"slices"
	"sort"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/judge"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	// estimateAlpha is what the intervals of an estimate leave out.
	estimateAlpha = 0.05
	// burnInQuantile of the trades so far last no longer than the burn-in: signals
	// of a chunk's first bars only fill slots, because each chunk begins with
	// nothing open.
	burnInQuantile = 0.95
	// mostBurnIn is the largest part of a chunk, one of so many, that it takes.
	mostBurnIn = 4
)

// estimate is what the run would give if it went on to its end, from the chunks
// in their order of publication up to the first that is hardly begun (judging.md
// §7). Nil: the run is complete, its order is not known or that of time, or its
// signals are not kept.
func (p *pass) estimate(order perf.Plan, elapsed time.Duration) *perf.Estimate {
	plan, ok := planOf(p.chunks, order)
	if !ok || p.kept == nil || p.kept.err != nil || p.theirs {
		return nil
	}
	if !slices.ContainsFunc(p.chunks, func(c perf.Chunk) bool { return !c.Line.IsOK() }) {
		return nil
	}
	byChunk, err := p.kept.byChunk()
	if err != nil {
		return nil // what was encoded here is decoded here
	}
	burnIn := burnInOf(p.trades)
	var trades, pnl, wall []judge.Progress
	var bars, counted int64 // of all chunks: planned, and behind their burn-ins
	chunks := 0
	for i := range plan.Published() {
		c := p.chunks[i]
		if c.Status == footer.StatusFailed {
			continue
		}
		chunks++
		skip := min(burnIn, c.Planned/mostBurnIn)
		bars += c.Planned
		counted += c.Planned - skip
		t, money, sec := progressOf(c, byChunk[i], skip, p.policy.Risk)
		trades, pnl, wall = append(trades, t), append(pnl, money), append(wall, sec)
	}
	if counted == 0 {
		return nil
	}
	e := &perf.Estimate{Order: order.Order, BurnInBars: burnIn, Chunks: chunks, PregateSkips: -1, Note: estimateNote}
	whole := float64(bars) / float64(counted)
	e.Trades = figureOf(trades, judge.Count, whole, order.Order)
	e.PnlBps = figureOf(pnl, judge.Signed, whole, order.Order)
	e.ChunkSec = figureOf(wall, judge.Count, 1, order.Order)
	spent := 0.0
	for _, w := range wall {
		spent += w.Value
	}
	if spent > 0 && elapsed > 0 {
		e.TimeLeftSec = judge.Round(max(e.ChunkSec.Value-spent, 0) / (spent / elapsed.Seconds()))
	}
	return e
}

const (
	estimateNote = "does not cover losses rarer than seen"
	whySpread    = "the order of chunks is not random; --order sample"
)

// planOf is the plan of chunks in that order, if it is one of those that an
// estimate can be made from.
func planOf(chunks []perf.Chunk, order perf.Plan) (run.Plan, bool) {
	if order.Order != run.OrderSample && order.Order != run.OrderSpread || len(chunks) == 0 {
		return run.Plan{}, false
	}
	return run.Plan{Bars: int64(len(chunks)), Chunks: len(chunks), Order: order.Order, Seed: order.Seed}, true
}

// burnInOf is the quantile of the trades' durations in bars.
func burnInOf(trades []trade.Signal) int64 {
	if len(trades) == 0 {
		return 0
	}
	held := make([]int64, len(trades))
	for i := range trades {
		held[i] = trades[i].ExitBar - trades[i].EntryBar
	}
	sort.Slice(held, func(i, j int) bool { return held[i] < held[j] })
	return held[min(int(math.Ceil(burnInQuantile*float64(len(held)))), len(held))-1]
}

// progressOf is how far chunk c is behind its burn-in, with its trades, their pnl
// and its time so far.
func progressOf(c perf.Chunk, signals []trade.Signal, burnIn int64, risk policy.Risk) (trades, pnl, wall judge.Progress) {
	if c.Line.IsZero() {
		return trades, pnl, wall
	}
	f := c.Line.Footer()
	wall = judge.Progress{Done: float64(f.BarsProcessed) / float64(c.Planned), Value: f.WallClockSec}
	done := max(float64(f.BarsProcessed-burnIn)/float64(c.Planned-burnIn), 0)
	trades.Done, pnl.Done = done, done
	sel := trade.NewSelector(risk)
	for i := range signals {
		s := &signals[i]
		if !sel.Offer(s) || s.Bar < f.FirstBar+burnIn {
			continue
		}
		x := s.PnlBps()
		trades.Value++
		trades.Squares++
		pnl.Value += x
		pnl.Squares += x * x
	}
	return trades, pnl, wall
}

// figureOf is the total over all chunks, times the share of bars that were not
// counted.
func figureOf(dispatched []judge.Progress, scale judge.Scale, whole float64, order run.Order) perf.EstimateFigure {
	prefix, err := judge.Prefix(dispatched)
	if err != nil {
		return perf.EstimateFigure{Why: err.Error()}
	}
	w, err := judge.Estimate(prefix, len(dispatched), scale, estimateAlpha)
	if err != nil {
		return perf.EstimateFigure{Why: err.Error()}
	}
	f := perf.EstimateFigure{Value: judge.Round(w.Estimate * whole), Members: w.Members}
	switch {
	case w.Reason != "":
		f.Why = string(w.Reason)
	case order != run.OrderSample:
		f.Why = whySpread
	default:
		f.Low, f.High = judge.Round(w.Low*whole), judge.Round(w.High*whole)
	}
	return f
}
