package bars

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// ParquetWriter writes a parquet file block by block: bars with extra columns
// behind the 13, or in place of a mid price of their name, each as its kind says
// and with nulls where it has them; pandas reads `time` as the index, and what it
// had. Row groups are of 65,536 bars, plain and not compressed: such a file is
// written and read in a third of the time that snappy takes, and does not live
// long. It does not validate the bars.
type ParquetWriter struct {
	pw      *parquet.GenericWriter[any]
	columns []fileColumn
	shapes  []Column
	inGroup int // rows of the row group under way
	values  []parquet.Value
}

// fileColumn says where a column of the file after the time comes from: one of
// the bar's, or else an extra column's place.
type fileColumn struct {
	name  string
	of    func(*Bar) float64 // nil: an extra column
	extra int
}

// placeColumns is the order of a file's columns after the time.
func placeColumns(extra []Column) []fileColumn {
	list := make([]fileColumn, 0, len(fileColumns)+len(extra))
	at := make(map[string]int, len(fileColumns))
	for i, f := range fileColumns {
		at[f.name] = i
		list = append(list, fileColumn{name: f.name, of: f.of})
	}
	for i := range extra {
		own := fileColumn{name: extra[i].Name, extra: i}
		if k, ok := at[own.name]; ok {
			list[k] = own
		} else {
			list = append(list, own)
		}
	}
	return list
}

// shapesOf checks extra columns of n rows and returns them without their rows.
func shapesOf(extra []Column) ([]Column, error) {
	shapes := make([]Column, len(extra))
	for i := range extra {
		shapes[i] = extra[i].Shape()
	}
	return shapes, CheckColumns(shapes, 0)
}

// checkBlock says whether a block of rows fits what its writer began with.
func checkBlock(shapes []Column, bars []Bar, extra []Column) error {
	if len(extra) != len(shapes) {
		return fmt.Errorf("writing bars: %d extra columns (want %d as before)", len(extra), len(shapes))
	}
	for i := range extra {
		if c, s := &extra[i], &shapes[i]; !c.SameShape(s) {
			return fmt.Errorf("writing bars: extra column %s of kind %s (want %s of kind %s as before)",
				shorten(c.Name), c.Kind, shorten(s.Name), s.Kind)
		}
		if extra[i].Len() != len(bars) || (extra[i].Nulls != nil && len(extra[i].Nulls) != len(bars)) {
			return fmt.Errorf("writing bars: extra column %s of %d rows (want %d)", shorten(extra[i].Name), extra[i].Len(), len(bars))
		}
	}
	return nil
}

// NewParquetWriter begins a file. Of extra, names and kinds count, not the
// values.
func NewParquetWriter(w io.Writer, extra []Column) (*ParquetWriter, error) {
	shapes, err := shapesOf(extra)
	if err != nil {
		return nil, err
	}
	p := &ParquetWriter{shapes: shapes, columns: placeColumns(extra), values: make([]parquet.Value, 0, 4096)}
	fields := []parquet.Field{orderedField{parquet.Encoded(parquet.Timestamp(parquet.Nanosecond), &parquet.Plain), colTime.String()}}
	for _, c := range p.columns {
		node := parquet.Encoded(parquet.Leaf(parquet.DoubleType), &parquet.Plain)
		if c.of == nil {
			node = shapes[c.extra].node()
		}
		fields = append(fields, orderedField{node, c.name})
	}
	note, err := p.pandasNote()
	if err != nil {
		return nil, fmt.Errorf("writing the note for pandas: %w", err)
	}
	p.pw = parquet.NewGenericWriter[any](w,
		parquet.NewSchema("bars", orderedGroup{fields: fields}),
		parquet.Compression(&parquet.Uncompressed),
		parquet.DataPageVersion(1), // as WriteParquet
		parquet.KeyValueMetadata("pandas", note),
		parquet.CreatedBy("gx1replay", "1", "bars"))
	return p, nil
}

// Write appends bars with the rows of the extra columns that belong to them.
func (p *ParquetWriter) Write(bars []Bar, extra []Column) error {
	if err := checkBlock(p.shapes, bars, extra); err != nil {
		return err
	}
	for at := 0; at < len(bars); {
		end := min(at+rowGroupBars-p.inGroup, len(bars))
		if err := p.writeRows(bars, extra, at, end); err != nil {
			return err
		}
		p.inGroup += end - at
		at = end
		if p.inGroup == rowGroupBars {
			if err := p.pw.Flush(); err != nil {
				return fmt.Errorf("writing a row group: %w", err)
			}
			p.inGroup = 0
		}
	}
	return nil
}

// writeRows writes rows column by column: whole rows take twice as long.
func (p *ParquetWriter) writeRows(bars []Bar, extra []Column, first, end int) error {
	writers := p.pw.ColumnWriters()
	put := func(i int, name string, value func(row int) parquet.Value) error {
		for at := first; at < end; {
			upto := min(at+cap(p.values), end)
			p.values = p.values[:0]
			for ; at < upto; at++ {
				p.values = append(p.values, value(at))
			}
			if _, err := writers[i].WriteRowValues(p.values); err != nil {
				return fmt.Errorf("writing column %s: %w", shorten(name), err)
			}
		}
		return nil
	}
	if err := put(0, colTime.String(), func(row int) parquet.Value { return parquet.Int64Value(bars[row].TimeNS) }); err != nil {
		return err
	}
	for i, c := range p.columns {
		value := func(row int) parquet.Value { return parquet.DoubleValue(c.of(&bars[row])) }
		if c.of == nil {
			value = extra[c.extra].value(i + 1)
		}
		if err := put(i+1, c.name, value); err != nil {
			return err
		}
	}
	return nil
}

// value gives the values of the column as those of column at of a file.
func (c *Column) value(at int) func(row int) parquet.Value {
	var of func(row int) parquet.Value
	switch c.Kind {
	case Float64:
		of = func(row int) parquet.Value { return parquet.DoubleValue(c.Floats[row]) }
	case Float32:
		of = func(row int) parquet.Value { return parquet.FloatValue(float32(c.Floats[row])) }
	case Bool:
		of = func(row int) parquet.Value { return parquet.BooleanValue(c.Bools[row]) }
	case String:
		of = func(row int) parquet.Value { return parquet.ByteArrayValue([]byte(c.Strings[row])) }
	case Int64, Uint64, Time:
		of = func(row int) parquet.Value { return parquet.Int64Value(c.Ints[row]) }
	default:
		of = func(row int) parquet.Value { return parquet.Int32Value(int32(c.Ints[row])) }
	}
	return func(row int) parquet.Value {
		if c.Null(row) {
			return parquet.NullValue().Level(0, 0, at)
		}
		return of(row).Level(0, 1, at)
	}
}

// Close ends the file. The writer below is left open.
func (p *ParquetWriter) Close() error {
	if err := p.pw.Close(); err != nil {
		return fmt.Errorf("writing the footer of a parquet file: %w", err)
	}
	return nil
}
