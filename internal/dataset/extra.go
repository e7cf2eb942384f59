package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
)

// The columns that a data set has beside its bars travel as these do: in
// slices of SliceBars rows. A slice is in parts, each some columns wide, so
// that none is larger than an object may be. Each part is an object named by
// its SHA-256, and what lists them is one named by the digest of the columns
// as a whole.
const (
	extraVersion = 1
	// partColumns is how many columns a part has; one of text is a part by
	// itself. 64 of 8 bytes and 65,536 rows are 32 MiB.
	partColumns = 64
)

// extraIndex lists the parts of the extra columns of a data set.
type extraIndex struct {
	Schema    int          `msgpack:"schema"`
	Version   int          `msgpack:"version"` // of the encoding of parts
	Bars      int64        `msgpack:"bars"`
	SliceBars int64        `msgpack:"slice_bars"`
	Columns   []bars.Shape `msgpack:"columns"`
	// Slices are the SHA-256 (hex) of each slice's parts.
	Slices [][]string `msgpack:"slices"`
}

func extraObjects() family {
	return family{what: "extra columns", index: "extra", object: "extrapart", parse: func(data []byte) ([]string, error) {
		ix, err := parseExtraIndex(data)
		return slices.Concat(ix.Slices...), err
	}}
}

// ExtraDigest is the digest (hex) of extra columns of n bars, by which they
// are found on the bus; empty if there are none.
func ExtraDigest(columns []bars.Column, n int64) (string, error) {
	if len(columns) == 0 {
		return "", nil
	}
	data, err := eachPart(columns, n, SliceBars, func(string, []byte) error { return nil })
	if err != nil {
		return "", err
	}
	return digest(data), nil
}

// PublishExtra stores the extra columns of n bars, whose ExtraDigest is
// sha256Hex, unless they are there already. No columns and no digest is fine.
func PublishExtra(ctx context.Context, store Store, sha256Hex string, columns []bars.Column, n int64) error {
	if sha256Hex == "" && len(columns) == 0 {
		return nil
	}
	f := extraObjects()
	there, err := store.HasObject(ctx, f.indexName(sha256Hex))
	if err != nil || there {
		return err
	}
	data, err := eachPart(columns, n, SliceBars, func(sha string, part []byte) error {
		return putNew(ctx, store, f.objectName(sha), part)
	})
	if err != nil {
		return fmt.Errorf("publishing extra columns: %w", err)
	}
	if got := digest(data); got != sha256Hex {
		return fmt.Errorf("publishing extra columns: their digest is %s (want %.80q)", got, sha256Hex)
	}
	return store.PutObject(ctx, f.indexName(sha256Hex), data)
}

// eachPart gives fn each part and its SHA-256, in order, and returns the
// encoded index. The bytes are lent for the call.
func eachPart(columns []bars.Column, n, sliceBars int64, fn func(sha string, part []byte) error) ([]byte, error) {
	if n < 1 || n > math.MaxInt32 {
		return nil, fmt.Errorf("extra columns of %d bars", n)
	}
	if err := bars.CheckColumns(columns, int(n)); err != nil {
		return nil, err
	}
	ix := extraIndex{Schema: run.Schema, Version: extraVersion, Bars: n, SliceBars: sliceBars, Columns: bars.ShapesOf(columns)}
	parts := partsOf(ix.Columns)
	var part []byte
	for first := int64(0); first < n; first += sliceBars {
		end := min(first+sliceBars, n)
		var list []string
		for _, p := range parts {
			part = part[:0]
			for i := p.First; i < p.End; i++ {
				rows := columns[i].Slice(int(first), int(end))
				var err error
				if part, err = appendColumn(part, &rows); err != nil {
					return nil, fmt.Errorf("extra column %q, bars [%d, %d): %w", rows.Name, first, end, err)
				}
			}
			sha := digest(part)
			list = append(list, sha)
			if err := fn(sha, part); err != nil {
				return nil, err
			}
		}
		ix.Slices = append(ix.Slices, list)
	}
	data, err := msgpack.Marshal(ix)
	if err != nil {
		return nil, fmt.Errorf("encoding the index of extra columns: %w", err)
	}
	if len(data) > maxObject {
		return nil, fmt.Errorf("the index of extra columns has %d bytes (at most %d)", len(data), maxObject)
	}
	return data, nil
}

// partsOf says which columns each part of a slice has, as ranges of their
// numbers. It is a function of the columns' kinds alone.
func partsOf(columns []bars.Shape) []run.BarRange {
	var list []run.BarRange
	for i := range columns {
		n := len(list)
		alone := columns[i].Kind == bars.String
		if n == 0 || alone || columns[i-1].Kind == bars.String || list[n-1].Len() == partColumns {
			list = append(list, run.BarRange{First: int64(i), End: int64(i)})
			n++
		}
		list[n-1].End++
	}
	return list
}

// RemoveExtra removes the extra columns of digest sha256Hex, whose parts may be
// shared by others, unless they are one of them; none, and what is not there,
// is fine.
func RemoveExtra(ctx context.Context, store Remover, sha256Hex string, others []string) error {
	if sha256Hex == "" {
		return nil
	}
	others = slices.DeleteFunc(slices.Clone(others), func(o string) bool { return o == "" })
	return extraObjects().remove(ctx, store, sha256Hex, others)
}

// parseExtraIndex reads an index that came from the bus, and checks all but
// whose it is.
func parseExtraIndex(data []byte) (extraIndex, error) {
	var ix extraIndex
	if err := run.Unmarshal(data, &ix); err != nil {
		return extraIndex{}, fmt.Errorf("decoding its index: %w", err)
	}
	if ix.Schema != run.Schema || ix.Version != extraVersion {
		return extraIndex{}, fmt.Errorf("its index has schema %d and version %d (want %d and %d)", ix.Schema, ix.Version, run.Schema, extraVersion)
	}
	if ix.Bars < 1 || ix.SliceBars < 1 || ix.SliceBars > SliceBars || int64(len(ix.Slices)) != (ix.Bars-1)/ix.SliceBars+1 {
		return extraIndex{}, fmt.Errorf("its index has %d slices of %d for %d bars", len(ix.Slices), ix.SliceBars, ix.Bars)
	}
	if len(ix.Columns) == 0 {
		return extraIndex{}, errors.New("its index has no column")
	}
	if err := bars.CheckShapes(ix.Columns); err != nil {
		return extraIndex{}, fmt.Errorf("its index: %w", err)
	}
	parts := len(partsOf(ix.Columns))
	for i, list := range ix.Slices {
		if len(list) != parts {
			return extraIndex{}, fmt.Errorf("its slice %d has %d parts (want %d)", i, len(list), parts)
		}
		for _, sha := range list {
			if !isSHA(sha) {
				return extraIndex{}, fmt.Errorf("a part of its slice %d is named %.80q (want a SHA-256)", i, sha)
			}
		}
	}
	return ix, nil
}

// decodeExtraIndex holds an index against the run's manifest, too.
func decodeExtraIndex(data []byte, d run.Data) (extraIndex, error) {
	ix, err := parseExtraIndex(data)
	if err == nil && (ix.Bars != d.Bars || ix.SliceBars != d.SliceBars) {
		err = fmt.Errorf("its index (%d bars, slices of %d) contradicts the run's manifest (%d bars, slices of %d)",
			ix.Bars, ix.SliceBars, d.Bars, d.SliceBars)
	}
	return ix, err
}
