package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// aliveKey is the key of a run's heartbeat in the bucket of runs. A run_id has
// no dot, so no manifest has this key, and a reader that lists or follows manifests, also
// of earlier versions, does not see it.
func aliveKey(id run.ID) string { return string(id) + ".alive" }

// Beat stores a heartbeat of the coordinator of run id. who is for people.
func (b *Bus) Beat(ctx context.Context, id run.ID, who string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	kv, err := b.runsBucket(ctx)
	if err == nil {
		_, err = kv.Put(ctx, aliveKey(id), []byte(who))
	}
	if err != nil {
		return fmt.Errorf("storing the heartbeat of run %s: %w", id, plain(err))
	}
	return nil
}

// EndBeats removes the heartbeat of a run whose coordinator ends. One that is
// not there is fine.
func (b *Bus) EndBeats(ctx context.Context, id run.ID) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	kv, err := b.runsBucket(ctx)
	if err != nil {
		return err
	}
	_, err = kv.Get(ctx, aliveKey(id))
	if err == nil { // a removal leaves a message, so nothing is removed in vain
		err = kv.Purge(ctx, aliveKey(id))
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("removing the heartbeat of run %s: %w", id, err)
	}
	return nil
}

// Pulse is the last sign of life of a run's coordinator.
type Pulse struct {
	// Revision rises with every sign of life.
	Revision uint64
	// Age is how long ago the server stored it, by the server's own clock. It
	// is never too high.
	Age time.Duration
	// Beats: there is a heartbeat. One that ends in order removes it.
	Beats bool
}

// Pulse reads the last sign of life of run id: its heartbeat or its manifest,
// whichever was stored later. Coordinators of earlier versions have no
// heartbeat and write their manifest once per lease; one of them may have
// resumed a run that left a heartbeat.
func (b *Bus) Pulse(ctx context.Context, id run.ID) (Pulse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	// The clock is read first: a heartbeat that is stored in between is young.
	s, err := b.stream(ctx, "KV_"+BucketRuns)
	if err != nil {
		return Pulse{}, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return Pulse{}, fmt.Errorf("reading the server's clock: %w", err)
	}
	kv, err := b.runsBucket(ctx)
	if err != nil {
		return Pulse{}, err
	}
	last, err := kv.Get(ctx, aliveKey(id))
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return Pulse{}, fmt.Errorf("reading the heartbeat of run %s: %w", id, err)
	}
	beats := err == nil
	switch m, err := kv.Get(ctx, string(id)); {
	case errors.Is(err, jetstream.ErrKeyNotFound) && beats:
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Pulse{}, fmt.Errorf("run %s: %w", id, ErrNoRun)
	case err != nil:
		return Pulse{}, fmt.Errorf("reading the manifest of run %s: %w", id, err)
	case !beats || m.Revision() > last.Revision():
		last = m
	}
	return Pulse{Revision: last.Revision(), Age: max(info.TimeStamp.Sub(last.Created()), 0), Beats: beats}, nil
}
