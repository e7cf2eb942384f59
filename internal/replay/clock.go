package replay

import "time"

// phase is one of the timers of a footer.
type phase int

const (
	phaseStartup phase = iota
	phaseWarmup
	phaseIO
	phaseFeature
	phasePregate
	phaseModel
	phasePolicy
	phases
)

const (
	// sampleBits: the model's call is timed in one bar in 2^sampleBits. Reading
	// the clock costs more than a call of a small model.
	sampleBits = 4
	// slowBar is the time a bar takes from which on every bar is timed: the
	// readings are then a percent of it.
	slowBar = int64(10 * time.Microsecond)
)

// clock divides the time since start among the phases, with nothing left
// over. What happens between two bars (reading, reporting), what is computed
// for a block of bars at once, and every sleep is measured. Of the time of the
// steps over the bars of a block the model's share is estimated: as many
// calls as there were, each as long as those that were timed in that block
// and shortly before.
type clock struct {
	start time.Time
	total [phases]int64 // ns
	seen  int64         // the last reading
	last  int64         // up to where time is charged
	slept int64         // charged already, since last
	mark  int64         // the reading before a timed call
	calls float64       // that were timed, lately
	took  float64       // ns, they together
	cost  int64         // ns that one reading adds
	every bool          // bars are slow: time each
}

func newClock() clock {
	c := clock{start: time.Now(), cost: 1 << 62}
	for range 16 {
		was := c.seen
		if d := c.now() - was; d < c.cost {
			c.cost = d
		}
	}
	return c
}

func (c *clock) now() int64 {
	c.seen = int64(time.Since(c.start))
	return c.seen
}

// lap charges all time since the last charge to p.
func (c *clock) lap(p phase) {
	n := c.now()
	c.total[p] += n - c.last - c.slept
	c.last, c.slept = n, 0
}

// timed says whether bar i is timed. The multiplier (2^64 over the golden
// ratio) spreads the timed bars evenly, so that no rhythm of hours or days
// falls in step with them.
func (c *clock) timed(i int64) bool {
	return c.every || c.calls == 0 || uint64(i)*0x9E3779B97F4A7C15>>(64-sampleBits) == 0
}

// begin and end are called around a timed call.
func (c *clock) begin() { c.mark = c.now() }

func (c *clock) end() {
	c.took += float64(max(0, c.now()-c.mark-c.cost))
	c.calls++
}

// sleeping charges a sleep that began at from to the model.
func (c *clock) sleeping(from int64) (slept int64) {
	slept = c.now() - from
	c.total[phaseModel] += slept
	c.slept += slept
	return slept
}

// divide charges the time since the last charge to model and policy: bars is
// the number of bars stepped over in it, calls that of the model's calls.
func (c *clock) divide(bars, calls int64) {
	now := c.now()
	d := now - c.last - c.slept
	c.last, c.slept = now, 0
	model := int64(0)
	if calls > 0 && c.calls > 0 {
		model = min(d, int64(float64(calls)*(c.took/c.calls)))
	}
	c.total[phaseModel] += model
	c.total[phasePolicy] += d - model
	if bars > 0 {
		c.every = d/bars > slowBar
	}
	keep := 0.875 // remember about eight blocks: one block holds few timed calls
	if c.every {
		keep = 0
	}
	c.took *= keep
	c.calls *= keep
}

func (c *clock) sec(p phase) float64 { return float64(c.total[p]) / 1e9 }
