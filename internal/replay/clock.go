package replay

import "time"

// phase is one of the timers of a footer.
type phase int

const (
	phaseStartup phase = iota
	phaseWarmup
	phaseIO
	// The four that a bar goes through.
	phaseFeature
	phasePregate
	phaseModel
	phasePolicy
	phases
)

const (
	// sampleBits: one bar in 2^sampleBits is timed phase by phase. Reading the
	// clock costs about as much as a whole step over a bar that is skipped.
	sampleBits = 4
	// slowBar is the time a bar takes from which on every bar is timed: the
	// five readings are then a percent or two of it.
	slowBar = int64(10 * time.Microsecond)
)

// clock divides the time since start among the phases, with nothing left
// over. What happens between two bars (reading, reporting) and every sleep is
// measured; the time of a block of bars is measured as a whole and divided as
// the timed bars of that block and of those shortly before were.
type clock struct {
	start  time.Time
	total  [phases]int64 // ns
	seen   int64         // the last reading
	last   int64         // up to where time is charged
	slept  int64         // charged already, since last
	mark   int64         // the last reading within a timed bar
	sample [phases]float64
	cost   int64 // what one reading adds to a phase
	every  bool  // bars are slow: time each
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
	return c.every || uint64(i)*0x9E3779B97F4A7C15>>(64-sampleBits) == 0
}

func (c *clock) begin() { c.mark = c.now() }

// lapBar ends a phase within a timed bar.
func (c *clock) lapBar(p phase) {
	n := c.now()
	if d := n - c.mark - c.cost; d > 0 {
		c.sample[p] += float64(d)
	}
	c.mark = n
}

// sleeping charges a sleep that began at from to the model.
func (c *clock) sleeping(from int64) (slept int64) {
	slept = c.now() - from
	c.total[phaseModel] += slept
	c.slept += slept
	c.mark += slept
	return slept
}

// divide charges the time since the last charge to the phases of bars; n is
// the number of bars stepped over in it.
func (c *clock) divide(n int) {
	now := c.now()
	d := now - c.last - c.slept
	c.last, c.slept = now, 0
	var sum float64
	for _, s := range c.sample[phaseFeature:] {
		sum += s
	}
	rest := d
	if sum > 0 {
		for p := phasePregate; p < phases; p++ {
			share := min(rest, int64(float64(d)*(c.sample[p]/sum)))
			c.total[p] += share
			rest -= share
		}
	}
	c.total[phaseFeature] += rest
	if n > 0 {
		c.every = d/int64(n) > slowBar
	}
	keep := 0.875 // remember about eight blocks: one block holds few timed bars
	if c.every {
		keep = 0
	}
	for p := range c.sample {
		c.sample[p] *= keep
	}
}

func (c *clock) sec(p phase) float64 { return float64(c.total[p]) / 1e9 }
