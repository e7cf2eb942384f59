package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/run"
)

// wakePrefix is what the subjects begin with on which coordinators wake idle
// workers.
const wakePrefix = "gx1.wake."

// A woken worker waits for a moment that it draws, so that a fleet does not ask
// for one task at once: perWorker for each worker of the run, mostDelay at most.
const (
	perWorker = 100 * time.Microsecond
	mostDelay = 100 * time.Millisecond
)

// MayWake reports whether this user may wake workers. Buses that were set up for
// earlier versions do not allow it.
func (b *Bus) MayWake(ctx context.Context, id run.ID) bool {
	return b.allowed(ctx, wakePrefix+string(id))
}

// Wake tells idle workers that run id may have tasks to take. workers is how
// many the run has had so far.
func (b *Bus) Wake(id run.ID, workers int) error {
	if !b.Connected() {
		return nil // who connects again looks by himself
	}
	if err := b.nc.Publish(wakePrefix+string(id), strconv.AppendInt(nil, int64(workers), 10)); err != nil {
		return fmt.Errorf("waking the workers of run %s: %w", id, err)
	}
	return nil
}

// ListenWakes calls woken, one call at a time, when a coordinator wakes the
// workers of a run; within is the time in which they are to begin looking. It
// reports whether this user may listen at all.
func (b *Bus) ListenWakes(ctx context.Context, woken func(id run.ID, within time.Duration)) (may bool, cancel func(), err error) {
	if r, err := b.Rights(ctx); err == nil && !r.Allowed.Subscribe.Allows(wakePrefix+"*") {
		return false, func() {}, nil
	}
	sub, err := b.nc.Subscribe(wakePrefix+"*", func(m *nats.Msg) {
		id, err := run.ParseID(strings.TrimPrefix(m.Subject, wakePrefix))
		if err != nil {
			return
		}
		var within time.Duration
		if n, err := strconv.ParseUint(string(m.Data), 10, 16); err == nil {
			within = min(time.Duration(n)*perWorker, mostDelay)
		}
		woken(id, within)
	})
	if err != nil {
		return false, nil, fmt.Errorf("listening on %s*: %w", wakePrefix, err)
	}
	return true, func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			b.log.Warn("unsubscribing from wakes failed", "error", err)
		}
	}, nil
}
