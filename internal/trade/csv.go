package trade

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// csvColumn is a column of the CSV: a field of Row, or of its Charges.
type csvColumn struct {
	name  string
	index []int // of the field
	kind  reflect.Kind
	time  bool // ns since 1970 UTC
}

// columnsOf are the columns in their order, which with their names are those of
// parquet: Row's, and those of Charges in a run whose policy has costs.
func columnsOf(charged bool) []csvColumn {
	list := columnsIn(reflect.TypeFor[Row](), nil)
	if charged {
		f, _ := reflect.TypeFor[Row]().FieldByName("Charges")
		list = append(list, columnsIn(f.Type, f.Index)...)
	}
	return list
}

func columnsIn(t reflect.Type, at []int) (list []csvColumn) {
	for f := range t.Fields() {
		if name, options, _ := strings.Cut(f.Tag.Get("parquet"), ","); name != "-" {
			list = append(list, csvColumn{name, slices.Concat(at, f.Index), f.Type.Kind(), strings.HasPrefix(options, "timestamp")})
		}
	}
	return list
}

// header is the line with the names of columns.
func header(columns []csvColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ",") + "\n"
}

// csvBuffer is how many bytes are gathered before they are written.
const csvBuffer = 64 << 10

// WriteCSV writes one row for each of trades, which are closed and in the
// order of their signals, below a line with the columns' names; without
// trades that line alone. Equal trades are equal bytes on every machine:
// floats have as many digits as bring them back, times are RFC 3339 UTC
// (2026-01-05T07:05:00Z), lines end with \n.
//
// costs are the policy's, nil if it has none: then there are no columns about
// them.
func WriteCSV(w io.Writer, trades iter.Seq[*Signal], sessions feature.SessionTable, costs *policy.Costs) error {
	columns := columnsOf(costs != nil)
	b := append(make([]byte, 0, csvBuffer+1024), header(columns)...)
	n := 0
	for s := range trades {
		r, err := NewRow(s, sessions, costs)
		if err != nil {
			return fmt.Errorf("writing trade %d as CSV: %w", n, err)
		}
		b = r.appendCSV(b, columns)
		n++
		if len(b) >= csvBuffer {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("writing trades up to %d as CSV: %w", n, err)
			}
			b = b[:0]
		}
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("writing trades up to %d as CSV: %w", n, err)
	}
	return nil
}

func (r *Row) appendCSV(b []byte, columns []csvColumn) []byte {
	row := reflect.ValueOf(r).Elem()
	for i := range columns {
		c := &columns[i]
		if i > 0 {
			b = append(b, ',')
		}
		switch f := row.FieldByIndex(c.index); {
		case c.time:
			b = appendTime(b, f.Int())
		case c.kind == reflect.Int64:
			b = strconv.AppendInt(b, f.Int(), 10)
		case c.kind == reflect.Float64:
			b = appendFloat(b, f.Float())
		default:
			b = appendText(b, f.String())
		}
	}
	return append(b, '\n')
}

func appendTime(b []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(b, time.RFC3339Nano)
}

// appendFloat writes plain digits where a person reads them, and an exponent
// where those would be long. A whole number keeps its point (10.0): readers
// guess types from texts, and a column of 1 and 0 would become one of integers
// in one run and of doubles in the next.
func appendFloat(b []byte, x float64) []byte {
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.AppendFloat(b, x, 'e', -1, 64)
	}
	n := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, 64)
	if bytes.IndexByte(b[n:], '.') < 0 {
		b = append(b, ".0"...)
	}
	return b
}

// appendText quotes what RFC 4180 asks to be quoted; a policy's own exit
// reason may hold a comma. It may also look like a formula.
func appendText(b []byte, s string) []byte {
	s = SpreadsheetCell(s)
	if !strings.ContainsAny(s, ",\"\r\n") && s != "" && s[0] != ' ' {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
