package execengine

import (
	"slices"
	"time"

	"gx1replay/internal/footer"
)

// tally is what an attempt has heard of its command so far. It is used from
// one goroutine.
type tally struct {
	planned int64
	began   time.Time

	// rows are those of the slice, and warmup how many of them are before the
	// chunk's own.
	sliceRows, sliceWarmup int64

	all     Report
	bars    int64 // the most that a progress report claimed
	raw     int64 // the same, as the command counts
	unclear bool  // it counts something else than bars of the chunk
	phase   footer.Phase

	moved       time.Time // last new bar or change of phase
	startup     time.Duration
	warmup      time.Duration
	child       []byte // the command's own footer
	childStatus string

	first int64 // index in the data set of the first bar that counts
	rows  []footer.Checkpoint
	rowAt int64 // index of the bar after those of the last report
	every int64 // a row is kept at each multiple of it
	most  int   // rows
	cpu   func() time.Duration
}

// newTally begins at now.
func newTally(planned int64, now time.Time, mostRows int) *tally {
	return &tally{planned: planned, began: now, moved: now, phase: footer.PhaseStartup, most: mostRows, every: 1, all: Report{Given: map[string]bool{}}}
}

// rawOf are the bars of r as the command counts them, if it gives any.
func rawOf(r Report) (int64, bool) {
	switch {
	case r.Given["bars_processed"]:
		return r.Footer.BarsProcessed, true
	case r.Given["total_bars"]:
		return r.Footer.TotalBars, true
	}
	return 0, false
}

// barsOf are the chunk's own bars in r, if it gives any, within the plan.
func (t *tally) barsOf(r Report) (int64, bool) {
	raw, has := rawOf(r)
	if !has || !t.countsBars(r) {
		return 0, false
	}
	return min(max(raw-t.padding(r.Total), 0), t.planned), true
}

// countsBars says whether what r counts can be the chunk's bars: not if it
// counts to fewer.
func (t *tally) countsBars(r Report) bool { return r.Total == 0 || r.Total >= t.planned }

// padding is how many bars before the chunk's own a command counts that counts
// to total. One that counts the whole slice has the slice's warm-up. In any
// other total all that is too much may lie before the chunk.
func (t *tally) padding(total int64) int64 {
	if total == t.sliceRows {
		return t.sliceWarmup
	}
	return max(total-t.planned, 0)
}

// add takes a report of progress that came at now and says whether it moved
// anything. Counters are cumulative, so bars that fall are an older report's.
func (t *tally) add(r Report, now time.Time) bool {
	bars, has := t.barsOf(r)
	if has && bars < t.bars {
		return false
	}
	raw, counted := rawOf(r)
	if raw > t.raw {
		t.raw, t.moved = raw, now // also in the command's own padding
	}
	phase := t.phase
	switch {
	case has && bars > 0, counted && !t.countsBars(r):
		phase = footer.PhaseReplay
	case r.Phase != "":
		phase = r.Phase
	case raw > 0 && t.phase == footer.PhaseStartup:
		phase = footer.PhaseWarmup // it is in its padding
	}
	movedOn := bars > t.bars || phase != t.phase
	t.enter(phase, now)
	t.all.Merge(r)
	t.unclear = t.unclear || counted && !t.countsBars(r)
	if bars > t.bars {
		t.bars = bars
		t.checkpoint(now)
	}
	if movedOn {
		t.moved = now
	}
	return movedOn
}

// enter measures how long the phases before the replay took.
func (t *tally) enter(phase footer.Phase, now time.Time) {
	since := now.Sub(t.began)
	if t.phase == footer.PhaseStartup && phase != footer.PhaseStartup {
		t.startup = since
	}
	if t.phase != footer.PhaseReplay && phase == footer.PhaseReplay {
		t.warmup = since - t.startup
	}
	t.phase = phase
}

// checkpoint keeps the first report at or after each multiple of a power of two
// of the bar's index in the data set. Which reports stay depends on their bars
// alone, so that two runs of one command keep rows at the same bars, however far
// each of them came.
func (t *tally) checkpoint(now time.Time) {
	before := max(t.rowAt, t.first)
	t.rowAt = t.first + t.bars
	if t.most < 1 || t.rowAt/t.every == before/t.every {
		return
	}
	c := &t.all.Footer
	row := footer.Checkpoint{t.bars, int64(now.Sub(t.began)), 0, c.NModelCalls, c.PregateSkips, c.NFeaturesBuilt, c.BarsSkippedWarmup}
	if t.cpu != nil {
		row[footer.CheckpointCPUNS] = int64(t.cpu())
	}
	if n := len(t.rows); n > 0 {
		for k := range row {
			row[k] = max(row[k], t.rows[n-1][k]) // cumulative, whatever was said
		}
	}
	t.rows = append(t.rows, row)
	for len(t.rows) > t.most {
		t.every *= 2
		before := t.first
		t.rows = slices.DeleteFunc(t.rows, func(r footer.Checkpoint) bool {
			at, was := t.first+r[footer.CheckpointBars], before
			before = at
			return at/t.every == was/t.every
		})
	}
}

// footer is the footer of now, with bars bars replayed. given are names that
// are measured by others than the command.
func (t *tally) footer(bars int64, now time.Time, given ...string) footer.Footer {
	f := t.all.Footer
	f.BarsProcessed, f.TotalBars = bars, bars
	if bars == 0 { // trades of bars that do not count
		f.NSignals, f.NTradesClosed, f.PnlBps, f.TradesOpen, f.OpenPnlBps, f.DropReasons = 0, 0, 0, 0, 0, nil
	}
	f.Phase = t.phase
	wall := now.Sub(t.began).Seconds()
	// The command's own time leaves out its start, as the original's does; it
	// cannot be more than what has passed.
	if !t.all.Given["wall_clock_sec"] || f.WallClockSec > wall {
		f.WallClockSec = wall
	}
	// Bars that are known by the command's end alone do not tell when the first
	// one came.
	untold := bars > 0 && t.phase == footer.PhaseStartup
	if untold {
		f.Phase = footer.PhaseReplay
	}
	if !t.all.Given["t_startup_sec"] {
		if f.TStartupSec = t.startup.Seconds(); t.phase == footer.PhaseStartup && !untold {
			f.TStartupSec = wall
		}
	}
	if !t.all.Given["t_warmup_sec"] {
		f.TWarmupSec = t.warmup.Seconds()
	}
	if !t.all.Given["bars_per_sec"] {
		f.BarsPerSec = footer.Rate(bars, f.WallClockSec)
	}
	f.Unreported = nil
	for _, d := range reported {
		if d.Measured && !t.all.Given[d.Name] && !slices.Contains(given, d.Name) {
			f.Unreported = append(f.Unreported, d.Name)
		}
	}
	for _, name := range []string{"t_startup_sec", "t_warmup_sec"} {
		if untold && !t.all.Given[name] {
			f.Unreported = append(f.Unreported, name)
		}
	}
	if t.unclear && bars == 0 {
		f.Unreported = append(f.Unreported, "bars_processed", "total_bars")
	}
	f.NonfiniteFields = slices.Clone(t.all.Nonfinite)
	f.Child, f.ChildStatus = t.child, t.childStatus
	f.Checkpoints = slices.Clone(t.rows)
	return f
}
