package replay

import (
	"context"
	"fmt"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	// blockBars is how many bars are read before they are stepped over:
	// features are computed column by column, and reading, features and gate
	// are measured with a look at the clock a block.
	blockBars = feature.BlockBars
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
// returns an empty result. Scores that end before the chunk end the replay with
// ErrScoresEnd and the result up to there.
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
	end     int64 // the chunk's, or where its scores end
	pushed  int64 // bars before this one are for recursive features alone
	readEnd int64 // no bar from here on is followed
	counts  counts
	signals []trade.Signal
	active  []followed
	ahead   ahead
	piece   int // how many bars to score at once

	decisions trade.Decisions // if the job asks for them
}

// followed is a signal that has not come to its end.
type followed struct {
	trade.Follower
	at int // in signals
}

func newEngine(ctx context.Context, job Job, report func(footer.Footer)) (*engine, error) {
	e := &engine{ctx: ctx, job: job, report: report, clock: newClock(), phase: footer.PhaseStartup, piece: 1}
	err := job.validate()
	if err != nil {
		return nil, err
	}
	p := job.Policy
	sessions := feature.NewSessionTable(p.Sessions)
	features := p.Features
	if job.Scores != nil {
		features = nil
	}
	if e.set, err = feature.New(features, sessions); err != nil {
		return nil, err
	}
	if e.gate, err = newGate(p.Pregate, sessions); err != nil {
		return nil, err
	}
	if err := e.setModel(p); err != nil {
		return nil, err
	}
	if e.entry, err = newEntryRule(p.Entry, sessions); err != nil {
		return nil, err
	}
	if e.rules, err = trade.NewRules(p, job.BarLength); err != nil {
		return nil, err
	}
	e.rows = newCheckpoints(job)
	e.nextReport = int64(job.ReportEvery)
	e.reported = -1
	if err := e.start(); err != nil {
		return nil, err
	}
	e.end = job.Bars.End
	e.readEnd = e.end + min(p.Replay.FollowBars, job.DataBars-e.end)
	if e.cut() {
		e.end = job.Bars.First + job.Scores.Len()
		e.readEnd = e.end
	}
	e.clock.lap(phaseStartup)
	return e, nil
}

// setModel makes the model, unless there are scores instead.
func (e *engine) setModel(p policy.Policy) (err error) {
	if e.job.Scores != nil {
		return nil
	}
	e.latency.each = p.Model.Latency
	if e.model = e.job.Model; e.model == nil {
		e.model, err = model.NewSet(*p.Model, p.Sessions, p.Features, p.ModelContent)
	}
	return err
}

// cut says that the scores end before the chunk does.
func (e *engine) cut() bool { return e.job.Scores != nil && e.job.Scores.Len() < e.job.Bars.Len() }

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

// replay steps over bars in blocks that end where the chunk begins and ends,
// until no more bars are needed.
func (e *engine) replay(src Source) error {
	if e.blockLen() == 0 {
		return e.settle()
	}
	all := run.BarRange{First: e.next, End: e.readEnd}
	for piece, err := range src.Blocks(e.ctx, all) {
		if err != nil {
			return e.sourceFailed(err)
		}
		for len(piece) > 0 {
			n := min(e.blockLen(), len(piece))
			if err := e.block(piece[:n]); err != nil {
				return err
			}
			piece = piece[n:]
			if e.blockLen() == 0 {
				return e.settle()
			}
		}
	}
	return e.sourceFailed(fmt.Errorf("the source ended (want bars up to %d)", all.End))
}

// blockLen is how many bars to read before stepping on; 0: none are needed.
func (e *engine) blockLen() int {
	first := e.job.Bars.First
	switch {
	case e.end == first: // there are no scores
		return 0
	case e.next < first:
		return int(min(blockBars, first-e.next))
	case e.next < e.end:
		return int(min(blockBars, e.end-e.next))
	case len(e.active) == 0 || e.cut():
		return 0
	}
	return int(min(followBlock, e.readEnd-e.next))
}

// sourceFailed is the error of a source. After a cancel it is the cancel's.
func (e *engine) sourceFailed(err error) error {
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
	if e.cut() {
		return ErrScoresEnd
	}
	return nil
}

// block steps over bars that lie all before the chunk, all in it, or all
// behind it. The time since the last charge went into reading them.
func (e *engine) block(buf []bars.Bar) error {
	e.clock.lap(phaseIO)
	switch {
	case e.next < e.job.Bars.First:
		return e.warmUp(buf)
	case e.next < e.end:
		return e.own(buf)
	}
	return e.followOn(buf)
}

func (e *engine) warmUp(buf []bars.Bar) error {
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	skip := int(min(max(0, e.pushed-e.next), int64(len(buf))))
	for i := range skip {
		e.set.Skip(buf[i])
	}
	if skip < len(buf) {
		e.set.PushBlock(buf[skip:])
	}
	e.next += int64(len(buf))
	e.clock.lap(phaseWarmup)
	e.phase = footer.PhaseWarmup
	e.reportIfDue()
	return nil
}

// own steps over bars of the chunk. What does not depend on which bars were
// stepped over is computed ahead: features and the gate's verdicts for all of
// buf, the model's scores for as many bars as take little time. The rest is
// done bar by bar.
func (e *engine) own(buf []bars.Bar) (err error) {
	e.phase = footer.PhaseReplay
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	e.look(buf)
	for i := 0; i < len(buf); {
		if e.ctx.Err() != nil {
			e.clock.lap(phasePolicy)
			return context.Cause(e.ctx)
		}
		if n := e.quiet(i, len(buf)); n > 0 {
			if e.job.Decisions {
				e.decideUncalled(i, n)
			}
			e.count(buf, i, n)
			e.checkpoint()
			i += n
			continue
		}
		if err := e.step(buf, i); err != nil {
			e.clock.lap(phasePolicy)
			return err
		}
		i++
		if e.report != nil && e.clock.seen >= e.nextReport {
			e.clock.lap(phasePolicy)
			e.reportIfDue()
		}
	}
	e.clock.lap(phasePolicy)
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
