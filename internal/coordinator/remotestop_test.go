package coordinator

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
	"gx1replay/internal/worker"
	"gx1replay/test/keybus"
)

// patientEngine replays nothing until its attempt is ended.
type patientEngine struct{ begun chan struct{} }

func (patientEngine) Name() string            { return footer.EngineBuiltin }
func (patientEngine) Identity() string        { return "" }
func (patientEngine) Fits(run.Manifest) error { return nil }
func (e patientEngine) Replay(ctx context.Context, _ worker.Job, _ func(footer.Footer)) (worker.Result, error) {
	e.begun <- struct{}{}
	<-ctx.Done()
	return worker.Result{Footer: footer.Footer{Phase: footer.PhaseReplay}}, context.Cause(ctx)
}

// A worker in an account of its own ends its chunk once the coordinator has read
// an operator's stop. It does not wait for the manifest, which is written here
// only after the worker's record.
func TestAnOperatorsStopReachesWorkersBeforeTheManifest(t *testing.T) {
	const patience = 20 * time.Second
	k := keybus.Start(t, keybus.Config{})
	dial := func(r access.Role) *bus.Bus {
		b, err := bus.Connect(t.Context(), bus.Config{Access: bus.Access{URL: k.URL(0)}, Name: string(r), Worker: string(r), Options: []nats.Option{k.Key(r)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	lead, root := dial(access.Coordinator), k.ConnectRoot(0)
	if err := lead.MakeStreams(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	hear := func(subject string) chan *nats.Msg {
		c := make(chan *nats.Msg, 1000)
		if _, err := root.ChanSubscribe(subject, c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	await := func(what string, c <-chan *nats.Msg, is func(*nats.Msg) bool) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case m := <-c:
				if is(m) {
					return
				}
			case <-deadline:
				t.Fatalf("%v without this: %s", patience, what)
			}
		}
	}
	records, reads, hints := hear("gx1.progress.r.*"), hear("$JS.API.DIRECT.GET.GX1_STOP.gx1.stop.r"), hear("gx1.wake.r")
	if err := root.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}

	list := testBars(1)
	plan, err := run.NewPlan(int64(len(list)), 1, 0, run.OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	m := run.Manifest{
		Schema: run.Schema, RunID: "r", Incarnation: testIncarnation, Session: 1, State: run.StateRunning, Wakes: true,
		Data: run.Data{SHA256: bars.Digest(list), Bars: plan.Bars, SliceBars: 1 << 16}, Plan: plan, Policy: run.Policy{Content: "none"},
		// So long that nobody reads the stop again on a timer, or misses a consumer.
		Engine: footer.EngineBuiltin, LeaseDuration: time.Hour, MaxFailures: 3,
		Sessions: []run.SessionTimes{{Session: 1, StartedAt: time.Now().UTC()}},
	}
	heard := make(chan run.Stop, 10)
	life := &Life{Bus: lead, Manifest: m, Bars: list, Policy: testPolicy, Logger: slog.New(slog.DiscardHandler), HeardStop: func(s run.Stop) { heard <- s }}
	life.Prepare()
	engine := patientEngine{make(chan struct{}, 10)}
	wk := worker.New(worker.Config{
		Bus: dial(access.Worker), ID: "remote", Host: "h", PID: 1, WorkDir: t.TempDir(), Engine: engine, Logger: slog.New(slog.DiscardHandler),
		Usage: func() (float64, float64, int64) { return 0, 0, 0 },
	})
	work, obey := context.WithCancelCause(t.Context())
	working, dismiss := context.WithCancel(t.Context())
	var owned sync.WaitGroup
	defer owned.Wait()
	defer dismiss()
	defer obey(nil)
	owned.Go(func() {
		if err := life.Run(work, t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	owned.Go(func() {
		if err := wk.Run(working); err != nil {
			t.Error(err)
		}
	})

	select {
	case <-engine.begun:
	case <-time.After(patience):
		t.Fatal("the chunk does not begin")
	}
	// The worker reads the stop twice of itself; what it learns after that it
	// was told.
	for range 2 {
		await("a worker's reading of the stop", reads, func(m *nats.Msg) bool {
			return strings.Contains(m.Header.Get("Nats-Request-Info"), string(access.Workers))
		})
	}
	if _, err := k.Connect(0, access.Operator).Request("gx1.stop.r", []byte("enough"), patience); err != nil {
		t.Fatal(err)
	}
	var stop run.Stop
	select {
	case stop = <-heard: // the life goes on: it obeys when its context ends
	case <-time.After(patience):
		t.Fatal("the coordinator does not hear the stop")
	}
	await("the worker's stopped record", records, func(m *nats.Msg) bool {
		rec, err := lease.Decode(m.Data)
		return err == nil && rec.State == lease.StateStopped && rec.Stop.Seq == stop.Seq && rec.Stop.Reason == "enough"
	})
	if stored, _, err := lead.Manifest(t.Context(), m.RunID); err != nil || stored.State != run.StateRunning {
		t.Errorf("the manifest says %s, %v (want that the run goes on)", stored.State, err)
	}
	obey(run.Stopped{Stop: stop})
	dismiss()
	owned.Wait()
	n := 0
	for len(hints) > 0 {
		if string((<-hints).Data) == "stop" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the coordinator has told the workers of the stop %d times (want once)", n)
	}
}
