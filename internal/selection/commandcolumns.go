package selection

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gx1replay/internal/trade"
)

// maxOwnColumns bounds the columns of a joined file: more than a table of a
// command may have.
const maxOwnColumns = 1 << 14

// errMoreColumns: a chunk has columns that the header, which was written, does
// not have.
var errMoreColumns = errors.New("a chunk has further columns")

// ownColumns are the columns of a joined trades file. The zero ownColumns has
// none yet.
type ownColumns struct {
	names   []string
	at      map[ownColumn]int
	written int // how many of names stand in the header
}

// ownColumn tells columns apart: names may repeat, and then the first of one
// table is the first of another.
type ownColumn struct {
	name string
	nth  int
}

// eachColumn calls f with every column of a header, and its place.
func eachColumn(header []string, f func(c ownColumn, k int)) {
	count := make(map[string]int, len(header))
	for k, name := range header {
		name = strings.TrimSpace(name)
		f(ownColumn{name, count[name]}, k)
		count[name]++
	}
}

// add appends the columns of a table with rows that are not there yet.
func (c *ownColumns) add(header []string) error {
	if c.at == nil {
		c.at = map[ownColumn]int{}
	}
	var fresh []string
	eachColumn(header, func(col ownColumn, k int) {
		if _, known := c.at[col]; !known {
			fresh = append(fresh, header[k])
		}
	})
	if n := len(c.names) + len(fresh); n > maxOwnColumns {
		return fmt.Errorf("with its columns the trades have %d (want at most %d)", n, maxOwnColumns)
	}
	eachColumn(header, func(col ownColumn, k int) {
		if _, known := c.at[col]; !known {
			c.at[col] = len(c.names)
			c.names = append(c.names, header[k])
		}
	})
	return nil
}

// grown says that there are columns that the header does not have.
func (c *ownColumns) grown() bool { return len(c.names) > c.written }

// line is the header's, which holds all columns that are there: that of rows as
// it was, if rows has them all.
func (c *ownColumns) line(rows *ownRows) ([]byte, error) {
	c.written = len(c.names)
	if slices.Equal(rows.header, c.names) {
		return rows.first, nil
	}
	names := make([]string, len(c.names))
	for k, name := range c.names {
		names[k] = trade.SpreadsheetCell(name)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	err := w.Write(names)
	w.Flush()
	return b.Bytes(), errors.Join(err, w.Error())
}

// place is rows with their cells under their columns. Those of a table with all
// columns in their order are as they were.
func (c *ownColumns) place(rows *ownRows) ([]byte, error) {
	if slices.Equal(rows.header, c.names) {
		return rows.rest, nil
	}
	to := make([]int, len(rows.header))
	eachColumn(rows.header, func(col ownColumn, k int) { to[k] = c.at[col] })
	r := csv.NewReader(bytes.NewReader(rows.rest))
	r.FieldsPerRecord = len(rows.header)
	r.ReuseRecord = true
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	out := make([]string, len(c.names))
	for range rows.n {
		row, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("reading the trades: %w", err)
		}
		clear(out)
		for k, cell := range row {
			out[to[k]] = cell // parseOwn has made it harmless
		}
		if err := w.Write(out); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}
