package bars

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
)

// rowGroupBars is the size of the row groups that we write: a slice of a
// long data set is then read without decoding all of it.
const rowGroupBars = 64 << 10

// ParquetWriter writes a parquet file block by block: bars as the original's
// columns (time as a UTC timestamp in ns, mid prices, volume, bids and asks as
// doubles) with extra columns behind the 13, or in place of a mid price of
// their name, each as its kind says and with nulls where it has them; pandas
// reads `time` as the index, and what it had. Row groups are of 65,536 bars. It
// does not validate the bars.
type ParquetWriter struct {
	pw      *parquet.GenericWriter[any]
	columns []fileColumn
	shapes  []Shape
	inGroup int // rows of the row group under way
	values  []parquet.Value
}

// WriteParquet writes bars for long: with dictionaries, compressed by zstd. It
// does not validate.
func WriteParquet(w io.Writer, bars []Bar) error {
	pw, err := newParquetWriter(w, nil, &parquet.RLEDictionary, &parquet.Zstd)
	if err == nil {
		err = pw.Write(bars, nil)
	}
	if err != nil {
		return err
	}
	return pw.Close()
}

// NewParquetWriter begins a file that is plain and not compressed: it is written
// and read in a third of the time that snappy takes, and does not live long.
func NewParquetWriter(w io.Writer, extra []Shape) (*ParquetWriter, error) {
	return newParquetWriter(w, extra, &parquet.Plain, &parquet.Uncompressed)
}

