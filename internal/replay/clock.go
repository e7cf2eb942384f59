package replay

import "time"

// phase is one of the timers of a footer.
type phase int

const (
	phaseStartup phase = iota
	phaseWarmup
	phaseIO
	phaseUpkeep // of what features are computed from: each bar has it
	phaseFeature
	phasePregate
	phaseModel
	phasePolicy
	phases
)

// clock divides the time since start among the phases, with nothing left
// over: what happens between two readings is one phase's, but for sleeps.
type clock struct {
	start time.Time
	total [phases]int64 // ns
	seen  int64         // the last reading
	last  int64         // up to where time is charged
	slept int64         // charged already, since last
}

func newClock() clock { return clock{start: time.Now()} }

func (c *clock) now() int64 {
	c.seen = int64(time.Since(c.start))
	return c.seen
}

// lap charges all time since the last charge to p, and says how much it was.
func (c *clock) lap(p phase) (ns int64) {
	n := c.now()
	ns = n - c.last - c.slept
	c.total[p] += ns
	c.last, c.slept = n, 0
	return ns
}

// sleeping charges a sleep that began at from to the model.
func (c *clock) sleeping(from int64) (slept int64) {
	slept = c.now() - from
	c.total[phaseModel] += slept
	c.slept += slept
	return slept
}

func (c *clock) sec(p phase) float64 { return float64(c.total[p]) / 1e9 }
