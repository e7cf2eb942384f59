package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// ErrNoConsumer: the consumer that handed out a task is gone, so its session
// has ended or its server is coming back.
var ErrNoConsumer = errors.New("the epoch's consumer was deleted")

// publishWindow bounds the tasks that are on their way unanswered.
const publishWindow = 1000

// PublishTasks stores tasks. A task whose chunk has one already is passed
// over: that is how a chunk is asked for again without being asked for twice.
func (b *Bus) PublishTasks(ctx context.Context, tasks iter.Seq[run.Task]) error {
	stream, err := b.stream(ctx, StreamTasks)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("asking for the stream of tasks: %w", err)
	}
	type sent struct {
		jetstream.PubAckFuture
		id run.ID
	}
	var pending []sent
	settle := func() error {
		for _, f := range pending {
			t := time.NewTimer(requestTimeout)
			select {
			case ack := <-f.Ok():
				b.stored(f.id, info.Created, ack.Sequence)
			case err := <-f.Err():
				if !discarded(err) {
					t.Stop()
					return fmt.Errorf("publishing to %s: %w", f.Msg().Subject, err)
				}
			case <-t.C:
				return fmt.Errorf("publishing to %s: no answer within %v: %w", f.Msg().Subject, requestTimeout, nats.ErrTimeout)
			case <-ctx.Done():
				t.Stop()
				return context.Cause(ctx)
			}
			t.Stop()
		}
		pending = pending[:0]
		return nil
	}
	for t := range tasks {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		data, err := t.Encode()
		if err != nil {
			return err
		}
		f, err := b.js.PublishMsgAsync(b.message(taskSubject(t.RunID, t.ChunkIdx), data))
		if err != nil {
			return fmt.Errorf("publishing the task of chunk %d: %w", t.ChunkIdx, err)
		}
		if pending = append(pending, sent{f, t.RunID}); len(pending) == publishWindow {
			if err := settle(); err != nil {
				return err
			}
		}
	}
	return settle()
}

// MakeQueue makes the consumer of one session of a run, which lets workers
// begin; one that is there stays. A consumer of an earlier session or
// incarnation in its place, of which nothing was known, goes.
func (b *Bus) MakeQueue(ctx context.Context, r run.Ref, session int, leaseDuration time.Duration) error {
	create := func() error {
		ctx, cancel := bounded(ctx)
		defer cancel()
		_, err := b.js.CreateConsumer(ctx, StreamTasks, jetstream.ConsumerConfig{
			Durable: consumerName(r, session), FilterSubject: runSubjects("task", r.ID),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: lease.Timing(leaseDuration).AckWait(),
			MaxDeliver: -1, MaxAckPending: -1, MaxWaiting: 1 << 14,
		})
		return err
	}
	err := create()
	if apiCode(err) == codeFilterTaken {
		mine := consumerMark(r.Incarnation)
		later := func(s int, mark string) bool { return mark == mine && s >= session }
		if err := b.dropQueues(ctx, r.ID, later); err != nil {
			return err
		}
		err = create()
	}
	if errors.Is(err, jetstream.ErrConsumerExists) { // it differs
		if _, paused, asked := b.QueuePaused(ctx, r, session); asked == nil && paused {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("creating the consumer of run %s, epoch %d: %w", r.ID, session, err)
	}
	return nil
}

// QueuePaused reports whether a user has paused the consumer of a session, and
// how it is called. One that is not there yet is not paused.
func (b *Bus) QueuePaused(ctx context.Context, r run.Ref, session int) (name string, paused bool, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	name = consumerName(r, session)
	c, err := b.js.Consumer(ctx, StreamTasks, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return name, false, nil
	}
	if err != nil {
		return name, false, fmt.Errorf("asking for consumer %s of stream %s: %w", name, StreamTasks, err)
	}
	return name, c.CachedInfo().Paused, nil
}

// DropQueue deletes the consumer of one session; a missing one is fine.
func (b *Bus) DropQueue(ctx context.Context, r run.Ref, session int) error {
	return b.dropQueue(ctx, consumerName(r, session))
}

func (b *Bus) dropQueue(ctx context.Context, name string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	err := b.js.DeleteConsumer(ctx, StreamTasks, name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("deleting consumer %s of stream %s: %w", name, StreamTasks, err)
	}
	return nil
}

// DropQueuesBefore deletes the consumers of all sessions of a run before
// session.
func (b *Bus) DropQueuesBefore(ctx context.Context, r run.Ref, session int) error {
	for s := 1; s < session; s++ {
		if err := b.DropQueue(ctx, r, s); err != nil {
			return err
		}
	}
	return nil
}

// PendingTasks returns the chunks of a run that have a task, delivered or
// not.
func (b *Bus) PendingTasks(ctx context.Context, id run.ID) (map[int]bool, error) {
	s, err := b.stream(ctx, StreamTasks)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(runSubjects("task", id)))
	if err != nil {
		return nil, fmt.Errorf("asking for the tasks of run %s: %w", id, err)
	}
	pending := make(map[int]bool, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		if _, idx, err := parseChunkSubject("task", subject); err == nil {
			pending[idx] = true
		}
	}
	return pending, nil
}

