package worker

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a bus with one run of one chunk, whose task is in hand.
type bench struct {
	t   *testing.T
	b   *bus.Bus
	raw *nats.Conn // for what the bus does not say
	m   run.Manifest
	a   *attempt
}

// stillEngine replays nothing; the tests of a claim never get that far.
type stillEngine struct{}

func (stillEngine) Name() string            { return footer.EngineBuiltin }
func (stillEngine) Identity() string        { return "" }
func (stillEngine) Fits(run.Manifest) error { return nil }
func (stillEngine) Replay(ctx context.Context, _ Job, _ func(footer.Footer)) (Result, error) {
	<-ctx.Done()
	return Result{}, context.Cause(ctx)
}

// benchIncarnation is that of the bench's run.
const benchIncarnation run.Incarnation = "00112233445566778899aabbccddeeff"

// newBench is a bench whose run has ten bars.
func newBench(t *testing.T) *bench {
	t.Helper()
	return benchOf(t, run.Manifest{RunID: "r", Incarnation: benchIncarnation, Data: run.Data{Bars: 10, SliceBars: 10}})
}

// benchOf is a bench for m, of which run and data are given.
func benchOf(t *testing.T, m run.Manifest) *bench {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, srv.Close()) })
	public, sign, err := srv.Nkey()
	must(t, err)
	b, err := bus.Connect(t.Context(), bus.Config{InProcess: srv, Name: "test", Worker: "w1", Options: []nats.Option{nats.Nkey(public, sign)}})
	must(t, err)
	t.Cleanup(b.Close)
	raw, err := nats.Connect("", nats.InProcessServer(srv), nats.Nkey(public, sign))
	must(t, err)
	t.Cleanup(raw.Close)
	must(t, b.MakeStreams(t.Context(), 1))
	m.Plan, err = run.NewPlan(m.Data.Bars, 1, 0, run.OrderTime)
	must(t, err)
	m.Schema, m.Session, m.State, m.Engine = run.Schema, 1, run.StateRunning, footer.EngineBuiltin
	m.LeaseDuration, m.MaxFailures = 2*time.Second, 3
	_, err = b.StoreManifest(t.Context(), m, 0)
	must(t, err)
	must(t, b.PublishTasks(t.Context(), func(yield func(run.Task) bool) { yield(m.NewTask(0)) }))
	must(t, b.MakeQueue(t.Context(), m.Ref(), 1, m.LeaseDuration))
	x := &bench{t: t, b: b, raw: raw, m: m}
	x.a = x.attempt("w1", stillEngine{})
	return x
}

// attempt takes the chunk's task for a worker of that name.
func (x *bench) attempt(name string, e Engine) *attempt {
	x.t.Helper()
	q, err := x.b.OpenQueue(x.t.Context(), x.m.Ref(), 1)
	must(x.t, err)
	var d *bus.Delivery
	for d == nil {
		d, err = q.Next()
		must(x.t, err)
		if d == nil && !pause(x.t.Context(), 10*time.Millisecond) {
			x.t.Fatal("no task came")
		}
	}
	w := New(Config{
		Bus: x.b, ID: name, Host: "h", Slots: 1, WorkDir: x.t.TempDir(), Engine: e, Logger: slog.New(slog.DiscardHandler),
		Usage: func() (float64, float64, int64) { return 0, 0, 0 },
	})
	s := &session{m: x.m}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	x.t.Cleanup(func() { s.cancel(nil) })
	return &attempt{w: w, s: s, d: d, chunk: x.m.Plan.Chunk(0), log: w.log}
}

