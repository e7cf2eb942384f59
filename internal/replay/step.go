package replay

import (
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/trade"
)

// scoreTime is about how long the model may score ahead: stops and reports
// wait for it.
const scoreTime = int64(200 * time.Microsecond)

// counts are a footer's counters. They change only when a bar is counted.
type counts struct {
	bars, warmup, passes, missing, calls int64
	skips                                [reasons]int64
	skipped                              int64
	firstNS, lastNS                      int64
}

// ahead is what is known of a block's bars before they are stepped over.
type ahead struct {
	ready    int // the first bar that is no warm-up
	inputs   feature.Inputs
	verdicts [blockBars]verdict
	asks     [blockBars]int32 // the bars for which the model is asked
	n        int              // how many they are
	done     int              // how many of them are behind
	scored   int              // up to which of them the model was called
	rows     []float64        // their features; none where there are scores

	long, short [blockBars]float64 // what the model said
}

// look computes features and verdicts of a block of own bars.
func (e *engine) look(buf []bars.Bar) {
	a := &e.ahead
	e.set.PushBlock(buf)
	// A policy may ask for more warm-up than its features need; it counts from
	// the data's start, so that it is the same bars for any cut.
	a.ready = max(e.set.ReadyFrom(), int(min(e.job.Policy.WarmupBars-e.next, int64(len(buf)))))
	e.clock.lap(phaseUpkeep)
	if e.gate.on {
		a.inputs = e.set.Inputs()
	} else {
		a.inputs = feature.Inputs{Sessions: e.set.Sessions()}
	}
	e.gate.judge(a.inputs, a.ready, a.verdicts[:])
	a.n, a.done, a.scored = 0, 0, 0
	for k := a.ready; k < len(buf); k++ {
		// A market session without a model has no signal, and needs no features.
		if a.verdicts[k] == pass && (e.model == nil || e.model.Has(int(a.inputs.Sessions[k]))) {
			a.asks[a.n] = int32(k)
			a.n++
		}
	}
	e.clock.lap(phasePregate)
	if e.model != nil {
		a.rows = e.set.Rows(a.asks[:a.n])
		e.clock.lap(phaseFeature)
	}
}

// quiet is the number of bars from bar i of a block of n on that need no step
// each: no signal is made or followed, nothing is slept for, nobody watches.
// They take so little time that a cancel among them is as good as one after
// them.
func (e *engine) quiet(i, n int) int {
	a := &e.ahead
	if len(e.active) > 0 || e.job.OnBar != nil || e.report != nil && e.job.ReportEvery == 0 {
		return 0
	}
	n = int(min(int64(n-i), e.rows.until(e.next)))
	for j := a.done; j < a.n && int(a.asks[j]) < i+n; j++ {
		if j >= a.scored || e.latency.each > 0 || e.job.Decisions || e.hasSignal(j) {
			return int(a.asks[j]) - i
		}
	}
	return n
}

// step does own bar i of the block that was looked at, in the order of
// engine.md §2. An error leaves all counters and signals as they were.
func (e *engine) step(buf []bars.Bar, i int) error {
	var (
		a    = &e.ahead
		b    = &buf[i]
		side trade.Side
		p    float64
		what trade.BarDecision
	)
	asked := a.done < a.n && int(a.asks[a.done]) == i
	if asked {
		// The sleep comes first: a call that a cancel forestalls is not counted.
		if err := e.latency.pay(e.ctx, &e.clock); err != nil {
			return err
		}
		if session := int(a.inputs.Sessions[i]); e.job.Scores != nil {
			side, p, what = e.job.Scores.decide(&e.entry, e.next, session)
		} else {
			side, p, what = e.call(session)
		}
	}
	if e.job.OnBar != nil {
		e.set.At(i)
		if err := e.job.OnBar(e.next); err != nil {
			return err
		}
		e.clock.now() // it may have taken long: a report may be due
	}
	e.followAll(b)
	if side != 0 {
		e.signal(b, side, p)
	}
	switch {
	case !e.job.Decisions:
	case asked:
		e.decisions.Add(what)
	default:
		e.decideUncalled(i, 1)
	}
	e.count(buf, i, 1)
	e.checkpoint()
	return nil
}

