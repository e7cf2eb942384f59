package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Limits of the stop stream: anyone may publish there, so it stays small.
const (
	maxStopBytes   = 64 << 10 // a longer payload reaches core listeners only; the coordinator stores its beginning
	maxStops       = 10_000
	maxStopStorage = 64 << 20
)

// Limits of the stream of notes: a user has few of each run, and all of them
// together stay small. A note that its worker does not repeat is out of date.
const (
	maxNotesPerUser = 8
	maxNoteBytes    = 2 * maxIncompatibleBytes // with its headers
	maxNoteStorage  = 16 << 20
	noteAge         = time.Hour
)

// maxConsumers is above any number of runs on one bus. No limit (-1) would
// mean the server's own, 1000 since 2.15.
const maxConsumers = 100_000

// duplicates is how long the server remembers message ids, its default. A
// retry that comes later finds the footer itself.
const duplicates = 2 * time.Minute

func streamConfigs(replicas int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: StreamTasks, Subjects: []string{"gx1.task.*.*"}, Description: "GX1 Replay: chunk tasks",
			Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: replicas,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxConsumers: maxConsumers, AllowDirect: true,
		},
		{
			Name: StreamProgress, Subjects: []string{"gx1.progress.*.*"}, Description: "GX1 Replay: lease records",
			Storage: jetstream.FileStorage, Replicas: replicas,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld, MaxConsumers: maxConsumers, AllowDirect: true,
		},
		{
			Name: StreamFooters, Subjects: []string{"gx1.footer.*.*"}, Description: "GX1 Replay: final footers",
			Storage: jetstream.FileStorage, Replicas: replicas, Duplicates: duplicates,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxConsumers: maxConsumers, AllowDirect: true,
		},
		{
			Name: StreamArtifacts, Subjects: []string{"gx1.artifact.*.*.*.*"}, Description: "GX1 Replay: artifacts of chunks",
			Storage: jetstream.FileStorage, Replicas: replicas,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxConsumers: maxConsumers, AllowDirect: true,
		},
		{
			Name: StreamNotes, Subjects: []string{"gx1.note.*.*"}, Description: "GX1 Replay: notes of incompatible workers",
			Storage: jetstream.FileStorage, Replicas: replicas,
			MaxMsgsPerSubject: maxNotesPerUser, Discard: jetstream.DiscardOld,
			MaxMsgSize: maxNoteBytes, MaxBytes: maxNoteStorage, MaxAge: noteAge, MaxConsumers: maxConsumers, AllowDirect: true,
		},
		{
			Name: StreamStop, Subjects: []string{StopSubjects}, Description: "GX1 Replay: stops",
			Storage: jetstream.FileStorage, Replicas: replicas, Duplicates: duplicates,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
			MaxMsgSize: maxStopBytes, MaxMsgs: maxStops, MaxBytes: maxStopStorage, MaxConsumers: maxConsumers, AllowDirect: true,
		},
	}
}

// MakeStreams makes the streams, the bucket of runs and the object store
// where they are missing. What exists is left as it is.
func (b *Bus) MakeStreams(ctx context.Context, replicas int) error {
	for _, cfg := range streamConfigs(replicas) {
		if cfg.Name == StreamNotes && !b.allowed(ctx, "$JS.API.STREAM.CREATE."+cfg.Name) {
			continue // a bus whose rights were written by an earlier version
		}
		if _, err := b.js.CreateStream(ctx, cfg); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("making stream %s: %w", cfg.Name, lack(err))
		}
	}
	_, err := b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: BucketRuns, Description: "GX1 Replay: run manifests", Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("making bucket %s: %w", BucketRuns, lack(err))
	}
	_, err = b.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: StoreData, Description: "GX1 Replay: data sets, policies, models", Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("making object store %s: %w", StoreData, lack(err))
	}
	return nil
}
