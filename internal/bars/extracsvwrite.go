package bars

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// CSVWriter writes a CSV file block by block. A null is an empty cell and an
// empty text a pair of quotes; NaN and infinities are nan, inf and -inf, what
// is true or false True or False, as pandas reads them. A whole number in an
// extra column of floats has a .0, so that who looks at some rows alone takes
// them for floats, too. Texts are quoted where they must be; their line ends
// are kept as they are.
type CSVWriter struct {
	bw       *bufio.Writer
	columns  []fileColumn
	shapes   []Shape
	timeText func(ns int64) string
	line     []byte
}

// NewCSVWriter begins a file with its header line. timeText gives the text of a
// time, here a bar's and one of an extra column.
func NewCSVWriter(w io.Writer, extra []Shape, timeText func(ns int64) string) (*CSVWriter, error) {
	if err := CheckShapes(extra); err != nil {
		return nil, err
	}
	c := &CSVWriter{bw: bufio.NewWriterSize(w, 1<<18), columns: placeColumns(extra), shapes: extra, timeText: timeText}
	c.line = append(c.line, colTime.String()...)
	for _, f := range c.columns {
		c.line = appendQuoted(append(c.line, ','), f.name)
	}
	if _, err := c.bw.Write(append(c.line, '\n')); err != nil {
		return nil, fmt.Errorf("writing the header: %w", err)
	}
	return c, nil
}

// Write appends bars with the rows of the extra columns that belong to them.
func (c *CSVWriter) Write(bars []Bar, extra []Column) error {
	if err := checkBlock(c.shapes, bars, extra); err != nil {
		return err
	}
	for i := range bars {
		c.line = append(c.line[:0], c.timeText(bars[i].TimeNS)...)
		for _, f := range c.columns {
			c.line = append(c.line, ',')
			if f.of != nil {
				c.line = strconv.AppendFloat(c.line, f.of(&bars[i]), 'g', -1, 64)
			} else {
				c.line = extra[f.extra].appendCell(c.line, i, c.timeText)
			}
		}
		if _, err := c.bw.Write(append(c.line, '\n')); err != nil {
			return fmt.Errorf("writing bar %d of a block: %w", i+1, err)
		}
	}
	return nil
}

// Close writes what is buffered. The writer below is left open.
func (c *CSVWriter) Close() error {
	if err := c.bw.Flush(); err != nil {
		return fmt.Errorf("writing the end of a CSV file: %w", err)
	}
	return nil
}

func (c *Column) appendCell(line []byte, row int, timeText func(ns int64) string) []byte {
	switch {
	case c.Null(row):
		return line
	case c.Kind == String:
		return appendQuoted(line, c.Texts[row])
	case c.Kind == Float64:
		return appendNumber(line, c.float(row), 64)
	case c.Kind == Float32:
		return appendNumber(line, c.float(row), 32)
	case c.Kind == Bool && c.Bits[row] == 1:
		return append(line, "True"...)
	case c.Kind == Bool:
		return append(line, "False"...)
	case c.Kind == Time:
		// The format is for times that fit into nanoseconds; others are rare
		// enough to stand as the number that they are.
		if ns := scaleTime(int64(c.Bits[row]), int64(c.Unit)); ns != math.MaxInt64 && ns != math.MinInt64 {
			text := timeText(ns)
			if c.Zone == "" {
				text = strings.TrimSuffix(text, "+00:00")
			}
			return append(line, text...)
		}
	case c.Kind == Uint64:
		return strconv.AppendUint(line, c.Bits[row], 10)
	}
	return strconv.AppendInt(line, int64(c.Bits[row]), 10)
}

// appendNumber appends a float of so many bits.
func appendNumber(line []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(line, "nan"...)
	case math.IsInf(v, 1):
		return append(line, "inf"...)
	case math.IsInf(v, -1):
		return append(line, "-inf"...)
	}
	first := len(line)
	line = strconv.AppendFloat(line, v, 'g', -1, bits)
	if !bytes.ContainsAny(line[first:], ".e") {
		line = append(line, ".0"...)
	}
	return line
}

// appendQuoted appends a text, in quotes if it is empty or holds what ends a
// cell, or begins or ends with a space.
func appendQuoted(line []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") && strings.TrimSpace(s) == s {
		return append(line, s...)
	}
	line = append(line, '"')
	line = append(line, strings.ReplaceAll(s, `"`, `""`)...)
	return append(line, '"')
}
