package trade

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
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
	text, charged := strings.CutPrefix(string(b), chargedHeader)
	columns := columnsOf(charged)
	if !charged {
		var ok bool
		if text, ok = strings.CutPrefix(text, csvHeader); !ok {
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
		c := csvCells{line: line, columns: columns, cells: cells}
		row := c.row()
		if charged {
			row.Charged, row.Charges = true, c.charges()
		}
		if c.err != nil {
			return rows, c.err
		}
		rows = append(rows, row)
	}
}

func columnsOf(charged bool) []string {
	if charged {
		return strings.Split(chargedNames, ",")
	}
	return strings.Split(csvNames, ",")
}

// csvCells reads the cells of one row, one after the other, and keeps the first
// error.
type csvCells struct {
	line    int
	columns []string
	cells   []string
	next    int
	err     error
}

func (c *csvCells) row() Row {
	return Row{
		TradeID: c.words(), EntryTimeNS: c.time(), ExitTimeNS: c.time(),
		PnlBps: c.number(), MAEBps: c.number(), MFEBps: c.number(),
		TimeToMAEBars: c.count(), TimeToMFEBars: c.count(), CloseToMFEBps: c.number(), ExitEfficiency: c.number(),
		DurationBars: c.count(), Side: c.words(), Session: c.words(), ExitReason: c.words(),
		EntryPrice: c.number(), ExitPrice: c.number(), Score: c.number(),
		SignalBar: c.count(), EntryBar: c.count(), ExitBar: c.count(),
	}
}

func (c *csvCells) charges() Charges {
	return Charges{Nights: c.count(), CommissionBps: c.number(), SwapBps: c.number(), SlippageBps: c.number(), NetPnlBps: c.number()}
}

func (c *csvCells) text() string {
	c.next++
	return strings.Clone(c.cells[c.next-1])
}

func (c *csvCells) words() string { return CellText(c.text()) }

func (c *csvCells) bad(want string) {
	if c.err == nil {
		c.err = &CellError{c.line, c.columns[c.next-1], fmt.Sprintf("%.40q", c.cells[c.next-1]), want}
	}
}

func (c *csvCells) number() float64 {
	x, err := strconv.ParseFloat(c.text(), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		c.bad("a finite number")
	}
	return x
}

func (c *csvCells) count() int64 {
	n, err := strconv.ParseInt(c.text(), 10, 64)
	if err != nil {
		c.bad("a whole number")
	}
	return n
}

func (c *csvCells) time() int64 {
	t, err := time.Parse(time.RFC3339Nano, c.text())
	if err != nil {
		c.bad("a time such as 2026-01-05T07:05:00Z")
		return 0
	}
	return t.UnixNano()
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
	got, expected := r.cells(), want.cells()
	for i, column := range columnsOf(r.Charged) {
		if got[i] != expected[i] {
			list = append(list, &CellError{Column: column, Value: got[i], Want: expected[i]})
		}
	}
	return list
}

// cells are r's cells in the CSV.
func (r *Row) cells() []string {
	cells, err := csv.NewReader(strings.NewReader(string(r.appendCSV(nil)))).Read()
	if n := len(columnsOf(r.Charged)); err != nil || len(cells) != n {
		return make([]string, n) // what appendCSV writes is a row
	}
	return cells
}
