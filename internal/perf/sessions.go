package perf

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gx1replay/internal/run"
)

// MergeSessions returns the sessions of both, each number once, in their
// order. Of two accounts of one session the longer one stands: an earlier
// export knew less of it. The order and the number of merges do not matter.
func MergeSessions(a, b []run.SessionTimes) []run.SessionTimes {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y run.SessionTimes) int {
		return cmp.Or(cmp.Compare(x.Session, y.Session), longer(y, x))
	})
	return slices.CompactFunc(all, func(x, y run.SessionTimes) bool { return x.Session == y.Session })
}

// longer compares two accounts of one session; of equally long ones the one
// with a later end, then the one with a later start is taken for longer.
func longer(x, y run.SessionTimes) int {
	return cmp.Or(cmp.Compare(x.WallSec, y.WallSec), x.EndedAt.Compare(y.EndedAt), x.StartedAt.Compare(y.StartedAt))
}

// WallOf is total_wall_clock_sec of these sessions: their sum. A time that is
// no number counts as 0, as it is written.
func WallOf(sessions []run.SessionTimes) time.Duration {
	sum := 0.0
	for _, s := range sessions {
		if !math.IsNaN(s.WallSec) && !math.IsInf(s.WallSec, 0) {
			sum += s.WallSec
		}
	}
	return seconds(sum)
}

// EndSession returns sessions with session n ended at the given time. One that
// was heard of later than that, or that has ended later, ends then. Sessions
// without number n are returned as they are.
func EndSession(sessions []run.SessionTimes, n int, at time.Time) []run.SessionTimes {
	out := slices.Clone(sessions)
	for i, s := range out {
		if s.Session != n {
			continue
		}
		end := at
		for _, heard := range []time.Time{s.StartedAt.Add(seconds(s.WallSec)), s.EndedAt} {
			if heard.After(end) {
				end = heard
			}
		}
		out[i].EndedAt = end
		if wall := end.Sub(s.StartedAt).Seconds(); !s.StartedAt.IsZero() && wall > s.WallSec {
			out[i].WallSec = wall
		}
	}
	return out
}
