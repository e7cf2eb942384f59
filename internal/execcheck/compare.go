package execcheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gx1replay/internal/execengine"
	"gx1replay/internal/run"
)

// compareTables finds rows of trades or signals that only the whole range has,
// or only its parts have. Their order does not count.
func (c *checker) compareTables(whole left, parts []left) ([]Finding, error) {
	j, err := c.join(whole, parts)
	if err != nil {
		return nil, err
	}
	return j.findings(), nil
}

// joined are two tables of the same columns: of the whole range, and of its
// parts one after the other.
type joined struct {
	c          *checker
	pieces     []run.BarRange
	header     []string
	whole, cut []row
	compared   []int // columns
	entry      int   // column; -1: there is none
	exit, side int
}

func (c *checker) join(whole left, parts []left) (*joined, error) {
	j := &joined{c: c, header: whole.table.header, whole: slices.Clone(whole.table.rows)}
	counted := slices.Clone(whole.table.counted)
	for k, part := range parts {
		j.pieces = append(j.pieces, part.piece.Bars)
		if part.nothing || len(part.table.rows) == 0 { // a table without rows says nothing of columns
			continue
		}
		if !slices.Equal(part.table.header, j.header) {
			return nil, fmt.Errorf("the trades of piece %d of %d have the columns %s, those of the whole range %s (want the same)",
				k+1, len(parts), strings.Join(part.table.header, ","), strings.Join(j.header, ","))
		}
		for i := range counted {
			counted[i] = counted[i] && part.table.counted[i]
		}
		for _, r := range part.table.rows {
			r.piece = k
			j.cut = append(j.cut, r)
		}
	}
	all := &table{header: j.header, rows: slices.Concat(j.whole, j.cut)}
	j.entry, j.exit, j.side = all.timeColumn(entryNames), all.timeColumn(exitNames), all.column(sideNames)
	if whole.table.isSignals() {
		j.entry, j.exit = 0, 4 // whose bars are known
	} else {
		j.place(j.whole)
		j.place(j.cut)
	}
	for i := range j.whole {
		j.whole[i].piece = j.pieceOf(j.whole[i].entry)
	}
	c.notCompared = nil
	for k, name := range j.header {
		if j.leftOut(k, counted) {
			c.notCompared = append(c.notCompared, name)
			continue
		}
		j.compared = append(j.compared, k)
	}
	if len(j.compared) == 0 && len(j.header) > 0 {
		return nil, fmt.Errorf("no column of the trades is left to compare (they are %s)", strings.Join(j.header, ", "))
	}
	return j, nil
}

func (t *table) isSignals() bool { return len(t.header) > 0 && &t.header[0] == &signalHeader[0] }

// fewRows are too few to say that a column counts them.
const fewRows = 3

// leftOut says whether a column numbers rows or pieces, or is to be ignored.
func (j *joined) leftOut(k int, counted []bool) bool {
	name := strings.ToLower(strings.TrimSpace(j.header[k]))
	same := func(other string) bool { return strings.EqualFold(strings.TrimSpace(other), name) }
	switch {
	case slices.ContainsFunc(j.c.Ignore, same):
		return true
	case k == j.entry || k == j.exit:
		return false
	case slices.Contains(numberNames, name):
		return true
	}
	return counted[k] && len(j.whole) >= fewRows
}

// place finds the bars of rows' times.
func (j *joined) place(rows []row) {
	for i := range rows {
		rows[i].entry, rows[i].exit = j.bar(rows[i], j.entry), j.bar(rows[i], j.exit)
	}
}

// bar is the bar that is under way at a row's time; -1: there is no such time, or
// it is before the first bar.
func (j *joined) bar(r row, column int) int64 {
	if column < 0 {
		return -1
	}
	ns, ok := execengine.ParseTime(strings.TrimSpace(r.cells[column]))
	if !ok {
		return -1
	}
	i, found := slices.BinarySearch(j.c.times, ns)
	if !found {
		i--
	}
	return int64(i)
}

// pieceOf is the piece in which a bar is; the nearest if it is in none, -1 if
// it is not known.
func (j *joined) pieceOf(bar int64) int {
	if bar < 0 {
		return -1
	}
	for k, p := range j.pieces {
		if bar < p.End {
			return k
		}
	}
	return len(j.pieces) - 1
}

// key is what of a row is compared.
func (j *joined) key(r row, columns []int) string {
	var b strings.Builder
	for _, k := range columns {
		b.WriteString(canonical(r.cells[k]))
		b.WriteByte(0)
	}
	return b.String()
}

// difference is a row that differs: one of whole and cut may be nil.
type difference struct {
	whole, cut *row
	cause      Cause
}

// at is the bar at which it begins; -1: not known.
func (d difference) at() int64 {
	if d.whole != nil {
		return d.whole.entry
	}
	return d.cut.entry
}

func (d difference) piece() int {
	if d.cut != nil {
		return d.cut.piece
	}
	return d.whole.piece
}

