package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// maxContradicting bounds the chunks of which some contradict each other that
// infer sorts out: its time grows with their square.
const maxContradicting = 20_000

// chunks is what is known of each chunk of the plan.
func (c *collector) chunks() ([]perf.Chunk, error) {
	if c.mixed {
		return nil, errMixed
	}
	known := c.known
	var err error
	if !c.planned {
		for _, k := range c.known { // a guessed plan: its footers' places are true
			if f := k.Line.Footer(); !k.Line.IsZero() {
				if err := c.take(f); err != nil {
					return nil, fmt.Errorf("chunk %d of the existing export: %w", k.Idx, err)
				}
			}
		}
		if c.places, err = c.infer(); err != nil {
			return nil, err
		}
		plan := make([]perf.Chunk, len(c.places))
		for i, p := range c.places {
			plan[i] = perf.Chunk{Idx: i, Planned: p.end - p.first, Status: footer.StatusMissing}
		}
		known = perf.Refit(plan, c.known)
	}
	seen := make([]perf.Chunk, len(c.places))
	for i, p := range c.places {
		seen[i] = known[i]
		if h := c.found[p]; h != nil {
			seen[i] = h.chunk(known[i], c.knownAt)
		}
	}
	// Merge lets the footer speak that the rule says.
	merged, err := perf.Merge(known, seen)
	if err != nil {
		return nil, err
	}
	return merged, nil
}

// chunk is the chunk that was known as k at the given time, now that files
// were found.
func (h *found) chunk(k perf.Chunk, knownAt time.Time) perf.Chunk {
	c := k
	c.Line = h.line
	switch {
	case h.line.IsOK():
		c.Status, c.Error, c.Trace = footer.StatusOK, "", ""
	case k.Status == footer.StatusFailed:
		// No attempts are left; only an ok footer outranks that.
	case h.last.status != "" && (h.at.After(knownAt) || k.Status != footer.StatusUnresponsive):
		if k.Status != footer.StatusStopped || h.at.After(knownAt) {
			c.Error, c.Trace = h.last.err, h.last.trace
		}
		c.Status = footer.StatusStopped
	case k.Status == footer.StatusMissing, k.Status == footer.StatusParseError:
		// Bars, and no last word: it was claimed.
		c.Status, c.Error, c.Trace = footer.StatusUnresponsive, "", ""
	}
	return c
}

// scale is how large a plan is, as its footers say; the zero one is of footers
// of a version that did not say.
type scale struct{ chunks, bars int64 }

// holds reports whether a plan of that size can have a chunk at p.
func (s scale) holds(p place) bool {
	behind := s.chunks - 1 - p.idx
	return behind == 0 && p.end == s.bars || behind > 0 && s.bars-p.end >= behind
}

// keepScale returns what most of the footers at these places say of their plan's
// size, and refuses those that cannot be of a plan of that size.
func (c *collector) keepScale(all []place) (of scale) {
	said := func(p place) scale { return scaleOf(c.found[p].line.Footer()) }
	votes := map[scale]int{}
	for _, p := range all {
		if s := said(p); s != (scale{}) {
			if votes[s]++; votes[s] > votes[of] {
				of = s
			}
		}
	}
	if of == (scale{}) {
		return of
	}
	for _, p := range all {
		if s := said(p); s != of && s != (scale{}) || !of.holds(p) {
			delete(c.found, p)
			c.refused++
		}
	}
	return of
}

func scaleOf(f footer.Footer) scale { return scale{f.ChunksTotal, f.DataBars} }

// possible reports whether there are plans of that size.
func (s scale) possible() bool {
	return s.chunks > 0 && s.chunks <= run.MaxChunks && s.bars >= s.chunks && s.bars <= maxBars
}

