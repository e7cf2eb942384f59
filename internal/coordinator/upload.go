package coordinator

import (
	"context"
	"sync/atomic"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
)

// upload is how far the storing of a data set is, in objects that are there.
// It is read during the upload.
type upload struct{ there, of atomic.Int64 }

// expect begins an upload of bars and of extra columns.
func (u *upload) expect(bars, columns int) {
	parts := int64((bars + dataset.SliceBars - 1) / dataset.SliceBars)
	if columns > 0 {
		parts *= 2 // one object or more for the columns of each slice
	}
	u.there.Store(0)
	u.of.Store(parts)
}

// end: all of it is there.
func (u *upload) end() { u.of.Store(0) }

// counting is the object store; it notes in up what is there.
type counting struct {
	*bus.Bus
	up *upload
}

func (c counting) PutObject(ctx context.Context, name string, data []byte) error {
	err := c.Bus.PutObject(ctx, name, data)
	if err == nil {
		c.up.there.Add(1)
	}
	return err
}

// HasObject counts as well: an upload that broke off is taken up.
func (c counting) HasObject(ctx context.Context, name string) (bool, error) {
	there, err := c.Bus.HasObject(ctx, name)
	if there {
		c.up.there.Add(1)
	}
	return there, err
}
