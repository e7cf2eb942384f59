//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// outcome is what one run of the campaign `stop` came to.
type outcome struct {
	way                way
	outcome            string
	planned, replayed  int64
	logged, unreported int64
	stopping           time.Duration // until the stop was accepted
	ending             time.Duration // from the stop to the end of the process
	hung               bool
	err                error
}

// tally collects outcomes.
type tally struct {
	mu  sync.Mutex
	all []outcome
}

func (t *tally) note(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, o)
}

// summary says how the campaign went: a line a way, and one for all.
func (s *stops) summary(ctx context.Context) error {
	s.result.mu.Lock()
	defer s.result.mu.Unlock()
	all := s.result.all
	good, hung := 0, 0
	var unreported int64
	for _, w := range ways {
		var stopped, complete, early, bad int
		var ends []time.Duration
		var share []float64
		for _, o := range all {
			if o.way != w {
				continue
			}
			switch {
			case o.err != nil:
				bad++
			case o.outcome == "complete":
				complete++
			case o.planned == 0 || o.replayed == 0:
				early++
			default:
				stopped++
				share = append(share, float64(o.replayed)/float64(o.planned))
			}
			if o.err == nil {
				ends = append(ends, o.ending)
			}
		}
		fmt.Fprintf(s.out, "  %-8s stopped under way %3d (covering %.0f %% to %.0f %%), before the first bar %3d, complete %3d, wrong %d; stop to end: median %v, worst %v\n",
			w, stopped, 100*quantile(share, 0), 100*quantile(share, 1), early, complete, bad,
			quantile(ends, 0.5).Round(time.Millisecond), quantile(ends, 1).Round(time.Millisecond))
	}
	for _, o := range all {
		if o.err == nil {
			good++
		}
		if o.hung {
			hung++
		}
		unreported += o.unreported
	}
	fmt.Fprintf(s.out, "stop campaign, seed %d: %d of %d runs right, %d hung, %d bars unreported at the stop, %d shapes undisturbed\n",
		s.seed, good, s.runs, hung, unreported, len(s.lengths))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	if good != s.runs {
		return errWrong
	}
	return nil
}

// quantile is the nearest-rank quantile of list, which it sorts; 0 of none.
func quantile[T time.Duration | float64](list []T, q float64) T {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(int(q*float64(len(list))), len(list)-1)]
}
