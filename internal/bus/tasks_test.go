package bus

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/run"
)

// jetstream.md §1: in-progress is answered although the task is another's by
// now, so it says nothing about who holds the lease.
func TestFact_InProgressIsAnsweredThoughTheTaskIsAnothers(t *testing.T) {
	r := newRig(t, "")
	a, b := r.busFor("a", nil), r.busFor("b", nil)
	m := testManifest("r1", 1)
	must(t, a.PublishTasks(t.Context(), tasksOf(m, 0)))
	first := next(t, queueOf(t, a, m))
	must(t, first.Nak(0))
	q, err := b.OpenQueue(t.Context(), m.Ref(), m.Session)
	must(t, err)
	second := next(t, q)
	must(t, first.InProgress(t.Context()))
	must(t, second.Ack(t.Context()))
	// Even when the task has gone for good.
	must(t, first.InProgress(t.Context()))
}

func TestFact_ADeletedConsumerGivesNoResponders(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 2)
	must(t, b.PublishTasks(t.Context(), tasksOf(m, 0, 1)))
	q := queueOf(t, b, m)
	d := next(t, q)
	must(t, d.InProgress(t.Context()))
	must(t, b.DropQueue(t.Context(), m.Ref(), m.Session))
	must(t, b.DropQueue(t.Context(), m.Ref(), m.Session)) // gone already: fine

	wantGone := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrNoConsumer) {
			t.Errorf("%s: %v (want ErrNoConsumer)", what, err)
		}
	}
	wantGone("in-progress", d.InProgress(t.Context()))
	wantGone("ack", d.Ack(t.Context()))
	_, err := q.Next()
	wantGone("next", err)
	_, err = b.OpenQueue(t.Context(), m.Ref(), m.Session)
	wantGone("open", err)
	if err := d.Nak(0); err != nil {
		t.Errorf("a nak asks for no answer: %v", err)
	}
	// The tasks stay.
	if n := messages(t, b, StreamTasks); n != 2 {
		t.Errorf("%d tasks (want 2)", n)
	}
}

// A chunk is asked for again by publishing its task again: the server keeps
// one a chunk.
func TestFact_ASecondTaskIsRefusedUntilTheFirstIsAcked(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 1)
	publish := func(want uint64, when string) {
		t.Helper()
		must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
		if n := messages(t, b, StreamTasks); n != want {
			t.Errorf("%s: %d tasks (want %d)", when, n, want)
		}
	}
	publish(1, "at first")
	publish(1, "while one waits")
	q := queueOf(t, b, m)
	d := next(t, q)
	publish(1, "while one is delivered")
	none(t, q)
	must(t, d.Ack(t.Context()))
	if n := messages(t, b, StreamTasks); n != 0 {
		t.Errorf("%d tasks after the ack (want 0)", n)
	}
	publish(1, "after the ack")
	if got := next(t, q); got.Task != m.NewTask(0) {
		t.Errorf("task %+v", got.Task)
	}
}

// A message id would make the server swallow a task that is published again
// within two minutes.
func TestFact_TasksCanBePublishedAgainAtOnceAfterAStop(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 5)
	for session := 1; session <= 3; session++ {
		m.Session = session
		must(t, b.DropQueuesBefore(t.Context(), m.Ref(), session))
		must(t, b.PublishTasks(t.Context(), tasksOf(m, 0, 1, 2, 3, 4)))
		if n := messages(t, b, StreamTasks); n != 5 {
			t.Fatalf("session %d: %d tasks (want 5)", session, n)
		}
		q := queueOf(t, b, m)
		held := next(t, q)
		must(t, b.PurgeTasks(t.Context(), m.RunID))
		none(t, q)
		must(t, held.InProgress(t.Context())) // the consumer is there still
		must(t, b.DropQueue(t.Context(), m.Ref(), session))
		if err := held.InProgress(t.Context()); !errors.Is(err, ErrNoConsumer) {
			t.Errorf("session %d: %v (want ErrNoConsumer)", session, err)
		}
	}
	if n := messages(t, b, StreamTasks); n != 0 {
		t.Errorf("%d tasks are left", n)
	}
}

