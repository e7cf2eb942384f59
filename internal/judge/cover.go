package judge

import (
	"cmp"
	"math"
	"slices"

	"gx1replay/internal/run"
)

// Counters are cumulative over a chunk, from its first own bar on. Times leave
// start-up and warm-up out.
type Counters struct {
	WallNS, CPUNS int64
	Calls         int64 // of the model
	Skips         int64 // bars that the pregate skipped
	Features      int64 // bars for which features were built
	Warmup        int64 // own bars whose features were not ready
}

func (c Counters) minus(d Counters) Counters {
	return Counters{
		WallNS: c.WallNS - d.WallNS, CPUNS: c.CPUNS - d.CPUNS,
		Calls: c.Calls - d.Calls, Skips: c.Skips - d.Skips,
		Features: c.Features - d.Features, Warmup: c.Warmup - d.Warmup,
	}
}

// Checkpoint is what is known after a number of bars. Bar is the index in the
// data set of the bar that comes next.
type Checkpoint struct {
	Bar int64
	Counters
}

// Chunk is what a run has replayed of one of its chunks.
type Chunk struct {
	First int64 // index of its first bar
	// Whole: the chunk was replayed to its end.
	Whole bool
	// Checkpoints rise in Bar and begin above First. The last one is the
	// footer's own count. A chunk without any has replayed nothing.
	Checkpoints []Checkpoint
}

func (c *Chunk) end() int64 {
	if n := len(c.Checkpoints); n > 0 {
		return c.Checkpoints[n-1].Bar
	}
	return c.First
}

// at is what the chunk has counted before bar, where that is known.
func (c *Chunk) at(bar int64) (Counters, bool) {
	if bar == c.First {
		return Counters{}, true
	}
	i, ok := c.find(bar)
	if !ok {
		return Counters{}, false
	}
	return c.Checkpoints[i].Counters, true
}

func (c *Chunk) find(bar int64) (int, bool) {
	return slices.BinarySearchFunc(c.Checkpoints, bar, func(x Checkpoint, bar int64) int { return cmp.Compare(x.Bar, bar) })
}

// wallAt is the wall clock at bar, on a straight line between the checkpoints
// around it, and how many bars lie between these; 0: bar has a checkpoint.
func (c *Chunk) wallAt(bar int64) (ns, bars int64) {
	if x, ok := c.at(bar); ok {
		return x.WallNS, 0
	}
	i, _ := c.find(bar) // there is one behind bar: bar lies in the chunk
	after, before := c.Checkpoints[i], Checkpoint{Bar: c.First}
	if i > 0 {
		before = c.Checkpoints[i-1]
	}
	share := float64(bar-before.Bar) / float64(after.Bar-before.Bar)
	return before.WallNS + int64(math.Round(share*float64(after.WallNS-before.WallNS))), after.Bar - before.Bar
}

// Coverage is what a run has replayed: its chunks in order of time.
type Coverage struct {
	// Command: a user's command replayed it, not the built-in engine.
	Command bool
	Chunks  []Chunk
}

// Piece is a range of bars that lies in one chunk of each run, with what each
// run has counted on it.
type Piece struct {
	// Bars are those that the counters are about, Common all bars that the
	// chunks have in common. Bars is shorter where a piece is cut and the runs
	// have no checkpoint at the cut.
	Bars, Common run.BarRange
	// Whole: the piece is a chunk of every run, replayed to its end.
	Whole bool
	// Counters has one entry for each run.
	Counters []Counters
	// TimesOnly: counts are not known at the cut, and times were interpolated
	// between two neighbouring reports of a command.
	TimesOnly bool
	// Apart is why no figure may use the piece; empty: it may be used.
	Apart string
}

// Reasons why a piece stands apart.
const (
	ApartNoCheckpoint = "no common checkpoint"
	ApartShort        = "too short for a cut piece"
)

const (
	// leastCut is the least number of bars of a cut piece of the built-in engine:
	// the model scores ahead and trades are followed behind, so times at a cut are
	// off by what some hundred bars take.
	leastCut = 2048
	// leastReports is the least number of reports in a cut piece of a command.
	leastReports = 2
	// mostInterpolated is the largest share of a piece over which times of a
	// command are interpolated.
	mostInterpolated = 0.1
)