// claimRecord is the claim that the bench's worker would make now.
func (x *bench) claimRecord() lease.Record {
	x.t.Helper()
	del, _, err := x.a.situation(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	dec := lease.Decide(del)
	if dec.Action != lease.Claim {
		x.t.Fatalf("the rules say %q (want a claim)", dec.Action)
	}
	return dec.Next
}

func (x *bench) record() (*lease.Record, uint64) {
	x.t.Helper()
	r, seq, err := x.b.Lease(x.t.Context(), "r", 0)
	if err != nil {
		x.t.Fatal(err)
	}
	return r, seq
}

func TestSchedule01_StopBetweenDeliveryAndClaim(t *testing.T) {
	x := newBench(t)
	next := x.claimRecord()
	// The coordinator obeys a stop: tasks purged, consumer deleted.
	if err := x.b.PurgeTasks(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if err := x.b.DropQueue(t.Context(), x.m.Ref(), 1); err != nil {
		t.Fatal(err)
	}
	if x.a.take(t.Context(), next, 0) {
		t.Error("the chunk was claimed after the stop was obeyed")
	}
	if r, _ := x.record(); r != nil {
		t.Errorf("a record is stored: %+v", r)
	}
}

func TestSchedule09_AdoptedClaimIsWrittenOverAtOnce(t *testing.T) {
	x := newBench(t)
	next := x.claimRecord()
	// The claim was stored, its answer lost.
	first, err := x.b.StoreLease(t.Context(), next, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !x.a.take(t.Context(), next, 0) {
		t.Fatal("our own claim was taken for another's")
	}
	r, seq := x.record()
	if seq <= first || x.a.seq != seq || r.State != lease.StateClaimed || r.Claim != first {
		t.Errorf("record %+v at %d, held at %d (want it written again after %d, with that as its token)", r, seq, x.a.seq, first)
	}
}

func TestSchedule10_ToldToGoWithAClaimOfUnknownOutcome(t *testing.T) {
	x := newBench(t)
	next := x.claimRecord()
	if _, err := x.b.StoreLease(t.Context(), next, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	// SIGTERM comes as the adopted claim is written.
	stop, err := x.b.ListenStops("", func(context.Context, bus.HeardStop) {})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	follow, end := context.WithCancel(t.Context())
	defer end()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if err := x.b.Follow(follow, x.m, onLease(func(r *lease.Record) {
			if r.Claim != 0 {
				cancel(ErrShutdown)
			}
		})); follow.Err() == nil {
			t.Errorf("following: %v", err)
		}
	}()
	took := x.a.take(ctx, next, 0)
	if took {
		// The signal came a moment later: the attempt ends by its usual way.
		<-ctx.Done()
		x.a.started = time.Now()
		x.a.finish(t.Context(), ctx, outcome{err: context.Cause(ctx)})
	}
	r, _ := x.record()
	if r.State != lease.StateReleased || r.Failures != 0 || r.Releases != 1 {
		t.Errorf("record %s, failures %d, releases %d (want released, none, one)", r.State, r.Failures, r.Releases)
	}
	end()
	<-followed
}

type onLease func(*lease.Record)

func (f onLease) TakeLease(r *lease.Record, _ uint64)    { f(r) }
func (onLease) TakeFooter(*footer.Footer, uint64)        {}
func (onLease) Rewound(bool)                             {}
func (onLease) TakeRefused(int, bool, *bus.RefusedError) {}

func TestOwnLateWriteIsAdopted(t *testing.T) {
	x := newBench(t)
	if !x.a.take(t.Context(), x.claimRecord(), 0) {
		t.Fatal("not claimed")
	}
	x.a.started = time.Now()
	f := x.a.report(&footer.Footer{BarsProcessed: 3, TotalBars: 3}, footer.StatusPartial)
	// A write whose answer was lost moves the record on under us.
	if _, err := x.b.StoreLease(t.Context(), x.a.rec.Renewed(f), x.a.seq); err != nil {
		t.Fatal(err)
	}
	if err := x.a.renew(t.Context(), f); err != nil {
		t.Errorf("our own late write was taken for a lost lease: %v", err)
	}
}

func TestAnotherClaimMeansTheLeaseIsLost(t *testing.T) {
	x := newBench(t)
	if !x.a.take(t.Context(), x.claimRecord(), 0) {
		t.Fatal("not claimed")
	}
	other := x.a.rec
	other.Holder.WorkerID, other.Attempt = "w2", other.Attempt+1
	if _, err := x.b.StoreLease(t.Context(), other, x.a.seq); err != nil {
		t.Fatal(err)
	}
	if err := x.a.renew(t.Context(), nil); !errors.Is(err, errLeaseLost) {
		t.Errorf("renewing over another's claim: %v (want errLeaseLost)", err)
	}
	if r, _ := x.record(); r.Holder.WorkerID != "w2" {
		t.Errorf("the other's claim was written over by %s", r.Holder.WorkerID)
	}
}

func TestWatcherMayEndAnAttemptInItsName(t *testing.T) {
	x := newBench(t)
	if !x.a.take(t.Context(), x.claimRecord(), 0) {
		t.Fatal("not claimed")
	}
	ended := x.a.rec
	ended.State = lease.StateExhausted
	if _, err := x.b.StoreLease(t.Context(), ended, x.a.seq); err != nil {
		t.Fatal(err)
	}
	if err := x.a.renew(t.Context(), nil); !errors.Is(err, errLeaseLost) {
		t.Errorf("renewing an attempt that a watcher ended: %v (want errLeaseLost)", err)
	}
}

// TestInvariant1_WatchIsAWholeLease: a claim that stays as it is is watched
// for one whole lease, one that is renewed is let be.
func TestInvariant1_WatchIsAWholeLease(t *testing.T) {
	x := newBench(t)
	other := x.claimRecord()
	other.Holder.WorkerID = "w2"
	seq, err := x.b.StoreLease(t.Context(), other, 0)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if x.a.watch(t.Context(), seq) != watchHeld {
		t.Error("a record that did not change was not watched to the end")
	}
	if took := time.Since(begun); took < x.m.LeaseDuration {
		t.Errorf("watched for %v (want at least the lease, %v)", took, x.m.LeaseDuration)
	}
	// The holder renews in mid-watch.
	renewed := make(chan error, 1)
	time.AfterFunc(x.m.LeaseDuration/2, func() {
		_, err := x.b.StoreLease(context.Background(), other.Renewed(nil), seq)
		renewed <- err
	})
	if x.a.watch(t.Context(), seq) != watchChanged {
		t.Error("a record that was renewed was taken for silent")
	}
	if err := <-renewed; err != nil {
		t.Fatal(err)
	}
}
