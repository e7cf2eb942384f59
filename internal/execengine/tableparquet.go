package execengine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// tableBatch is how many values are taken from a column at a time.
const tableBatch = 1024

// errNoTable: a parquet file was not finished.
var errNoTable = errors.New("it does not end as a parquet file does")

// openParquet opens a parquet file, and checks what the library takes on
// trust.
func (t *tableFile) openParquet() (*parquet.File, error) {
	size := len(t.content)
	if size < 12 || !bytes.HasSuffix(t.content, []byte("PAR1")) {
		return nil, errNoTable
	}
	if n := int(binary.LittleEndian.Uint32(t.content[size-8:])); n > size-12 {
		return nil, fmt.Errorf("a footer of %d bytes in a file of %d", n, size)
	}
	return parquet.OpenFile(bytes.NewReader(t.content), int64(size), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// readParquet calls each with every row of a parquet file: with the values of
// the columns that pick chooses by their places in the header, -1 for none. A
// torn file has no rows. The decoder panics on some damaged files.
func (t *tableFile) readParquet(pick func(header []string) ([]int, error), each func(place, []cell) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading %s: it is damaged: %v", t.name, p)
		}
	}()
	file, err := t.openParquet()
	if errors.Is(err, errNoTable) && t.partial {
		return nil
	}
	if err != nil {
		return t.broken(err)
	}
	var header []string
	for _, c := range file.Root().Columns() {
		header = append(header, c.Name())
	}
	if len(header) == 0 {
		return nil // a frame without columns
	}
	at, err := pick(header)
	if err != nil {
		if !hasRows(file) {
			return nil
		}
		return err
	}
	return t.readColumns(file, at, each)
}

// hasRows says that a file has a row, by its own count or by that of a group.
func hasRows(file *parquet.File) bool {
	return file.NumRows() > 0 || slices.ContainsFunc(file.RowGroups(), func(g parquet.RowGroup) bool { return g.NumRows() > 0 })
}

// readColumns calls each with every row of the columns at, -1 for one that is
// not there.
func (t *tableFile) readColumns(file *parquet.File, at []int, each func(place, []cell) error) error {
	all := file.Root().Columns()
	cursors := make([]*tableCursor, len(at))
	for i, k := range at {
		if k < 0 {
			continue
		}
		c, err := newTableCursor(all[k])
		if err != nil {
			return fmt.Errorf("%s: column %s: %w", t.name, shorten(all[k].Name()), err)
		}
		cursors[i] = c
	}
	for _, group := range file.Metadata().RowGroups {
		for _, c := range cursors {
			if c == nil {
				continue
			}
			if c.leaf >= len(group.Columns) {
				return fmt.Errorf("%s: a row group of %d columns", t.name, len(group.Columns))
			}
			// Given a damaged page, the decoder of LZ4 takes all memory.
			switch codec := group.Columns[c.leaf].MetaData.Codec; codec {
			case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd:
			default:
				return fmt.Errorf("%s: column %s is compressed by %s (want snappy, gzip, brotli, zstd or none)", t.name, shorten(c.name), codec)
			}
		}
	}
	n, row := int64(0), make([]cell, len(at))
	for _, group := range file.RowGroups() {
		var err error
		if n, err = t.readGroup(group, cursors, row, n, each); err != nil {
			return err
		}
	}
	return nil
}

// readGroup reads the rows of one group, the first of which is row n + 1.
func (t *tableFile) readGroup(group parquet.RowGroup, cursors []*tableCursor, row []cell, n int64, each func(place, []cell) error) (int64, error) {
	chunks := group.ColumnChunks()
	for _, c := range cursors {
		if c != nil {
			c.have, c.values = nil, parquet.NewColumnChunkValueReader(chunks[c.leaf])
			defer c.values.Close() // it was read only
		}
	}
	for {
		there, gone := 0, 0
		for i, c := range cursors {
			if c == nil {
				continue
			}
			v, err := c.next()
			switch {
			case err == io.EOF:
				gone++
			case err != nil:
				return n, fmt.Errorf("reading %s: column %s: %w", t.name, shorten(c.name), err)
			default:
				there++
				row[i] = v
			}
		}
		if there == 0 {
			return n, nil
		}
		if gone > 0 {
			return n, fmt.Errorf("reading %s: it is damaged: its columns have not as many values", t.name)
		}
		n++
		if err := each(place{t.name, "row", n}, row); err != nil {
			return n, err
		}
	}
}