// differences finds the rows that differ, and in same the last bar of each
// piece at which a row is the same.
func (j *joined) differences() (list []difference, same []int64) {
	same = make([]int64, len(j.pieces))
	for k := range same {
		same[k] = -1
	}
	there := map[string]int{}
	for _, r := range j.cut {
		there[j.key(r, j.compared)]++
	}
	var missing []*row
	for i := range j.whole {
		r := &j.whole[i]
		if key := j.key(*r, j.compared); there[key] > 0 {
			there[key]--
			if r.piece >= 0 {
				same[r.piece] = max(same[r.piece], r.entry)
			}
			continue
		}
		missing = append(missing, r)
	}
	// What the whole range has not: of equal rows the last ones.
	var extra []*row
	for i := range slices.Backward(j.cut) {
		if key := j.key(j.cut[i], j.compared); there[key] > 0 {
			there[key]--
			extra = append(extra, &j.cut[i])
		}
	}
	slices.Reverse(extra)
	return j.pair(j.near(missing, extra, same)), same
}

// match pairs rows of missing with rows of extra that are the same in columns
// and that fit, each with the first of at most tries. A row of missing without
// one stands alone, at its place; rest is what is left of extra.
func (j *joined) match(missing, extra []*row, columns []int, tries int, fit func(whole, cut *row) bool) (list []difference, rest []*row) {
	columns = slices.DeleteFunc(columns, func(k int) bool { return k < 0 })
	alike := map[string][]*row{}
	for _, r := range extra {
		key := j.key(*r, columns)
		alike[key] = append(alike[key], r)
	}
	used := map[*row]bool{}
	for _, m := range missing {
		d := difference{whole: m}
		key := j.key(*m, columns)
		found := alike[key]
		for i, r := range found[:min(len(found), tries)] {
			if fit(m, r) {
				d.cut, used[r] = r, true
				alike[key] = slices.Delete(found, i, i+1)
				break
			}
		}
		list = append(list, d)
	}
	return list, slices.DeleteFunc(slices.Clone(extra), func(r *row) bool { return used[r] })
}

// pair makes one difference of two rows that begin alike.
func (j *joined) pair(missing, extra []*row) []difference {
	list, rest := j.match(missing, extra, []int{j.entry, j.side}, 1, func(_, _ *row) bool { return j.entry >= 0 })
	for _, r := range rest {
		list = append(list, difference{cut: r})
	}
	slices.SortStableFunc(list, func(a, b difference) int { return cmp.Compare(a.at(), b.at()) })
	return list
}

// findings gathers differences by border and cause.
func (j *joined) findings() []Finding {
	list, same := j.differences()
	j.explain(list)
	var out []Finding
	for _, d := range list {
		f := j.finding(d)
		i := slices.IndexFunc(out, func(o Finding) bool { return o.Border == f.Border && o.Cause == f.Cause })
		if i < 0 {
			out = append(out, f)
			i = len(out) - 1
		}
		o := &out[i]
		o.Rows++
		o.TailBars = max(o.TailBars, f.TailBars)
		if d.cause == CauseTail || d.cause == CauseUnknown {
			continue
		}
		at := j.pieces[d.piece()]
		o.BarsBehind = max(o.BarsBehind, d.at()-at.First+1)
		o.AgreesAgain = same[d.piece()] > d.at()
	}
	for i := range out {
		if f := &out[i]; f.Cause == CauseWarmup && !f.AgreesAgain {
			f.Cause = CauseState
		}
	}
	return out
}

// finding is the finding of one difference.
func (j *joined) finding(d difference) Finding {
	f := Finding{Pieces: len(j.pieces), Cause: d.cause, Border: -1, FirstBar: d.at()}
	f.Whole, f.Cut = j.show(d)
	if d.cause == CauseUnknown {
		return f
	}
	at := j.pieces[d.piece()]
	f.Border = at.First
	if d.cause == CauseTail {
		f.Border = at.End
		f.TailBars = d.whole.exit - at.End + 1
	}
	f.BorderTS, f.FirstTS = j.c.stamp(f.Border), j.c.stamp(f.FirstBar)
	return f
}

// Bounds of what is shown of a row.
const (
	shownColumns = 6
	shownBytes   = 200
)

// show is what a difference looks like in the whole range and in the cut.
func (j *joined) show(d difference) (whole, cut string) {
	columns := j.compared
	if d.whole != nil && d.cut != nil {
		columns = slices.DeleteFunc(slices.Clone(columns), func(k int) bool {
			return k != j.entry && canonical(d.whole.cells[k]) == canonical(d.cut.cells[k])
		})
	}
	columns = columns[:min(len(columns), shownColumns)]
	text := func(r *row) string {
		if r == nil {
			return ""
		}
		var parts []string
		for _, k := range columns {
			parts = append(parts, j.header[k]+"="+strings.TrimSpace(r.cells[k]))
		}
		return shorten(strings.Join(parts, " "))
	}
	return text(d.whole), text(d.cut)
}

// shorten makes a text from a file fit for a line of a terminal.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
	if len(text) > shownBytes {
		text = strings.ToValidUTF8(text[:shownBytes], "") + "…"
	}
	return text
}
