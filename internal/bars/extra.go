package bars

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Column is a column of a data set that is none of a bar's: a feature, a label
// or anything that a user keeps beside the bars. It has a value or a null per
// bar, in the order of the bars.
//
// A column that is named open, high, low or close holds the file's own mid
// prices, which are not half-way between bid and ask; files that we write
// have it in place of ours.
type Column struct {
	Shape
	// Bits are the values of every kind but String: a float's by IEEE 754 in the
	// width of the kind, a whole number or a time as an int64 or uint64, true
	// as 1. Under a null they have no meaning.
	Bits  []uint64
	Texts []string // of a String column
	Nulls []bool   // true where there is no value; nil: nowhere
}

// Shape is a column without its values. Its tags are the names in the index of
// extra columns (package dataset).
type Shape struct {
	Name string     `msgpack:"name"`
	Kind ColumnKind `msgpack:"kind"`
	// Unit is of Time values: a nanosecond, microsecond or millisecond.
	Unit time.Duration `msgpack:"unit_ns"`
	// Zone is of Time values: empty for times without a zone, else as pandas
	// names it (UTC, Europe/Oslo). The values count from 1970 in UTC either way.
	Zone string `msgpack:"zone"`
	// Pandas is the type of pandas that can hold nulls (Int64, boolean, string)
	// if the file's note names one; empty: numpy's.
	Pandas string `msgpack:"pandas"`
}

// ColumnKind is the type of a column's values. A file that we write has the
// same.
type ColumnKind string

// Kinds of columns, as numpy names them, but for the last two.
const (
	Float64 ColumnKind = "float64"
	Float32 ColumnKind = "float32"
	Int64   ColumnKind = "int64"
	Int32   ColumnKind = "int32"
	Int16   ColumnKind = "int16"
	Int8    ColumnKind = "int8"
	Uint64  ColumnKind = "uint64"
	Uint32  ColumnKind = "uint32"
	Uint16  ColumnKind = "uint16"
	Uint8   ColumnKind = "uint8"
	Bool    ColumnKind = "bool"
	String  ColumnKind = "string"
	Time    ColumnKind = "time"
)

// kinds are all kinds with the width of a value in bytes, and the types of
// pandas that hold such values and nulls among them.
var kinds = map[ColumnKind]struct {
	width  int
	pandas []string
}{
	Float64: {8, []string{"Float64"}},
	Float32: {4, []string{"Float32"}},
	Int64:   {8, []string{"Int64"}},
	Int32:   {4, []string{"Int32"}},
	Int16:   {2, []string{"Int16"}},
	Int8:    {1, []string{"Int8"}},
	Uint64:  {8, []string{"UInt64"}},
	Uint32:  {4, []string{"UInt32"}},
	Uint16:  {2, []string{"UInt16"}},
	Uint8:   {1, []string{"UInt8"}},
	Bool:    {1, []string{"boolean"}},
	String:  {0, []string{"string", "str"}},
	Time:    {8, nil},
}

// Bounds of columns. What a file has beyond them is left out.
const (
	MaxExtraColumns = 1024
	MaxColumnName   = 256      // bytes of a name
	MaxText         = 64 << 10 // bytes of a String value
	maxZone         = 64       // bytes of a Zone
)

// Width is the size of a value in bytes, 0 for String.
func (k ColumnKind) Width() int { return kinds[k].width }

// Signed is true for whole numbers with a sign, times apart.
func (k ColumnKind) Signed() bool { return strings.HasPrefix(string(k), "int") }

// Len is the number of values, nulls included.
func (c *Column) Len() int { return len(c.Bits) + len(c.Texts) }

// Null reports whether value i is a null.
func (c *Column) Null(i int) bool { return c.Nulls != nil && c.Nulls[i] }

// float is value i of a column of floats. A Float32 is widened, which is exact.
func (c *Column) float(i int) float64 {
	if c.Kind == Float32 {
		return float64(math.Float32frombits(uint32(c.Bits[i])))
	}
	return math.Float64frombits(c.Bits[i])
}

// Slice is the column's values from first to before end, which it shares.
func (c *Column) Slice(first, end int) Column {
	s := Column{Shape: c.Shape}
	if c.Kind == String {
		s.Texts = c.Texts[first:end:end]
	} else {
		s.Bits = c.Bits[first:end:end]
	}
	if c.Nulls != nil {
		s.Nulls = c.Nulls[first:end:end]
	}
	return s
}

