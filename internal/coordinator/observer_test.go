package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/lease"
)

// observer reads every lease record that a bus stores, beside coordinators
// and by none of their code, and fails the test if what the records of a
// chunk hold ever falls.
type observer struct {
	nc *nats.Conn

	mu sync.Mutex
	w  *world // whose run is watched
}

// observe begins to read what srv stores.
func observe(t *testing.T, srv *embedded.Server) *observer {
	t.Helper()
	public, sign, err := srv.Nkey()
	if err != nil {
		t.Fatal(err)
	}
	o := &observer{}
	if o.nc, err = nats.Connect("", nats.InProcessServer(srv), nats.Nkey(public, sign)); err != nil {
		t.Fatal(err)
	}
	inbox := nats.NewInbox()
	if _, err := o.nc.Subscribe(inbox, o.take); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(o.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreatePushConsumer(t.Context(), bus.StreamProgress, jetstream.ConsumerConfig{
		DeliverSubject: inbox, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true,
	}); err != nil {
		t.Fatal(err)
	}
	return o
}

// seqOf is the sequence of a message of the observer's consumer.
func seqOf(msg *nats.Msg) uint64 {
	meta, err := msg.Metadata()
	if err != nil {
		return 0
	}
	return meta.Sequence.Stream
}

// watch turns to another run; nil ends the watch.
func (o *observer) watch(w *world) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = w
}

func (o *observer) take(msg *nats.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.w
	if w == nil || !strings.HasPrefix(msg.Subject, "gx1.progress."+string(w.m.RunID)+".") {
		return
	}
	r, err := lease.Decode(msg.Data)
	if err == nil {
		err = r.Check(w.m, seqOf(msg))
	}
	if err != nil {
		w.t.Errorf("%s: %v", msg.Subject, err)
		return
	}
	var bars int64
	if r.Best != nil {
		bars = r.Best.BarsProcessed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if bars < w.best[r.ChunkIdx] {
		w.t.Errorf("invariant 3: the record of chunk %d fell from %d bars to %d (%s by %s)", r.ChunkIdx, w.best[r.ChunkIdx], bars, r.State, r.Holder.WorkerID)
	}
	w.best[r.ChunkIdx] = bars
	w.history = append(w.history, fmt.Sprintf("%9.3fs   record of chunk %d: %s by %s, attempt %d, failures %d, releases %d, best %d",
		time.Since(w.begun).Seconds(), r.ChunkIdx, r.State, r.Holder.WorkerID, r.Attempt, r.Failures, r.Releases, bars))
}

// close ends the connection and waits until it has.
func (o *observer) close() { o.nc.Close() }
