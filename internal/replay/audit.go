package replay

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// InMemory is a Source of bars that are there.
type InMemory []bars.Bar

// Blocks yields the bars of r in one piece.
func (m InMemory) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	return func(yield func([]bars.Bar, error) bool) {
		switch {
		case r.First < 0 || r.End > int64(len(m)):
			yield(nil, fmt.Errorf("bars [%d, %d) of %d", r.First, r.End, len(m)))
		case ctx.Err() != nil:
			yield(nil, context.Cause(ctx))
		case r.First < r.End:
			yield(m[r.First:r.End], nil)
		}
	}
}

// AuditConfig says how much is tried.
type AuditConfig struct {
	Cuts        int    // replays that see no bar from a random one on; 0: none
	Seed        uint64 // which
	HistoryCuts int    // places before which history is cut; 0: none
}

// Audit is what a policy does on a data set, and how far that depends on what
// it should not.
type Audit struct {
	Dry Dry `json:"dry_replay"`
	// Cuts are the bars at which the future was cut off, Changes what that
	// changed of the past: the first of each cut; none if the policy, the
	// features and the data are causal. Bars says how many were compared.
	Cuts         []int64  `json:"future_cuts"`
	ComparedBars int64    `json:"future_compared_bars"`
	Changes      []Change `json:"future_changes"`
	// HistoryCuts are the bars with which cut histories began.
	HistoryCuts []int64    `json:"history_cuts"`
	Moves       []Movement `json:"history_moves"` // by feature, in the policy's order
}

// Dry is a replay without what it would cost: model.latency is not slept.
type Dry struct {
	FirstBar int64 `json:"first_bar"`
	Bars     int64 `json:"bars"`
	// FirstReady is the first bar that was no warm-up, -1 for none, and
	// FirstReadyTS its time.
	FirstReady        int64         `json:"first_ready_bar"`
	FirstReadyTS      string        `json:"first_ready_ts"`
	WarmupBars        int64         `json:"bars_skipped_warmup"`
	PregateSkips      int64         `json:"pregate_skips"`
	SkipReasons       footer.Counts `json:"skip_reasons"`
	MissingInputs     int64         `json:"pregate_missing_inputs"`
	ModelCalls        int64         `json:"n_model_calls"`
	ModelCallsAvoided float64       `json:"model_calls_avoided"` // of 1: bars that the gate skipped, of those after warm-up
	Signals           int64         `json:"n_signals"`
	Trades            int64         `json:"n_trades_closed"`
	TradesOpen        int64         `json:"trades_open"`
	DropReasons       footer.Counts `json:"drop_reasons"`
	PnlBps            float64       `json:"pnl_bps"`
	NetPnlBps         *float64      `json:"net_pnl_bps,omitempty"` // after costs, if the policy has some
	WallClockSec      float64       `json:"wall_clock_sec"`
}

// RunAudit replays job's chunk and says what it does, then again without the
// bars from random ones on, which must change nothing before; and it computes
// the features again without early history. It replays about cfg.Cuts/2 + 1
// times, and keeps 8 bytes a bar beside the signals. An error is one of the
// job, the source or ctx; what is wrong with the policy is in Findings.
func RunAudit(ctx context.Context, job Job, src Source, cfg AuditConfig) (Audit, error) {
	if cfg.Cuts < 0 || cfg.HistoryCuts < 0 {
		return Audit{}, fmt.Errorf("audit: %d and %d cuts (want 0 or more)", cfg.Cuts, cfg.HistoryCuts)
	}
	if job.Policy.Model != nil {
		m := *job.Policy.Model
		m.Latency = 0
		job.Policy.Model = &m
	}
	whole, err := record(ctx, job, src)
	if err != nil {
		return Audit{}, fmt.Errorf("replaying bars [%d, %d): %w", job.Bars.First, job.Bars.End, err)
	}
	a := Audit{
		Dry:  whole.dry(job),
		Cuts: pickCuts(job.Bars, whole.firstReady, cfg), Changes: []Change{},
		HistoryCuts: historyCuts(job.Bars, cfg.HistoryCuts), Moves: []Movement{},
	}
	if a.Dry.FirstReady >= 0 {
		first, err := BarAt(ctx, src, a.Dry.FirstReady)
		if err != nil {
			return Audit{}, fmt.Errorf("reading bar %d again: %w", a.Dry.FirstReady, err)
		}
		a.Dry.FirstReadyTS = timestamp(first.TimeNS)
	}
	for _, cut := range a.Cuts {
		change, err := whole.without(ctx, job, src, cut)
		if err != nil {
			return Audit{}, fmt.Errorf("replaying bars [%d, %d) without those after them: %w", job.Bars.First, cut, err)
		}
		a.ComparedBars += cut - job.Bars.First
		if change != nil {
			a.Changes = append(a.Changes, *change)
		}
	}
	if a.Moves, err = moves(ctx, job, src, a.HistoryCuts); err != nil {
		return Audit{}, fmt.Errorf("computing features of bars [%d, %d) with cut history: %w", job.Bars.First, job.Bars.End, err)
	}
	return a, nil
}

