package execcheck

import (
	"fmt"
	"math"
	"strconv"
)

// scores are the probabilities of a piece's own bars.
type scores struct{ long, short []float64 }

// equal says whether two scores are the same bits, or both are none.
func equal(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// sameScores says whether the scores of a bar are the same, within the tolerance.
// Those that open a trade in one replay and not in the other, or one of another
// side, never are.
func (c *checker) sameScores(long, short, partLong, partShort float64) bool {
	if equal(long, partLong) && equal(short, partShort) {
		return true
	}
	if (long != long) != (partLong != partLong) || (short != short) != (partShort != partShort) {
		return false
	}
	by := max(apart(long, partLong), apart(short, partShort))
	if by > c.Tolerance || decides(c.Policy.Entry, long, short) != decides(c.Policy.Entry, partLong, partShort) {
		return false
	}
	c.drift.add(by)
	return true
}

// compareScores finds the bars at which the scores differ.
func (c *checker) compareScores(whole left, parts []left) []Finding {
	var out []Finding
	for k, part := range parts {
		from := part.piece.Bars.First - c.Range.First
		of := scores{whole.scores.long[from:], whole.scores.short[from:]}
		var differ []int
		for i := range part.scores.long {
			if !c.sameScores(of.long[i], of.short[i], part.scores.long[i], part.scores.short[i]) {
				differ = append(differ, i)
			}
		}
		start, end := split(differ, len(part.scores.long))
		if k == len(parts)-1 {
			start, end = differ, nil // no border stands at its end
		}
		if len(start) > 0 {
			f := c.scoreFinding(part, of, start, part.piece.Bars.First)
			last := start[len(start)-1]
			f.BarsBehind, f.AgreesAgain = int64(last+1), last < len(part.scores.long)-1
			switch {
			case k == 0:
				f.Cause = CauseAhead
			case f.AgreesAgain:
				f.Cause = CauseWarmup
			default:
				f.Cause = CauseState
			}
			out = append(out, f)
		}
		if len(end) > 0 {
			f := c.scoreFinding(part, of, end, part.piece.Bars.End)
			f.Cause, f.TailBars = CauseTail, int64(len(part.scores.long)-end[0])
			out = append(out, f)
		}
	}
	return out
}

func (c *checker) scoreFinding(part left, of scores, differ []int, border int64) Finding {
	i := differ[0]
	bar := part.piece.Bars.First + int64(i)
	f := Finding{
		Pieces: part.piece.Pieces, Border: border, BorderTS: c.stamp(border), Rows: len(differ), FirstBar: bar, FirstTS: c.stamp(bar),
		Whole: scoreText(of.long[i], of.short[i]), Cut: scoreText(part.scores.long[i], part.scores.short[i]),
	}
	for _, i := range differ {
		for _, by := range []float64{of.long[i] - part.scores.long[i], of.short[i] - part.scores.short[i]} {
			if by = math.Abs(by); by > f.Moved {
				f.Moved = by
			}
		}
	}
	return f
}

func scoreText(long, short float64) string {
	text := func(x float64) string {
		if x != x {
			return "none"
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprintf("p_long=%s p_short=%s", text(long), text(short))
}

// split divides the places of differences among n rows into those of the start
// and, if they reach to the end, those of the end: at the longest stretch of
// rows that are equal.
func split(differ []int, n int) (start, end []int) {
	if len(differ) == 0 || differ[len(differ)-1] != n-1 {
		return differ, nil
	}
	at, longest, before := 0, 0, -1
	for k, i := range differ {
		if equal := i - before - 1; equal > longest {
			at, longest = k, equal
		}
		before = i
	}
	if longest == 0 {
		return differ, nil // all differ
	}
	return differ[:at], differ[at:]
}
