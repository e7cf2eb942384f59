package replay

import (
	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/trade"
)

// counts are a footer's counters. They change only when a bar is counted.
type counts struct {
	bars, warmup, passes, missing, calls int64
	skips                                [reasons]int64
	skipped                              int64
	firstNS, lastNS                      int64
}

// step does one own bar, in the order of engine.md §2. An error leaves all
// counters and signals as they were. In a timed bar each phase reads the
// clock at its end.
func (e *engine) step(b *bars.Bar, timed bool) error {
	i := e.next
	if timed {
		e.clock.begin()
	}
	e.set.Push(*b)
	// A policy may ask for more warm-up than its features need; it counts from
	// the data's start, so that it is the same bars for any cut.
	ready := e.set.Ready() && i >= e.job.Policy.WarmupBars
	if timed {
		e.clock.lapBar(phaseFeature)
	}
	var (
		v       verdict
		missing bool
		called  bool
		side    trade.Side
		p       float64
	)
	if ready {
		v, missing = e.gate.judge(e.set)
		if timed {
			e.clock.lapBar(phasePregate)
		}
		// A market session without a model has no signal, and needs no features.
		if session := e.set.Session(); v == pass && e.model.Has(session) {
			called = true
			x := e.set.Values()
			if timed {
				e.clock.lapBar(phaseFeature)
			}
			// The sleep comes first: a call that a cancel forestalls was not made.
			if err := e.latency.pay(e.ctx, &e.clock); err != nil {
				return err
			}
			long, short := e.model.Score(session, x)
			if timed {
				e.clock.lapBar(phaseModel)
			}
			side, p = e.entry.decide(session, long, short)
		}
	}
	if e.job.OnBar != nil {
		if err := e.job.OnBar(i); err != nil {
			return err
		}
	}
	e.followAll(b)
	if side != 0 {
		e.signal(b, side, p)
	}
	e.count(b, ready, v, missing, called)
	if timed {
		e.clock.lapBar(phasePolicy)
	}
	return nil
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

func (e *engine) count(b *bars.Bar, ready bool, v verdict, missing, called bool) {
	c := &e.counts
	if c.bars == 0 {
		c.firstNS = b.TimeNS
	}
	c.lastNS = b.TimeNS
	c.bars++
	e.next++
	switch {
	case !ready:
		c.warmup++
	case v != pass:
		c.skips[v]++
		c.skipped++
	default:
		c.passes++
		if missing {
			c.missing++
		}
		if called {
			c.calls++
		}
	}
	if e.rows.due(e.next) {
		var cpu int64
		if e.job.CPU != nil {
			cpu = int64(e.job.CPU())
		}
		e.rows.add(footer.Checkpoint{c.bars, e.clock.now(), cpu, c.calls, c.skipped})
	}
}
