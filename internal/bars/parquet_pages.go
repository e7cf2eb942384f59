package bars

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// readGroup appends a row group's bars. Columns are read page by page: the
// row readers of the library take five times as long.
func (p *parquetColumns) readGroup(group parquet.RowGroup, bars []Bar) ([]Bar, error) {
	base := len(bars)
	chunks := group.ColumnChunks()
	bars, err := p.readTimes(chunks[p.leaves[colTime]], bars)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", p.layout.name[colTime], err)
	}
	for c := colTime + 1; c < columnCount; c++ {
		if p.leaves[c] < 0 {
			continue
		}
		err := p.readNumbers(chunks[p.leaves[c]], p.numbers[c], len(bars)-base, func(i int, f float64, ok bool) {
			if !ok {
				f = math.NaN()
				p.sawNull(c, base+i)
			}
			*c.float(&bars[base+i]) = f
		})
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.layout.name[c], err)
		}
	}
	if p.spread >= 0 {
		err := p.readNumbers(chunks[p.spread], p.spreads, len(bars)-base, func(_ int, f float64, ok bool) {
			if !ok {
				f = math.NaN()
			}
			p.points = append(p.points, f)
		})
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.header[p.layout.spread], err)
		}
	}
	if p.symbol >= 0 {
		if err := p.readSymbols(chunks[p.symbol], base); err != nil {
			return nil, err
		}
	}
	if p.nautilus != nil {
		if err := p.nautilus.readEnds(chunks); err != nil {
			return nil, fmt.Errorf("column ts_init: %w", err)
		}
	}
	return bars, nil
}

// readSymbols looks at the instrument of each row.
func (p *parquetColumns) readSymbols(chunk parquet.ColumnChunk, row int) error {
	return eachPage(chunk, texts, func(v values[string]) error {
		for i := range v.rows() {
			row++
			if text, ok := v.next(i); ok {
				if err := p.symbols.name(text); err != nil {
					return fmt.Errorf("row %d: %w", row, err)
				}
			}
		}
		return nil
	})
}

// readTimes appends a bar for each time of a column chunk.
func (p *parquetColumns) readTimes(chunk parquet.ColumnChunk, bars []Bar) ([]Bar, error) {
	if p.time.kind == timeTexts {
		err := eachPage(chunk, texts, func(v values[string]) error {
			for i := range v.rows() {
				text, ok := v.next(i)
				bars = append(bars, Bar{TimeNS: p.textTime(text, ok, len(bars))})
			}
			return nil
		})
		return bars, err
	}
	err := eachPage(chunk, p.time.times, func(v values[int64]) error {
		for i := range v.rows() {
			ns := int64(nullTime)
			if t, ok := v.next(i); ok {
				ns = t
			} else {
				p.sawNull(colTime, len(bars))
			}
			bars = append(bars, Bar{TimeNS: ns})
		}
		return nil
	})
	return bars, err
}

// textTime is the time of a row, from 0. After the first text that is none
// nothing is looked at.
func (p *parquetColumns) textTime(text string, ok bool, row int) int64 {
	var ns int64
	err := errTimeForm
	if p.unread != nil {
		return nullTime
	}
	if ok {
		ns, err = p.times.read(strings.TrimSpace(text))
	}
	if err == nil {
		return ns
	}
	value := shorten(text)
	if !ok {
		value = "null"
	}
	p.unreadAt = row + 1
	p.unread = &CellError{Row: int64(row) + 1, Column: p.layout.name[colTime], Value: value, Want: err.Error()}
	return nullTime
}

// readNumbers gives fn each of the n values of a column chunk in order, and
// whether it is there.
func (p *parquetColumns) readNumbers(chunk parquet.ColumnChunk, pages numberPages, n int, fn func(i int, f float64, ok bool)) error {
	at := 0
	err := eachPage(chunk, pages, func(v values[float64]) error {
		if v.rows() > n-at {
			return fmt.Errorf("more values than the %d of %s", n, p.layout.name[colTime])
		}
		for i := range v.rows() {
			f, ok := v.next(i)
			fn(at, f, ok)
			at++
		}
		return nil
	})
	if err == nil && at < n {
		err = fmt.Errorf("%d values (want as many as %s has, %d)", at, p.layout.name[colTime], n)
	}
	return err
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