// Queue hands out the tasks of one session of a run.
type Queue struct {
	bus  *Bus
	cons jetstream.Consumer
	id   run.ID
}

// OpenQueue finds a session's consumer; ErrNoConsumer if it is not there.
func (b *Bus) OpenQueue(ctx context.Context, r run.Ref, session int) (*Queue, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	cons, err := b.js.Consumer(ctx, StreamTasks, consumerName(r, session))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("run %s, epoch %d: %w", r.ID, session, ErrNoConsumer)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the consumer of run %s, epoch %d: %w", r.ID, session, err)
	}
	return &Queue{bus: b, cons: cons, id: r.ID}, nil
}

// Next returns a task, or nil if none waits; for a moment after one is
// published the server may still report it. A malformed one is taken off the
// queue and returned as a RefusedError.
func (q *Queue) Next() (*Delivery, error) {
	if !q.bus.Connected() {
		// The library would leave a subscription behind at every try.
		return nil, fmt.Errorf("fetching a task of run %s: %w", q.id, nats.ErrDisconnected)
	}
	batch, err := q.cons.FetchNoWait(1)
	if err != nil {
		return nil, fmt.Errorf("fetching a task of run %s: %w", q.id, consumerGone(err))
	}
	var got *Delivery
	var refused error
	for msg := range batch.Messages() {
		d, err := q.delivery(msg)
		if err != nil {
			refused = err
			if err := msg.TermWithReason("malformed"); err != nil {
				return nil, fmt.Errorf("removing a malformed task from the queue: %w", err)
			}
			continue
		}
		got = d
	}
	if got != nil {
		return got, nil
	}
	if refused != nil {
		return nil, refused
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		return nil, fmt.Errorf("fetching a task of run %s: %w", q.id, consumerGone(err))
	}
	return nil, nil
}

func consumerGone(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrConsumerDeleted) {
		return fmt.Errorf("%w (%w)", ErrNoConsumer, err)
	}
	return err
}

func (q *Queue) delivery(msg jetstream.Msg) (*Delivery, error) {
	refuse := func(err error) (*Delivery, error) { return nil, &RefusedError{Subject: msg.Subject(), Err: err} }
	id, idx, err := parseChunkSubject("task", msg.Subject())
	if err != nil {
		return refuse(err)
	}
	if err := checkSchema(msg.Headers()); err != nil {
		return refuse(err)
	}
	task, err := run.DecodeTask(msg.Data())
	if err != nil {
		return refuse(err)
	}
	if task.RunID != id || task.ChunkIdx != idx {
		return refuse(fmt.Errorf("the task is of run %s, chunk %d", task.RunID, task.ChunkIdx))
	}
	return &Delivery{Task: task, bus: q.bus, msg: msg}, nil
}

// RefusedError reports that something on the bus was not what its subject
// promises. Subject is where it stood, if Err does not contain it, and Seq is its
// stream sequence where it is known.
type RefusedError struct {
	Subject string
	Seq     uint64
	Err     error
}

func (e *RefusedError) Error() string {
	if e.Subject == "" {
		return fmt.Sprintf("refused: %v", e.Err)
	}
	return fmt.Sprintf("refused from %s: %v", e.Subject, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Delivery is a task in hand.
type Delivery struct {
	Task run.Task
	bus  *Bus
	msg  jetstream.Msg
}

// InProgress reports to the session's consumer that the task is being worked on
// and returns once it has answered; ErrNoConsumer if there is none. The
// answer proves nothing about the holder of the lease.
func (d *Delivery) InProgress(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := d.bus.nc.RequestWithContext(ctx, d.msg.Reply(), []byte("+WPI")); err != nil {
		return fmt.Errorf("in-progress for chunk %d: %w", d.Task.ChunkIdx, consumerGone(err))
	}
	return nil
}

// Ack takes the task off the queue and returns once the server has answered.
func (d *Delivery) Ack(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := d.msg.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledging the task of chunk %d: %w", d.Task.ChunkIdx, consumerGone(err))
	}
	return nil
}

// Nak gives the task back: at once, or after delay.
func (d *Delivery) Nak(delay time.Duration) error {
	var err error
	if delay > 0 {
		err = d.msg.NakWithDelay(delay)
	} else {
		err = d.msg.Nak()
	}
	if err != nil {
		return fmt.Errorf("returning the task of chunk %d: %w", d.Task.ChunkIdx, err)
	}
	return nil
}
