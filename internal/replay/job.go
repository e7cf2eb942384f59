package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Job is a chunk and how to replay it.
type Job struct {
	Bars      run.BarRange  // the chunk
	DataBars  int64         // bars in the data set; open trades close where it ends
	BarLength time.Duration // of the data set; sets the default of entry.max_gap
	Policy    policy.Policy // needs a model, unless there are Scores

	// Scores, if not nil, stand for the model: features, model and latency are
	// the policy's no more. The rest is as ever.
	Scores *Scores

	// Model is the policy's, made once for all chunks that are replayed here.
	// Nil: it is made of the policy, and of the model files that were read with
	// it.
	Model *model.Set

	// States are what the policy's recursive features know after StateEvery,
	// 2·StateEvery, … bars (feature.Set.AppendState). The replay goes on from
	// the last one before the chunk that leaves room for what else features
	// look back at. Where there is none it begins with the data set's first
	// bar, if the features need it: the same values, and more to read.
	States     [][]byte
	StateEvery int64

	// MaxCheckpoints and CheckpointEvery say when a row of counters is kept:
	// after each bar whose index + 1 is a multiple of CheckpointEvery, a power
	// of two. When there would be more than MaxCheckpoints rows the distance
	// doubles and rows in between are dropped. 0 in either: no rows.
	MaxCheckpoints  int
	CheckpointEvery int64

	// Decisions keeps what became of each own bar that was counted.
	Decisions bool

	// ReportEvery is the least distance between two reports; 0 reports after
	// every bar. A report is made only if a bar or the phase moved since the
	// one before.
	ReportEvery time.Duration

	// CPU gives the CPU time used so far, for checkpoints; nil: 0 is kept.
	CPU func() time.Duration

	// OnBar is called once for each own bar, in order, before the bar is
	// counted. An error ends the replay, and the bar is not counted.
	OnBar func(bar int64) error
}

// Source gives bars in pieces. The engine reads them where they are, and copies
// none.
type Source interface {
	// Blocks yields the bars of r in order, each once, in pieces of one bar or
	// more, and ends there or with an error. It reads lazily: the loop over it may
	// end early, and what was not asked for need not be read. A piece stays as it
	// is until the next one is asked for; it must not be changed.
	Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error]
}

// Result is what a replay has measured and found.
type Result struct {
	// Footer has the engine's fields: counters, timers, phase, checkpoints.
	// Identity, status, claim, seq, CPU and memory are the worker's to fill.
	Footer footer.Footer
	// Signals are all signals of the chunk's own bars that were counted, in
	// order. What was not closed when the replay ended has Left.
	Signals []trade.Signal
	// Decisions are what became of those bars, if the job asked for it.
	Decisions trade.Decisions
}

var (
	// ErrSource marks errors that come from reading bars.
	ErrSource = errors.New("reading bars")
	// ErrScoresEnd says that the replay came to the end of its scores before
	// that of its chunk.
	ErrScoresEnd = errors.New("the scores end before the chunk does")
)

func (j Job) validate() error {
	if j.Bars.First < 0 || j.Bars.End <= j.Bars.First || j.Bars.End > j.DataBars {
		return fmt.Errorf("job: bars [%d, %d) of a data set of %d (want a range in it that holds a bar)", j.Bars.First, j.Bars.End, j.DataBars)
	}
	if j.BarLength < 0 || j.ReportEvery < 0 {
		return fmt.Errorf("job: bar length %v, report every %v (want neither negative)", j.BarLength, j.ReportEvery)
	}
	if e := j.CheckpointEvery; e < 0 || e&(e-1) != 0 {
		return fmt.Errorf("job: a checkpoint every %d bars (want a power of two)", e)
	}
	if len(j.States) > 0 && j.StateEvery < 1 {
		return fmt.Errorf("job: states every %d bars (want 1 or more)", j.StateEvery)
	}
	if j.Scores != nil {
		if err := j.Scores.validate(j.Bars); err != nil {
			return err
		}
	} else if j.Policy.Model == nil {
		return errors.New("job: the policy has no model (the built-in engine needs one)")
	}
	if n := j.Policy.Replay.FollowBars; n < 0 {
		return fmt.Errorf("replay.follow_bars: %d is negative", n)
	}
	return nil
}
