package execcheck

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// DefaultTolerance is wide enough for what drifts with the bars that were added
// and taken away before, as pandas' rolling().std(), in the tenth digit or, where
// prices have leapt, in the ninth. It is narrow enough for a mean that begins with
// its slice.
const DefaultTolerance = 1e-8

// CheckTolerance says whether x can be a tolerance.
func CheckTolerance(x float64) error {
	if !(x >= 0 && x <= 0.01) {
		return fmt.Errorf("--tolerance %v (want 0, exact to the last bit, to 0.01)", x)
	}
	return nil
}

// apart is how far two numbers are from each other: relative to the larger of
// them, and absolute where both are below 1.
func apart(a, b float64) float64 {
	if a == b || a != a && b != b {
		return 0
	}
	d := math.Abs(a-b) / max(1, math.Abs(a), math.Abs(b))
	if d != d { // an infinity, or no number beside one
		return math.Inf(1)
	}
	return d
}

// cellsApart is apart of two cells that are not the same text; infinite if one is
// no number, or both are whole ones: those count.
func cellsApart(a, b string) float64 {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	if _, err := strconv.ParseInt(a, 10, 64); err == nil {
		if _, err := strconv.ParseInt(b, 10, 64); err == nil {
			return math.Inf(1)
		}
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil {
		return math.Inf(1)
	}
	return apart(x, y)
}

// mostAlike bounds how many rows of the same entry, exit and side are tried.
const mostAlike = 64

// near pairs rows that differ by values alone, within the tolerance: they have the
// same entry, exit and side. It returns those that are left.
func (j *joined) near(missing, extra []*row, same []int64) (_, _ []*row) {
	if j.c.Tolerance == 0 || len(missing) == 0 || len(extra) == 0 {
		return missing, extra
	}
	list, rest := j.match(missing, extra, []int{j.entry, j.exit, j.side}, mostAlike, func(m, r *row) bool {
		d := j.rowsApart(m, r)
		if d > j.c.Tolerance {
			return false
		}
		j.c.drift.add(d)
		if m.piece >= 0 {
			same[m.piece] = max(same[m.piece], m.entry)
		}
		return true
	})
	var left []*row
	for _, d := range list {
		if d.cut == nil {
			left = append(left, d.whole)
		}
	}
	return left, rest
}

// rowsApart is how far two rows are from each other in their values.
func (j *joined) rowsApart(a, b *row) float64 {
	most := 0.0
	for _, k := range j.compared {
		if canonical(a.cells[k]) == canonical(b.cells[k]) {
			continue
		}
		if k == j.entry || k == j.exit || k == j.side {
			return math.Inf(1)
		}
		most = max(most, cellsApart(a.cells[k], b.cells[k]))
	}
	return most
}

// drift is what was found within the tolerance.
type drift struct {
	rows int
	most float64
}

func (d *drift) add(by float64) {
	d.rows++
	d.most = max(d.most, by)
}

// decides is the side that a bar's scores open a trade on by the policy's
// thresholds, whatever its gate and sessions say; 0: neither.
func decides(e policy.Entry, long, short float64) trade.Side {
	side, p, other, least, lead := trade.Long, long, short, e.PSideMin.Long, e.MarginMin.Long
	if short > long {
		side, p, other, least, lead = trade.Short, short, long, e.PSideMin.Short, e.MarginMin.Short
	}
	if !(p > other) || p < least || lead > 0 && p-other < lead {
		return 0
	}
	return side
}
