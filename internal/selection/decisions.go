package selection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// reasonUnknown stands where a signal's chunk has lost its signals, so that the
// selection over the run did not see it.
const reasonUnknown = "signals_lost"

// decisionsShare is the part of the time for a selection, one of so many of
// what is left, that the decisions may take: the trades shall not be lost for
// them.
const decisionsShare = 2

// tryDecisions writes the decisions of the run. What keeps it from that is
// logged: nothing else depends on them.
func (p *pass) tryDecisions(ctx context.Context) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/decisionsShare)
		defer cancel()
	}
	err := errNoBars
	if p.Bars != nil {
		err = p.Selector.writeFiles(ctx, file{path: p.Files.Decisions(), write: func(w io.Writer) error { return trade.WriteDecisions(w, p.rows(ctx)) }})
	}
	if err != nil {
		p.Logger.Warn("writing the decisions failed", "path", p.Files.Decisions(), "error", err)
	}
}

// rows yields a row for each bar whose chunk has decisions, in order. Chunks
// whose decisions are lost are logged and left out.
func (p *pass) rows(ctx context.Context) iter.Seq2[trade.DecisionRow, error] {
	return func(yield func(trade.DecisionRow, error) bool) {
		for i, got := range readAhead(ctx, p.chunks, p.readDecisions) {
			if ctx.Err() != nil {
				yield(trade.DecisionRow{}, context.Cause(ctx))
				return
			}
			if got.err != nil {
				p.Logger.Warn("decisions of a chunk missing, its bars have no rows", "chunk_idx", i, "error", got.err)
				continue
			}
			for row, err := range p.chunkRows(ctx, i, got.content) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
		if ctx.Err() != nil {
			yield(trade.DecisionRow{}, context.Cause(ctx))
		}
	}
}

// barsBetweenLooks is how many rows are made between two looks at ctx.
const barsBetweenLooks = 4096

// chunkRows yields the rows of chunk i.
func (p *pass) chunkRows(ctx context.Context, i int, d trade.Decisions) iter.Seq2[trade.DecisionRow, error] {
	return func(yield func(trade.DecisionRow, error) bool) {
		if d.Len() == 0 {
			return
		}
		bar, signal, all := p.chunks[i].Line.Footer().FirstBar, 0, d.Reader()
		for b, err := range p.Bars.Bars(ctx, run.BarRange{First: bar, End: bar + int64(d.Len())}) {
			x, ok := all.Next()
			switch {
			case err != nil:
			case !ok:
				err = errors.New("there are more bars than were asked for")
			case bar%barsBetweenLooks == 0 && ctx.Err() != nil:
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(trade.DecisionRow{}, fmt.Errorf("reading bar %d: %w", bar, err))
				return
			}
			taken, reason := false, reasonUnknown
			if x.Decision == trade.DecisionSignal && p.sel.Chunks[i].Known {
				taken, reason = p.picks[i].Dropped(signal)
				signal++
			}
			if !yield(trade.NewDecisionRow(bar, b.TimeNS, x, taken, reason), nil) {
				return
			}
			bar++
		}
		if _, more := all.Next(); more {
			yield(trade.DecisionRow{}, fmt.Errorf("the bars end at bar %d", bar))
		}
	}
}

// readDecisions finds the decisions of chunk c and holds them against its
// footer. A chunk of which no bar was replayed has none.
func (p *pass) readDecisions(ctx context.Context, c perf.Chunk) (trade.Decisions, error) {
	f := c.Line.Footer()
	if f.BarsProcessed == 0 {
		return trade.Decisions{}, nil
	}
	return find(ctx, p.artifacts, c, trade.DecisionsName, func(a footer.Artifact, parts [][]byte) (trade.Decisions, error) {
		d, err := trade.DecodeDecisions(a, parts)
		if err == nil {
			err = d.Check(f)
		}
		return d, err
	})
}
