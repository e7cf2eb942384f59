package compare

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/judge"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// Run is one run to be compared.
type Run struct {
	Path string // as the user named it; only shown
	File perf.File

	// Signals are what the run's file of signals holds. Nil: NoSignals says why
	// there are none.
	Signals   *trade.SignalFile
	NoSignals error
	// Own are the trades that a command made by itself, in order of entry. Nil:
	// it made none by itself, or NoSignals says why they are not there.
	Own []OwnTrade
}

// OwnTrade is a trade that a command made by itself.
type OwnTrade struct {
	EntryNS int64
	Side    trade.Side
	PnlBps  float64
}

func (r *Run) id() string { return string(r.File.Report.RunID) }

// command reports whether a user's command replayed the run.
func (r *Run) command() bool { return r.File.Report.Env.Engine == footer.EngineExec }

// ownTrades reports whether nothing was selected: the command made the trades.
func (r *Run) ownTrades() bool { return r.File.Report.Selection.Scope == perf.ScopeCommand }

// coverage is what r has replayed, with what it has counted.
func (r *Run) coverage() judge.Coverage {
	c := judge.Coverage{Command: r.command(), Chunks: make([]judge.Chunk, 0, len(r.File.Chunks))}
	first := int64(0)
	for _, x := range r.File.Chunks {
		chunk := judge.Chunk{First: first, Whole: x.Line.IsOK()}
		if !x.Line.IsZero() {
			chunk.Checkpoints = checkpoints(x.Line.Footer(), first)
		}
		c.Chunks = append(c.Chunks, chunk)
		first += x.Planned
	}
	return c
}

// checkpoints are the rows of f, and its own counts as the last one. Times begin
// with the replay: rows count from the start of the attempt.
func checkpoints(f footer.Footer, first int64) []judge.Checkpoint {
	if f.BarsProcessed == 0 {
		return nil
	}
	before := nanoseconds(f.TStartupSec + f.TWarmupSec)
	var list []judge.Checkpoint
	wall := int64(0)
	for _, row := range f.Checkpoints {
		bars := row[footer.CheckpointBars]
		if bars <= 0 || bars >= f.BarsProcessed || len(list) > 0 && list[len(list)-1].Bar == first+bars {
			continue
		}
		wall = max(wall, row[footer.CheckpointWallNS]-before)
		list = append(list, judge.Checkpoint{Bar: first + bars, Counters: judge.Counters{
			WallNS: wall, CPUNS: row[footer.CheckpointCPUNS], Calls: row[footer.CheckpointCalls], Skips: row[footer.CheckpointSkips],
			Features: row[footer.CheckpointFeatures], Warmup: row[footer.CheckpointWarmup],
		}})
	}
	return append(list, judge.Checkpoint{Bar: first + f.BarsProcessed, Counters: judge.Counters{
		WallNS: max(wall, nanoseconds(f.WallClockSec)-before), CPUNS: nanoseconds(f.CPUUserSec + f.CPUSysSec), Calls: f.NModelCalls, Skips: f.PregateSkips,
		Features: f.NFeaturesBuilt, Warmup: f.BarsSkippedWarmup,
	}})
}

func nanoseconds(sec float64) int64 { return int64(sec * float64(time.Second)) }

// chunkAt is the chunk of f that begins at or before bar, and its first bar.
func chunkAt(f *perf.File, bar int64) (c perf.Chunk, first int64) {
	for _, c := range f.Chunks {
		if bar < first+c.Planned {
			return c, first
		}
		first += c.Planned
	}
	return perf.Chunk{}, first
}

var errNoRules = errors.New("the perf JSON does not say by which rules its trades were selected")

// risk are the rules by which the run's trades were selected.
func (r *Run) risk() (policy.Risk, error) {
	if len(r.File.Report.PolicyValues) == 0 || r.command() {
		return policy.Risk{}, errNoRules
	}
	p, err := policy.Parse("policy.values", r.File.Report.PolicyValues, policy.Options{})
	if err != nil {
		return policy.Risk{}, fmt.Errorf("reading the policy of run %s: %w", r.id(), err)
	}
	return p.Risk, nil
}

// sortOwn orders trades by entry, and those of one entry by side.
func sortOwn(list []OwnTrade) {
	slices.SortStableFunc(list, func(a, b OwnTrade) int {
		return cmp.Or(cmp.Compare(a.EntryNS, b.EntryNS), cmp.Compare(a.Side, b.Side))
	})
}
