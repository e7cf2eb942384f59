package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
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
			if k := len(c.Texts[i]); k > bars.MaxText {
				return nil, fmt.Errorf("a text of %d bytes (at most %d)", k, bars.MaxText)
			}
			size += len(c.Texts[i])
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
		var bits uint64
		switch {
		case c.Null(i):
		case c.Kind == bars.String:
			bits = uint64(len(c.Texts[i]))
		default:
			bits = c.Bits[i]
		}
		binary.LittleEndian.PutUint64(word[:], bits)
		dst = append(dst, word[:valueWidth(c.Kind)]...)
	}
	for i, s := range c.Texts {
		if !c.Null(i) {
			dst = append(dst, s...)
		}
	}
	return dst, nil
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
func decodePart(data []byte, shapes []bars.Shape, n int) ([]bars.Column, error) {
	columns := make([]bars.Column, len(shapes))
	for i, s := range shapes {
		columns[i].Shape = s
		var err error
		if data, err = decodeColumn(data, &columns[i], n); err != nil {
			return nil, fmt.Errorf("column %q: %w", s.Name, err)
		}
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
	if c.Kind == bars.String {
		return decodeTexts(data, values, c, n)
	}
	words := append(slices.Clip(values), make([]byte, 8)...) // the last one is read as 8 bytes, too
	unused := 64 - 8*width
	c.Bits = make([]uint64, n)
	for i := range c.Bits {
		bits := binary.LittleEndian.Uint64(words[i*width:]) << unused
		if c.Kind.Signed() {
			c.Bits[i] = uint64(int64(bits) >> unused)
		} else {
			c.Bits[i] = bits >> unused
		}
	}
	return data, nil
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
	c.Texts = make([]string, n)
	for i := range c.Texts {
		k := binary.LittleEndian.Uint32(lengths[4*i:])
		c.Texts[i], all = all[:k], all[k:]
	}
	return data[total:], nil
}
