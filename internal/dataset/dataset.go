// Package dataset moves a data set over the bus: it cuts the bars into
// slices, stores each under the SHA-256 of its content, and gives workers the
// bars of any range, fetching only the slices that it needs and verifying
// each.
//
// It keeps what was fetched in a bounded directory and knows nothing of runs
// or leases.
package dataset

import (
	"context"
	"fmt"
	"iter"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

// SliceBars is how many bars a slice has: about 5 MB, so that a chunk of a
// year's M5 bars needs one or two and an object store moves each in a moment.
const SliceBars = 1 << 16

// maxObject bounds a slice or an index as it comes from the bus.
const maxObject = 64 << 20

// Store is what this package needs of the object store.
type Store interface {
	HasObject(ctx context.Context, name string) (bool, error)
	PutObject(ctx context.Context, name string, data []byte) error
	GetObject(ctx context.Context, name string, limit int64) ([]byte, error)
}

// index lists the slices of a data set. It is stored under the data set's own
// digest, last, so that an index means that its slices are there.
type index struct {
	Schema    int      `msgpack:"schema"`
	Bars      int64    `msgpack:"bars"`
	SliceBars int64    `msgpack:"slice_bars"`
	Slices    []string `msgpack:"slices"` // SHA-256 of each slice's canonical content, hex
}

func barObjects() family {
	return family{what: "data set", index: "bars", object: "slice", parse: func(data []byte) ([]string, error) {
		ix, err := parseIndex(data)
		return ix.Slices, err
	}}
}

// Publish stores the data set all, whose digest is sha256Hex, unless it is
// there already.
func Publish(ctx context.Context, store Store, sha256Hex string, all []bars.Bar) error {
	f := barObjects()
	there, err := store.HasObject(ctx, f.indexName(sha256Hex))
	if err != nil || there {
		return err
	}
	ix := index{Schema: run.Schema, Bars: int64(len(all)), SliceBars: SliceBars}
	var buf []byte
	for first := 0; first < len(all); first += SliceBars {
		buf = bars.AppendCanonical(buf[:0], all[first:min(first+SliceBars, len(all))])
		sha := digest(buf)
		ix.Slices = append(ix.Slices, sha)
		if err := putNew(ctx, store, f.objectName(sha), buf); err != nil {
			return fmt.Errorf("publishing bars from %d on: %w", first, err)
		}
	}
	data, err := msgpack.Marshal(ix)
	if err != nil {
		return fmt.Errorf("encoding the index of data set %s: %w", sha256Hex, err)
	}
	return store.PutObject(ctx, f.indexName(sha256Hex), data)
}

// Remove removes the data set sha256Hex, whose slices may be shared by others,
// unless it is one of them; a data set that is not there is fine.
func Remove(ctx context.Context, store Remover, sha256Hex string, others []string) error {
	return barObjects().remove(ctx, store, sha256Hex, others)
}

// Set is a data set as a worker reads it. Its methods may be called from any
// goroutine.
type Set struct {
	store Store
	cache *Cache
	ix    index

	decoded decoded
}

// Open finds the data set d on the bus. cache keeps fetched slices; nil: none
// is kept.
func Open(ctx context.Context, store Store, d run.Data, cache *Cache) (*Set, error) {
	data, err := store.GetObject(ctx, barObjects().indexName(d.SHA256), maxObject)
	if err != nil {
		return nil, fmt.Errorf("opening data set %s: %w", d.SHA256, err)
	}
	ix, err := decodeIndex(data, d)
	if err != nil {
		return nil, fmt.Errorf("opening data set %s: %w", d.SHA256, err)
	}
	return &Set{store: store, cache: cache, ix: ix, decoded: cache.memory()}, nil
}

// parseIndex reads an index that came from the bus.
func parseIndex(data []byte) (ix index, err error) {
	if err := run.Unmarshal(data, &ix); err != nil {
		return index{}, fmt.Errorf("decoding its index: %w", err)
	}
	return ix, nil
}

// decodeIndex holds an index against the run's manifest, too.
func decodeIndex(data []byte, d run.Data) (index, error) {
	ix, err := parseIndex(data)
	if err != nil {
		return index{}, err
	}
	if ix.Schema != run.Schema || ix.Bars != d.Bars || ix.SliceBars != d.SliceBars || ix.SliceBars < 1 || ix.Bars < 1 ||
		int64(len(ix.Slices)) != (ix.Bars-1)/ix.SliceBars+1 {
		return index{}, fmt.Errorf("its index (schema %d, %d bars, %d slices of %d) contradicts the run's manifest (%d bars, slices of %d)",
			ix.Schema, ix.Bars, len(ix.Slices), ix.SliceBars, d.Bars, d.SliceBars)
	}
	for i, sha := range ix.Slices {
		if !isSHA(sha) {
			return index{}, fmt.Errorf("slice %d is named %.80q (want a SHA-256)", i, sha)
		}
	}
	return ix, nil
}

// Bars yields the bars of r in order; see Blocks.
func (s *Set) Bars(ctx context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	return func(yield func(bars.Bar, error) bool) {
		for list, err := range s.Blocks(ctx, r) {
			if err != nil {
				yield(bars.Bar{}, err)
				return
			}
			for _, b := range list {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// Blocks yields the bars of r in order, slice by slice, fetching slices as it
// comes to them. It ends with an error if r is not within the data set, a
// slice cannot be had, or ctx has ended when it comes to a slice. What it
// yields must not be changed.
func (s *Set) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	return func(yield func([]bars.Bar, error) bool) {
		if r.First < 0 || r.End > s.ix.Bars || r.First > r.End {
			yield(nil, fmt.Errorf("bars [%d, %d) are not within the data set's %d", r.First, r.End, s.ix.Bars))
			return
		}
		for i, rows := range pieces(r, s.ix.SliceBars) {
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			slice, err := s.slice(ctx, i)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(slice[rows.First:rows.End], nil) {
				return
			}
		}
	}
}

// slice returns slice i from memory, the cache or the bus. One that is slow to
// come holds up nobody but those who need it.
func (s *Set) slice(ctx context.Context, i int) ([]bars.Bar, error) {
	sha := s.ix.Slices[i]
	list, err := s.decoded.bars.Get(ctx, sha, func(ctx context.Context) ([]bars.Bar, int64, error) {
		data, err := s.cache.Get(ctx, s.store, barObjects().objectName(sha), sha, maxObject)
		if err != nil {
			return nil, 0, err
		}
		list, err := bars.ParseCanonical(data)
		return list, int64(len(list)) * int64(unsafe.Sizeof(bars.Bar{})), err
	})
	if want := min(s.ix.SliceBars, s.ix.Bars-int64(i)*s.ix.SliceBars); err == nil && int64(len(list)) != want {
		err = fmt.Errorf("it has %d bars (want %d)", len(list), want)
	}
	if err != nil {
		return nil, fmt.Errorf("slice %d of the data set: %w", i, err)
	}
	return list, nil
}