func TestFact_TasksWithoutAConsumerAreKept(t *testing.T) {
	r := newRig(t, "")
	b := r.bus()
	m := testManifest("r1", 3)
	must(t, b.PublishTasks(t.Context(), tasksOf(m, 2, 0, 1)))
	b.Close()
	r.stop()
	r.start()
	q := queueOf(t, r.bus(), m)
	for _, want := range []int{2, 0, 1} { // in the order of publication
		if got := next(t, q).Task.ChunkIdx; got != want {
			t.Errorf("chunk %d (want %d)", got, want)
		}
	}
	none(t, q)
}

func TestQueuesOfTwoRunsAreApart(t *testing.T) {
	b := newRig(t, "").bus()
	one, two := testManifest("r1", 2), testManifest("r2", 2)
	must(t, b.PublishTasks(t.Context(), tasksOf(one, 0, 1)))
	must(t, b.PublishTasks(t.Context(), tasksOf(two, 1)))
	q1, q2 := queueOf(t, b, one), queueOf(t, b, two)
	if d := next(t, q2); d.Task != two.NewTask(1) {
		t.Errorf("r2 handed out %+v", d.Task)
	}
	none(t, q2)
	must(t, b.PurgeTasks(t.Context(), "r2"))
	pending, err := b.PendingTasks(t.Context(), "r1")
	must(t, err)
	if !slices.Equal(slices.Sorted(maps.Keys(pending)), []int{0, 1}) {
		t.Errorf("pending of r1: %v", pending)
	}
	next(t, q1)
	pending, err = b.PendingTasks(t.Context(), "r1")
	must(t, err)
	if len(pending) != 2 {
		t.Errorf("one is delivered, and pending is %v (want both)", pending)
	}
	if pending, err = b.PendingTasks(t.Context(), "r2"); err != nil || len(pending) != 0 {
		t.Errorf("pending of r2: %v, %v", pending, err)
	}
}

// design.md §3: one consumer a session; a task's session is its consumer's.
func TestEachSessionHasItsConsumer(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 1)
	must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
	q1 := queueOf(t, b, m)
	must(t, b.MakeQueue(t.Context(), m.Ref(), m.Session, m.LeaseDuration)) // the same again is fine
	old := next(t, q1)

	// A later session's consumer is never taken away for an earlier one's.
	m.Session = 2
	must(t, b.DropQueuesBefore(t.Context(), m.Ref(), 2))
	q2 := queueOf(t, b, m)
	if err := b.MakeQueue(t.Context(), m.Ref(), 1, m.LeaseDuration); apiCode(err) != codeFilterTaken {
		t.Errorf("a consumer of session 1 beside that of session 2: %v", err)
	}
	if d := next(t, q2); d.Task.ChunkIdx != 0 {
		t.Errorf("task %+v", d.Task)
	}
	// An earlier one that nobody knew of does not keep a later one out.
	must(t, b.MakeQueue(t.Context(), m.Ref(), 3, m.LeaseDuration))
	must(t, b.DropQueues(t.Context(), m.RunID))
	must(t, b.MakeQueue(t.Context(), m.Ref(), 2, m.LeaseDuration))
	// The old session's delivery cannot take the new one's task away.
	if err := old.Ack(t.Context()); !errors.Is(err, ErrNoConsumer) {
		t.Errorf("ack of the old delivery: %v (want ErrNoConsumer)", err)
	}
	if n := messages(t, b, StreamTasks); n != 1 {
		t.Errorf("%d tasks (want 1)", n)
	}
	if _, err := q1.Next(); !errors.Is(err, ErrNoConsumer) {
		t.Errorf("the old queue: %v (want ErrNoConsumer)", err)
	}
}

