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
	for i := range n {
		if c.Null(i) {
			dst = append(dst, make([]byte, valueWidth(c.Kind))...)
			continue
		}
		switch c.Kind {
		case bars.Float64:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(c.Floats[i]))
		case bars.Float32:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(c.Floats[i])))
		case bars.Bool:
			b := byte(0)
			if c.Bools[i] {
				b = 1
			}
			dst = append(dst, b)
		case bars.String:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.Strings[i])))
		default:
			switch v := uint64(c.Ints[i]); c.Kind.Width() {
			case 1:
				dst = append(dst, byte(v))
			case 2:
				dst = binary.LittleEndian.AppendUint16(dst, uint16(v))
			case 4:
				dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
			default:
				dst = binary.LittleEndian.AppendUint64(dst, v)
			}
		}
	}
	for i, s := range c.Strings {
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
	switch c.Kind {
	case bars.Float64:
		c.Floats = make([]float64, n)
		for i := range c.Floats {
			c.Floats[i] = math.Float64frombits(binary.LittleEndian.Uint64(values[8*i:]))
		}
	case bars.Float32:
		c.Floats = make([]float64, n)
		for i := range c.Floats {
			c.Floats[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(values[4*i:])))
		}
	case bars.Bool:
		c.Bools = make([]bool, n)
		for i := range c.Bools {
			c.Bools[i] = values[i] == 1
		}
	case bars.String:
		return decodeTexts(data, values, c, n)
	default:
		c.Ints = make([]int64, n)
		for i := range c.Ints {
			c.Ints[i] = wholeOf(values[i*width:], c.Kind)
		}
	}
	return data, nil
}

// wholeOf reads a whole number of kind k.
func wholeOf(b []byte, k bars.ColumnKind) int64 {
	switch k {
	case bars.Int8:
		return int64(int8(b[0]))
	case bars.Uint8:
		return int64(b[0])
	case bars.Int16:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case bars.Uint16:
		return int64(binary.LittleEndian.Uint16(b))
	case bars.Int32:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case bars.Uint32:
		return int64(binary.LittleEndian.Uint32(b))
	}
	return int64(binary.LittleEndian.Uint64(b))
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
