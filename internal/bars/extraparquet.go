package bars

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// parquetExtra are the columns of a parquet file that are kept beside the
// bars. The zero value keeps none.
type parquetExtra struct {
	list    []*parquetExtraColumn
	skipped skipped
}

type parquetExtraColumn struct {
	Column
	leaf   int
	reason string // why it is left out after all; empty: it is not
}

func newParquetExtra(f *parquet.File, p *parquetColumns, notes []pandasNote) parquetExtra {
	var e parquetExtra
	noted := make(map[string]*pandasNote, len(notes))
	for i := range notes {
		noted[notes[i].FieldName] = &notes[i]
	}
	columns := f.Root().Columns()
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.Name()
	}
	for _, at := range p.layout.extras(header, &e.skipped) {
		leaf, note := columns[at.index], noted[header[at.index]]
		c := &parquetExtraColumn{leaf: leaf.Index()}
		c.Name = at.name
		if note == nil {
			note = &pandasNote{}
		}
		reason := c.takeType(leaf, note)
		if reason == "" {
			reason = codecReason(f.Metadata(), c.leaf)
		}
		if reason != "" {
			e.skipped.add(c.Name, reason)
			continue
		}
		e.list = append(e.list, c)
	}
	return e
}

// takeType takes the kind of a column from the file. It says why the column
// cannot be kept; empty: it can.
func (c *parquetExtraColumn) takeType(leaf *parquet.Column, note *pandasNote) (reason string) {
	if !leaf.Leaf() || leaf.Repeated() {
		return "nested"
	}
	if strings.HasPrefix(note.NumpyType, "timedelta64") || strings.HasPrefix(note.NumpyType, "period[") {
		return note.NumpyType // what stands in the file is a number
	}
	logical := leaf.Type().LogicalType()
	if c.Kind = extraKind(leaf.Type().Kind(), logical); c.Kind == "" {
		return fmt.Sprintf("%.60s", leaf.Type())
	}
	if c.Kind == Time {
		c.Unit = time.Duration(timestampUnit(logical))
		if ts, ok := logical.Value.(*format.TimestampType); ok && ts.IsAdjustedToUTC {
			c.Zone = "UTC"
			if zone := note.zone(); zone != "" && len(zone) <= maxZone && utf8.ValidString(zone) {
				c.Zone = zone
			}
		}
	}
	if holdsNulls(c.Kind, note.NumpyType) {
		c.Pandas = note.NumpyType
	}
	return ""
}

// extraKind is the kind of a column of that type, empty if there is none.
func extraKind(kind parquet.Kind, logical *format.LogicalType) ColumnKind {
	if timestampUnit(logical) != 0 && kind == parquet.Int64 {
		return Time
	}
	switch kind {
	case parquet.Double:
		return Float64
	case parquet.Float:
		return Float32
	case parquet.Boolean:
		return Bool
	case parquet.ByteArray:
		if logical != nil {
			switch logical.Value.(type) {
			case *format.StringType, *format.EnumType:
				return String
			}
		}
		return ""
	case parquet.Int32, parquet.Int64:
	default:
		return ""
	}
	if logical == nil {
		if kind == parquet.Int32 {
			return Int32
		}
		return Int64
	}
	t, ok := logical.Value.(*format.IntType)
	if !ok || (t.BitWidth == 64) != (kind == parquet.Int64) {
		return ""
	}
	if t.IsSigned {
		return map[int8]ColumnKind{8: Int8, 16: Int16, 32: Int32, 64: Int64}[t.BitWidth]
	}
	return map[int8]ColumnKind{8: Uint8, 16: Uint16, 32: Uint32, 64: Uint64}[t.BitWidth]
}

// codecReason says why a column's pages are not decoded; empty: they can be.
func codecReason(meta *format.FileMetaData, leaf int) string {
	for _, group := range meta.RowGroups {
		if leaf >= len(group.Columns) {
			return "not in every row group"
		}
		if codec := group.Columns[leaf].MetaData.Codec; !isSafe(codec) {
			return fmt.Sprintf("compressed by %s", codec)
		}
	}
	return ""
}

