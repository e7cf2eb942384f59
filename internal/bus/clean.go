package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// DropQueues deletes the consumers of all sessions and incarnations of a run.
// It reads the list of all consumers.
func (b *Bus) DropQueues(ctx context.Context, id run.ID) error {
	return b.dropQueues(ctx, id, func(int, string) bool { return false })
}

// dropQueues deletes the consumers of a run that keep does not list; mark is
// the incarnation's in their names.
func (b *Bus) dropQueues(ctx context.Context, id run.ID, keep func(session int, mark string) bool) error {
	s, err := b.stream(ctx, StreamTasks)
	if err != nil {
		return err
	}
	names := s.ConsumerNames(ctx)
	for name := range names.Name() {
		session, mark, ok := parseConsumer(id, name)
		if !ok || keep(session, mark) {
			continue
		}
		if err := b.dropQueue(ctx, name); err != nil {
			return err
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("listing the consumers of run %s: %w", id, err)
	}
	return nil
}

// Clean removes what the bus holds of a run and no command needs once its export
// is verified: tasks and consumers first, then records, then footers. What is
// gone already is fine, so a clean that was cut short is done again. The
// manifest stays.
//
// The order matters: a worker that finds neither footer nor record would
// begin anew, so a footer outlives its record, and both outlive the task.
func (b *Bus) Clean(ctx context.Context, id run.ID) error {
	if err := b.PurgeTasks(ctx, id); err != nil {
		return err
	}
	if err := b.DropQueues(ctx, id); err != nil {
		return err
	}
	for _, p := range []struct{ stream, subjects string }{
		{StreamProgress, runSubjects("progress", id)},
		{StreamArtifacts, artifactSubjects(id)},
		{StreamFooters, runSubjects("footer", id)},
		{StreamNotes, noteSubjects(id)},
	} {
		if p.stream == StreamNotes {
			if there, err := b.hasNotes(ctx); err != nil {
				return err
			} else if !there {
				continue
			}
		}
		if err := b.purge(ctx, p.stream, p.subjects); err != nil {
			return err
		}
	}
	return b.EndBeats(ctx, id)
}

func (b *Bus) purge(ctx context.Context, stream, subjects string) error {
	s, err := b.stream(ctx, stream)
	if err != nil {
		return err
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subjects)); err != nil {
		return fmt.Errorf("removing %s: %w", subjects, err)
	}
	return nil
}

// Forget removes the last traces of a run that was cleaned: its stop, so that
// a later run of the same name does not obey it, its heartbeat, and its manifest.
func (b *Bus) Forget(ctx context.Context, id run.ID) error {
	if err := b.purge(ctx, StreamStop, StopSubject(id)); err != nil {
		return err
	}
	if err := b.EndBeats(ctx, id); err != nil {
		return err
	}
	kv, err := b.runsBucket(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, string(id)); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("removing the manifest of run %s: %w", id, err)
	}
	return nil
}

// DeleteObject removes an object; one that is not there is fine.
func (b *Bus) DeleteObject(ctx context.Context, name string) error {
	s, err := b.dataStore(ctx)
	if err != nil {
		return err
	}
	if err := s.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("removing object %s: %w", name, err)
	}
	return nil
}
