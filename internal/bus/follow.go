package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// followHeartbeat is how soon a stalled reader is noticed and set up anew:
// pull consumers were seen to stall without an error.
const followHeartbeat = time.Second

// Sink takes what Follow reads, one call at a time a stream; calls for
// different streams may come at once.
type Sink interface {
	// TakeLease gets a valid lease record and its sequence.
	TakeLease(r *lease.Record, seq uint64)
	// TakeFooter gets a valid ok footer and its sequence.
	TakeFooter(f *footer.Footer, seq uint64)
	// TakeRefused gets what could not be read. idx is -1 if no chunk of the
	// plan is named; isFooter tells the two streams apart.
	TakeRefused(idx int, isFooter bool, err *RefusedError)
}

// Follow reads the lease records and footers of a run, the stored ones first
// and then every new one, until ctx ends. It outlives losses of the
// connection; each message is given at least once, in the order of its
// stream. It returns the cause of ctx's end.
func (b *Bus) Follow(ctx context.Context, m run.Manifest, sink Sink) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follow(ctx, StreamFooters, runSubjects("footer", m.RunID), func(msg *jetstream.RawStreamMsg) {
			f, err := decodeFooter(m, msg)
			if err != nil {
				sink.TakeRefused(chunkOf(m, "footer", msg.Subject), true, asRefused(err))
				return
			}
			sink.TakeFooter(f, msg.Sequence)
		})
	}()
	b.follow(ctx, StreamProgress, runSubjects("progress", m.RunID), func(msg *jetstream.RawStreamMsg) {
		r, err := decodeLease(msg)
		if err == nil {
			if err = r.Check(m); err != nil {
				err = &RefusedError{Subject: msg.Subject, Seq: msg.Sequence, Err: err}
			}
		}
		if err != nil {
			sink.TakeRefused(chunkOf(m, "progress", msg.Subject), false, asRefused(err))
			return
		}
		sink.TakeLease(r, msg.Sequence)
	})
	<-done
	return context.Cause(ctx)
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

// follow reads one stream until ctx ends, setting up its reader anew from the
// next sequence whenever it fails.
func (b *Bus) follow(ctx context.Context, stream, subjects string, take func(*jetstream.RawStreamMsg)) {
	next := uint64(1)
	for ctx.Err() == nil {
		err := b.followOnce(ctx, stream, subjects, &next, take)
		if ctx.Err() != nil {
			return
		}
		b.log.Debug("reading the bus is set up anew", "stream", stream, "from", next, "error", err)
		pause(ctx, reconnectWait)
	}
}

func (b *Bus) followOnce(ctx context.Context, stream, subjects string, next *uint64, take func(*jetstream.RawStreamMsg)) error {
	setup, cancel := bounded(ctx)
	defer cancel()
	cons, err := b.js.OrderedConsumer(setup, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjects}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *next,
		InactiveThreshold: 30 * time.Second, MaxResetAttempts: 1,
	})
	if err != nil {
		return fmt.Errorf("setting up a reader of %s: %w", stream, err)
	}
	msgs, err := cons.Messages(jetstream.PullHeartbeat(followHeartbeat), jetstream.PullExpiry(5*followHeartbeat))
	if err != nil {
		return fmt.Errorf("reading %s: %w", stream, err)
	}
	stop := context.AfterFunc(ctx, msgs.Stop)
	defer stop()
	defer msgs.Stop()
	for {
		msg, err := msgs.Next()
		if err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		seq := meta.Sequence.Stream
		if seq < *next {
			continue
		}
		*next = seq + 1
		take(&jetstream.RawStreamMsg{Subject: msg.Subject(), Sequence: seq, Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp})
	}
}

// Fence reads how far the lease records and the footers of a run reach now:
// the sequences of the last one of each, 0 where there is none. Whoever has
// followed both that far has seen everything stored before the call.
func (b *Bus) Fence(ctx context.Context, id run.ID) (leases, footers uint64, err error) {
	if leases, err = b.lastSeq(ctx, StreamProgress, runSubjects("progress", id)); err != nil {
		return 0, 0, err
	}
	footers, err = b.lastSeq(ctx, StreamFooters, runSubjects("footer", id))
	return leases, footers, err
}

// lastSeq asks for the last message of subjects, a pattern, which the client
// library's own call refuses.
func (b *Bus) lastSeq(ctx context.Context, stream, subjects string) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	body := []byte(`{"last_by_subj":"` + subjects + `"}`)
	msg, err := b.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream, body)
	if err != nil {
		return 0, fmt.Errorf("asking for the last of %s: %w", subjects, err)
	}
	if msg.Header.Get("Status") == "404" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("asking for the last of %s: the answer names no sequence (status %q)", subjects, msg.Header.Get("Status"))
	}
	return seq, nil
}
