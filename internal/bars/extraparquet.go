package bars

import (
	"fmt"
	"math"
	"slices"
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
	if slices.Contains(kinds[c.Kind].pandas, note.NumpyType) {
		c.Pandas = note.NumpyType
	}
	return ""
}

// extraKind is the kind of a column of that type, empty if there is none.
func extraKind(kind parquet.Kind, logical *format.LogicalType) ColumnKind {
	switch {
	case timestampUnit(logical) != 0 && kind == parquet.Int64:
		return Time
	case kind == parquet.Double:
		return Float64
	case kind == parquet.Float:
		return Float32
	case kind == parquet.Boolean:
		return Bool
	case kind == parquet.ByteArray && isText(logical):
		return String
	case kind != parquet.Int32 && kind != parquet.Int64:
		return ""
	case logical == nil && kind == parquet.Int32:
		return Int32
	case logical == nil:
		return Int64
	}
	t, ok := logical.Value.(*format.IntType)
	if !ok || (t.BitWidth == 64) != (kind == parquet.Int64) {
		return ""
	}
	name := ColumnKind(fmt.Sprintf("int%d", t.BitWidth))
	if !t.IsSigned {
		name = "u" + name
	}
	if name.Width() == 0 {
		return ""
	}
	return name
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

// readGroup appends the values of a row group of n bars.
func (e *parquetExtra) readGroup(group parquet.RowGroup, n int) error {
	if len(e.list) == 0 {
		return nil
	}
	chunks := group.ColumnChunks()
	for _, c := range e.list {
		if c.reason != "" {
			continue
		}
		if err := c.read(chunks[c.leaf], n); err != nil {
			return fmt.Errorf("column %s: %w", shorten(c.Name), err)
		}
	}
	return nil
}

func (c *parquetExtraColumn) read(chunk parquet.ColumnChunk, n int) error {
	if c.Kind != String {
		return eachValue(chunk, c.Kind.appendBits, n, func(_ int, bits uint64, ok bool) error {
			c.Bits = append(c.Bits, bits)
			c.sawRow(!ok)
			return nil
		})
	}
	return eachValue(chunk, texts, n, func(_ int, text string, ok bool) error {
		if c.reason != "" {
			return nil
		}
		if c.reason = badText(text, len(c.Texts)); c.reason != "" {
			c.Column = Column{Shape: c.Shape} // the values are garbage now
			return nil
		}
		c.Texts = append(c.Texts, text)
		c.sawRow(!ok)
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

// appendBits appends the n values of a page as Column.Bits has them. Truths are
// packed, eight a byte.
func (k ColumnKind) appendBits(dst []uint64, v encoding.Values, n int) []uint64 {
	switch v.Kind() {
	case encoding.Double:
		for _, x := range v.Double() {
			dst = append(dst, math.Float64bits(x))
		}
	case encoding.Float:
		for _, x := range v.Float() {
			dst = append(dst, uint64(math.Float32bits(x)))
		}
	case encoding.Boolean:
		packed := v.Boolean()
		for i := range min(n, 8*len(packed)) {
			dst = append(dst, uint64(packed[i/8]>>(i%8)&1))
		}
	case encoding.Int32:
		for _, x := range v.Int32() {
			if k.Signed() {
				dst = append(dst, uint64(int64(x)))
			} else {
				dst = append(dst, uint64(uint32(x)))
			}
		}
	default: // extraKind lets no other kind through
		dst = append(dst, v.Uint64()...)
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
