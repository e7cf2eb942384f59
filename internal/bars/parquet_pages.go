package bars

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// readGroup appends a row group's bars. Columns are read page by page: the
// row readers of the library take five times as long.
func (p *parquetColumns) readGroup(group parquet.RowGroup, bars []Bar) ([]Bar, error) {
	base := len(bars)
	chunks := group.ColumnChunks()
	err := eachPage(chunks[p.leaves[colTime]], integers, func(v values[int64]) error {
		for i := range v.rows() {
			ns := int64(nullTime)
			if t, ok := v.next(i); ok {
				ns = scaleTime(t, p.unitNS)
			} else {
				p.sawNull(colTime, len(bars))
			}
			bars = append(bars, Bar{TimeNS: ns})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", p.layout.name[colTime], err)
	}
	for c := colTime + 1; c < columnCount; c++ {
		at := base
		err := eachPage(chunks[p.leaves[c]], floats, func(v values[float64]) error {
			if v.rows() > len(bars)-at {
				return fmt.Errorf("more values than the %d of %s", len(bars)-base, p.layout.name[colTime])
			}
			for i := range v.rows() {
				f, ok := v.next(i)
				if !ok {
					f = math.NaN()
					p.sawNull(c, at)
				}
				*c.float(&bars[at]) = f
				at++
			}
			return nil
		})
		if err == nil && at < len(bars) {
			err = fmt.Errorf("%d values (want as many as %s has, %d)", at-base, p.layout.name[colTime], len(bars)-base)
		}
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.layout.name[c], err)
		}
	}
	return bars, nil
}

func (p *parquetColumns) sawNull(c column, index int) {
	if p.nulls[c] == 0 {
		p.nulls[c] = int64(index) + 1
	}
}

// scaleTime makes ns of a time in another unit. What does not fit becomes a
// time that the checker refuses.
func scaleTime(t, unitNS int64) int64 {
	switch {
	case t > math.MaxInt64/unitNS:
		return math.MaxInt64
	case t < math.MinInt64/unitNS:
		return math.MinInt64
	}
	return t * unitNS
}

// values are a page's: the ones that are there, and, where the page may hold
// nulls, a level a row that is 0 for a null.
type values[T any] struct {
	there  []T
	levels []byte
	used   int
}

func (v *values[T]) rows() int {
	if v.levels != nil {
		return len(v.levels)
	}
	return len(v.there)
}

// next returns the value of row i, false for a null; rows are asked for in
// order.
func (v *values[T]) next(i int) (T, bool) {
	if v.levels != nil && v.levels[i] == 0 {
		var none T
		return none, false
	}
	x := v.there[v.used]
	v.used++
	return x, true
}

// eachPage calls fn with the values of each page of a column chunk, in
// order. Plain and dictionary pages may follow one another in a chunk.
// The values are lent for the call.
//
// plain appends the n values that a page has; packed ones do not tell their
// number themselves.
func eachPage[T any](chunk parquet.ColumnChunk, plain func(dst []T, v encoding.Values, n int) []T, fn func(values[T]) error) (err error) {
	pages := chunk.Pages()
	defer func() {
		if cerr := pages.Close(); err == nil {
			err = cerr
		}
	}()
	var scratch, words, looked []T
	var wordsOf parquet.Dictionary
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a page: %w", err)
		}
		v := values[T]{levels: page.DefinitionLevels()}
		if dict := page.Dictionary(); dict != nil {
			if dict != wordsOf {
				words, wordsOf = plain(words[:0], dict.Page().Data(), dict.Len()), dict
			}
			data := page.Data()
			looked = looked[:0]
			for _, at := range data.Int32() {
				if at < 0 || int(at) >= len(words) {
					return fmt.Errorf("damaged page: word %d of a dictionary of %d", at, len(words))
				}
				looked = append(looked, words[at])
			}
			v.there = looked
		} else {
			scratch = plain(scratch[:0], page.Data(), int(page.NumValues()-page.NumNulls()))
			v.there = scratch
		}
		if err := v.check(); err != nil {
			return err
		}
		err = fn(v)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

// check makes sure that next finds a value for each level that is not 0.
func (v *values[T]) check() error {
	if v.levels == nil {
		return nil
	}
	n := 0
	for _, l := range v.levels {
		if l != 0 {
			n++
		}
	}
	if n != len(v.there) {
		return fmt.Errorf("damaged page: %d values (want %d)", len(v.there), n)
	}
	return nil
}

// integers appends a page's values of a time column.
func integers(dst []int64, v encoding.Values, _ int) []int64 {
	return append(dst, v.Int64()...)
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
	default: // newParquetColumns lets no other kind through
		return appendFloats(dst, v.Int64())
	}
}

func appendFloats[T float32 | int32 | int64](dst []float64, src []T) []float64 {
	for _, x := range src {
		dst = append(dst, float64(x))
	}
	return dst
}