// readGroup appends the values of a row group, after which each column has n.
func (e *parquetExtra) readGroup(group parquet.RowGroup, n int) error {
	if len(e.list) == 0 {
		return nil
	}
	chunks := group.ColumnChunks()
	for _, c := range e.list {
		if c.reason != "" {
			continue
		}
		err := c.read(chunks[c.leaf], n)
		if err == nil && c.Len() != n {
			err = fmt.Errorf("%d rows up to here (want %d)", c.Len(), n)
		}
		var left errLeftOut
		switch {
		case errors.As(err, &left):
			c.reason = string(left)
			c.Column = c.Shape() // the values are garbage now
		case err != nil:
			return fmt.Errorf("column %s: %w", shorten(c.Name), err)
		}
	}
	return nil
}

// errLeftOut is why a column is left out although it can be read.
type errLeftOut string

func (e errLeftOut) Error() string { return string(e) }

func (c *parquetExtraColumn) read(chunk parquet.ColumnChunk, n int) error {
	switch c.Kind {
	case Float64, Float32:
		return readExtra(&c.Column, &c.Floats, chunk, floats, n)
	case Bool:
		return readExtra(&c.Column, &c.Bools, chunk, booleans, n)
	case String:
		row := c.Len()
		err := readExtra(&c.Column, &c.Strings, chunk, texts, n)
		for ; err == nil && row < len(c.Strings); row++ {
			switch s := c.Strings[row]; {
			case len(s) > MaxText:
				err = errLeftOut(fmt.Sprintf("row %d: a text of %d bytes, at most %d", row+1, len(s), MaxText))
			case !utf8.ValidString(s):
				err = errLeftOut(fmt.Sprintf("row %d: not UTF-8", row+1))
			}
		}
		return err
	case Uint32, Uint16, Uint8:
		return readExtra(&c.Column, &c.Ints, chunk, unsigned, n)
	}
	return readExtra(&c.Column, &c.Ints, chunk, whole, n)
}

// readExtra appends the values of a column chunk to dst, one of c's, up to n.
func readExtra[T any](c *Column, dst *[]T, chunk parquet.ColumnChunk, plain func([]T, encoding.Values, int) []T, n int) error {
	return eachPage(chunk, plain, func(v values[T]) error {
		if v.rows() > n-len(*dst) {
			return fmt.Errorf("more values than the bars up to here, %d", n)
		}
		for i := range v.rows() {
			x, ok := v.next(i)
			*dst = append(*dst, x)
			c.sawRow(!ok)
		}
		return nil
	})
}

// finish ends the reading of a file with these bars.
func (e *parquetExtra) finish(bars []Bar) ([]Column, []string) {
	var list []Column
	for _, c := range e.list {
		if c.reason != "" {
			e.skipped.add(c.Name, c.reason)
		} else {
			list = append(list, c.Column)
		}
	}
	return ownMids(list, bars), e.skipped
}

// whole appends the values of a page of whole numbers or times.
func whole(dst []int64, v encoding.Values, _ int) []int64 {
	if v.Kind() == encoding.Int32 {
		for _, x := range v.Int32() {
			dst = append(dst, int64(x))
		}
		return dst
	}
	return append(dst, v.Int64()...)
}

// unsigned appends the values of a page of whole numbers in 32 bits without a
// sign.
func unsigned(dst []int64, v encoding.Values, _ int) []int64 {
	for _, x := range v.Int32() {
		dst = append(dst, int64(uint32(x)))
	}
	return dst
}

// booleans appends the n values of a page, eight a byte.
func booleans(dst []bool, v encoding.Values, n int) []bool {
	bits := v.Boolean()
	for i := range min(n, 8*len(bits)) {
		dst = append(dst, bits[i/8]>>(i%8)&1 == 1)
	}
	return dst
}

// texts appends the values of a page, which share one copy of its bytes.
func texts(dst []string, v encoding.Values, _ int) []string {
	data, offsets := v.ByteArray()
	all := string(data)
	for i := 1; i < len(offsets); i++ {
		dst = append(dst, all[offsets[i-1]:offsets[i]])
	}
	return dst
}
