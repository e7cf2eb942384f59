package compare

import (
	"fmt"

	"gx1replay/internal/judge"
)

// CompareSides compares several runs a side, which alternated in time: the speed
// of all of them on the bars that they have in common, and the trades of the
// first of each side. All runs of a side must have the same inputs.
func CompareSides(a, b []*Run, o Options) (Comparison, error) {
	c, err := Compare(a[0], b[0], o)
	if err != nil || len(a) == 1 && len(b) == 1 {
		return c, err
	}
	var all []judge.Coverage
	for _, side := range [][]*Run{a, b} {
		for _, r := range side {
			if err := refuse(side[0], r); err != nil {
				return Comparison{}, err
			}
			if list := settings(side[0].File, r.File); len(list) > 0 {
				return Comparison{}, fmt.Errorf("%w: %s and %s are runs of one side and differ: %s", ErrRefused, side[0].id(), r.id(), settingsText(list))
			}
			all = append(all, r.coverage())
		}
	}
	cover := judge.Common(all)
	seconds := make([]float64, len(all))
	pieces := 0
	for _, p := range cover.Pieces {
		if p.Apart != "" {
			continue
		}
		pieces++
		for i := range p.Counters {
			seconds[i] += float64(p.Counters[i].WallNS) / 1e9
		}
	}
	if pieces == 0 {
		return Comparison{}, fmt.Errorf("%w: these %d runs have no bars with common counts", ErrRefused, len(all))
	}
	judged, err := judge.Repeats(seconds[:len(a)], seconds[len(a):], alpha)
	if err != nil {
		return Comparison{}, fmt.Errorf("judging the speed of %d runs: %w", len(all), err)
	}
	c.Speed.set(judged)
	c.Speed.SecondsA, c.Speed.SecondsB = total(seconds[:len(a)]), total(seconds[len(a):])
	c.Notes = append(c.Notes, fmt.Sprintf("speed is that of %d and %d runs, on the %s bars that all of them have in common; trades are those of %s and %s",
		len(a), len(b), whole(cover.Bars), a[0].id(), b[0].id()))
	if o.Thresholds != nil {
		c.Thresholds[0] = ofSpeed(Speedup, "speed-up", judged, AtLeast, o.Thresholds.MinSpeedup, false)
	}
	c.Sentence = c.sentence()
	return c, nil
}

func total(list []float64) float64 {
	var sum judge.Sum
	for _, x := range list {
		sum.Add(x)
	}
	return sum.Value()
}
