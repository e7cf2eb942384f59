package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// followHeartbeat is how soon a stalled reader is noticed and set up anew:
// pull consumers were seen to stall without an error.
const followHeartbeat = time.Second

const (
	// followPull is how long one pull request stands.
	followPull = 5 * time.Second
	// followBatch is how many messages one pull request takes.
	followBatch = 500
)

// Sink takes what Follow reads, one call at a time a stream; calls for
// different streams may come at once.
type Sink interface {
	// TakeLease gets a valid lease record and its sequence.
	TakeLease(r *lease.Record, seq uint64)
	// TakeFooter gets a valid ok footer and its sequence.
	TakeFooter(f *footer.Footer, seq uint64)
	// TakeRefused gets what could not be read. idx is -1 if no chunk of the
	// plan is named; isFooter distinguishes the two streams.
	TakeRefused(idx int, isFooter bool, err *RefusedError)
	// Rewound reports that the connection broke and the stream is read from its
	// beginning again: the server may have come back with older files, whose
	// sequences prove nothing about what was read before.
	Rewound(isFooter bool)
}

// Follow reads the lease records and footers of a run, the stored ones first
// and then every new one, until ctx ends. It outlives losses of the
// connection; each message is given at least once, in the order of its
// stream. It returns the cause of ctx's end.
func (b *Bus) Follow(ctx context.Context, m run.Manifest, sink Sink) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follow(ctx, StreamFooters, runSubjects("footer", m.RunID), func() { sink.Rewound(true) }, b.takeFooter(m, sink))
	}()
	b.follow(ctx, StreamProgress, runSubjects("progress", m.RunID), func() { sink.Rewound(false) }, b.takeLease(m, sink))
	<-done
	return context.Cause(ctx)
}

// takeFooter gives sink a message of the footers.
func (*Bus) takeFooter(m run.Manifest, sink Sink) func(*jetstream.RawStreamMsg) {
	return func(msg *jetstream.RawStreamMsg) {
		f, err := decodeFooter(m, msg)
		if err != nil {
			sink.TakeRefused(chunkOf(m, "footer", msg.Subject), true, asRefused(err))
			return
		}
		sink.TakeFooter(f, msg.Sequence)
	}
}

// takeLease gives sink a message of the lease records.
func (*Bus) takeLease(m run.Manifest, sink Sink) func(*jetstream.RawStreamMsg) {
	return func(msg *jetstream.RawStreamMsg) {
		r, err := decodeLease(msg)
		if err == nil {
			if err = r.Check(m, msg.Sequence); err != nil {
				err = &RefusedError{Subject: msg.Subject, Seq: msg.Sequence, Err: err}
			}
		}
		if err != nil {
			sink.TakeRefused(chunkOf(m, "progress", msg.Subject), false, asRefused(err))
			return
		}
		sink.TakeLease(r, msg.Sequence)
	}
}

func asRefused(err error) *RefusedError {
	var r *RefusedError
	if errors.As(err, &r) {
		return r
	}
	return &RefusedError{Err: err}
}

func chunkOf(m run.Manifest, kind, subject string) int {
	if _, idx, err := parseChunkSubject(kind, subject); err == nil && idx < m.Plan.Chunks {
		return idx
	}
	return -1
}

// reading is how far one stream was read.
type reading struct {
	next    uint64    // the sequence to go on from
	created time.Time // the stream that it belongs to; zero: not known yet
	breaks  uint64    // of the connection, so far
}

// follow reads one stream until ctx ends, setting up its reader anew whenever
// it fails: from the next sequence on, or from the beginning when the
// connection broke or the stream is not the one that it was.
func (b *Bus) follow(ctx context.Context, stream, subjects string, rewound func(), take func(*jetstream.RawStreamMsg)) {
	at := reading{next: 1, breaks: b.Breaks()}
	for ctx.Err() == nil {
		err := b.followOnce(ctx, stream, subjects, &at, rewound, take)
		if ctx.Err() != nil {
			return
		}
		b.log.Debug("reader of the bus recreated", "stream", stream, "from", at.next, "error", err)
		pause(ctx, reconnectWait)
	}
}

