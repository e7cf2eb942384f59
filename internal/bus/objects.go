package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// objectTimeout bounds the transfer of one object; slices have a few MB.
const objectTimeout = time.Minute

// asking does a request about an object, again and again until it is answered
// or ctx ends: an answer that died with its server would be waited for in vain.
func (b *Bus) asking(ctx context.Context, request func(context.Context) error) error {
	for {
		once, cancel := bounded(ctx)
		err := request(once)
		cancel()
		var api *jetstream.APIError
		if err == nil || ctx.Err() != nil || errors.Is(err, jetstream.ErrObjectNotFound) || errors.As(err, &api) ||
			errors.Is(err, nats.ErrConnectionClosed) {
			return err
		}
		b.log.Debug("object requested again", "error", err)
		if !pause(ctx, reconnectWait) {
			return err
		}
	}
}

func (b *Bus) dataStore(ctx context.Context) (jetstream.ObjectStore, error) {
	b.mu.Lock()
	s := b.data
	b.mu.Unlock()
	if s != nil {
		return s, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
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

// HasObject reports whether an object is there, whole.
func (b *Bus) HasObject(ctx context.Context, name string) (bool, error) {
	s, err := b.dataStore(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	info, err := s.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking for object %s: %w", name, err)
	}
	// Its name is stored after its content, but a disk may lose what it likes.
	stream, err := b.stream(ctx, "OBJ_"+StoreData)
	if err != nil {
		return false, fmt.Errorf("asking for object %s: %w", name, err)
	}
	subject := "$O." + StoreData + ".C." + info.NUID
	parts, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return false, fmt.Errorf("asking for the content of object %s: %w", name, err)
	}
	return parts.State.Subjects[subject] == uint64(info.Chunks), nil
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
		return fmt.Errorf("storing object %s: %w", name, lack(err))
	}
	return nil
}

// lagPatience is for how long a worker asks for an object that is not there.
// What a run's manifest names was stored before it; but any copy of the store
// answers, and one that was cut off, or is being filled, may lag.
const lagPatience = 10 * time.Second

// errCut: an object has fewer bytes than its size.
var errCut = errors.New("its end is missing")

// GetObject reads an object of at most limit bytes. It outlives losses of the
// connection for a minute, and ends soon after ctx does. One that is not there
// is ErrNoObject, for a worker after ten seconds.
func (b *Bus) GetObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	begun := time.Now()
	for {
		data, err := b.getObject(ctx, name, limit)
		lags := errors.Is(err, ErrNoObject) || errors.Is(err, errCut)
		if !lags || b.worker == "" || time.Since(begun) > lagPatience {
			return data, err
		}
		b.log.Debug("object not available yet", "error", err)
		if !pause(ctx, reconnectWait) {
			return nil, err
		}
	}
}

func (b *Bus) getObject(ctx context.Context, name string, limit int64) ([]byte, error) {
	var info *jetstream.ObjectInfo
	err := b.asking(ctx, func(ctx context.Context) error {
		s, err := b.dataStore(ctx)
		if err == nil {
			info, err = s.GetInfo(ctx, name)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("object %s: %w", name, ErrNoObject)
	}
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", name, err)
	}
	if info.Size > uint64(limit) {
		return nil, fmt.Errorf("object %s has %d bytes (more than %d)", name, info.Size, limit)
	}
	data, err := b.chunks(ctx, info)
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", name, err)
	}
	want, err := jetstream.DecodeObjectDigest(info.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading object %s: its digest: %w", name, err)
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], want) {
		return nil, fmt.Errorf("reading object %s: its content has SHA-256 %x (want %x)", name, sum, want)
	}
	return data, nil
}

// chunks reads an object's content straight from its stream. The library's
// own reader makes a consumer, which a worker may not be allowed to, and
// waits until its deadline whatever happens to its context.
func (b *Bus) chunks(ctx context.Context, info *jetstream.ObjectInfo) ([]byte, error) {
	data := make([]byte, 0, info.Size)
	if info.Size == 0 {
		return data, nil
	}
	err := b.each(ctx, "OBJ_"+StoreData, "$O."+StoreData+".C."+info.NUID, func(msg *nats.Msg) (bool, error) {
		if uint64(len(data)+len(msg.Data)) > info.Size {
			return false, fmt.Errorf("its chunks have more than the %d bytes that it is said to have", info.Size)
		}
		data = append(data, msg.Data...)
		return uint64(len(data)) < info.Size, nil
	})
	if err == nil && uint64(len(data)) < info.Size {
		err = fmt.Errorf("it ends after %d of %d bytes: %w", len(data), info.Size, errCut)
	}
	return data, err
}
