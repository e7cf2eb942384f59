package execengine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gx1replay/internal/bars"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Formats of a slice (--slice-format).
const (
	SliceParquet = "parquet"
	SliceCSV     = "csv"
)

// blockBars is how many bars are held at a time when a slice is written. A
// block ends where the bars' index is a multiple of it, as the slices of a
// data set on the bus do, so that each of those is looked up once.
const blockBars = 1 << 16

// Source gives bars and extra columns of a range.
type Source interface {
	replay.Source
	Extra(ctx context.Context, r run.BarRange) ([]bars.Column, error)
}

// SliceRange is the range of a slice: warmup bars, the chunk, tail bars, as far
// as the data set of dataBars bars has them. Negative numbers are 0.
func SliceRange(chunk run.BarRange, dataBars, warmup, tail int64) run.BarRange {
	before := min(max(warmup, 0), max(chunk.First, 0))
	behind := min(max(tail, 0), max(dataBars-chunk.End, 0))
	return run.BarRange{First: chunk.First - before, End: chunk.End + behind}
}

// WriteSlice writes the bars of r with their extra columns to path, and returns
// the opening times (ns) of the rows. format is SliceParquet, whose times are
// UTC timestamps in ns, or SliceCSV, whose times are in tsFormat. r must not be
// empty. The file is written aside and renamed: on an error there is none, or
// the one that was there. Only its user can read it. It is not synced; a slice
// that a crash of the host spoils belongs to an attempt that is gone.
func WriteSlice(ctx context.Context, path, format, tsFormat string, src Source, r run.BarRange) (times []int64, err error) {
	err = safefile.Replace(path, false, func(w io.Writer) error {
		times, err = RenderSlice(ctx, w, format, tsFormat, src, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("writing bars [%d, %d) to %s: %w", r.First, r.End, path, err)
	}
	return times, nil
}

// RenderSlice writes to w what WriteSlice writes to a file, block by block: a
// whole data set need not fit into the memory of a worker. Equal bars are equal
// bytes.
func RenderSlice(ctx context.Context, w io.Writer, format, tsFormat string, src Source, r run.BarRange) (times []int64, err error) {
	if r.Len() < 1 {
		return nil, errors.New("there are none (want at least one)")
	}
	var out sliceWriter
	var list []bars.Bar
	for at := r.First; at < r.End; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		block := run.BarRange{First: at, End: min((at/blockBars+1)*blockBars, r.End)}
		list = list[:0]
		for piece, err := range src.Blocks(ctx, block) {
			if err != nil {
				return nil, err
			}
			list = append(list, piece...)
		}
		for i := range list {
			times = append(times, list[i].TimeNS)
		}
		if int64(len(list)) != block.Len() {
			return nil, fmt.Errorf("the source gave %d bars of [%d, %d)", len(list), block.First, block.End)
		}
		extra, err := src.Extra(ctx, block)
		if err != nil {
			return nil, err
		}
		if out == nil {
			if out, err = newSliceWriter(w, format, tsFormat, bars.ShapesOf(extra)); err != nil {
				return nil, err
			}
		}
		if err := out.Write(list, extra); err != nil {
			return nil, err
		}
		at = block.End
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return times, nil
}

// sliceWriter is a file of a format under way.
type sliceWriter interface {
	Write(list []bars.Bar, extra []bars.Column) error
	Close() error
}

func newSliceWriter(w io.Writer, format, tsFormat string, extra []bars.Shape) (sliceWriter, error) {
	switch format {
	case SliceParquet:
		return bars.NewParquetWriter(w, extra)
	case SliceCSV:
		return bars.NewCSVWriter(w, extra, func(ns int64) string { return newTime(ns, tsFormat).String() })
	}
	return nil, fmt.Errorf("format %.40q (want %s or %s)", format, SliceParquet, SliceCSV)
}