func (t *recording) dry(job Job) Dry {
	f := t.result.Footer
	d := Dry{
		FirstBar: job.Bars.First, Bars: f.BarsProcessed,
		FirstReady: t.firstReady,
		WarmupBars: f.BarsSkippedWarmup, PregateSkips: f.PregateSkips, SkipReasons: f.SkipReasons,
		MissingInputs: f.PregateMissingInputs, ModelCalls: f.NModelCalls,
		Signals: f.NSignals, Trades: f.NTradesClosed, TradesOpen: f.TradesOpen, DropReasons: f.DropReasons,
		PnlBps: f.PnlBps, WallClockSec: f.WallClockSec,
	}
	if costs := job.Policy.Costs; costs != nil {
		net := 0.0
		sel := trade.NewSelector(job.Policy.Risk)
		for i := range t.result.Signals {
			if s := &t.result.Signals[i]; sel.Offer(s) && s.Closed() {
				net += trade.Charge(costs, s).NetPnlBps
			}
		}
		d.NetPnlBps = &net
	}
	if looked := f.BarsProcessed - f.BarsSkippedWarmup; looked > 0 {
		d.ModelCallsAvoided = float64(f.PregateSkips) / float64(looked)
	}
	return d
}

// BarAt reads one bar of src.
func BarAt(ctx context.Context, src Source, bar int64) (bars.Bar, error) {
	for list, err := range src.Blocks(ctx, run.BarRange{First: bar, End: bar + 1}) {
		if err != nil {
			return bars.Bar{}, err
		}
		return list[0], nil
	}
	return bars.Bar{}, ErrSource
}

// pickCuts draws bars after the first one that was looked at, so that each
// cut has something before it; all of them if they are few.
func pickCuts(chunk run.BarRange, firstReady int64, cfg AuditConfig) []int64 {
	first := max(chunk.First, firstReady) + 1
	n := chunk.End - first
	if n <= 0 || cfg.Cuts == 0 {
		return []int64{}
	}
	cuts := make([]int64, 0, cfg.Cuts)
	if n <= int64(cfg.Cuts) {
		for i := range n {
			cuts = append(cuts, first+i)
		}
		return cuts
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0))
	for len(cuts) < cfg.Cuts {
		if c := first + r.Int64N(n); !slices.Contains(cuts, c) {
			cuts = append(cuts, c)
		}
	}
	slices.Sort(cuts)
	return cuts
}

// Findings says what the audit means.
func (a Audit) Findings() []Finding {
	var out []Finding
	for _, c := range a.Changes {
		out = append(out, problem("without the bars from %d on, bar %d has another past: %s is %s (with them: %s)", c.Cut, c.Bar, c.What, c.Truncated, c.Whole))
	}
	for _, m := range a.Moves {
		if !m.Recursive && m.AfterLookback.Abs != 0 {
			out = append(out, problem("%s at bar %d moves by %g when history before its look-back of %d bars is cut (want 0)", m.Feature, m.AfterLookback.Bar, m.AfterLookback.Abs, m.Lookback))
		}
	}
	switch {
	case a.Dry.FirstReady < 0:
		out = append(out, problem("all %d bars are warm-up: no entry is looked for", a.Dry.Bars))
	case a.Dry.ModelCalls == 0:
		out = append(out, warn("the model is called at no bar: the gate skips all of them, or no market session has a model"))
	case a.Dry.Signals == 0:
		out = append(out, warn("there is no signal in %d bars", a.Dry.Bars))
	}
	return out
}
