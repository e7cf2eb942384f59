package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

func (b *Bus) runsBucket(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv := b.runs
	b.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	kv, err := b.js.KeyValue(ctx, BucketRuns)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", BucketRuns, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = kv
	return kv, nil
}

// ErrNoRun: the bus holds no run of that name.
var ErrNoRun = errors.New("no such run on the bus")

// Manifest reads a run's manifest and its revision.
func (b *Bus) Manifest(ctx context.Context, id run.ID) (run.Manifest, uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	kv, err := b.runsBucket(ctx)
	if err != nil {
		return run.Manifest{}, 0, err
	}
	e, err := kv.Get(ctx, string(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return run.Manifest{}, 0, fmt.Errorf("run %s: %w", id, ErrNoRun)
	}
	if err != nil {
		return run.Manifest{}, 0, fmt.Errorf("reading the manifest of run %s: %w", id, err)
	}
	m, err := decodeManifest(id, e.Value(), e.Revision())
	return m, e.Revision(), err
}

func decodeManifest(id run.ID, value []byte, revision uint64) (run.Manifest, error) {
	m, err := run.DecodeManifest(value)
	if err == nil && m.RunID != id {
		err = fmt.Errorf("the manifest is of run %s", m.RunID)
	}
	if err != nil {
		return run.Manifest{}, &RefusedError{Subject: runsPrefix + string(id), Seq: revision, Err: err}
	}
	return m, nil
}

// runsPrefix is what the subjects of manifests begin with.
const runsPrefix = "$KV." + BucketRuns + "."

// StoreManifest stores m if the last revision is expect (0: there is none)
// and returns the new one; ErrConflict if another was faster.
func (b *Bus) StoreManifest(ctx context.Context, m run.Manifest, expect uint64) (uint64, error) {
	data, err := m.Encode()
	if err != nil {
		return 0, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	kv, err := b.runsBucket(ctx)
	if err != nil {
		return 0, err
	}
	var rev uint64
	if expect == 0 { // also over a deletion, which has a revision of its own
		rev, err = kv.Create(ctx, string(m.RunID), data)
	} else {
		rev, err = kv.Update(ctx, string(m.RunID), data, expect)
	}
	if code := apiCode(err); code == codeWrongLastSequence || code == codeInFlightConflict || errors.Is(err, jetstream.ErrKeyExists) {
		return 0, fmt.Errorf("manifest of run %s: %w", m.RunID, ErrConflict)
	}
	if err != nil {
		return 0, fmt.Errorf("storing the manifest of run %s: %w", m.RunID, err)
	}
	return rev, nil
}

// StoredManifest is a manifest with its revision in the bucket of runs, which
// rises with every write to any run.
type StoredManifest struct {
	run.Manifest
	Revision uint64
}

// Manifests reads the manifests of all runs. One that is malformed is logged
// and passed over: it must not keep workers from the others. A bus that does
// not answer is an error: no run is left out for that.
func (b *Bus) Manifests(ctx context.Context) ([]StoredManifest, error) {
	return b.manifests(ctx, 1, true)
}

// ManifestsSince is Manifests for callers that ask again in a while anyway: it
// leaves out what was written up to revision, and of a bus whose bucket is not
// made yet it asks once.
func (b *Bus) ManifestsSince(ctx context.Context, revision uint64) ([]StoredManifest, error) {
	return b.manifests(ctx, revision+1, false)
}

// manifests may take long where there are many and the server is far away, but
// not longer than requestTimeout from one to the next.
func (b *Bus) manifests(ctx context.Context, from uint64, patient bool) ([]StoredManifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(requestTimeout, func() {
		cancel(fmt.Errorf("no answer within %v: %w", requestTimeout, context.DeadlineExceeded))
	})
	defer stalled.Stop()
	var list []StoredManifest
	err := b.eachFrom(ctx, "KV_"+BucketRuns, runsPrefix+"*", from, patient, func(msg *nats.Msg) (bool, error) {
		stalled.Reset(requestTimeout)
		raw, err := rawMsg(msg)
		if err != nil {
			return false, err
		}
		id, err := run.ParseID(strings.TrimPrefix(raw.Subject, runsPrefix))
		if err != nil || msg.Header.Get(headerKVOperation) != "" || msg.Header.Get(jetstream.MarkerReasonHeader) != "" {
			return true, nil // not ours, or removed
		}
		m, err := decodeManifest(id, msg.Data, raw.Sequence)
		if err != nil {
			b.log.Warn("run skipped", "run_id", id, "error", err)
			return true, nil
		}
		list = append(list, StoredManifest{m, raw.Sequence})
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	return list, nil
}

// headerKVOperation is there in what the client writes to remove a key.
const headerKVOperation = "KV-Operation"

// ListenRuns calls changed for every write to a manifest, one call at a time:
// a hint to read it. m is what was sent, nil if that is no manifest; the stream
// may have refused it. Losses are possible; readers also look by themselves.
func (b *Bus) ListenRuns(changed func(id run.ID, m *run.Manifest)) (cancel func(), err error) {
	sub, err := b.nc.Subscribe(runsPrefix+"*", func(m *nats.Msg) {
		if id, err := run.ParseID(strings.TrimPrefix(m.Subject, runsPrefix)); err == nil {
			if sent, err := decodeManifest(id, m.Data, 0); err == nil {
				changed(id, &sent)
			} else {
				changed(id, nil)
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listening for runs: %w", err)
	}
	return func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			b.log.Warn("unsubscribing from runs failed", "error", err)
		}
	}, nil
}
