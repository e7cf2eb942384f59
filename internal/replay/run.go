package replay

import (
	"context"
	"fmt"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	// blockBars is how many bars are read before they are stepped over, so
	// that reading is measured with two looks at the clock a block.
	blockBars = 128
	// followBlock is the same past the chunk's end, where every bar read in
	// vain may cost a slice.
	followBlock = 16
)

// Run replays a chunk: job.Bars, after the bars before it that features need,
// back to a state of the recursive ones, and before as many as open signals
// need, at most follow_bars. report may be
// nil; it is called from the same goroutine, and what it is given is its own.
//
// Run blocks until the chunk is done. On a cancel of ctx it returns the
// cancel's cause together with what was measured so far: at once, or when the
// source returns; a sleep for model.latency is cut short, and no further bar
// is stepped over. Errors of the source match ErrSource; with those and with
// OnBar's the result holds what was measured up to there, too. An invalid job
// returns an empty result.
func Run(ctx context.Context, job Job, src Source, report func(footer.Footer)) (Result, error) {
	e, err := newEngine(ctx, job, report)
	if err != nil {
		return Result{}, err
	}
	err = e.replay(src)
	return e.result(), err
}

// engine is one replay under way.
type engine struct {
	ctx    context.Context
	job    Job
	report func(footer.Footer)

	rules trade.Rules
	set   *feature.Set
	gate  gate
	model *model.Set
	entry entryRule

	clock      clock
	latency    latency
	rows       checkpoints
	phase      footer.Phase
	nextReport int64 // ns since the start
	reported   int64 // next at the last report

	next    int64 // the index of the next bar to step over
	pushed  int64 // bars before this one are for recursive features alone
	readEnd int64 // no bar from here on is followed
	counts  counts
	signals []trade.Signal
	active  []followed
}

// followed is a signal that has not come to its end.
type followed struct {
	trade.Follower
	at int // in signals
}

func newEngine(ctx context.Context, job Job, report func(footer.Footer)) (*engine, error) {
	e := &engine{ctx: ctx, job: job, report: report, clock: newClock(), phase: footer.PhaseStartup}
	if err := job.validate(); err != nil {
		return nil, err
	}
	p := job.Policy
	sessions, err := feature.NewSessionTable(p.Sessions)
	if err != nil {
		return nil, err
	}
	if e.set, err = feature.New(p.Features, sessions); err != nil {
		return nil, err
	}
	if e.gate, err = newGate(p.Pregate, sessions); err != nil {
		return nil, err
	}
	if e.model = job.Model; e.model == nil {
		if e.model, err = model.NewSet(*p.Model, p.Sessions, p.Features, p.ModelContent); err != nil {
			return nil, err
		}
	}
	if e.entry, err = newEntryRule(p.Entry, sessions); err != nil {
		return nil, err
	}
	if e.rules, err = trade.NewRules(p, job.BarLength); err != nil {
		return nil, err
	}
	e.latency.each = p.Model.Latency
	e.rows = newCheckpoints(job)
	e.nextReport = int64(job.ReportEvery)
	e.reported = -1
	if err := e.start(); err != nil {
		return nil, err
	}
	e.readEnd = job.Bars.End + min(p.Replay.FollowBars, job.DataBars-job.Bars.End)
	e.clock.lap(phaseStartup)
	return e, nil
}

// start decides with which bar before the chunk to begin, so that every own
// bar's features are what they are in one pass over the data set.
func (e *engine) start() error {
	first := e.job.Bars.First
	if !e.set.NeedsState() {
		e.next = max(0, first-e.set.Lookback())
		e.pushed = e.next
		return nil
	}
	e.pushed = max(0, first-e.set.Window())
	if len(e.job.States) == 0 {
		return nil
	}
	k := min(e.pushed/e.job.StateEvery, int64(len(e.job.States)))
	if k == 0 {
		return nil
	}
	border := k * e.job.StateEvery
	if err := e.set.LoadState(e.job.States[k-1]); err != nil {
		return fmt.Errorf("job: the state at bar %d: %w", border, err)
	}
	if n := e.set.Seen(); n != border {
		return fmt.Errorf("job: the state at bar %d is one after %d bars", border, n)
	}
	e.next = border
	return nil
}

