package execcheck

import (
	"cmp"
	"slices"
)

// Cause is the likely reason of a difference.
type Cause string

const (
	// CauseWarmup: behind a border the replays differ for a while: what is
	// computed there needs more bars before it than the slice has.
	CauseWarmup Cause = "warmup"
	// CauseState: they differ up to the piece's end: something is carried
	// through all bars.
	CauseState Cause = "state"
	// CauseTail: a trade that is open at a border ends otherwise, or is lost.
	CauseTail Cause = "tail"
	// CausePosition: the cut replay enters where in the whole one a position
	// from before the border is still open.
	CausePosition Cause = "position"
	// CauseAhead: rows differ where nothing was cut away before them, so the
	// command looks at bars behind them, or no two replays are alike.
	CauseAhead Cause = "ahead"
	// CauseUnknown: the rows have no times, so it is not known where they are.
	CauseUnknown Cause = "unknown"
)

// explain finds the cause of each difference.
func (j *joined) explain(list []difference) {
	single := j.single()
	for i := range list {
		d := &list[i]
		if d.at() < 0 || d.piece() < 0 {
			d.cause = CauseUnknown
			continue
		}
		k := d.piece()
		at := j.pieces[k]
		switch {
		case d.whole != nil && k < len(j.pieces)-1 && d.whole.exit >= at.End:
			d.cause = CauseTail
		case k == 0:
			d.cause = CauseAhead
		case single && d.whole == nil && j.open(at.First, d.cut.entry):
			d.cause = CausePosition
		default:
			d.cause = CauseWarmup
		}
	}
	// What follows from a position that is not open in the cut is its
	// consequence, as far as the piece goes.
	first := map[int]Cause{}
	for i := range list {
		d := &list[i]
		if d.cause != CauseWarmup && d.cause != CausePosition {
			continue
		}
		if _, seen := first[d.piece()]; !seen {
			first[d.piece()] = d.cause
		}
		d.cause = first[d.piece()]
	}
}

// single reports whether no two trades of the whole range are open at a time.
func (j *joined) single() bool {
	rows := slices.Clone(j.whole)
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.entry, b.entry) })
	for i, r := range rows {
		if r.entry < 0 || r.exit < 0 || i > 0 && r.entry < rows[i-1].exit {
			return false
		}
	}
	return len(rows) > 0
}

// open reports whether a trade of the whole range is open at the border and
// still at bar.
func (j *joined) open(border, bar int64) bool {
	return slices.ContainsFunc(j.whole, func(r row) bool { return r.entry < border && r.exit >= border && r.exit >= bar })
}
