package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// ErrNoPlan: nothing names the plan that footers are of.
var ErrNoPlan = errors.New("the footers are of a release that did not name the size of its plan (want the run's perf file, footer backup or bus beside them, or that release to export them)")

// vote counts the plan that f, of chunk at, is of. A footer names the size of its
// plan and has its chunk's borders: all rules that cut a chunk so cut the others
// alike, too.
func (c *collector) vote(at run.Chunk, f footer.Footer) {
	c.unsized = c.unsized || f.ChunksTotal == 0
	if plans := run.PlansWith(at, int(f.ChunksTotal), f.DataBars, run.OrderSpread); len(plans) > 0 {
		c.votes[plans[0]]++
	}
}

// plan is the plan that most footers are of.
func (c *collector) plan() (p run.Plan, ok bool) {
	for q, n := range c.votes {
		if m := c.votes[p]; n > m || n == m && cmp.Or(cmp.Compare(q.Bars, p.Bars), cmp.Compare(q.Chunks, p.Chunks), cmp.Compare(q.ChunkBars, p.ChunkBars)) < 0 {
			p, ok = q, true
		}
	}
	return p, ok
}

// PlanOf is the plan of chunks that were exported: a perf JSON has its borders
// and not its rule. Their order is not known, and of no consequence.
func PlanOf(chunks []perf.Chunk, order run.Order) (run.Plan, error) {
	total := int64(0)
	for _, c := range chunks {
		total += c.Planned
	}
	first := run.Chunk{Bars: run.BarRange{End: chunks[0].Planned}}
	for _, p := range run.PlansWith(first, len(chunks), total, order) {
		if !slices.ContainsFunc(chunks, func(c perf.Chunk) bool { return p.Chunk(c.Idx).Bars.Len() != c.Planned }) {
			return p, nil
		}
	}
	return run.Plan{}, fmt.Errorf("no rule of this version cuts %d chunks from %d bars", len(chunks), total)
}

// blank are the chunks of p of which nothing is known.
func blank(p run.Plan) []perf.Chunk {
	chunks := make([]perf.Chunk, p.Chunks)
	for i := range chunks {
		chunks[i] = perf.Chunk{Idx: i, Planned: p.Chunk(i).Bars.Len(), Status: footer.StatusMissing}
	}
	return chunks
}
