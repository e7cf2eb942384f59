package bus

import (
	"context"

	"log/slog"

	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// TestMain knows one goroutine that the client's publisher of objects may
// leave behind when its cleaning overtakes the goroutine's start.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// patience bounds every wait of these tests; nothing takes that long.
const patience = 20 * time.Second

// rig is a server with the streams of the product.
type rig struct {
	t      *testing.T
	dir    string
	listen string
	srv    *embedded.Server
}

// newRig starts a server without a port, or, with listen, with one.
func newRig(t *testing.T, listen string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), listen: listen}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) start() {
	r.t.Helper()
	srv, err := embedded.Start(context.Background(), embedded.Config{Dir: r.dir, Listen: r.listen, Prepare: func(ctx context.Context, s *embedded.Server) error {
		b, err := r.dial(s, "", nil)
		if err != nil {
			return err
		}
		defer b.Close()
		return b.MakeStreams(ctx, 1)
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.srv = srv
	if r.listen != "" { // the same port after a restart
		u, err := url.Parse(srv.URL())
		if err != nil {
			r.t.Fatal(err)
		}
		r.listen = u.Host
	}
}

func (r *rig) stop() {
	r.t.Helper()
	if r.srv == nil {
		return
	}
	if err := r.srv.Close(); err != nil {
		r.t.Error(err)
	}
	r.srv = nil
}

func (r *rig) dial(s *embedded.Server, worker string, log *slog.Logger) (*Bus, error) {
	public, sign, err := s.Nkey()
	if err != nil {
		return nil, err
	}
	cfg := Config{Access: Access{URL: s.URL()}, Name: "test", Worker: worker, Logger: log, Options: []nats.Option{nats.Nkey(public, sign)}}
	if cfg.URL == "" {
		cfg.InProcess = s
	}
	return Connect(context.Background(), cfg)
}

// bus connects; the connection is closed at the test's end.
func (r *rig) bus() *Bus { return r.busFor("", nil) }

func (r *rig) busFor(worker string, log *slog.Logger) *Bus {
	r.t.Helper()
	b, err := r.dial(r.srv, worker, log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(b.Close)
	return b
}

// testManifest is a run of chunks chunks of 100 bars.
func testManifest(id run.ID, chunks int) run.Manifest {
	plan, err := run.NewPlan(int64(100*chunks), chunks, 0, run.OrderTime)
	if err != nil {
		panic(err)
	}
	return run.Manifest{
		Schema: run.Schema, RunID: id, Incarnation: testIncarnation, Session: 1, State: run.StateRunning,
		Data: run.Data{Bars: plan.Bars, SliceBars: 1 << 16}, Plan: plan,
		Engine: footer.EngineBuiltin, LeaseDuration: 10 * time.Second, MaxFailures: 3,
	}
}

const testIncarnation run.Incarnation = "00112233445566778899aabbccddeeff"

func testRun(id run.ID) run.Ref { return run.Ref{ID: id, Incarnation: testIncarnation} }

// okFooter is a valid final footer of a chunk.
func okFooter(m run.Manifest, idx int) footer.Footer {
	bars := m.Plan.Chunk(idx).Bars
	return footer.Footer{
		RunID: string(m.RunID), ChunkID: strconv.Itoa(idx), ChunkIdx: int64(idx), Status: footer.StatusOK, Final: true,
		Schema: footer.Schema, Incarnation: string(m.Incarnation), Attempt: 1, Claim: 7, Seq: 3, Engine: m.Engine, WorkerID: "w",
		FirstBar: bars.First, EndBar: bars.End, PlannedBars: bars.Len(), TotalBars: bars.Len(), BarsProcessed: bars.Len(),
	}
}

// partial is f as an attempt under way reports it.
func partial(f footer.Footer, bars int64) footer.Footer {
	f.Status, f.Final, f.BarsProcessed, f.TotalBars = footer.StatusPartial, false, bars, bars
	return f
}

// claimOf is a claim of a chunk.
func claimOf(m run.Manifest, idx int, worker string) lease.Record {
	return lease.Record{
		State: lease.StateClaimed, RunID: m.RunID, Incarnation: m.Incarnation, ChunkIdx: idx, Session: m.Session,
		Holder: lease.Holder{WorkerID: worker, Host: "h"}, Attempt: 1,
	}
}

// one yields the task of one chunk.
func tasksOf(m run.Manifest, idx ...int) func(func(run.Task) bool) {
	return func(yield func(run.Task) bool) {
		for _, i := range idx {
			if !yield(m.NewTask(i)) {
				return
			}
		}
	}
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// queueOf makes and opens the queue of m's session.
func queueOf(t *testing.T, b *Bus, m run.Manifest) *Queue {
	t.Helper()
	must(t, b.MakeQueue(t.Context(), m.Ref(), m.Session, m.LeaseDuration))
	q, err := b.OpenQueue(t.Context(), m.Ref(), m.Session)
	must(t, err)
	return q
}

// next waits for a task: the server may say for a moment that there is none
// after it has stored one.
func next(t *testing.T, q *Queue) *Delivery {
	t.Helper()
	var d *Delivery
	eventually(t, "a task", func() bool {
		var err error
		d, err = q.Next()
		must(t, err)
		return d != nil
	})
	return d
}

// none wants no task.
func none(t *testing.T, q *Queue) {
	t.Helper()
	d, err := q.Next()
	must(t, err)
	if d != nil {
		t.Fatalf("a task waits: %+v", d.Task)
	}
}

// messages counts what a stream holds.
func messages(t *testing.T, b *Bus, stream string) uint64 {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	must(t, err)
	return s.CachedInfo().State.Msgs
}

// put stores a raw message and returns its sequence.
func put(t *testing.T, b *Bus, m *nats.Msg) uint64 {
	t.Helper()
	ack, err := b.js.PublishMsg(t.Context(), m)
	must(t, err)
	return ack.Sequence
}

// ours is a raw message with the right schema.
func ours(subject string, data []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = data
	m.Header.Set(headerSchema, strconv.Itoa(run.Schema))
	return m
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !f() {
		if !pause(ctx, time.Millisecond) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// receive waits for a value.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("it never came: %s", what)
		panic("unreachable")
	}
}

func encode(t *testing.T, v interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	data, err := v.Encode()
	must(t, err)
	return data
}

// garbage is what may come on any subject beside what belongs there, made
// from a good payload.
func garbage(good []byte) map[string]func(subject string) *nats.Msg {
	raw := func(data []byte) func(string) *nats.Msg {
		return func(s string) *nats.Msg { return ours(s, data) }
	}
	withSchema := func(h string) func(string) *nats.Msg {
		return func(s string) *nats.Msg {
			m := ours(s, good)
			m.Header.Set(headerSchema, h)
			return m
		}
	}
	return map[string]func(string) *nats.Msg{
		"no header": func(s string) *nats.Msg { return &nats.Msg{Subject: s, Data: good} },
		"header in the wrong case": func(s string) *nats.Msg {
			return &nats.Msg{Subject: s, Data: good, Header: nats.Header{"gx1-schema": {strconv.Itoa(run.Schema)}}}
		},
		"schema of tomorrow":  withSchema("2"),
		"schema is no number": withSchema("one"),
		"empty":               raw(nil),
		"truncated":           raw(good[:len(good)/2]),
		"one byte short":      raw(good[:len(good)-1]),
		"bytes follow":        raw(append(append([]byte{}, good...), 0xc0)),
		"text":                raw([]byte("hello")),
		"null":                raw([]byte{0xc0}),
		"a huge list":         raw([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}),
		"a huge map":          raw([]byte{0xdf, 0xff, 0xff, 0xff, 0xff}),
		"a huge text":         raw([]byte{0xdb, 0xff, 0xff, 0xff, 0xff}),
		"oversize":            raw(make([]byte, 900<<10)),
	}
}