// replay reads bars in blocks that end where the chunk begins and ends.
func (e *engine) replay(src Source) error {
	all := run.BarRange{First: e.next, End: e.readEnd}
	buf := make([]bars.Bar, 0, blockBars)
	left := e.blockLen()
	for b, err := range src.Bars(e.ctx, all) {
		if err != nil {
			return e.sourceFailed(buf, err)
		}
		buf = append(buf, b)
		if left--; left > 0 {
			continue
		}
		if err := e.block(buf); err != nil {
			return err
		}
		buf = buf[:0]
		if left = e.blockLen(); left == 0 {
			return e.settle()
		}
	}
	if err := e.block(buf); err != nil {
		return err
	}
	if e.blockLen() == 0 {
		return e.settle()
	}
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	return fmt.Errorf("%w: the source ended at bar %d (want %d)", ErrSource, e.next, all.End)
}

// blockLen is how many bars to read before stepping on; 0: none are needed.
func (e *engine) blockLen() int {
	chunk := e.job.Bars
	switch {
	case e.next < chunk.First:
		return int(min(blockBars, chunk.First-e.next))
	case e.next < chunk.End:
		return int(min(blockBars, chunk.End-e.next))
	case len(e.active) == 0:
		return 0
	}
	return int(min(followBlock, e.readEnd-e.next))
}

// sourceFailed steps over what was read before the source failed. After a
// cancel the error is the cancel's.
func (e *engine) sourceFailed(buf []bars.Bar, err error) error {
	if err := e.block(buf); err != nil {
		return err
	}
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	return fmt.Errorf("%w: at bar %d: %w", ErrSource, e.next, err)
}

// settle sleeps for the rest of the latency that is owed. The chunk is done,
// so a cancel only cuts the sleep short.
func (e *engine) settle() error {
	if e.latency.each > 0 {
		_ = e.latency.repay(e.ctx, &e.clock)
	}
	e.clock.lap(phasePolicy)
	return nil
}

// block steps over bars that lie all before the chunk, all in it, or all
// behind it. The time since the last charge went into reading them.
func (e *engine) block(buf []bars.Bar) error {
	e.clock.lap(phaseIO)
	switch {
	case len(buf) == 0:
		return nil
	case e.next < e.job.Bars.First:
		return e.warmUp(buf)
	case e.next < e.job.Bars.End:
		return e.own(buf)
	}
	return e.followOn(buf)
}

func (e *engine) warmUp(buf []bars.Bar) error {
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	for i := range buf {
		if e.next < e.pushed {
			e.set.Skip(buf[i])
		} else {
			e.set.Push(buf[i])
		}
		e.next++
	}
	e.clock.lap(phaseWarmup)
	e.enter(footer.PhaseWarmup)
	e.reportIfDue()
	return nil
}

func (e *engine) own(buf []bars.Bar) (err error) {
	e.enter(footer.PhaseReplay)
	since := 0 // the bar at which charged time ends
	for i := range buf {
		if e.ctx.Err() != nil {
			err = context.Cause(e.ctx)
		} else {
			err = e.step(&buf[i], e.clock.timed(e.next))
		}
		if err != nil {
			e.clock.divide(i - since)
			return err
		}
		if e.report != nil && e.clock.seen >= e.nextReport {
			e.clock.divide(i + 1 - since)
			since = i + 1
			e.reportIfDue()
		}
	}
	e.clock.divide(len(buf) - since)
	e.reportIfDue()
	return nil
}

// followOn steps over bars past the chunk's end; they are not counted.
func (e *engine) followOn(buf []bars.Bar) (err error) {
	for i := range buf {
		if len(e.active) == 0 {
			break
		}
		if e.ctx.Err() != nil {
			err = context.Cause(e.ctx)
			break
		}
		e.followAll(&buf[i])
		e.next++
	}
	e.clock.lap(phasePolicy)
	return err
}
