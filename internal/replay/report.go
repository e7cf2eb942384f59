package replay

import (
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// reportIfDue reports if ReportEvery has passed since the last report. It is
// called after bars, when all time up to now is charged.
func (e *engine) reportIfDue() {
	if e.report == nil || e.clock.seen < e.nextReport || e.next == e.reported {
		return
	}
	e.reported = e.next
	f := e.footer()
	e.report(f)
	e.clock.lap(phaseIO)
	e.nextReport = e.clock.seen + int64(e.job.ReportEvery)
}

// result ends the replay.
func (e *engine) result() Result {
	f := e.footer()
	for k := range e.active {
		e.signals[e.active[k].at] = e.active[k].Leave()
	}
	return Result{Footer: f, Signals: e.signals, Decisions: e.decisions}
}

// footer is everything measured up to now. The chunk-local selection is done
// anew and charged to the policy's time.
func (e *engine) footer() footer.Footer {
	c := e.counts
	f := footer.Footer{
		Engine:               footer.EngineBuiltin,
		Phase:                e.phase,
		PlannedBars:          e.job.Bars.Len(),
		FirstBar:             e.job.Bars.First,
		EndBar:               e.job.Bars.End,
		TotalBars:            c.bars,
		BarsProcessed:        c.bars,
		BarsSkippedWarmup:    c.warmup,
		NModelCalls:          c.calls,
		NFeaturesBuilt:       c.calls, // they are built for the bars that the model is called for
		PregateMissingInputs: c.missing,
		SkipReasons:          footer.Counts{},
		Checkpoints:          slices.Clone(e.rows.rows),
	}
	if e.gate.on {
		f.PregateSkips, f.PregatePasses = c.skipped, c.passes
	}
	for v, n := range c.skips {
		if n > 0 {
			f.SkipReasons[reasonNames[v]] = n
		}
	}
	if c.bars > 0 {
		f.StartTS, f.EndTS = timestamp(c.firstNS), timestamp(c.lastNS)
	}
	e.selectTrades(&f)
	e.clock.lap(phasePolicy)

	f.TStartupSec = e.clock.sec(phaseStartup)
	f.TWarmupSec = e.clock.sec(phaseWarmup)
	f.TIOTotalSec = e.clock.sec(phaseIO)
	f.TFeatureUpkeepSec = e.clock.sec(phaseUpkeep)
	f.TFeatureBuildSec = f.TFeatureUpkeepSec + e.clock.sec(phaseFeature)
	f.TPregateTotalSec = e.clock.sec(phasePregate)
	f.TModelTotalSec = e.clock.sec(phaseModel)
	f.TPolicyTotalSec = e.clock.sec(phasePolicy)
	f.WallClockSec = float64(e.clock.now()) / 1e9
	if c.bars > 0 && e.job.Scores == nil { // a command's features are its own to time
		f.FeatureTimeMeanMS = 1000 * f.TFeatureBuildSec / float64(c.bars)
	}
	f.BarsPerSec = footer.Rate(c.bars, f.WallClockSec)
	return f
}

// selectTrades fills in the trades of the chunk's own signals.
func (e *engine) selectTrades(f *footer.Footer) {
	for k := range e.active {
		e.signals[e.active[k].at] = e.active[k].Signal
	}
	CountTrades(f, e.signals, e.job.Policy.Risk)
}

// CountTrades fills into f what a chunk's own signals, in order, come to as if
// nothing was open at its start: their number, trades, pnl and reasons.
func CountTrades(f *footer.Footer, signals []trade.Signal, risk policy.Risk) {
	f.NSignals = int64(len(signals))
	f.NTradesClosed, f.PnlBps, f.TradesOpen, f.OpenPnlBps = 0, 0, 0, 0
	sel := trade.NewSelector(risk)
	for i := range signals {
		s := &signals[i]
		if !sel.Offer(s) {
			continue
		}
		if s.Closed() {
			f.NTradesClosed++
			f.PnlBps += s.PnlBps()
		} else {
			f.TradesOpen++
			f.OpenPnlBps += s.PnlBps()
		}
	}
	f.DropReasons = sel.Dropped()
}

func timestamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
