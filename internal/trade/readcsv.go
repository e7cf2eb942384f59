package trade

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gx1replay/internal/policy"
)

// CellError is what is wrong with one cell of a trades file.
type CellError struct {
	Line          int // from 1
	Column, Value string
	Want          string
}

func (e *CellError) Error() string {
	return fmt.Sprintf("line %d: %s is %s (expected %s)", e.Line, e.Column, e.Value, e.Want)
}

// ReadCSV reads what WriteCSV wrote. An error names the line; one of a cell is
// a *CellError.
func ReadCSV(b []byte) ([]Row, error) {
	columns, charged := columnsOf(true), true
	text, ok := strings.CutPrefix(string(b), header(columns))
	if !ok {
		columns, charged = columnsOf(false), false
		if text, ok = strings.CutPrefix(text, header(columns)); !ok {
			return nil, fmt.Errorf("line 1: %.80q (want the names of the columns, as WriteCSV writes them)", text)
		}
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = len(columns)
	r.ReuseRecord = true
	var rows []Row
	for line := 2; ; line++ {
		cells, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, fmt.Errorf("line %d: %w", line, errors.Unwrap(err))
		}
		row := Row{Charged: charged}
		for i, c := range columns {
			if want := c.parse(reflect.ValueOf(&row).Elem().FieldByIndex(c.index), cells[i]); want != "" {
				return rows, &CellError{line, c.name, fmt.Sprintf("%.40q", cells[i]), want}
			}
		}
		rows = append(rows, row)
	}
}

// parse sets field to a cell; if it is not one, it returns what was expected.
func (c csvColumn) parse(field reflect.Value, cell string) (want string) {
	switch {
	case c.time:
		t, err := time.Parse(time.RFC3339Nano, cell)
		if err != nil {
			return "a time such as 2026-01-05T07:05:00Z"
		}
		field.SetInt(t.UnixNano())
	case field.CanInt():
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil {
			return "a whole number"
		}
		field.SetInt(n)
	case field.CanFloat():
		x, err := strconv.ParseFloat(cell, 64)
		if err != nil || !finite(x) {
			return "a finite number"
		}
		field.SetFloat(x)
	default:
		field.SetString(strings.Clone(CellText(cell)))
	}
	return ""
}

// Check says which columns of r do not follow from the others, one error for
// each; line is r's in the CSV.
func (r *Row) Check(line int) (list []*CellError) {
	add := func(column string, got, want any) {
		list = append(list, &CellError{line, column, fmt.Sprint(got), fmt.Sprint(want)})
	}
	if want := tradeID(r.SignalBar); r.TradeID != want {
		add("trade_id", r.TradeID, want)
	}
	if r.EntryBar < r.SignalBar {
		add("entry_bar", r.EntryBar, fmt.Sprintf("signal_bar, %d, or later", r.SignalBar))
	}
	if r.ExitBar < r.EntryBar {
		add("exit_bar", r.ExitBar, fmt.Sprintf("entry_bar, %d, or later", r.EntryBar))
	}
	if want := r.ExitBar - r.EntryBar; r.DurationBars != want {
		add("duration_bars", r.DurationBars, want)
	}
	s := Signal{Side: Long, ExitBar: r.ExitBar, EntryPrice: r.EntryPrice, ExitPrice: r.ExitPrice, MFEBps: r.MFEBps}
	switch r.Side {
	case Long.String():
	case Short.String():
		s.Side = Short
	default:
		add("side", fmt.Sprintf("%.40q", r.Side), "long or short")
		return list
	}
	for _, c := range []struct {
		column    string
		got, want float64
	}{
		{"pnl_bps", r.PnlBps, plus(s.PnlBps())},
		{"close_to_mfe_bps", r.CloseToMFEBps, plus(closeToMFE(&s))},
		{"exit_efficiency", r.ExitEfficiency, plus(exitEfficiency(&s))},
	} {
		if c.got != c.want {
			add(c.column, c.got, c.want)
		}
	}
	return list
}

// CheckCharges says which columns of r do not follow from its prices and times
// and the costs of its policy, nil if that has none.
func (r *Row) CheckCharges(line int, costs *policy.Costs) (list []*CellError) {
	if r.Charged != (costs != nil) {
		return []*CellError{{line, "net_pnl_bps", presence(r.Charged), presence(costs != nil)}}
	}
	if costs == nil {
		return nil
	}
	s := Signal{Side: Long, ExitBar: r.ExitBar, EntryPrice: r.EntryPrice, ExitPrice: r.ExitPrice, EntryTimeNS: r.EntryTimeNS, ExitTimeNS: r.ExitTimeNS}
	if r.Side == Short.String() {
		s.Side = Short
	}
	want := *r
	want.Charges = Charge(costs, &s)
	for _, c := range r.Differences(&want) {
		c.Line = line
		list = append(list, c)
	}
	return list
}

func presence(there bool) string {
	if there {
		return "a column"
	}
	return "absent"
}

// Differences says which columns of r are not those of want, which stands in
// that line of the CSV; number is r's in its own file.
func (r *Row) Differences(want *Row) (list []*CellError) {
	if *r == *want {
		return nil
	}
	if r.Charged != want.Charged {
		return []*CellError{{Column: "net_pnl_bps", Value: presence(r.Charged), Want: presence(want.Charged)}}
	}
	columns := columnsOf(r.Charged)
	got, expected := r.cells(columns), want.cells(columns)
	for i, c := range columns {
		if got[i] != expected[i] {
			list = append(list, &CellError{Column: c.name, Value: got[i], Want: expected[i]})
		}
	}
	return list
}

// cells are r's cells in the CSV.
func (r *Row) cells(columns []csvColumn) []string {
	cells, err := csv.NewReader(strings.NewReader(string(r.appendCSV(nil, columns)))).Read()
	if err != nil || len(cells) != len(columns) {
		return make([]string, len(columns)) // what appendCSV writes is a row
	}
	return cells
}
