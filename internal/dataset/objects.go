package dataset

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"

	"gx1replay/internal/run"
)

// family is a way in which data stands on the bus: objects named by the SHA-256
// of their content, and an index that lists them. The index is stored last, so
// that it means that its objects are there.
type family struct {
	what          string // for messages
	index, object string // what their names begin with
	// parse lists the objects (SHA-256, hex) of an index that came from the bus.
	parse func(index []byte) ([]string, error)
}

func (f family) indexName(sha string) string  { return f.index + "." + sha }
func (f family) objectName(sha string) string { return f.object + "." + sha }

// putNew stores an object unless it is there already.
func putNew(ctx context.Context, store Store, name string, data []byte) error {
	there, err := store.HasObject(ctx, name)
	if err != nil || there {
		return err
	}
	return store.PutObject(ctx, name, data)
}

// Remover is what Remove needs of the object store.
type Remover interface {
	Store
	DeleteObject(ctx context.Context, name string) error
}

// remove removes what the index sha lists, which others may share, unless it is
// one of them; what is not there is fine. The index goes first: a removal that
// is cut short leaves objects, which the next run on the same data finds.
func (f family) remove(ctx context.Context, store Remover, sha string, others []string) error {
	kept := map[string]bool{}
	for _, o := range others {
		if o == sha {
			return nil
		}
		list, err := f.listed(ctx, store, o)
		if err != nil {
			return err
		}
		for _, object := range list {
			kept[object] = true
		}
	}
	list, err := f.listed(ctx, store, sha)
	if err != nil {
		return err
	}
	if err := store.DeleteObject(ctx, f.indexName(sha)); err != nil {
		return fmt.Errorf("removing %s %s: %w", f.what, sha, err)
	}
	for _, object := range list {
		if kept[object] {
			continue
		}
		if err := store.DeleteObject(ctx, f.objectName(object)); err != nil {
			return fmt.Errorf("removing %s %s: %w", f.what, sha, err)
		}
	}
	return nil
}

// listed are the objects of an index, none if there is no such index.
func (f family) listed(ctx context.Context, store Store, sha string) ([]string, error) {
	there, err := store.HasObject(ctx, f.indexName(sha))
	if err != nil || !there {
		return nil, err
	}
	data, err := store.GetObject(ctx, f.indexName(sha), maxObject)
	var list []string
	if err == nil {
		list, err = f.parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("the index of %s %s: %w", f.what, sha, err)
	}
	return list, nil
}

// pieces yields where r lies in slices of size bars: the number of a slice, and
// the rows in it.
func pieces(r run.BarRange, size int64) iter.Seq2[int, run.BarRange] {
	return func(yield func(int, run.BarRange) bool) {
		for at := r.First; at < r.End; {
			i := at / size
			end := min(r.End, (i+1)*size)
			if !yield(int(i), run.BarRange{First: at - i*size, End: end - i*size}) {
				return
			}
			at = end
		}
	}
}

func isSHA(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
