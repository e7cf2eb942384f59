package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/test/testsize"
)

func TestConnectSaysWhereItFailed(t *testing.T) {
	if _, err := Connect(t.Context(), Config{Access: Access{URL: "nats://127.0.0.1:1"}}); err == nil || !strings.Contains(err.Error(), "nats://127.0.0.1:1") {
		t.Errorf("error %v (want the address)", err)
	}
	r := newRig(t, "")
	public, sign, err := r.srv.Nkey()
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Connect(ctx, Config{InProcess: r.srv, Options: []nats.Option{nats.Nkey(public, sign)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v (want canceled)", err)
	}
	if _, err := Connect(t.Context(), Config{Access: Access{URL: newRig(t, "127.0.0.1:0").srv.URL()}}); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without the key: %v (want %v)", err, nats.ErrAuthorization)
	}
}

func TestCloseMayBeCalledTwice(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	b.Close()
	b.Close()
	if b.Connected() {
		t.Error("connected after Close")
	}
	away := r.bus()
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !away.Connected() })
	away.Close() // and without a server
}

// design.md §3: nothing is buffered while disconnected.
func TestWritesFailAtOnceWhileDisconnected(t *testing.T) {
	testsize.All(t)
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	m := testManifest("r1", 2)
	must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
	q := queueOf(t, b, m)
	d := next(t, q)
	rev, err := b.StoreManifest(t.Context(), m, 0)
	must(t, err)
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Connected() })

	began := time.Now()
	_, lease := b.StoreLease(t.Context(), claimOf(m, 0, "w"), 0)
	_, manifest := b.StoreManifest(t.Context(), m, rev)
	_, nextErr := q.Next()
	_, listen := b.ListenStops("", func(context.Context, HeardStop) {})
	for what, err := range map[string]error{
		"lease": lease, "manifest": manifest, "next": nextErr, "listening": listen,
		"footer": b.StoreFooter(t.Context(), okFooter(m, 0)), "task": b.PublishTasks(t.Context(), tasksOf(m, 1)),
		"ack": d.Ack(t.Context()), "nak": d.Nak(0), "in-progress": d.InProgress(t.Context()),
		"object": b.PutObject(t.Context(), "o", []byte("x")),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		} else if errors.Is(err, ErrNoConsumer) || errors.Is(err, ErrConflict) || errors.Is(err, ErrKept) {
			t.Errorf("%s: %v says more than is known", what, err)
		}
	}
	if d := time.Since(began); d > 3*requestTimeout {
		t.Errorf("it took %v", d)
	}

	r.start()
	eventually(t, "connected again", b.Connected)
	must(t, b.nc.FlushTimeout(requestTimeout))
	if rec, _, err := b.Lease(t.Context(), m.RunID, 0); rec != nil || err != nil {
		t.Errorf("the lease record came later: %v, %v", rec, err)
	}
	if f, _, err := b.Footer(t.Context(), m, 0); f != nil || err != nil {
		t.Errorf("the footer came later: %v, %v", f, err)
	}
	if n := messages(t, b, StreamTasks); n != 1 {
		t.Errorf("%d tasks (want the one from before)", n)
	}
}

// Polling for tasks goes on through an outage, so a try must leave nothing.
func TestNextWhileDisconnectedLeavesNothing(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	m := testManifest("r1", 1)
	q := queueOf(t, b, m)
	none(t, q)
	r.stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Connected() })
	before := b.nc.NumSubscriptions()
	for range 100 {
		if _, err := q.Next(); err == nil || errors.Is(err, ErrNoConsumer) {
			t.Fatalf("error %v (want one that says nothing of the consumer)", err)
		}
	}
	if after := b.nc.NumSubscriptions(); after > before {
		t.Errorf("%d subscriptions (want %d)", after, before)
	}
	r.start()
	eventually(t, "connected again", b.Connected)
	must(t, b.PublishTasks(t.Context(), tasksOf(m, 0)))
	must(t, next(t, q).Ack(t.Context()))
}

