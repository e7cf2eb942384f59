package replay

import (
	"math"

	"gx1replay/internal/footer"
)

// checkpoints keeps rows of cumulative counters at bar indices that do not
// depend on the chunk, so that rows of different runs and cuts stand at the
// same bars.
type checkpoints struct {
	first int64 // the chunk's first bar
	every int64 // a power of two; 0: keep none
	most  int
	rows  []footer.Checkpoint
}

func newCheckpoints(j Job) checkpoints {
	c := checkpoints{first: j.Bars.First, every: j.CheckpointEvery, most: j.MaxCheckpoints}
	if c.most <= 0 {
		c.every = 0
	}
	return c
}

// due says whether a row belongs after the bar before next.
func (c *checkpoints) due(next int64) bool { return c.every > 0 && next&(c.every-1) == 0 }

// until is the number of bars, next the first, after which the next row is
// due; very many if there is none.
func (c *checkpoints) until(next int64) int64 {
	if c.every == 0 {
		return math.MaxInt64
	}
	return c.every - next&(c.every-1)
}

// add keeps a row; while there are too many it doubles the distance.
func (c *checkpoints) add(row footer.Checkpoint) {
	c.rows = append(c.rows, row)
	for len(c.rows) > c.most {
		c.every *= 2
		kept := c.rows[:0]
		for _, r := range c.rows {
			if (c.first+r[0])&(c.every-1) == 0 {
				kept = append(kept, r)
			}
		}
		c.rows = kept
	}
}
