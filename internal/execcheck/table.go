package execcheck

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/execengine"
	"gx1replay/internal/trade"
)

// table is the trades or signals of a piece.
type table struct {
	header []string
	rows   []row
	// counted says of each column whether its values count the rows: whole
	// numbers, each one more than the one before.
	counted []bool
}

// row is one of them, as it was written.
type row struct {
	cells []string
	piece int   // which piece's it is
	entry int64 // bar; -1: not known
	exit  int64 // bar; -1: not known, or open
}

// readTable reads a command's trades as CSV; without content there is no
// header.
func readTable(content []byte) (table, error) {
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return table{}, fmt.Errorf("reading the trades: %w", err)
	}
	if len(records) == 0 {
		return table{}, nil
	}
	out := table{header: records[0]}
	for _, cells := range records[1:] {
		out.rows = append(out.rows, row{cells: cells, entry: -1, exit: -1})
	}
	out.count()
	return out, nil
}

// count finds columns that number the rows.
func (t *table) count() {
	t.counted = make([]bool, len(t.header))
	for k := range t.counted {
		next, counts := int64(0), true
		for i := range t.rows {
			n, err := strconv.ParseInt(t.rows[i].cells[k], 10, 64)
			counts = counts && err == nil && (i == 0 || n == next)
			next = n + 1
		}
		t.counted[k] = counts
	}
}

// signalHeader are the columns of a table of signals.
var signalHeader = []string{"bar", "side", "entry_bar", "entry_price", "exit_bar", "exit_price", "exit_reason", "score", "mae_bps", "mfe_bps"}

// signalTable makes a table of signals. A signal that is open has no exit.
func signalTable(list []trade.Signal) table {
	t := table{header: signalHeader, counted: make([]bool, len(signalHeader))}
	whole := func(n int64) string {
		if n == trade.NoBar {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for i := range list {
		s := &list[i]
		r := row{entry: s.Bar, exit: -1}
		exit := []string{"", "", "open"}
		if s.Closed() {
			r.exit = s.ExitBar
			exit = []string{whole(s.ExitBar), number(s.ExitPrice), s.ExitReason}
		} else if s.Expired {
			exit[2] = "expired"
		}
		r.cells = slices.Concat([]string{whole(s.Bar), fmt.Sprint(s.Side), whole(s.EntryBar), number(s.EntryPrice)}, exit,
			[]string{number(s.Score), number(s.MAEBps), number(s.MFEBps)})
		t.rows = append(t.rows, r)
	}
	return t
}

// Names of columns, in lower case.
var (
	// entryNames and exitNames are where a trade's times are looked for, in
	// this order.
	entryNames = []string{
		"entry_time", "entry_ts", "entry_timestamp", "entry_dt", "entry_date", "entry_at", "entrytime", "open_time", "opened_at", "opentime",
		"time_in", "start_time", "signal_time", "time", "timestamp", "ts", "datetime", "date", "bar_time", "entry",
	}
	exitNames = []string{
		"exit_time", "exit_ts", "exit_timestamp", "exit_dt", "exit_date", "exit_at", "exittime", "close_time", "closed_at", "closetime",
		"time_out", "end_time", "exit",
	}
	// numberNames number the rows of a file, or name the piece: they differ
	// when the data are cut, and nothing is wrong.
	numberNames = []string{
		"", "unnamed: 0", "index", "id", "trade_id", "tradeid", "trade_no", "trade_num", "trade_number", "trade_idx", "trade_index", "trade_uid",
		"no", "nr", "num", "number", "#", "row", "row_id", "uid", "uuid",
		"chunk", "chunk_id", "chunk_idx", "run_id", "attempt", "worker", "worker_id", "slot", "pid",
	}
	sideNames = []string{"side", "direction", "dir", "type", "position"}
)

// column finds the first of names; -1: none is there.
func (t *table) column(names []string) int {
	for _, name := range names {
		if k := slices.IndexFunc(t.header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) }); k >= 0 {
			return k
		}
	}
	return -1
}

// timeColumn is column, if what stands there are times.
func (t *table) timeColumn(names []string) int {
	for _, name := range names {
		k := t.column([]string{name})
		if k < 0 {
			continue
		}
		times, others := 0, 0
		for _, r := range t.rows {
			switch _, ok := execengine.ParseTime(r.cells[k]); {
			case ok:
				times++
			case strings.TrimSpace(r.cells[k]) != "":
				others++
			}
		}
		if times > 0 && others == 0 {
			return k
		}
	}
	return -1
}

// canonical is a cell as it is compared: numbers that are equal are one.
func canonical(cell string) string {
	cell = strings.TrimSpace(cell)
	if _, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return strings.TrimPrefix(cell, "+") // a float64 does not hold them all
	}
	x, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil:
		return cell
	case x == 0:
		return "0"
	case x > -1<<53 && x < 1<<53 && x == float64(int64(x)):
		return strconv.FormatInt(int64(x), 10)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