func newParquetWriter(w io.Writer, extra []Shape, of encoding.Encoding, codec compress.Codec) (*ParquetWriter, error) {
	if err := CheckShapes(extra); err != nil {
		return nil, err
	}
	p := &ParquetWriter{shapes: extra, columns: placeColumns(extra), values: make([]parquet.Value, 0, batchRows)}
	fields := []parquet.Field{orderedField{parquet.Encoded(parquet.Timestamp(parquet.Nanosecond), &parquet.Plain), colTime.String()}}
	for _, c := range p.columns {
		node := parquet.Encoded(parquet.Leaf(parquet.DoubleType), of)
		if c.of == nil {
			node = extra[c.extra].node()
		}
		fields = append(fields, orderedField{node, c.name})
	}
	note, err := pandasMetadata(p.columns, extra)
	if err != nil {
		return nil, fmt.Errorf("writing the note for pandas: %w", err)
	}
	p.pw = parquet.NewGenericWriter[any](w,
		parquet.NewSchema("bars", orderedGroup{fields: fields}),
		parquet.Compression(codec),
		parquet.DataPageVersion(1), // fastparquet misreads dictionaries of more than 256 values in pages of version 2
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
		end := min(at+min(batchRows, rowGroupBars-p.inGroup), len(bars))
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

// batchRows is how many rows are written column by column at a time: they stay
// in the processor's cache, and whole rows would take twice as long.
const batchRows = 4096

func (p *ParquetWriter) writeRows(bars []Bar, extra []Column, first, end int) error {
	for i, w := range p.pw.ColumnWriters() {
		p.values = p.values[:0]
		switch {
		case i == 0:
			for row := first; row < end; row++ {
				p.values = append(p.values, parquet.Int64Value(bars[row].TimeNS))
			}
		case p.columns[i-1].of != nil:
			of := p.columns[i-1].of
			for row := first; row < end; row++ {
				p.values = append(p.values, parquet.DoubleValue(of(&bars[row])))
			}
		default:
			value := extra[p.columns[i-1].extra].value(i)
			for row := first; row < end; row++ {
				p.values = append(p.values, value(row))
			}
		}
		if _, err := w.WriteRowValues(p.values); err != nil {
			return fmt.Errorf("writing column %d: %w", i+1, err)
		}
	}
	return nil
}

// Close ends the file. The writer below is left open.
func (p *ParquetWriter) Close() error {
	if err := p.pw.Close(); err != nil {
		return fmt.Errorf("writing the footer of a parquet file: %w", err)
	}
	return nil
}

// value gives the values of the column as those of column at of a file.
func (c *Column) value(at int) func(row int) parquet.Value {
	of := func(row int) parquet.Value { return parquet.Int32Value(int32(c.Bits[row])) }
	switch {
	case c.Kind == Float64:
		of = func(row int) parquet.Value { return parquet.DoubleValue(math.Float64frombits(c.Bits[row])) }
	case c.Kind == Float32:
		of = func(row int) parquet.Value { return parquet.FloatValue(math.Float32frombits(uint32(c.Bits[row]))) }
	case c.Kind == Bool:
		of = func(row int) parquet.Value { return parquet.BooleanValue(c.Bits[row] == 1) }
	case c.Kind == String:
		of = func(row int) parquet.Value { return parquet.ByteArrayValue([]byte(c.Texts[row])) }
	case c.Kind.Width() == 8:
		of = func(row int) parquet.Value { return parquet.Int64Value(int64(c.Bits[row])) }
	}
	return func(row int) parquet.Value {
		if c.Null(row) {
			return parquet.NullValue().Level(0, 0, at)
		}
		return of(row).Level(0, 1, at)
	}
}

// node is the column as the schema has it.
func (s *Shape) node() parquet.Node {
	var node parquet.Node
	switch s.Kind {
	case Float64:
		node = parquet.Leaf(parquet.DoubleType)
	case Float32:
		node = parquet.Leaf(parquet.FloatType)
	case Bool:
		node = parquet.Leaf(parquet.BooleanType)
	case String:
		node = parquet.String()
	case Time:
		unit := map[time.Duration]parquet.TimeUnit{time.Nanosecond: parquet.Nanosecond, time.Microsecond: parquet.Microsecond, time.Millisecond: parquet.Millisecond}[s.Unit]
		node = parquet.TimestampAdjusted(unit, s.Zone != "")
	default:
		node = parquet.Uint(8 * s.Kind.Width())
		if s.Kind.Signed() {
			node = parquet.Int(8 * s.Kind.Width())
		}
	}
	return parquet.Optional(parquet.Encoded(node, &parquet.Plain))
}

// orderedGroup is a group whose fields keep their order; the library's are
// sorted by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

type orderedField struct {
	parquet.Node
	name string
}

func (f orderedField) Name() string { return f.name }

// Value is for rows made of Go values; ours are written column by column.
func (f orderedField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// pandasNote is what the note of pandas says of a column.
type pandasNote struct {
	FieldName  string        `json:"field_name"`
	PandasType string        `json:"pandas_type"`
	NumpyType  string        `json:"numpy_type"`
	Metadata   *pandasOfZone `json:"metadata"`
}

type pandasOfZone struct {
	Timezone string `json:"timezone"`
}

// pandasMetadata makes pandas.read_parquet take `time` as the index, a UTC
// DatetimeIndex, and the extra columns as they were. Its form: the pandas
// developer guide, "Storing pandas DataFrame objects in Apache Parquet format".
func pandasMetadata(columns []fileColumn, extra []Shape) (string, error) {
	type named struct {
		Name string `json:"name"`
		pandasNote
	}
	var list []named
	for _, c := range columns {
		note := pandasNote{c.name, "float64", "float64", nil}
		if c.of == nil {
			note = extra[c.extra].pandasNote()
		}
		list = append(list, named{c.name, note})
	}
	list = append(list, named{"time", pandasNote{"time", "datetimetz", "datetime64[ns]", &pandasOfZone{"UTC"}}})
	text, err := json.Marshal(list)
	return `{"index_columns":["time"],` +
		`"column_indexes":[{"name":null,"field_name":null,"pandas_type":"unicode","numpy_type":"object","metadata":{"encoding":"UTF-8"}}],` +
		`"columns":` + string(text) + `,"creator":{"library":"gx1replay","version":"1"},"pandas_version":"2.2.0"}`, err
}

func (s *Shape) pandasNote() pandasNote {
	note := pandasNote{s.Name, string(s.Kind), string(s.Kind), nil}
	switch s.Kind {
	case String:
		note.PandasType, note.NumpyType = "unicode", "object"
	case Time:
		note.PandasType, note.NumpyType = "datetime", "datetime64["+strings.ReplaceAll(strings.TrimPrefix(s.Unit.String(), "1"), "µ", "u")+"]"
		if s.Zone != "" {
			note.PandasType, note.Metadata = "datetimetz", &pandasOfZone{s.Zone}
		}
	}
	if s.Pandas != "" {
		note.NumpyType = s.Pandas
	}
	return note
}
