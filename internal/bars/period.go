package bars

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// period is a part of a data set: bars that open in [from, to), and before them
// those of a warm-up.
type period struct {
	from, to       int64
	hasFrom, hasTo bool
	warmup         int64
}

// period reads the fields of the period.
func (f Form) period() (period, error) {
	var p period
	var err error
	if f.From != "" {
		if p.from, err = parseTime(f.From); err != nil {
			return p, fmt.Errorf("--from: %s (want %w)", shorten(f.From), err)
		}
		p.hasFrom = true
	}
	if f.To != "" {
		if p.to, err = parseTime(f.To); err != nil {
			return p, fmt.Errorf("--to: %s (want %w)", shorten(f.To), err)
		}
		p.hasTo = true
	}
	if p.hasFrom && p.hasTo && p.to <= p.from {
		return p, fmt.Errorf("--to %s is not after --from %s (want a period)", f.To, f.From)
	}
	if f.Warmup != "" {
		if p.warmup, err = strconv.ParseInt(f.Warmup, 10, 32); err != nil || p.warmup < 0 {
			return p, fmt.Errorf("--warmup: %s (want a number of bars)", shorten(f.Warmup))
		}
		if !p.hasFrom {
			return p, errors.New("--warmup without --from: there is nothing before the data (want --from T)")
		}
	}
	return p, nil
}

// take is the part of set that is in the period.
func (p period) take(set Set) (Set, error) {
	if !p.hasFrom && !p.hasTo {
		return set, nil
	}
	at := func(ns int64) int {
		i, _ := slices.BinarySearchFunc(set.Bars, ns, func(b Bar, ns int64) int {
			switch {
			case b.TimeNS < ns:
				return -1
			case b.TimeNS > ns:
				return 1
			}
			return 0
		})
		return i
	}
	first, end := 0, len(set.Bars)
	if p.hasFrom {
		first = at(p.from)
	}
	if p.hasTo {
		end = at(p.to)
	}
	if first >= end {
		n := len(set.Bars)
		return Set{}, fmt.Errorf("%w of %d open in the period (the data has %s to %s)", errNoneInPeriod, n,
			formatTime(set.Bars[0].TimeNS), formatTime(set.Bars[n-1].TimeNS))
	}
	begin := max(0, first-int(p.warmup))
	set.Before = first - begin
	set.Bars = set.Bars[begin:end:end]
	for i := range set.Extra {
		set.Extra[i] = set.Extra[i].Slice(begin, end)
	}
	return set, nil
}

// errNoneInPeriod: a period holds no bar.
var errNoneInPeriod = errors.New("no bars")