func TestPublishManyTasks(t *testing.T) {
	b := newRig(t, "").bus()
	n := 2*publishWindow + 7
	m := testManifest("r1", n)
	all := func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
	for range 2 { // the second time all of them are there
		must(t, b.PublishTasks(t.Context(), tasksOf(m, slices.Collect(all)...)))
		if got := messages(t, b, StreamTasks); got != uint64(n) {
			t.Errorf("%d tasks (want %d)", got, n)
		}
	}
	pending, err := b.PendingTasks(t.Context(), m.RunID)
	must(t, err)
	if len(pending) != n {
		t.Errorf("%d are pending (want %d)", len(pending), n)
	}
}

func TestPublishTasksEndsWithItsContext(t *testing.T) {
	b := newRig(t, "").bus()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	m := testManifest("r1", 3)
	err := b.PublishTasks(ctx, func(yield func(run.Task) bool) {
		if yield(m.NewTask(0)) {
			cancel(why)
			yield(m.NewTask(1))
		}
	})
	if !errors.Is(err, why) {
		t.Errorf("error %v (want %v)", err, why)
	}
}

// A full stream, or a full disk, has the same error code as a task that is
// there already, and is no success.
func TestAFullStreamIsNoSuccess(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 3)
	for _, cfg := range streamConfigs(1) {
		if cfg.Name == StreamTasks || cfg.Name == StreamFooters {
			cfg.MaxMsgs = 1
			_, err := b.js.UpdateStream(t.Context(), cfg)
			must(t, err)
		}
	}
	if err := b.PublishTasks(t.Context(), tasksOf(m, 0, 1)); err == nil || apiCode(err) != codeStoreFailed {
		t.Errorf("error %v (want code %d)", err, codeStoreFailed)
	}
	must(t, b.StoreFooter(t.Context(), okFooter(m, 0)))
	if err := b.StoreFooter(t.Context(), okFooter(m, 1)); err == nil || errors.Is(err, ErrKept) {
		t.Errorf("error %v (want one, and not ErrKept: nothing is kept)", err)
	}
}

func TestAMalformedTaskIsTakenOffTheQueue(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 4)
	q := queueOf(t, b, m)
	for name, make := range garbage(encode(t, m.NewTask(0))) {
		put(t, b, make(taskSubject(m.RunID, 0)))
		must(t, b.PublishTasks(t.Context(), tasksOf(m, 1)))
		wantRefused(t, name, q)
		// What is behind it comes, and the chunk can be asked for again.
		must(t, next(t, q).Ack(t.Context()))
		must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
		d := next(t, q)
		if d.Task != m.NewTask(0) {
			t.Errorf("%s: then task %+v", name, d.Task)
		}
		must(t, d.Ack(t.Context()))
	}
	elsewhere := testManifest("other", 4).NewTask(0)
	for name, msg := range map[string]*nats.Msg{
		"another run":   ours(taskSubject(m.RunID, 0), encode(t, elsewhere)),
		"another chunk": ours(taskSubject(m.RunID, 0), encode(t, m.NewTask(1))),
		"no chunk":      ours("gx1.task.r1.x", encode(t, m.NewTask(1))),
		"chunk 01":      ours("gx1.task.r1.01", encode(t, m.NewTask(1))),
	} {
		put(t, b, msg)
		wantRefused(t, name, q)
		none(t, q)
		eventually(t, name+" is off the queue", func() bool { return messages(t, b, StreamTasks) == 0 })
	}
}

func wantRefused(t *testing.T, name string, q *Queue) {
	t.Helper()
	var d *Delivery
	var err error
	eventually(t, name, func() bool {
		d, err = q.Next()
		return d != nil || err != nil
	})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Subject == "" || refused.Err == nil {
		t.Errorf("%s: %v, %v (want a RefusedError)", name, d, err)
	}
}

func TestNakWithDelayKeepsTheTaskBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		b := r.bus()
		m := testManifest("r1", 1)
		must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
		q := queueOf(t, b, m)
		must(t, next(t, q).Nak(m.LeaseDuration))
		pause(t.Context(), m.LeaseDuration*9/10)
		none(t, q)
		pause(t.Context(), m.LeaseDuration/5)
		must(t, next(t, q).Ack(t.Context()))
	})
}
