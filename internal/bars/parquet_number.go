package bars

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// numberPages appends the n values of a page of numbers.
type numberPages func(dst []float64, v encoding.Values, n int) []float64

// numberPagesOf says how a column of type t holds numbers.
func (p *parquetColumns) numberPagesOf(t parquet.Type, c column) (numberPages, error) {
	logical := t.LogicalType()
	if p.nautilus != nil {
		if pages := p.nautilus.pages(t, c); pages != nil {
			return pages, nil
		}
	}
	kind := t.Kind()
	switch {
	case kind == parquet.Double || kind == parquet.Float:
		return floats, nil
	case logical != nil && isDecimalType(logical):
		return decimals(kind, int(logical.Value.(*format.DecimalType).Scale)), nil
	case kind == parquet.Int32 || kind == parquet.Int64:
		if logical == nil {
			return floats, nil
		}
		if i, ok := logical.Value.(*format.IntType); ok {
			if i.IsSigned {
				return floats, nil
			}
			return unsignedFloats, nil
		}
	case kind == parquet.FixedLenByteArray && logical != nil && t.Length() == 2:
		if _, ok := logical.Value.(*format.Float16Type); ok {
			return nil, fmt.Errorf("%s (want double or float: 11 bits are too few for a price)", t)
		}
	}
	return nil, fmt.Errorf("%s (want double or float, integers or decimals)", t)
}

func isDecimalType(logical *format.LogicalType) bool {
	_, ok := logical.Value.(*format.DecimalType)
	return ok
}

// floats appends a page's values of a number column.
func floats(dst []float64, v encoding.Values, _ int) []float64 {
	switch v.Kind() {
	case encoding.Double:
		return append(dst, v.Double()...)
	case encoding.Float:
		return appendFloats(dst, v.Float())
	case encoding.Int32:
		return appendFloats(dst, v.Int32())
	default: // numberPagesOf lets no other kind through
		return appendFloats(dst, v.Int64())
	}
}

func unsignedFloats(dst []float64, v encoding.Values, _ int) []float64 {
	if v.Kind() == encoding.Int32 {
		return appendFloats(dst, v.Uint32())
	}
	return appendFloats(dst, v.Uint64())
}

func appendFloats[T float32 | int32 | int64 | uint32 | uint64](dst []float64, src []T) []float64 {
	for _, x := range src {
		dst = append(dst, float64(x))
	}
	return dst
}

// decimals reads numbers of so many digits behind the point as the nearest
// float64, which is what their text would be read as.
func decimals(kind parquet.Kind, scale int) numberPages {
	return func(dst []float64, v encoding.Values, _ int) []float64 {
		switch kind {
		case parquet.Int32:
			for _, x := range v.Int32() {
				dst = append(dst, decimalFloat(int64(x), scale))
			}
		case parquet.Int64:
			for _, x := range v.Int64() {
				dst = append(dst, decimalFloat(x, scale))
			}
		case parquet.FixedLenByteArray:
			data, size := v.FixedLenByteArray()
			for ; size > 0 && len(data) >= size; data = data[size:] {
				dst = append(dst, bigDecimal(data[:size], scale))
			}
		default:
			data, offsets := v.ByteArray()
			for i := 1; i < len(offsets); i++ {
				dst = append(dst, bigDecimal(data[offsets[i-1]:offsets[i]], scale))
			}
		}
		return dst
	}
}

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// decimalFloat is v / 10^scale, rounded once.
func decimalFloat(v int64, scale int) float64 {
	if v > -1<<53 && v < 1<<53 && scale >= 0 && scale < len(exactPowers) {
		return float64(v) / exactPowers[scale]
	}
	return parseScaled(strconv.FormatInt(v, 10), scale)
}

// bigDecimal is the same of a number in two's complement, big-endian.
func bigDecimal(b []byte, scale int) float64 {
	if len(b) <= 8 {
		var v int64
		if len(b) > 0 && b[0] >= 0x80 {
			v = -1
		}
		for _, x := range b {
			v = v<<8 | int64(x)
		}
		return decimalFloat(v, scale)
	}
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if v.IsInt64() {
		return decimalFloat(v.Int64(), scale)
	}
	return parseScaled(v.String(), scale)
}

func parseScaled(digits string, scale int) float64 {
	v, err := strconv.ParseFloat(digits+"e"+strconv.Itoa(-scale), 64)
	if err != nil {
		return math.NaN() // out of range: no price
	}
	return v
}

// times appends a page's values of a time column, in the unit of the column;
// dates and INT96 in ns.
func (t timePages) times(dst []int64, v encoding.Values, _ int) []int64 {
	switch {
	case t.kind == timeInt96:
		const julian1970 = 2440588
		for _, x := range v.Int96() {
			dst = append(dst, plusNS(scaleTime(int64(x[2])-julian1970, 86400e9), int64(uint64(x[1])<<32|uint64(x[0]))))
		}
	case t.kind == timeDates:
		for _, x := range v.Int32() {
			dst = append(dst, scaleTime(int64(x), 86400e9))
		}
	case v.Kind() == encoding.Int32:
		for _, x := range v.Int32() {
			dst = append(dst, scaleTime(int64(x), max(t.unitNS, 1)))
		}
	case t.unitNS > 1:
		for _, x := range v.Int64() {
			dst = append(dst, scaleTime(x, t.unitNS))
		}
	default:
		dst = append(dst, v.Int64()...)
	}
	return dst
}

// plusNS adds what may be out of range, to a time that the checker refuses then.
func plusNS(a, b int64) int64 {
	if s := a + b; (b >= 0) == (s >= a) {
		return s
	}
	return math.MaxInt64
}

// littleEndian is a number of 8 or 16 bytes in two's complement.
func littleEndian(b []byte) (hi int64, lo uint64) {
	lo = binary.LittleEndian.Uint64(b)
	if len(b) == 16 {
		return int64(binary.LittleEndian.Uint64(b[8:])), lo
	}
	return int64(lo) >> 63, lo
}
