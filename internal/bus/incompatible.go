package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// Incompatible is a worker's note that it does not serve a run, for people who wonder
// why it idles. It decides nothing.
type Incompatible struct {
	WorkerID string `json:"worker_id"`
	Host     string `json:"host"`
	Identity string `json:"identity"` // of what it would run
	Why      string `json:"why"`
	// At is when the bus stored it: the worker repeats it as long as it
	// holds.
	At time.Time `json:"at"`
}

// Bounds of notes.
const (
	maxIncompatibleBytes = 16 << 10
	maxIncompatibleText  = 8 << 10
	maxIncompatibles     = 256 // that are read
)

// StoreIncompatible stores a note on run id. Of one user's notes on a run the last few
// are kept, so that workers which start again and again leave no heap of them.
// A bus whose rights do not include notes takes none.
func (b *Bus) StoreIncompatible(ctx context.Context, id run.ID, u Incompatible) error {
	public, err := b.publicKey()
	if err != nil {
		return fmt.Errorf("storing a note on run %s: %w", id, err)
	}
	subject := noteSubject(id, public)
	if !b.allowed(ctx, subject) {
		return nil
	}
	if len(u.Why) > maxIncompatibleText {
		u.Why = strings.ToValidUTF8(u.Why[:maxIncompatibleText], "") + "…"
	}
	u.At = time.Time{} // the bus sets it
	data, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encoding a note on run %s: %w", id, err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := b.js.PublishMsg(ctx, b.message(subject, data), jetstream.WithExpectStream(StreamNotes)); err != nil {
		return fmt.Errorf("storing a note on run %s: %w", id, plain(err))
	}
	return nil
}

// Incompatibles reads the notes on run id, the last one of each host and command, in
// the order of workers. One that cannot be used is passed over.
func (b *Bus) Incompatibles(ctx context.Context, id run.ID) ([]Incompatible, error) {
	if there, err := b.hasNotes(ctx); !there || err != nil {
		return nil, err
	}
	type source struct{ host, identity string }
	latest := map[source]Incompatible{}
	ctx, cancel := bounded(ctx)
	defer cancel()
	read := 0
	err := b.each(ctx, StreamNotes, noteSubjects(id), func(msg *nats.Msg) (bool, error) {
		raw, err := rawMsg(msg)
		if err != nil {
			return false, err
		}
		read++
		var u Incompatible
		if len(raw.Data) > maxIncompatibleBytes || checkSchema(raw.Header) != nil || json.Unmarshal(raw.Data, &u) != nil || u.WorkerID == "" || u.Why == "" {
			return read < maxIncompatibles*maxNotesPerUser, nil
		}
		u.At = raw.Time
		latest[source{u.Host, u.Identity}] = u
		return len(latest) < maxIncompatibles && read < maxIncompatibles*maxNotesPerUser, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the notes on run %s: %w", id, err)
	}
	return slices.SortedFunc(maps.Values(latest), func(x, y Incompatible) int { return strings.Compare(x.WorkerID, y.WorkerID) }), nil
}

// hasNotes reports whether the bus has a stream of notes that this user may
// read. A bus that was set up by an earlier version has none.
func (b *Bus) hasNotes(ctx context.Context) (bool, error) {
	if !b.allowed(ctx, "$JS.API.STREAM.INFO."+StreamNotes) {
		return false, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	_, err := b.stream(ctx, StreamNotes)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	return err == nil, err
}