// infer returns the plan of which the places of all footers can be part: the
// one by one of the product's two rules if there is one; else holes between
// them are shared evenly among the chunks that lie in them. A footer says how
// many chunks and bars its plan has, so that what lies behind the last place is
// known, too; where all are of a version that did not, it is not. Places that
// contradict each other are judged by number: the most that fit together stand,
// the others are refused.
func (c *collector) infer() ([]place, error) {
	all := slices.SortedFunc(maps.Keys(c.found), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.idx, b.idx), cmp.Compare(a.first, b.first), cmp.Compare(a.end, b.end))
	})
	of := c.keepScale(all)
	all = slices.DeleteFunc(all, func(p place) bool { return c.found[p] == nil })
	c.dataBars = of.bars
	stand := all
	if !chained(all) {
		if len(all) > maxContradicting {
			return nil, fmt.Errorf("the footers of %d chunks contradict each other (more than %d are not sorted out)", len(all), maxContradicting)
		}
		stand = longestChain(all)
		c.refused += len(all) - len(stand)
	}
	if len(stand) == 0 {
		return nil, nil
	}
	if plan, ok := byRule(stand, of); ok {
		return plan, nil
	}
	var plan []place
	last := place{idx: -1}
	fill := func(idx, first int64) { // up to there
		hole, n := first-last.end, idx-last.idx-1
		for k := range n {
			// Not hole·k/n: 2^53 bars times 2^20 chunks would overflow.
			border := func(k int64) int64 { return last.end + hole/n*k + min(k, hole%n) }
			plan = append(plan, place{last.idx + 1 + k, border(k), border(k + 1)})
		}
	}
	for _, p := range stand {
		fill(p.idx, p.first)
		plan = append(plan, p)
		last = p
	}
	if of != (scale{}) {
		fill(of.chunks, of.bars)
	}
	return plan, nil
}

// chained reports whether all places follow one another.
func chained(all []place) bool {
	for i := 1; i < len(all); i++ {
		if !follows(all[i-1], all[i]) {
			return false
		}
	}
	return true
}

// follows reports whether one plan can hold a and, later, b: nothing between
// neighbours, at least a bar for each chunk between others.
func follows(a, b place) bool {
	between := b.idx - a.idx - 1
	hole := b.first - a.end
	return between == 0 && hole == 0 || between > 0 && hole >= between
}

// longestChain returns the most places that follow one another; of several
// choices the one that is found first in the order of all.
func longestChain(all []place) []place {
	length, before := make([]int, len(all)), make([]int, len(all))
	best := -1
	for j := range all {
		length[j], before[j] = 1, -1
		for i := range j {
			if length[i] >= length[j] && follows(all[i], all[j]) {
				length[j], before[j] = length[i]+1, i
			}
		}
		if best < 0 || length[j] > length[best] {
			best = j
		}
	}
	var chain []place
	for ; best >= 0; best = before[best] {
		chain = append(chain, all[best])
	}
	slices.Reverse(chain)
	return chain
}

// byRule returns the plan of that size that one of the product's rules makes and
// that holds all of some. Where the size is not known the last of some is taken
// for the data set's last.
func byRule(some []place, of scale) ([]place, bool) {
	last := some[len(some)-1]
	if of == (scale{}) {
		of = scale{last.idx + 1, last.end}
	}
	for _, chunkBars := range []int64{0, some[0].end - some[0].first, last.first / max(last.idx, 1)} {
		p, err := run.NewPlan(of.bars, int(of.chunks), chunkBars, run.OrderSpread)
		if err != nil || int64(p.Chunks) != of.chunks {
			continue
		}
		fits := true
		for _, s := range some {
			b := p.Chunk(int(s.idx)).Bars
			fits = fits && b.First == s.first && b.End == s.end
		}
		if !fits {
			continue
		}
		plan := make([]place, p.Chunks)
		for i := range plan {
			b := p.Chunk(i).Bars
			plan[i] = place{int64(i), b.First, b.End}
		}
		return plan, true
	}
	return nil, false
}
