package bars

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// textColumns are the columns of a text that are kept beside the bars. The
// zero value keeps none.
type textColumns struct {
	list    []*textColumn
	skipped skipped
}

func newTextColumns(l *layout, header []string) textColumns {
	var t textColumns
	for _, f := range l.extras(header, &t.skipped) {
		// The reader lends the header for the first row alone.
		t.list = append(t.list, &textColumn{found: found{f.index, strings.Clone(f.name)}})
	}
	return t
}

func (t *textColumns) add(record []string) {
	for _, c := range t.list {
		c.add(record[c.index])
	}
}

// columns ends the reading of a text with these bars.
func (t *textColumns) columns(bars []Bar) ([]Column, []string) {
	var list []Column
	for i, c := range t.list {
		if c.reason != "" {
			t.skipped.add(c.name, c.reason)
		} else {
			list = append(list, c.column())
		}
		t.list[i] = nil // its text is garbage now
	}
	return ownMids(list, bars), t.skipped
}

// textColumn gathers the cells of a column of text. What they are can only be
// said when all are known.
type textColumn struct {
	found
	text []byte
	ends []int // of the cells, in text

	kinds  [cellKinds]int // cells of each kind
	reason string         // why the column is left out; empty: it is not
}

// cellKind is what the text of a cell may be.
type cellKind int

const (
	cellEmpty cellKind = iota
	cellNA             // a word that stands for a missing number
	cellInt
	cellFloat
	cellBool
	cellText
	cellKinds
)

func (c *textColumn) add(cell string) {
	if c.reason != "" {
		return
	}
	if c.reason = badText(cell, len(c.ends)); c.reason != "" {
		c.text, c.ends = nil, nil
		return
	}
	c.kinds[kindOf(cell)]++
	c.text = append(c.text, cell...)
	c.ends = append(c.ends, len(c.text))
}

// column is what the cells are, taken together: whole numbers within an int64,
// numbers, True and False, or else text. An empty cell is a null; in a column
// of numbers so are NA, N/A, null, None and <NA>, which in text stay what they
// are. Digits that a number would not give back (007, more than an int64
// holds) make the column text. Times stay text.
func (c *textColumn) column() Column {
	out := Column{Shape: Shape{Name: c.name, Kind: String}}
	n, ints, missing := len(c.ends), c.kinds[cellInt], c.kinds[cellEmpty]+c.kinds[cellNA]
	switch {
	case ints > 0 && ints+missing == n:
		out.Kind = Int64
	case ints+c.kinds[cellFloat]+missing == n: // nothing at all, too
		out.Kind = Float64
	case c.kinds[cellBool]+c.kinds[cellEmpty] == n:
		out.Kind = Bool
	}
	if out.Kind == String {
		out.Texts = make([]string, 0, n)
	} else {
		out.Bits = make([]uint64, 0, n)
	}
	all := string(c.text) // one for all cells
	first := 0
	for _, end := range c.ends {
		out.sawRow(out.appendText(all[first:end]))
		first = end
	}
	return out
}

// appendText appends a cell that kindOf has judged.
func (c *Column) appendText(cell string) (null bool) {
	if c.Kind == String {
		c.Texts = append(c.Texts, cell)
		return cell == ""
	}
	cell = strings.TrimSpace(cell)
	null = cell == "" || isNA(cell)
	var bits uint64
	switch {
	case null:
	case c.Kind == Int64:
		v, _ := strconv.ParseInt(cell, 10, 64)
		bits = uint64(v)
	case c.Kind == Float64:
		v, _ := strconv.ParseFloat(cell, 64) // out of range: infinite, as any reader has it
		bits = math.Float64bits(v)
	case strings.EqualFold(cell, "true"):
		bits = 1
	}
	c.Bits = append(c.Bits, bits)
	return null
}

func kindOf(cell string) cellKind {
	if cell == "" {
		return cellEmpty
	}
	cell = strings.TrimSpace(cell)
	switch {
	case isNA(cell):
		return cellNA
	case isWhole(cell):
		return cellInt
	case isDecimal(cell):
		return cellFloat
	}
	switch cell {
	case "True", "False", "true", "false", "TRUE", "FALSE":
		return cellBool
	}
	return cellText
}

func isNA(cell string) bool {
	switch cell {
	case "NA", "N/A", "null", "NULL", "None", "<NA>":
		return true
	}
	return false
}

// isWhole is true for an int64 in the one way that it is written.
func isWhole(cell string) bool {
	if v, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return strconv.FormatInt(v, 10) == cell
	}
	return false
}

// isDecimal is true for a number with a point, an exponent or a plus, and for
// NaN and infinity in any letters. Digits alone are none: they are an int64
// (isWhole) or would lose something.
func isDecimal(cell string) bool {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return false
	}
	if strings.ContainsAny(cell, "xX_pP") {
		return false // what Go alone takes for a number
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return true
	}
	return strings.ContainsAny(cell, ".eE") || cell == "-0" || (cell[0] == '+' && isWhole(cell[1:]))
}
