package execengine

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gx1replay/internal/safefile"
)

// maxTradesBytes bounds the trades of one chunk, as CSV.
const maxTradesBytes = 64 << 20

// Trades are a command's own trades, as CSV.
type Trades struct {
	// Content is the whole text: the line of the header, then the rows, each
	// with its end. What the command wrote is not changed.
	Content []byte
	Rows    int
	// PnlBps is the sum of the column pnl_bps; Pnl: there is one such column, and
	// each row has a finite number there.
	PnlBps float64
	Pnl    bool
}

// tradesNames are where a command's trades are looked for, in this order; the
// last two are the original's.
var tradesNames = [...]string{"trades.csv", "trades.parquet", "trade_outcomes*.csv", "trade_outcomes*.parquet"}

// ReadTrades reads the trades that a command with --exec-emits trades leaves in
// dir, under the first of tradesNames that is there: CSV as it is, parquet as
// the CSV of its columns. It is UTF-8 of at most 64 MiB whose first line names
// the columns. Nil: the command left none. A file that is empty, or holds what
// pandas writes of a frame without columns, is a table of no rows without
// Content.
//
// With partial, of a command that was ended, a last line that has no end is
// torn and is left out, and so is a parquet file that was not finished.
func ReadTrades(dir *safefile.Dir, partial bool) (*Trades, error) {
	t, err := findTrades(dir, partial)
	if err != nil || t == nil {
		return nil, err
	}
	if t.isParquet() {
		if t.content, err = t.parquetText(); err != nil {
			return nil, err
		}
	}
	return t.trades(t.text())
}

func findTrades(dir *safefile.Dir, partial bool) (*tableFile, error) {
	for _, pattern := range tradesNames {
		names, err := matching(dir, pattern)
		if err != nil {
			return nil, err
		}
		switch len(names) {
		case 0:
			continue
		case 1:
			return readTable(dir, names[0], maxTradesBytes, partial)
		}
		return nil, fmt.Errorf("%s holds %d files %s: %s (want one, or trades.csv)", dir.Path(""), len(names), pattern, shorten(strings.Join(names, ", ")))
	}
	return nil, nil
}

// matching are the names in dir that fit pattern, in order.
func matching(dir *safefile.Dir, pattern string) ([]string, error) {
	all, err := dir.Names()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if ok, err := filepath.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// trades checks a text of CSV and counts its rows.
func (t *tableFile) trades(text []byte) (*Trades, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		if t.partial {
			return nil, nil // it had not come to its header
		}
		return &Trades{Pnl: true}, nil
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not UTF-8", t.name)
	}
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	cr := csv.NewReader(bytes.NewReader(text))
	header, err := cr.Read()
	if err != nil {
		return nil, t.broken(err)
	}
	for _, h := range header {
		if _, err := strconv.ParseFloat(strings.TrimSpace(h), 64); err == nil {
			return nil, fmt.Errorf("%s line 1: %s names no column (want a line of column names first)", t.name, shorten(h))
		}
	}
	out := &Trades{Content: text}
	isPnl := func(h string) bool { return strings.TrimSpace(h) == pnlColumn }
	at := slices.IndexFunc(header, isPnl)
	if at >= 0 && slices.ContainsFunc(header[at+1:], isPnl) {
		at = -1 // of two columns nobody knows which one counts
	}
	out.Pnl = true // the sum of no rows
	cr.ReuseRecord = true
	for {
		row, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, t.broken(err)
		}
		out.Rows++
		if at < 0 {
			out.Pnl = false
		}
		if out.Pnl {
			pnl, err := strconv.ParseFloat(strings.TrimSpace(row[at]), 64)
			out.PnlBps += pnl
			out.Pnl = err == nil && !math.IsNaN(out.PnlBps) && !math.IsInf(out.PnlBps, 0)
		}
	}
	if out.Rows == 0 && len(header) == 1 && (strings.TrimSpace(header[0]) == csvIndex || header[0] == parquetIndex) {
		return &Trades{Pnl: true}, nil // the index of a frame without columns
	}
	if !out.Pnl {
		out.PnlBps = 0
	}
	return out, nil
}

// pnlColumn is the column of a command's own trades that is added up.
const pnlColumn = "pnl_bps"

// parquetText is a parquet file as CSV.
func (t *tableFile) parquetText() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var record []string
	all := func(header []string) ([]int, error) {
		if len(header) == 0 || len(header) > maxTableColumns {
			return nil, fmt.Errorf("%s has %d columns (want 1 to %d)", t.name, len(header), maxTableColumns)
		}
		at := make([]int, len(header))
		for i := range at {
			at[i] = i
		}
		record = make([]string, len(header))
		return at, w.Write(header)
	}
	err := t.readParquet(all, func(p place, row []cell) error {
		size := 0
		for i, c := range row {
			record[i] = c.String()
			size += len(record[i]) + 1
		}
		if b.Len()+size > maxTradesBytes {
			return fmt.Errorf("%s %s %d: as CSV it has more than %d bytes", p.file, p.unit, p.n, maxTradesBytes)
		}
		err := w.Write(record)
		w.Flush() // so that its size is known
		return errors.Join(err, w.Error())
	})
	w.Flush()
	return b.Bytes(), err
}
