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
	n := len(bars) - base
	for c := colTime + 1; c < columnCount; c++ {
		if p.leaves[c] < 0 {
			continue
		}
		err := eachValue(chunks[p.leaves[c]], p.numbers[c], n, func(i int, f float64, ok bool) error {
			if !ok {
				f = math.NaN()
				p.sawNull(c, base+i)
			}
			*c.float(&bars[base+i]) = f
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.layout.name[c], err)
		}
	}
	if p.spread >= 0 {
		err := eachValue(chunks[p.spread], p.spreads, n, func(_ int, f float64, ok bool) error {
			if !ok {
				f = math.NaN()
			}
			p.points = append(p.points, f)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.header[p.layout.spread], err)
		}
	}
	if p.symbol >= 0 {
		err := eachValue(chunks[p.symbol], texts, n, func(i int, text string, ok bool) error {
			if !ok {
				return nil
			}
			if err := p.symbols.name(text); err != nil {
				return fmt.Errorf("row %d: %w", base+i+1, err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if p.nautilus != nil {
		if err := p.nautilus.readEnds(chunks, n); err != nil {
			return nil, fmt.Errorf("column ts_init: %w", err)
		}
	}
	return bars, nil
}

// readTimes appends a bar for each time of a column chunk.
func (p *parquetColumns) readTimes(chunk parquet.ColumnChunk, bars []Bar) ([]Bar, error) {
	var err error
	if p.time.kind == timeTexts {
		err = eachValue(chunk, texts, anyRows, func(_ int, text string, ok bool) error {
			bars = append(bars, Bar{TimeNS: p.textTime(text, ok, len(bars))})
			return nil
		})
		return bars, err
	}
	err = eachValue(chunk, p.time.times, anyRows, func(_ int, ns int64, ok bool) error {
		if !ok {
			ns = nullTime
			p.sawNull(colTime, len(bars))
		}
		bars = append(bars, Bar{TimeNS: ns})
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

// anyRows is for eachValue where a column has as many rows as it has.
const anyRows = -1

// eachValue calls fn with each value of a column chunk in order, with its row
// from 0, and whether it is there or a null. It is an error if there are not as
// many rows as the chunk must have. Plain and dictionary pages may follow one
// another in a chunk.
//
// plain appends the n values that a page has; packed ones do not tell their
// number themselves.
func eachValue[T any](chunk parquet.ColumnChunk, plain func(dst []T, v encoding.Values, n int) []T, rows int, fn func(row int, v T, ok bool) error) (err error) {
	pages := chunk.Pages()
	defer func() {
		if cerr := pages.Close(); err == nil {
			err = cerr
		}
	}()
	var scratch, words, looked []T
	var wordsOf parquet.Dictionary
	row := 0
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) && (rows == anyRows || row == rows) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%d values in a row group of %d bars", row, rows)
		}
		if err != nil {
			return fmt.Errorf("reading a page: %w", err)
		}
		var there []T
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
			there = looked
		} else {
			scratch = plain(scratch[:0], page.Data(), int(page.NumValues()-page.NumNulls()))
			there = scratch
		}
		// Where a page may hold nulls it has a level per row, 0 for a null.
		levels := page.DefinitionLevels()
		inPage := len(there)
		if levels != nil {
			inPage = len(levels)
		}
		if rows != anyRows && inPage > rows-row {
			return fmt.Errorf("more values than the %d bars of the row group", rows)
		}
		used := 0
		for i := range inPage {
			var v T
			ok := levels == nil || levels[i] != 0
			if ok {
				if used == len(there) {
					return fmt.Errorf("damaged page: %d values (want more)", used)
				}
				v = there[used]
				used++
			}
			if err := fn(row, v, ok); err != nil {
				return err
			}
			row++
		}
		if used != len(there) {
			return fmt.Errorf("damaged page: %d values (want %d)", len(there), used)
		}
		parquet.Release(page)
	}
}