// followOnce reads from the position at until something fails. The
// library's own ordered consumer holds a lock while it sets itself up anew,
// so that stopping it can hang; and a message that is lost on the way must
// show, so the consumer's own sequence is watched.
func (b *Bus) followOnce(ctx context.Context, stream, subjects string, at *reading, rewound func(), take func(*jetstream.RawStreamMsg)) error {
	setup, cancel := bounded(ctx)
	defer cancel()
	s, err := b.js.Stream(setup, stream)
	if err != nil {
		return fmt.Errorf("setting up a reader of %s: %w", stream, err)
	}
	created, breaks := s.CachedInfo().Created, b.Breaks()
	if !at.created.IsZero() && (!created.Equal(at.created) || breaks != at.breaks) {
		at.next = 1
		rewound()
	}
	at.created, at.breaks = created, breaks
	next := &at.next
	cons, err := b.js.CreateConsumer(setup, stream, jetstream.ConsumerConfig{
		FilterSubject: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *next,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 6 * followPull,
	})
	if err != nil {
		return fmt.Errorf("setting up a reader of %s: %w", stream, err)
	}
	defer func() {
		// It would go by itself; a bus that is gone takes it along.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), followHeartbeat)
		defer cancel()
		if b.Connected() {
			if err := b.js.DeleteConsumer(end, stream, cons.CachedInfo().Name); err != nil {
				b.log.Debug("deleting a reader failed", "stream", stream, "error", err)
			}
		}
	}()
	delivered := uint64(0)
	for ctx.Err() == nil {
		if err := b.pull(ctx, cons, &delivered, next, take); err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		// A message that was sent as the request expired is lost, and if it
		// was the last one, no later one shows it.
		ask, cancel := bounded(ctx)
		info, err := cons.Info(ask)
		cancel()
		if err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		if info.Delivered.Consumer != delivered {
			return fmt.Errorf("reading %s: %d messages were sent, %d have come", stream, info.Delivered.Consumer, delivered)
		}
	}
	return context.Cause(ctx)
}

// pull takes what comes within one pull request.
func (b *Bus) pull(ctx context.Context, cons jetstream.Consumer, delivered, next *uint64, take func(*jetstream.RawStreamMsg)) error {
	ctx, cancel := context.WithTimeout(ctx, followPull)
	defer cancel()
	opts := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	// The library refuses a heartbeat of half the request's time or more, and
	// the caller's deadline may be near.
	if end, _ := ctx.Deadline(); time.Until(end) > 3*followHeartbeat {
		opts = append(opts, jetstream.FetchHeartbeat(followHeartbeat))
	}
	batch, err := cons.Fetch(followBatch, opts...)
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if *delivered++; meta.Sequence.Consumer != *delivered {
			return fmt.Errorf("message %d of the reader came in place of %d", meta.Sequence.Consumer, *delivered)
		}
		seq := meta.Sequence.Stream
		*next = seq + 1
		take(&jetstream.RawStreamMsg{Subject: msg.Subject(), Sequence: seq, Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	return nil
}

// Fence reads how far the lease records and the footers of a run reach now:
// the sequences of the last one of each, 0 where there is none. Whoever has
// followed both that far has seen everything stored before the call.
func (b *Bus) Fence(ctx context.Context, id run.ID) (leases, footers uint64, err error) {
	if leases, _, err = b.lastOf(ctx, StreamProgress, runSubjects("progress", id)); err != nil {
		return 0, 0, err
	}
	footers, _, err = b.lastOf(ctx, StreamFooters, runSubjects("footer", id))
	return leases, footers, err
}

// LastHeard is when the server stored the last lease record, footer or heartbeat
// of a run; zero if there is none.
func (b *Bus) LastHeard(ctx context.Context, id run.ID) (time.Time, error) {
	_, lease, err := b.lastOf(ctx, StreamProgress, runSubjects("progress", id))
	if err != nil {
		return time.Time{}, err
	}
	_, footer, err := b.lastOf(ctx, StreamFooters, runSubjects("footer", id))
	if err != nil {
		return time.Time{}, err
	}
	_, beat, err := b.lastOf(ctx, "KV_"+BucketRuns, runsPrefix+aliveKey(id))
	for _, t := range []time.Time{footer, beat} {
		if t.After(lease) {
			lease = t
		}
	}
	return lease, err
}

// lastOf asks for the sequence and the time of the last message of subjects,
// a pattern, which the client library's own call refuses.
func (b *Bus) lastOf(ctx context.Context, stream, subjects string) (uint64, time.Time, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	body := []byte(`{"last_by_subj":"` + subjects + `"}`)
	msg, err := b.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream, body)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("asking for the last of %s: %w", subjects, err)
	}
	if msg.Header.Get("Status") == "404" {
		return 0, time.Time{}, nil
	}
	seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("asking for the last of %s: the answer names no sequence (status %q)", subjects, msg.Header.Get("Status"))
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("asking for the last of %s: its time: %w", subjects, err)
	}
	return seq, at, nil
}
