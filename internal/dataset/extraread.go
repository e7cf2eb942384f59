package dataset

import (
	"context"
	"fmt"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

// Extra are the columns that a data set has beside its bars, as a worker reads
// them. Its methods may be called from any goroutine. A nil *Extra has none.
type Extra struct {
	store   Store
	cache   *Cache
	ix      extraIndex
	decoded decoded
	sha     string
}

// OpenExtra finds the extra columns of digest sha256Hex, which belong to the
// data set d, on the bus; without a digest there are none and the answer is
// nil. cache keeps what was fetched; nil: nothing is kept.
func OpenExtra(ctx context.Context, store Store, sha256Hex string, d run.Data, cache *Cache) (*Extra, error) {
	if sha256Hex == "" {
		return nil, nil
	}
	data, err := cache.Get(ctx, store, extraObjects().indexName(sha256Hex), sha256Hex, maxObject)
	if err != nil {
		return nil, fmt.Errorf("opening extra columns %.80q: %w", sha256Hex, err)
	}
	ix, err := decodeExtraIndex(data, d)
	if err != nil {
		return nil, fmt.Errorf("opening extra columns %.80q: %w", sha256Hex, err)
	}
	return &Extra{store: store, cache: cache, ix: ix, decoded: cache.memory(), sha: sha256Hex}, nil
}

// Columns returns the columns with the rows of r, nil if there are none,
// fetching the slices that it needs. It is an error if r is not within the
// data set or a slice cannot be had. What it returns must not be changed.
func (e *Extra) Columns(ctx context.Context, r run.BarRange) ([]bars.Column, error) {
	if e == nil {
		return nil, nil
	}
	if r.First < 0 || r.End > e.ix.Bars || r.First > r.End {
		return nil, fmt.Errorf("extra columns of bars [%d, %d): not within the data set's %d", r.First, r.End, e.ix.Bars)
	}
	out := make([]bars.Column, len(e.ix.Columns))
	for i := range out {
		out[i].Shape = e.ix.Columns[i]
	}
	for i, rows := range pieces(r, e.ix.SliceBars) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		columns, err := e.slice(ctx, i)
		if err != nil {
			return nil, err
		}
		for k := range out {
			piece := columns[k].Slice(int(rows.First), int(rows.End))
			if rows.Len() == r.Len() {
				out[k] = piece // one slice has it all: no copy
			} else {
				out[k].Append(piece)
			}
		}
	}
	return out, nil
}

// slice returns slice i from memory, the cache or the bus.
func (e *Extra) slice(ctx context.Context, i int) ([]bars.Column, error) {
	columns, err := e.decoded.extra.Get(ctx, fmt.Sprint(e.sha, " ", i), func(ctx context.Context) ([]bars.Column, int64, error) {
		return e.load(ctx, i)
	})
	if err != nil {
		return nil, fmt.Errorf("slice %d of the extra columns: %w", i, err)
	}
	return columns, nil
}

// load gets slice i and says about how many bytes it takes.
func (e *Extra) load(ctx context.Context, i int) (columns []bars.Column, bytes int64, err error) {
	rows := min(e.ix.SliceBars, e.ix.Bars-int64(i)*e.ix.SliceBars)
	columns = make([]bars.Column, 0, len(e.ix.Columns))
	for k, p := range partsOf(e.ix.Columns) {
		sha := e.ix.Slices[i][k]
		data, err := e.cache.Get(ctx, e.store, extraObjects().objectName(sha), sha, maxObject)
		if err != nil {
			return nil, 0, err
		}
		list, err := decodePart(data, e.ix.Columns[p.First:p.End], int(rows))
		if err != nil {
			return nil, 0, fmt.Errorf("part %d: %w", k, err)
		}
		columns = append(columns, list...)
		bytes += int64(len(data))
	}
	return columns, bytes, nil
}