// Append appends the values of o, a column of the same shape.
func (c *Column) Append(o Column) {
	if o.Nulls != nil && c.Nulls == nil {
		c.Nulls = make([]bool, c.Len())
	}
	if c.Nulls != nil {
		c.Nulls = append(c.Nulls, o.Nulls...)
		c.Nulls = append(c.Nulls, make([]bool, o.Len()-len(o.Nulls))...)
	}
	c.Bits = append(c.Bits, o.Bits...)
	c.Texts = append(c.Texts, o.Texts...)
}

// pick is the column with the rows of order.
func (c *Column) pick(order []int) Column {
	p := Column{Shape: c.Shape}
	for _, row := range order {
		p.Append(c.Slice(row, row+1))
	}
	return p
}

// sawRow keeps whether the value that was appended last is a null.
func (c *Column) sawRow(null bool) {
	if null && c.Nulls == nil {
		c.Nulls = make([]bool, c.Len()-1)
	}
	if c.Nulls != nil {
		c.Nulls = append(c.Nulls, null)
	}
}

// ShapesOf are the shapes of columns.
func ShapesOf(columns []Column) []Shape {
	list := make([]Shape, len(columns))
	for i := range columns {
		list[i] = columns[i].Shape
	}
	return list
}

// CheckShapes says whether columns of these shapes can stand beside the bars in
// a file: at most MaxExtraColumns, each within the bounds, under a name of its
// own that is not one of a bar's.
func CheckShapes(shapes []Shape) error {
	if len(shapes) > MaxExtraColumns {
		return fmt.Errorf("%d extra columns (want at most %d)", len(shapes), MaxExtraColumns)
	}
	seen := make(map[string]bool, len(shapes))
	for _, s := range shapes {
		if err := s.check(); err != nil {
			return fmt.Errorf("extra column %s: %w", shorten(s.Name), err)
		}
		if seen[s.Name] {
			return fmt.Errorf("extra column %s appears twice", shorten(s.Name))
		}
		seen[s.Name] = true
	}
	return nil
}

// CheckColumns is CheckShapes, and each column has n values. The values are
// not looked at.
func CheckColumns(extra []Column, n int) error {
	for i := range extra {
		if err := extra[i].checkLen(n); err != nil {
			return err
		}
	}
	return CheckShapes(ShapesOf(extra))
}

func (c *Column) checkLen(n int) error {
	other := len(c.Texts)
	if c.Kind == String {
		other = len(c.Bits)
	}
	if c.Len() != n || other > 0 || c.Nulls != nil && len(c.Nulls) != n {
		return fmt.Errorf("extra column %s: %d values of a %s with marks of %d nulls (want %d)", shorten(c.Name), c.Len(), c.Kind, len(c.Nulls), n)
	}
	return nil
}

func (s *Shape) check() error {
	if reason := badName(s.Name); reason != "" {
		return fmt.Errorf("its name: %s", reason)
	}
	if columnOf(s.Name) < columnCount {
		return fmt.Errorf("the name is that of a bar's own column")
	}
	kind, known := kinds[s.Kind]
	switch {
	case !known:
		return fmt.Errorf("kind %s is unknown", shorten(string(s.Kind)))
	case s.Kind == Time && !slices.Contains([]time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond}, s.Unit):
		return fmt.Errorf("times in units of %v (want 1ns, 1µs or 1ms)", s.Unit)
	case len(s.Zone) > maxZone || !utf8.ValidString(s.Zone):
		return fmt.Errorf("time zone %s (want at most %d bytes of UTF-8)", shorten(s.Zone), maxZone)
	case s.Kind != Time && (s.Unit != 0 || s.Zone != ""):
		return fmt.Errorf("unit %v and time zone %s of a %s", s.Unit, shorten(s.Zone), s.Kind)
	case s.Pandas != "" && !slices.Contains(kind.pandas, s.Pandas):
		return fmt.Errorf("type %s of pandas for a %s", shorten(s.Pandas), s.Kind)
	}
	return nil
}

// badName says why a name cannot be kept; empty: it can.
func badName(name string) string {
	switch {
	case name == "":
		return "no name"
	case len(name) > MaxColumnName:
		return fmt.Sprintf("a name of %d bytes (at most %d)", len(name), MaxColumnName)
	case !utf8.ValidString(name):
		return "a name that is not UTF-8"
	case strings.ContainsRune(name, 0):
		return "a name with a zero byte"
	}
	return ""
}