// Cover is what runs have in common.
type Cover struct {
	// Ranges are the common bars, in order, neither touching nor empty.
	Ranges []run.BarRange
	Bars   int64 // their number
	// Pieces are in order of time; those that stand apart are among them.
	Pieces []Piece
}

// Common finds the bars that all runs have replayed, and what each of them has
// counted there. Where a piece begins or ends inside a chunk, it is cut at
// checkpoints that all runs have; no count is interpolated (judging.md §1).
func Common(runs []Coverage) Cover {
	var cover Cover
	at := make([]int, len(runs))
	chunks := make([]*Chunk, len(runs))
	for len(runs) > 0 {
		common := run.BarRange{First: math.MinInt64, End: math.MaxInt64}
		for i, r := range runs {
			if at[i] == len(r.Chunks) {
				return cover
			}
			chunks[i] = &r.Chunks[at[i]]
			common.First = max(common.First, chunks[i].First)
			common.End = min(common.End, chunks[i].end())
		}
		if common.First < common.End {
			cover.add(common, chunks, slices.ContainsFunc(runs, func(r Coverage) bool { return r.Command }))
		}
		for i := range runs {
			if chunks[i].end() == common.End {
				at[i]++
			}
		}
	}
	return cover
}

func (c *Cover) add(common run.BarRange, chunks []*Chunk, command bool) {
	c.Bars += common.End - common.First
	if n := len(c.Ranges); n > 0 && c.Ranges[n-1].End == common.First {
		c.Ranges[n-1].End = common.End
	} else {
		c.Ranges = append(c.Ranges, common)
	}
	c.Pieces = append(c.Pieces, newPiece(common, chunks, command))
}

func newPiece(common run.BarRange, chunks []*Chunk, command bool) Piece {
	p := Piece{Bars: common, Common: common, Whole: true, Counters: make([]Counters, len(chunks))}
	for _, c := range chunks {
		p.Whole = p.Whole && c.Whole && c.First == common.First && c.end() == common.End
	}
	known := knownToAll(common, chunks)
	switch {
	case len(known) < 2 && command && p.interpolate(chunks):
		return p
	case len(known) < 2:
		p.Bars, p.Apart = run.BarRange{First: common.First, End: common.First}, ApartNoCheckpoint
		return p
	}
	p.Bars = run.BarRange{First: known[0], End: known[len(known)-1]}
	for i, c := range chunks {
		from, _ := c.at(p.Bars.First)
		to, _ := c.at(p.Bars.End)
		p.Counters[i] = to.minus(from)
	}
	long := p.Bars.End-p.Bars.First >= leastCut
	if command {
		long = len(known)-1 >= leastReports
	}
	if !p.Whole && !long {
		p.Apart = ApartShort
	}
	return p
}

// knownToAll are the bars of common, its end included, at which all chunks have
// counters.
func knownToAll(common run.BarRange, chunks []*Chunk) []int64 {
	var known []int64
	try := func(bar int64) {
		in := func(c *Chunk) bool { _, ok := c.at(bar); return ok }
		if bar >= common.First && bar <= common.End && !slices.ContainsFunc(chunks, func(c *Chunk) bool { return !in(c) }) {
			known = append(known, bar)
		}
	}
	try(chunks[0].First)
	for _, x := range chunks[0].Checkpoints {
		try(x.Bar)
	}
	return known
}

// interpolate measures times alone over the whole piece, and reports whether
// that is allowed.
func (p *Piece) interpolate(chunks []*Chunk) bool {
	most := int64(mostInterpolated * float64(p.Common.End-p.Common.First))
	times := make([]Counters, len(chunks))
	for i, c := range chunks {
		from, a := c.wallAt(p.Common.First)
		to, b := c.wallAt(p.Common.End)
		if a+b > most || to <= from {
			return false
		}
		times[i].WallNS = to - from
	}
	p.Counters, p.TimesOnly = times, true
	return true
}