// score calls the model for the next bars that ask it. The first call is made
// alone, to know how many bars are not too many.
func (e *engine) score() {
	a := &e.ahead
	n := len(e.job.Policy.Features)
	end := min(a.n, a.done+e.piece)
	e.clock.lap(phasePolicy)
	for i := a.done; i < end; {
		session := a.inputs.Sessions[a.asks[i]]
		j := i + 1
		for j < end && a.inputs.Sessions[a.asks[j]] == session {
			j++
		}
		e.model.ScoreRows(int(session), a.rows[i*n:j*n], a.long[i:j], a.short[i:j])
		i = j
	}
	e.piece = nextPiece(end-a.done, e.clock.lap(phaseModel))
	a.scored = end
}

// nextPiece is how many bars to score at once after n took ns together.
func nextPiece(n int, ns int64) int {
	return int(min(max(scoreTime*int64(n)/max(ns, 1), 1), blockBars))
}

// hasSignal says whether the scores of ask j make a signal.
func (e *engine) hasSignal(j int) bool {
	a := &e.ahead
	if e.entry.low(a.long[j], a.short[j]) {
		return false
	}
	side, _, _ := e.entry.decide(int(a.inputs.Sessions[a.asks[j]]), a.long[j], a.short[j])
	return side != 0
}

// call makes a decision of the model's scores of the next bar that asks it,
// which lies in market session session.
func (e *engine) call(session int) (side trade.Side, p float64, what trade.BarDecision) {
	a := &e.ahead
	if a.done == a.scored {
		e.score()
	}
	long, short := a.long[a.done], a.short[a.done]
	side, p, why := e.entry.decide(session, long, short)
	if e.job.Decisions {
		what = called(why, long, short)
	}
	return side, p, what
}

// followAll gives bar next to every signal that has not come to its end.
func (e *engine) followAll(b *bars.Bar) {
	last := e.next == e.job.DataBars-1
	for k := 0; k < len(e.active); {
		f := &e.active[k]
		done := f.Step(e.next, b)
		if !done && last {
			done = f.End(e.next, b)
		}
		if !done {
			k++
			continue
		}
		e.signals[f.at] = f.Signal
		n := len(e.active) - 1
		e.active[k] = e.active[n]
		e.active = e.active[:n]
	}
}

// signal starts to follow a signal at bar next.
func (e *engine) signal(b *bars.Bar, side trade.Side, p float64) {
	f := followed{Follower: trade.Follow(&e.rules, e.next, b, side, p), at: len(e.signals)}
	if e.next == e.job.DataBars-1 {
		f.End(e.next, b)
		e.signals = append(e.signals, f.Signal)
		return
	}
	e.signals = append(e.signals, f.Signal)
	e.active = append(e.active, f)
}

// count counts the next n bars of the block, bar i first, and the calls of the
// model for them.
func (e *engine) count(buf []bars.Bar, i, n int) {
	c, a := &e.counts, &e.ahead
	if c.bars == 0 {
		c.firstNS = buf[i].TimeNS
	}
	c.lastNS = buf[i+n-1].TimeNS
	c.bars += int64(n)
	e.next += int64(n)
	warm := min(max(a.ready-i, 0), n)
	c.warmup += int64(warm)
	for a.done < a.n && int(a.asks[a.done]) < i+n {
		a.done++
		if e.model != nil {
			c.calls++
		}
	}
	if !e.gate.on {
		return
	}
	for k := i + warm; k < i+n; k++ {
		if v := a.verdicts[k]; v != pass {
			c.skips[v]++
			c.skipped++
			continue
		}
		c.passes++
		if e.gate.missing(a.inputs, k) {
			c.missing++
		}
	}
}

// checkpoint keeps a row of counters if one is due after the last bar.
func (e *engine) checkpoint() {
	if !e.rows.due(e.next) {
		return
	}
	var cpu int64
	if e.job.CPU != nil {
		cpu = int64(e.job.CPU())
	}
	c := &e.counts
	// Features are built for the bars that the model is called for.
	e.rows.add(footer.Checkpoint{c.bars, e.clock.now(), cpu, c.calls, c.skipped, c.calls, c.warmup})
}