// stuck is a log that takes nothing until it is freed: a disk that hangs.
type stuck struct {
	slog.Handler
	entered chan struct{}
	free    chan struct{}
}

func (h *stuck) Enabled(context.Context, slog.Level) bool { return true }
func (h *stuck) Handle(context.Context, slog.Record) error {
	select {
	case h.entered <- struct{}{}:
	default:
	}
	<-h.free
	return nil
}

// A watch of a lease leans on Breaks: no break may hide, and handlers of the
// client run one after the other.
func TestBreaksAreCountedThoughTheLogHangs(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	h := &stuck{entered: make(chan struct{}, 1), free: make(chan struct{})}
	b := r.busFor("", slog.New(h))
	defer close(h.free)
	last := b.Breaks()
	if last != 0 {
		t.Errorf("%d breaks at first (want 0)", last)
	}
	for i := range 3 {
		r.stop()
		eventually(t, "the loss is noticed", func() bool { return !b.Connected() })
		down := b.Breaks()
		r.start()
		eventually(t, "connected again", b.Connected)
		must(t, b.nc.FlushTimeout(requestTimeout))
		if i == 0 {
			receive(t, "a log line", h.entered)
		}
		now := b.Breaks()
		if down <= last || now < down {
			t.Errorf("break %d: %d before, %d while away, %d after", i+1, last, down, now)
		}
		if again := b.Breaks(); again != now {
			t.Errorf("connected, and %d became %d", now, again)
		}
		last = now
	}
}

func TestHintsComeAfterAReconnect(t *testing.T) {
	r := newRig(t, "127.0.0.1:0")
	b := r.bus()
	one, giveOne := b.Hints()
	two, giveTwo := b.Hints()
	defer giveTwo()
	if len(one)+len(two) != 0 {
		t.Error("a hint before anything happened")
	}
	r.stop()
	r.start()
	receive(t, "the first hint", one)
	receive(t, "the second hint", two)
	giveOne()
	r.stop()
	r.start()
	receive(t, "the second again", two)
	if len(one) != 0 {
		t.Error("a hint after it was given back")
	}
	// Nobody need read them: one token lies there, however many breaks.
	for range 2 {
		breaks := b.Breaks()
		r.stop()
		r.start()
		eventually(t, "the break is over", func() bool { return b.Connected() && b.Breaks() > breaks })
	}
	receive(t, "one hint for both", two)
}

// Strangers may subscribe to _INBOX.>, so answers to us go elsewhere.
func TestAnswersAreNotReadableByStrangers(t *testing.T) {
	b := newRig(t, "").bus()
	if inbox := b.nc.NewInbox(); strings.HasPrefix(inbox, "_INBOX.") {
		t.Errorf("inbox %s", inbox)
	}
}

func TestMakeStreamsTwice(t *testing.T) {
	r := newRig(t, "")
	b := r.bus()
	for range 2 {
		must(t, b.MakeStreams(t.Context(), 1))
	}
	for _, cfg := range streamConfigs(1) {
		s, err := b.js.Stream(t.Context(), cfg.Name)
		must(t, err)
		got := s.CachedInfo().Config
		if fmt.Sprint(got.Subjects) != fmt.Sprint(cfg.Subjects) || got.MaxMsgsPerSubject != cfg.MaxMsgsPerSubject || got.Retention != cfg.Retention ||
			got.Discard != cfg.Discard || got.DiscardNewPerSubject != cfg.DiscardNewPerSubject || !got.AllowDirect {
			t.Errorf("%s: %+v", cfg.Name, got)
		}
		// Since 2.15 no limit of our own means 1000, and each run takes one.
		if got.MaxConsumers < 10_000 {
			t.Errorf("%s: MaxConsumers %d (want 10,000 or more)", cfg.Name, got.MaxConsumers)
		}
	}
}
