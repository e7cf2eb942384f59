package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// hall is a bus with workers that have nothing to do, in virtual time.
type hall struct {
	t     *testing.T
	b     *bus.Bus
	asked atomic.Int64 // requests to the server
	begun chan time.Time
}

// newHall starts so many workers with so many slots each on a bus with streams
// or without.
func newHall(t *testing.T, workers, slots int, streams bool, prepare func(*testing.T, *bus.Bus)) *hall {
	t.Helper()
	h := &hall{t: t, begun: make(chan time.Time, 10_000)}
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	must(t, err)
	public, sign, err := srv.Nkey()
	must(t, err)
	dial := func(name string) *bus.Bus {
		b, err := bus.Connect(t.Context(), bus.Config{InProcess: srv, Name: name, Worker: name, Options: []nats.Option{nats.Nkey(public, sign)}})
		must(t, err)
		return b
	}
	h.b = dial("coordinator")
	if streams {
		must(t, h.b.MakeStreams(t.Context(), 1))
		prepare(t, h.b)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var owned sync.WaitGroup
	for i := range workers {
		b := dial(fmt.Sprint("w", i))
		wk := New(Config{
			Bus: b, ID: fmt.Sprint("w", i), Host: "h", Slots: slots, WorkDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
			Engine: engineFunc(func(ctx context.Context, _ func(footer.Footer)) (Result, error) {
				h.begun <- time.Now()
				return Result{Footer: counted(10)}, nil
			}),
			Usage: func() (float64, float64, int64) { return 0, 0, 0 },
		})
		owned.Go(func() {
			defer b.Close()
			if err := wk.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	raw, err := nats.Connect("", nats.InProcessServer(srv), nats.Nkey(public, sign))
	must(t, err)
	for _, subject := range []string{"$JS.API.>", "$JS.ACK.>", "gx1.>"} {
		_, err := raw.Subscribe(subject, func(*nats.Msg) { h.asked.Add(1) })
		must(t, err)
	}
	must(t, raw.Flush())
	t.Cleanup(func() {
		cancel(ErrShutdown)
		owned.Wait()
		raw.Close()
		h.b.Close()
		must(t, srv.Close())
	})
	return h
}

// openRun stores run id, which has so many chunks and no task.
func openRun(t *testing.T, b *bus.Bus, id string, chunks int, wakes bool) run.Manifest {
	t.Helper()
	m := idleManifest(t, id, chunks)
	m.Wakes = wakes
	_, err := b.StoreManifest(t.Context(), m, 0)
	must(t, err)
	must(t, b.MakeQueue(t.Context(), m.Ref(), 1, m.LeaseDuration))
	return m
}

// finishedRuns stores so many runs that are over.
func finishedRuns(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	for i := range n {
		m := idleManifest(t, fmt.Sprint("f", i), 1)
		m.State = run.StateExported
		_, err := b.StoreManifest(t.Context(), m, 0)
		must(t, err)
	}
}

func idleManifest(t *testing.T, id string, chunks int) run.Manifest {
	t.Helper()
	m := run.Manifest{
		Schema: run.Schema, RunID: run.ID(id), Incarnation: benchIncarnation, Session: 1, State: run.StateRunning, Engine: footer.EngineBuiltin,
		Data: run.Data{Bars: int64(10 * chunks), SliceBars: 10}, LeaseDuration: 10 * time.Second, MaxFailures: 3,
	}
	var err error
	m.Plan, err = run.NewPlan(m.Data.Bars, chunks, 0, run.OrderTime)
	must(t, err)
	return m
}

// Idle workers cost the server next to nothing, whatever it has: 2.5 requests
// per worker and minute are 2,500 of a thousand workers.
func TestIdleWorkersAskSeldom(t *testing.T) {
	runs := func(n int, wakes bool) func(*testing.T, *bus.Bus) {
		return func(t *testing.T, b *bus.Bus) {
			for i := range n {
				openRun(t, b, fmt.Sprint("r", i), 1, wakes)
			}
		}
	}
	finished := func(t *testing.T, b *bus.Bus) { finishedRuns(t, b, 1000) }
	// Notes on a run are written, and it is read, each NoteEvery.
	unserved := func(t *testing.T, b *bus.Bus) {
		finished(t, b)
		m := idleManifest(t, "unserved", 1)
		m.EngineVersion = 1000
		_, err := b.StoreManifest(t.Context(), m, 0)
		must(t, err)
	}
	for name, c := range map[string]struct {
		workers, slots int
		streams        bool
		prepare        func(*testing.T, *bus.Bus)
		most           float64 // per worker and minute
	}{
		"no streams":          {10, 1, false, nil, 2.5},
		"no run":              {10, 1, true, func(*testing.T, *bus.Bus) {}, 2.5},
		"20 open runs":        {10, 1, true, runs(20, true), 2.5},
		"100 slots, one run":  {1, 100, true, runs(1, true), 2.5},
		"it wakes no workers": {1, 100, true, runs(1, false), 65}, // of an earlier version
		"1,000 finished runs": {5, 1, true, finished, 2.5},
		"a run is not served": {5, 1, true, unserved, 2.5 + 2*60/NoteEvery.Seconds()},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "no run" && name != "100 slots, one run" {
				testsize.All(t)
			}
			bubble(t, func(t *testing.T) {
				h := newHall(t, c.workers, c.slots, c.streams, c.prepare)
				const settle, measured = 2 * time.Minute, 20 * time.Minute
				<-time.After(settle)
				before := h.asked.Load()
				<-time.After(measured)
				got := float64(h.asked.Load()-before) / float64(c.workers) / measured.Minutes()
				t.Logf("%.2f requests per worker and minute", got)
				if got > c.most {
					t.Errorf("%.2f requests per worker and minute (want at most %.1f)", got, c.most)
				}
			})
		})
	}
}

// Workers hear of a run before it is stored: they read it until it is.
func TestARunThatIsHeardBeforeItIsStored(t *testing.T) {
	x := newBench(t)
	w := x.a.w
	m := idleManifest(t, "early", 1)
	w.noteChange(m.RunID, &m)
	if again := w.readChanged(t.Context()); again != storeFirst {
		t.Errorf("it is read again after %v (want %v)", again, storeFirst)
	}
	if again := w.readChanged(t.Context()); again != 2*storeFirst {
		t.Errorf("it is read again after %v (want %v)", again, 2*storeFirst)
	}
	_, err := w.cfg.Bus.StoreManifest(t.Context(), m, 0)
	must(t, err)
	if again := w.readChanged(t.Context()); again != 0 || len(w.open()) != 1 {
		t.Errorf("%d runs are served, read again after %v (want the run, and no more readings)", len(w.open()), again)
	}
	// What the bus refused never comes.
	m.Session = 2
	w.noteChange(m.RunID, &m)
	n := 0
	for w.readChanged(t.Context()) > 0 {
		n++
	}
	if n != storeTries || len(w.open()) != 1 {
		t.Errorf("%d readings more, %d runs (want %d, and the run as it was)", n, len(w.open()), storeTries)
	}
}

// A copy of the runs that lags behind may not have a run that another had: it is
// served again once they have it.
func TestARunThatWasGoneForAMoment(t *testing.T) {
	x := newBench(t)
	w := x.a.w
	must(t, w.readRuns(t.Context()))
	if len(w.open()) != 1 {
		t.Fatal("the run is not served")
	}
	w.gone("r")
	if len(w.open()) != 0 {
		t.Fatal("a run that is gone is served")
	}
	must(t, w.readSince(t.Context(), w.lastRead))
	if len(w.open()) != 1 {
		t.Error("the run is not found again by what was written since")
	}
}

// A task is taken soon after it was published, when all workers have long been
// idle.
func TestAWokenWorkerTakesATaskSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tasks := testsize.Of(t, 3, 9)
		var m run.Manifest
		h := newHall(t, 20, 2, true, func(t *testing.T, b *bus.Bus) { m = openRun(t, b, "r", tasks, true) })
		var took []time.Duration
		for idx := range tasks {
			<-time.After(10 * time.Minute)
			published := time.Now()
			must(t, h.b.PublishTasks(t.Context(), func(yield func(run.Task) bool) { yield(m.NewTask(idx)) }))
			must(t, h.b.Wake(m.RunID, 20))
			took = append(took, (<-h.begun).Sub(published))
		}
		slices.Sort(took)
		t.Logf("taken after %v", took)
		if median := took[len(took)/2]; median > 100*time.Millisecond {
			t.Errorf("taken after %v (want 100ms at most)", median)
		}
	})
}
