package bars

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Column is a column of a data set that is none of a bar's: a feature, a label
// or anything that a user keeps beside the bars. It has a value or a null a
// bar, in the order of the bars.
//
// A column that is named open, high, low or close holds the file's own mid
// prices, which are not half-way between bid and ask; files that we write
// have it in place of ours.
type Column struct {
	Name string
	Kind ColumnKind
	// Unit is of Time values: a nanosecond, microsecond or millisecond.
	Unit time.Duration
	// Zone is of Time values: empty for times without a zone, else as pandas
	// names it (UTC, Europe/Oslo). The values count from 1970 in UTC either way.
	Zone string
	// Pandas is the type of pandas that can hold nulls (Int64, boolean, string)
	// if the file's note names one; empty: numpy's.
	Pandas string

	// One of these has the values; where there is a null it is zero.
	Floats  []float64 // Float64; Float32 widened, which is exact
	Ints    []int64   // whole numbers (Uint64: the same bits) and times
	Bools   []bool
	Strings []string
	// Nulls is true where there is no value; nil: nowhere.
	Nulls []bool
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

// Bounds of columns. What a file has beyond them is left out.
const (
	MaxExtraColumns = 1024
	MaxColumnName   = 256      // bytes of a name
	MaxText         = 64 << 10 // bytes of a String value
	maxZone         = 64       // bytes of a Zone
)

// Width is the size of a value in bytes, 0 for String.
func (k ColumnKind) Width() int {
	switch k {
	case Float64, Int64, Uint64, Time:
		return 8
	case Float32, Int32, Uint32:
		return 4
	case Int16, Uint16:
		return 2
	case Int8, Uint8, Bool:
		return 1
	}
	return 0
}

// Len is the number of values, nulls included.
func (c *Column) Len() int {
	switch c.Kind {
	case Float64, Float32:
		return len(c.Floats)
	case Bool:
		return len(c.Bools)
	case String:
		return len(c.Strings)
	}
	return len(c.Ints)
}

// Null tells whether value i is a null.
func (c *Column) Null(i int) bool { return c.Nulls != nil && c.Nulls[i] }

// Shape is the column without its values.
func (c *Column) Shape() Column {
	return Column{Name: c.Name, Kind: c.Kind, Unit: c.Unit, Zone: c.Zone, Pandas: c.Pandas}
}

// SameShape tells whether two columns differ in their values at most.
func (c *Column) SameShape(o *Column) bool {
	return c.Name == o.Name && c.Kind == o.Kind && c.Unit == o.Unit && c.Zone == o.Zone && c.Pandas == o.Pandas
}

// Slice is the column's values from first to before end, which it shares.
func (c *Column) Slice(first, end int) Column {
	s := c.Shape()
	switch c.Kind {
	case Float64, Float32:
		s.Floats = c.Floats[first:end:end]
	case Bool:
		s.Bools = c.Bools[first:end:end]
	case String:
		s.Strings = c.Strings[first:end:end]
	default:
		s.Ints = c.Ints[first:end:end]
	}
	if c.Nulls != nil {
		s.Nulls = c.Nulls[first:end:end]
	}
	return s
}

// Append appends the values of o, a column of the same shape.
func (c *Column) Append(o Column) {
	was := c.Len()
	c.Floats = append(c.Floats, o.Floats...)
	c.Ints = append(c.Ints, o.Ints...)
	c.Bools = append(c.Bools, o.Bools...)
	c.Strings = append(c.Strings, o.Strings...)
	switch {
	case o.Nulls != nil && c.Nulls == nil:
		c.Nulls = append(make([]bool, was, was+len(o.Nulls)), o.Nulls...)
	case o.Nulls != nil:
		c.Nulls = append(c.Nulls, o.Nulls...)
	case c.Nulls != nil:
		c.Nulls = append(c.Nulls, make([]bool, o.Len())...)
	}
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

// CheckColumns says whether extra can stand beside n bars in a file: at most
// MaxExtraColumns, each within the bounds, under a name of its own that is not
// one of a bar's, with n values. The values are not looked at.
func CheckColumns(extra []Column, n int) error {
	if len(extra) > MaxExtraColumns {
		return fmt.Errorf("%d extra columns (want at most %d)", len(extra), MaxExtraColumns)
	}
	seen := make(map[string]bool, len(extra))
	for i := range extra {
		c := &extra[i]
		if err := c.check(n); err != nil {
			return fmt.Errorf("extra column %s: %w", shorten(c.Name), err)
		}
		if seen[c.Name] {
			return fmt.Errorf("extra column %s appears twice", shorten(c.Name))
		}
		seen[c.Name] = true
	}
	return nil
}

func (c *Column) check(n int) error {
	if reason := badName(c.Name); reason != "" {
		return fmt.Errorf("its name: %s", reason)
	}
	if isBars(c.Name) {
		return fmt.Errorf("the name is that of a bar's own column")
	}
	switch {
	case c.Kind == Time:
		if !slices.Contains([]time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond}, c.Unit) {
			return fmt.Errorf("times in units of %v (want 1ns, 1µs or 1ms)", c.Unit)
		}
		if len(c.Zone) > maxZone || !utf8.ValidString(c.Zone) {
			return fmt.Errorf("time zone %s (want at most %d bytes of UTF-8)", shorten(c.Zone), maxZone)
		}
	case c.Kind != String && c.Kind.Width() == 0:
		return fmt.Errorf("kind %s is unknown", shorten(string(c.Kind)))
	case c.Unit != 0 || c.Zone != "":
		return fmt.Errorf("unit %v and time zone %s of a %s", c.Unit, shorten(c.Zone), c.Kind)
	}
	if c.Pandas != "" && !holdsNulls(c.Kind, c.Pandas) {
		return fmt.Errorf("type %s of pandas for a %s", shorten(c.Pandas), c.Kind)
	}
	if c.Len() != n || (c.Nulls != nil && len(c.Nulls) != n) {
		return fmt.Errorf("%d values with marks of %d nulls (want %d)", c.Len(), len(c.Nulls), n)
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

// isBars is true for the columns of a bar in a file of ours, mid prices apart:
// an extra column takes the place of those.
func isBars(name string) bool {
	for c := range columnCount {
		if c.String() == name {
			return true
		}
	}
	return false
}

// holdsNulls tells whether pandas has a type of that name for values of kind k
// and nulls among them.
func holdsNulls(k ColumnKind, name string) bool {
	switch k {
	case Bool:
		return name == "boolean"
	case String:
		return name == "string" || name == "str"
	case Uint64, Uint32, Uint16, Uint8:
		return name == strings.Replace(string(k), "uint", "UInt", 1)
	case Time:
		return false
	}
	return name == strings.ToUpper(string(k[:1]))+string(k[1:])
}
