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

// stopText is what a coordinator sends in place of a number when a stop of the
// run is stored. Workers of earlier versions look for tasks then.
const stopText = "stop"

// MayWake reports whether this user may wake workers. Buses that were set up for
// earlier versions do not allow it.
func (b *Bus) MayWake(ctx context.Context, id run.ID) bool {
	return b.allowed(ctx, wakePrefix+string(id))
}

// Wake notifies idle workers that run id may have tasks to take. workers is how
// many the run has had so far.
func (b *Bus) Wake(id run.ID, workers int) error {
	return b.publishWake(id, strconv.AppendInt(nil, int64(workers), 10))
}

// HintStop tells workers that a stop of run id is stored. Those in another
// account do not receive a stop that came from a third one.
func (b *Bus) HintStop(id run.ID) error { return b.publishWake(id, []byte(stopText)) }

func (b *Bus) publishWake(id run.ID, payload []byte) error {
	if !b.Connected() {
		return nil // a worker that reconnects looks by itself
	}
	if err := b.nc.Publish(wakePrefix+string(id), payload); err != nil {
		return fmt.Errorf("waking the workers of run %s: %w", id, err)
	}
	return nil
}

// ListenWakes calls woken when a coordinator wakes the workers of a run, and
// stopped when it says that a stop of the run is stored: one call at a time, and
// neither may block. within is the time in which workers are to begin looking.
// Both are hints: others than the run's coordinator may have sent them.
// ListenWakes reports whether this user may listen at all.
func (b *Bus) ListenWakes(ctx context.Context, woken func(id run.ID, within time.Duration), stopped func(id run.ID)) (may bool, cancel func(), err error) {
	if r, err := b.Rights(ctx); err == nil && !r.Allowed.Subscribe.Allows(wakePrefix+"*") {
		return false, func() {}, nil
	}
	sub, err := b.nc.Subscribe(wakePrefix+"*", func(m *nats.Msg) {
		id, err := run.ParseID(strings.TrimPrefix(m.Subject, wakePrefix))
		if err != nil {
			return
		}
		if within, stop := parseWake(m.Data); stop {
			stopped(id)
		} else {
			woken(id, within)
		}
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

// parseWake is what a wake's payload says. One that says nothing, as of a later
// version, wakes at once.
func parseWake(payload []byte) (within time.Duration, stop bool) {
	if string(payload) == stopText {
		return 0, true
	}
	n, err := strconv.ParseUint(string(payload), 10, 16)
	if err != nil {
		return 0, false
	}
	return min(time.Duration(n)*perWorker, mostDelay), false
}
