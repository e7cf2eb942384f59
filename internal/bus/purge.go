package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// span is where in the stream this connection has stored the tasks of a run.
type span struct {
	made               time.Time // the stream
	first, last, count uint64    // sequences; each of count tasks has its own
}

// add enters a task that was stored.
func (s *span) add(seq uint64) {
	if s.count == 0 {
		s.first, s.last = seq, seq
	}
	s.first, s.last = min(s.first, seq), max(s.last, seq)
	s.count++
}

// head reports whether everything that the stream holds up to s.last is in s:
// no other's message lies between, and all before are gone.
func (s span) head(now *jetstream.StreamInfo) bool {
	return s.count > 0 && s.last-s.first+1 == s.count && s.made.Equal(now.Created) &&
		now.State.FirstSeq >= s.first && now.State.LastSeq >= s.last
}

// stored enters a task of a run under its sequence in the stream made then.
func (b *Bus) stored(id run.ID, made time.Time, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.spans[id]
	if !s.made.Equal(made) {
		s = span{made: made}
	}
	s.add(seq)
	b.spans[id] = s
}

// PurgeTasks removes every task of a run.
//
// A purge by subject looks at each task: a million take the server two
// seconds, in which the stream does not answer. Where the run's own tasks are
// all that lies before some sequence, they go by it, in no time.
func (b *Bus) PurgeTasks(ctx context.Context, id run.ID) error {
	s, err := b.stream(ctx, StreamTasks)
	if err != nil {
		return err
	}
	b.mu.Lock()
	own := b.spans[id]
	b.mu.Unlock()
	if own.count > 0 {
		info, err := s.Info(ctx)
		if err != nil {
			return fmt.Errorf("purging the tasks of run %s: %w", id, err)
		}
		if own.head(info) {
			if err := s.Purge(ctx, jetstream.WithPurgeSequence(own.last+1)); err != nil {
				return fmt.Errorf("purging the tasks of run %s up to sequence %d: %w", id, own.last, err)
			}
		}
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(runSubjects("task", id))); err != nil {
		return fmt.Errorf("purging the tasks of run %s: %w", id, err)
	}
	return nil
}