// tableCursor reads a flat column, value by value.
type tableCursor struct {
	name    string
	leaf    int
	convert func(parquet.Value) cell

	values parquet.ColumnChunkValueReader // of the row group under way
	batch  [tableBatch]parquet.Value
	have   []parquet.Value
}

func newTableCursor(c *parquet.Column) (*tableCursor, error) {
	if !c.Leaf() || c.Repeated() {
		return nil, errors.New("it is nested (want one value per row)")
	}
	convert := converter(c.Type())
	if convert == nil {
		return nil, fmt.Errorf("its type is %s (want text, numbers or timestamps)", c.Type())
	}
	return &tableCursor{name: c.Name(), leaf: c.Index(), convert: convert}, nil
}

func (c *tableCursor) next() (cell, error) {
	if len(c.have) == 0 {
		n, err := c.values.ReadValues(c.batch[:])
		if n == 0 {
			return cell{}, err
		}
		c.have = c.batch[:n]
	}
	v := c.have[0]
	c.have = c.have[1:]
	if v.IsNull() {
		return cell{}, nil
	}
	return c.convert(v), nil
}

// converter makes cells of a column's values; nil: not of this type.
func converter(t parquet.Type) func(parquet.Value) cell {
	logical := any(nil)
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	integer := func(n int64) cell { return cell{kind: cellInteger, n: n} }
	switch t.Kind() {
	case parquet.Boolean:
		return func(v parquet.Value) cell {
			if v.Boolean() {
				return cell{kind: cellBoolean, n: 1}
			}
			return cell{kind: cellBoolean}
		}
	case parquet.Float:
		return func(v parquet.Value) cell { return cell{kind: cellFloat, f: float64(v.Float()), bits: 32} }
	case parquet.Double:
		return func(v parquet.Value) cell { return cell{kind: cellFloat, f: v.Double(), bits: 64} }
	case parquet.ByteArray:
		switch logical.(type) {
		case nil, *format.StringType, *format.EnumType, *format.JsonType:
			return func(v parquet.Value) cell { return cell{kind: cellText, text: string(v.ByteArray())} }
		}
	case parquet.Int32, parquet.Int64:
		whole, unsigned := parquet.Value.Int64, parquet.Value.Uint64
		if t.Kind() == parquet.Int32 {
			whole = func(v parquet.Value) int64 { return int64(v.Int32()) }
			unsigned = func(v parquet.Value) uint64 { return uint64(v.Uint32()) }
		}
		switch l := logical.(type) {
		case nil:
			return func(v parquet.Value) cell { return integer(whole(v)) }
		case *format.IntType:
			if l.IsSigned {
				return func(v parquet.Value) cell { return integer(whole(v)) }
			}
			return func(v parquet.Value) cell {
				if n := unsigned(v); n > math.MaxInt64 {
					return cell{kind: cellText, text: strconv.FormatUint(n, 10)}
				}
				return integer(int64(unsigned(v)))
			}
		case *format.DateType:
			return func(v parquet.Value) cell { return instant(whole(v), 86_400e9) }
		case *format.TimestampType:
			unit := int64(1)
			switch l.Unit.Value.(type) {
			case *format.MicroSeconds:
				unit = 1e3
			case *format.MilliSeconds:
				unit = 1e6
			}
			return func(v parquet.Value) cell { return instant(whole(v), unit) }
		}
	}
	return nil
}

// instant is the time n units after 1970. pandas writes the least integer for
// a time that is missing; what ns cannot hold stays text.
func instant(n, unitNS int64) cell {
	if n == math.MinInt64 {
		return cell{}
	}
	if n > math.MaxInt64/unitNS || n < math.MinInt64/unitNS {
		return cell{kind: cellText, text: strconv.FormatInt(n, 10) + " of " + strconv.FormatInt(unitNS, 10) + " ns"}
	}
	return cell{kind: cellInstant, n: n * unitNS}
}
