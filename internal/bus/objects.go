package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// objectTimeout bounds the transfer of one object; slices have a few MB.
const objectTimeout = time.Minute

func (b *Bus) dataStore(ctx context.Context) (jetstream.ObjectStore, error) {
	b.mu.Lock()
	s := b.data
	b.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := b.js.ObjectStore(ctx, StoreData)
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", StoreData, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = s
	return s, nil
}

// PolicyObject names the object that holds a run's policy.
func PolicyObject(m run.Manifest) string { return "policy." + m.Policy.Content }

// ErrNoObject: the object store has nothing of that name.
var ErrNoObject = errors.New("no such object on the bus")

// impatient is a context whose deadline is always near. The client's reader of
// objects waits until its context's deadline without looking whether it was
// cancelled, and looks after each wait.
type impatient struct{ context.Context }

func (i impatient) Deadline() (time.Time, bool) {
	near := time.Now().Add(lookEvery)
	if end, ok := i.Context.Deadline(); ok && end.Before(near) {
		return end, true
	}
	return near, true
}

// lookEvery is how late a transfer may notice that it was cancelled.
const lookEvery = 100 * time.Millisecond

// HasObject reports whether an object is there, whole.
func (b *Bus) HasObject(ctx context.Context, name string) (bool, error) {
	s, err := b.dataStore(ctx)
	if err != nil {
		return false, err
	}
	_, err = s.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking for object %s: %w", name, err)
	}
	return true, nil
}

// PutObject stores an object.
func (b *Bus) PutObject(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	s, err := b.dataStore(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("storing object %s: %w", name, err)
	}
	return nil
}

// GetObject reads an object of at most limit bytes.
func (b *Bus) GetObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	s, err := b.dataStore(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.Get(impatient{ctx}, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("object %s: %w", name, ErrNoObject)
	}
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", name, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("reading object %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("object %s has more than %d bytes", name, limit)
	}
	return data, nil
}
