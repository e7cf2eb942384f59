package selection

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxColumns bounds the columns of a joined file: more than a table of a
// command may have.
const maxColumns = 1 << 14

// errMoreColumns: a chunk has columns that the header, which was written, does
// not have.
var errMoreColumns = errors.New("additional columns in a chunk")

// columns are the columns of a joined trades file. The zero columns has none
// yet.
type columns struct {
	names   []string
	at      map[column]int
	written int // how many of names stand in the header
}

// column tells columns apart: names may repeat, and then the first of one
// table is the first of another.
type column struct {
	name string
	nth  int
}

// eachColumn calls f with every column of a header, and its place.
func eachColumn(header []string, f func(c column, k int)) {
	count := make(map[string]int, len(header))
	for k, name := range header {
		name = strings.TrimSpace(name)
		f(column{name, count[name]}, k)
		count[name]++
	}
}

// add appends the columns of a table with rows that are not there yet.
func (c *columns) add(header []string) error {
	if c.at == nil {
		c.at = map[column]int{}
	}
	n := len(c.names)
	eachColumn(header, func(col column, k int) {
		if _, known := c.at[col]; !known {
			c.at[col] = len(c.names)
			c.names = append(c.names, header[k])
		}
	})
	if all := len(c.names); all > maxColumns {
		maps.DeleteFunc(c.at, func(_ column, at int) bool { return at >= n })
		c.names = c.names[:n]
		return fmt.Errorf("with its columns the trades have %d (want at most %d)", all, maxColumns)
	}
	return nil
}

// grown says that there are columns that the header does not have.
func (c *columns) grown() bool { return len(c.names) > c.written }

// line is the header's, which holds all columns that are there: that of t as
// it was, if t has them all.
func (c *columns) line(t *table) ([]byte, error) {
	c.written = len(c.names)
	if slices.Equal(t.header, c.names) {
		return t.first, nil
	}
	return csvLine(c.names)
}

// place is the rows of t with their cells under their columns. Those of a table
// with all columns in their order are as they were.
func (c *columns) place(t *table) ([]byte, error) {
	if slices.Equal(t.header, c.names) {
		return t.rest, nil
	}
	to := make([]int, len(t.header))
	eachColumn(t.header, func(col column, k int) { to[k] = c.at[col] })
	r := csv.NewReader(bytes.NewReader(t.rest))
	r.FieldsPerRecord = len(t.header)
	r.ReuseRecord = true
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	out := make([]string, len(c.names))
	for range t.n {
		row, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("reading the trades: %w", err)
		}
		clear(out)
		for k, cell := range row {
			out[to[k]] = cell // parseTable has made it harmless
		}
		if err := w.Write(out); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}
