package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"gx1replay/internal/bars"
)

// A part is its columns one after the other. A column of n rows is
//
//	1 byte: 1 if there are nulls, else 0
//	if there are nulls: (n+7)/8 bytes, bit i%8 of byte i/8 is 1 for a null in row i, the rest is 0
//	the values, little-endian, of the kind's width each; of a text its length as uint32
//	of texts: their bytes, one after the other
//
// A null's value is zero. Names and kinds stand in the index.

var errPartCut = errors.New("it ends too early")

// appendColumn appends a column. It is an error if what is there together would
// be larger than an object.
func appendColumn(dst []byte, c *bars.Column) ([]byte, error) {
	n := c.Len()
	anyNull := false
	size := len(dst) + 1 + (n+7)/8 + n*valueWidth(c.Kind)
	for i := range n {
		switch {
		case c.Null(i):
			anyNull = true
		case c.Kind == bars.String:
			if k := len(c.Strings[i]); k > bars.MaxText {
				return nil, fmt.Errorf("a text of %d bytes (at most %d)", k, bars.MaxText)
			}
			size += len(c.Strings[i])
		}
	}
	if size > maxObject {
		return nil, fmt.Errorf("%d rows have %d MiB (at most %d)", n, size>>20, maxObject>>20)
	}
	dst = slices.Grow(dst, size-len(dst))
	if !anyNull {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		at := len(dst)
		dst = append(dst, make([]byte, (n+7)/8)...)
		for i := range n {
			if c.Null(i) {
				dst[at+i/8] |= 1 << (i % 8)
			}
		}
	}
	var word [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(word[:], bitsOf(c, i))
		dst = append(dst, word[:valueWidth(c.Kind)]...)
	}
	for i, s := range c.Strings {
		if !c.Null(i) {
			dst = append(dst, s...)
		}
	}
	return dst, nil
}

// bitsOf are the bits of value i, those of a null 0; of a text its length.
func bitsOf(c *bars.Column, i int) uint64 {
	switch {
	case c.Null(i):
		return 0
	case c.Kind == bars.Float64:
		return math.Float64bits(c.Floats[i])
	case c.Kind == bars.Float32:
		return uint64(math.Float32bits(float32(c.Floats[i])))
	case c.Kind == bars.String:
		return uint64(len(c.Strings[i]))
	case c.Kind == bars.Bool && c.Bools[i]:
		return 1
	case c.Kind == bars.Bool:
		return 0
	}
	return uint64(c.Ints[i])
}

// valueWidth is the size of what stands for a value, a text's length included.
func valueWidth(k bars.ColumnKind) int {
	if k == bars.String {
		return 4
	}
	return k.Width()
}

// decodePart reads a part that came from the bus: columns of those shapes with
// n rows.
func decodePart(data []byte, shapes []bars.Column, n int) ([]bars.Column, error) {
	columns := make([]bars.Column, len(shapes))
	for i := range shapes {
		c := shapes[i].Shape()
		var err error
		if data, err = decodeColumn(data, &c, n); err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		columns[i] = c
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes follow its end", len(data))
	}
	return columns, nil
}

// decodeColumn fills c with n rows and returns the bytes behind it. Nothing is
// allocated before the bytes for it are there.
func decodeColumn(data []byte, c *bars.Column, n int) ([]byte, error) {
	if len(data) < 1 {
		return nil, errPartCut
	}
	nulls, data := data[0], data[1:]
	if nulls > 1 {
		return nil, fmt.Errorf("%d where 0 or 1 says whether there are nulls", nulls)
	}
	var marks []byte
	if nulls == 1 {
		if len(data) < (n+7)/8 {
			return nil, errPartCut
		}
		marks, data = data[:(n+7)/8], data[(n+7)/8:]
	}
	width := valueWidth(c.Kind)
	if width == 0 || len(data)/width < n {
		return nil, errPartCut
	}
	if marks != nil {
		c.Nulls = make([]bool, n)
		for i := range c.Nulls {
			c.Nulls[i] = marks[i/8]>>(i%8)&1 == 1
		}
	}
	values, data := data[:n*width], data[n*width:]
	words := append(slices.Clip(values), make([]byte, 8)...) // the last one is read as 8 bytes, too
	mask := uint64(math.MaxUint64) >> (64 - 8*width)
	bits := func(i int) uint64 { return binary.LittleEndian.Uint64(words[i*width:]) & mask }
	switch c.Kind {
	case bars.Float64:
		c.Floats = fill(n, func(i int) float64 { return math.Float64frombits(bits(i)) })
	case bars.Float32:
		c.Floats = fill(n, func(i int) float64 { return float64(math.Float32frombits(uint32(bits(i)))) })
	case bars.Bool:
		c.Bools = fill(n, func(i int) bool { return bits(i) == 1 })
	case bars.String:
		return decodeTexts(data, values, c, n)
	case bars.Int8, bars.Int16, bars.Int32:
		unused := 64 - 8*width // shifted out and in again, with the sign
		c.Ints = fill(n, func(i int) int64 { return int64(bits(i)<<unused) >> unused })
	default:
		c.Ints = fill(n, func(i int) int64 { return int64(bits(i)) })
	}
	return data, nil
}

func fill[T any](n int, value func(i int) T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = value(i)
	}
	return list
}

// decodeTexts reads the texts of the given lengths.
func decodeTexts(data, lengths []byte, c *bars.Column, n int) ([]byte, error) {
	total := 0
	for i := range n {
		k := binary.LittleEndian.Uint32(lengths[4*i:])
		if k > bars.MaxText {
			return nil, fmt.Errorf("a text of %d bytes (at most %d)", k, bars.MaxText)
		}
		if total += int(k); total > len(data) {
			return nil, errPartCut
		}
	}
	all := string(data[:total])
	c.Strings = make([]string, n)
	at := 0
	for i := range n {
		end := at + int(binary.LittleEndian.Uint32(lengths[4*i:]))
		c.Strings[i] = all[at:end]
		at = end
	}
	return data[total:], nil
}

func isSHA(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}
