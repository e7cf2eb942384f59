package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/worker"
)

// world is a coordinator's life, workers and a bus in one bubble of virtual
// time, with faults on the links between them and a record of every bar that
// an engine stepped over, kept outside of everything that is tested.
type world struct {
	t      *testing.T
	server *embedded.Server
	dir    string
	m      run.Manifest
	life   *Life
	bus    *bus.Bus
	link   *link // of the coordinator

	mu       sync.Mutex
	attempts []*logged
	best     map[int]int64 // chunk → most bars that any record held
	history  []string
	begun    time.Time
	workers  []*crewman
	owned    sync.WaitGroup
}

// logged is one attempt as the engine saw it.
type logged struct {
	worker  string
	chunk   int
	attempt int
	bars    []int64
	last    time.Time
	ended   bool
}

const (
	testLease   = 10 * time.Second
	testBar     = 100 * time.Millisecond
	testChunk   = 10 // bars
	testPatient = 20 * time.Minute
)

// testIncarnation is that of every run of these tests.
const testIncarnation run.Incarnation = "00112233445566778899aabbccddeeff"

// newWorld prepares a run of the given number of chunks on srv.
func newWorld(t *testing.T, srv *embedded.Server, dir string, id run.ID, chunks int) *world {
	t.Helper()
	w := &world{t: t, server: srv, dir: dir, best: map[int]int64{}, begun: time.Now()}
	list := testBars(chunks)
	plan, err := run.NewPlan(int64(len(list)), chunks, 0, run.OrderSpread)
	if err != nil {
		t.Fatal(err)
	}
	w.m = run.Manifest{
		Schema: run.Schema, RunID: id, Incarnation: testIncarnation, Session: 1, State: run.StateRunning, Wakes: true,
		Data:   run.Data{SHA256: bars.Digest(list), Bars: int64(len(list)), SliceBars: 1 << 16},
		Plan:   plan,
		Policy: run.Policy{Content: "none"},
		Engine: footer.EngineBuiltin, LeaseDuration: testLease, MaxFailures: 3,
		Sessions: []run.SessionTimes{{Session: 1, StartedAt: time.Now().UTC()}},
	}
	w.link = &link{world: w}
	if w.bus, err = dial(t.Context(), srv, w.link, "coordinator"); err != nil {
		t.Fatal(err)
	}
	w.life = &Life{Bus: w.bus, Manifest: w.m, Bars: list, Policy: testPolicy, Logger: slog.New(slog.DiscardHandler)}
	w.life.Prepare()
	return w
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf("%9.3fs ", time.Since(w.begun).Seconds())+fmt.Sprintf(format, args...))
}

// result is how a life ended.
type result struct {
	stop    run.Stop
	stopped bool
	err     error
	drained bool // before the drain's deadline
	at      time.Time
}

// live runs the life as the watchdog does: a stop ends its work, and a
// deadline its drain.
func (w *world) live(ctx context.Context, drainFor time.Duration) result {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	drain, over := context.WithCancel(ctx)
	defer over()
	var r result
	var mu sync.Mutex
	w.life.HeardStop = func(s run.Stop) {
		mu.Lock()
		defer mu.Unlock()
		if !r.stopped {
			r.stop, r.stopped = s, true
			w.note("the coordinator obeys a stop (%s)", s.Source)
			stop(run.Stopped{Stop: s})
			time.AfterFunc(drainFor, over)
		}
	}
	err := w.life.Run(work, drain)
	mu.Lock()
	defer mu.Unlock()
	r.err, r.drained, r.at = err, drain.Err() == nil, time.Now()
	w.note("the life ended: %v", err)
	return r
}

// crewman is one worker process.
type crewman struct {
	id     string
	link   *link
	cancel context.CancelCauseFunc
	dead   bool
	engine *fakeEngine
}

// running is the server as it runs now, nil while it is down.
func (w *world) running() *embedded.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server
}

// outage takes the server down for d, as a clean restart does. What else is to
// happen to its files is done while it is down.
func (w *world) outage(d time.Duration, meanwhile ...func()) {
	w.t.Helper()
	w.note("the server goes down for %v", d)
	srv := w.running()
	w.mu.Lock()
	w.server = nil
	w.mu.Unlock()
	if err := srv.Close(); err != nil {
		w.t.Fatal(err)
	}
	for _, f := range meanwhile {
		f()
	}
	<-time.After(d)
	srv = startBus(w.t, w.dir)
	w.mu.Lock()
	w.server = srv
	w.mu.Unlock()
	w.note("the server is back")
}

// hire starts a worker.
func (w *world) hire(id string, script func(chunk, attempt int) script) *crewman {
	return w.hireSlots(id, 1, script)
}

// hireSlots starts a worker with several slots.
func (w *world) hireSlots(id string, slots int, script func(chunk, attempt int) script) *crewman {
	return w.hireOver(&link{world: w}, id, slots, script)
}

// hireOver starts a worker whose connections go over l.
func (w *world) hireOver(l *link, id string, slots int, script func(chunk, attempt int) script) *crewman {
	c := &crewman{id: id, link: l}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	c.engine = &fakeEngine{w: w, id: id, script: script}
	only := w.m.RunID
	w.mu.Lock()
	w.workers = append(w.workers, c)
	w.mu.Unlock()
	w.owned.Go(func() {
		defer cancel(nil)
		var b *bus.Bus
		for b == nil {
			var err error
			if b, err = dial(ctx, w.running(), c.link, id); err != nil && !pause(ctx, time.Second) {
				return
			}
		}
		defer b.Close()
		wk := worker.New(worker.Config{
			Bus: b, ID: id, Host: "test", PID: 1, Slots: slots, Run: only, WorkDir: filepath.Join(w.dir, "work", id),
			Engine: c.engine, Logger: slog.New(slog.DiscardHandler),
			Usage: func() (float64, float64, int64) { return 0, 0, 0 },
		})
		if err := wk.Run(ctx); err != nil && ctx.Err() == nil {
			w.t.Errorf("worker %s: %v", id, err)
		}
	})
	return c
}

// crash cuts the worker off for good, as a kill -9 would.
func (w *world) crash(c *crewman) {
	w.note("%s crashes", c.id)
	w.mu.Lock()
	c.dead = true
	w.mu.Unlock()
	c.link.destroy()
	c.cancel(worker.ErrOrphaned)
}

// dismiss tells a worker to go in order.
func (w *world) dismiss(c *crewman) {
	w.note("%s is told to go", c.id)
	c.cancel(worker.ErrShutdown)
}

// close ends everything that the world started.
func (w *world) close() {
	for _, c := range w.workers {
		c.link.restore()
		c.cancel(worker.ErrOrphaned)
	}
	w.owned.Wait()
	// What stays of a run would slow down all later ones.
	if w.bus.Connected() {
		if err := w.bus.DropQueue(w.t.Context(), w.m.Ref(), w.m.Session); err != nil {
			w.t.Error(err)
		}
	}
	w.bus.Close()
	os.RemoveAll(filepath.Join(w.dir, "work"))
}

// script is what an attempt does.
type script struct {
	failAt  int // bar of the chunk at which it fails with an error; 0: never
	panicAt int
	hangAt  int // bar at which nothing moves any more until it is ended
	pace    time.Duration
	lie     bool // what it reports contradicts itself
}

// fakeEngine steps over bars in virtual time and logs each outside.
type fakeEngine struct {
	w      *world
	id     string
	script func(chunk, attempt int) script
}

func (*fakeEngine) Name() string            { return footer.EngineBuiltin }
func (*fakeEngine) Identity() string        { return "" }
func (*fakeEngine) Fits(run.Manifest) error { return nil }

var errScripted = errors.New("an error by the script")

func (e *fakeEngine) Replay(ctx context.Context, job worker.Job, report func(footer.Footer)) (worker.Result, error) {
	var s script
	if e.script != nil {
		s = e.script(job.Chunk.Idx, job.Attempt)
	}
	if s.pace == 0 {
		s.pace = testBar
	}
	l := e.w.begin(e.id, job)
	defer e.w.end(l)
	f := footer.Footer{Phase: footer.PhaseReplay}
	for bar := job.Chunk.Bars.First; bar < job.Chunk.Bars.End; bar++ {
		if !pause(ctx, s.pace) {
			return worker.Result{Footer: f}, context.Cause(ctx)
		}
		switch n := int(bar-job.Chunk.Bars.First) + 1; n {
		case s.failAt:
			return worker.Result{Footer: f}, errScripted
		case s.panicAt:
			panic("by the script")
		case s.hangAt:
			<-ctx.Done()
			return worker.Result{Footer: f}, context.Cause(ctx)
		}
		e.w.step(l, bar)
		f.BarsProcessed++
		f.TotalBars++
		if s.lie {
			f.NModelCalls = f.TotalBars + 1
		}
		report(f)
	}
	return worker.Result{Footer: f}, nil
}

func (w *world) begin(id string, job worker.Job) *logged {
	w.note("%s begins chunk %d, attempt %d", id, job.Chunk.Idx, job.Attempt)
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &logged{worker: id, chunk: job.Chunk.Idx, attempt: job.Attempt, last: time.Now()}
	w.attempts = append(w.attempts, l)
	return l
}

func (w *world) step(l *logged, bar int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.bars = append(l.bars, bar)
	l.last = time.Now()
}

func (w *world) end(l *logged) {
	w.note("%s ends chunk %d, attempt %d, after %d bars", l.worker, l.chunk, l.attempt, len(l.bars))
	w.mu.Lock()
	defer w.mu.Unlock()
	l.ended = true
	l.last = time.Now()
}

// chunks and tally are what the coordinator would export now.
func (w *world) chunks() []perf.Chunk {
	list, _ := w.life.board.snapshot()
	return list
}

func (w *world) tally() tally {
	_, t := w.life.board.snapshot()
	return t
}

// judge holds the coordinator's snapshot against what engines really did.
func (w *world) judge(r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.t
	for _, c := range w.chunks() {
		f := c.Line.Footer()
		if c.Line.IsZero() {
			continue
		}
		var mine *logged
		for _, l := range w.attempts {
			if l.chunk == c.Idx && l.attempt == int(f.Attempt) && l.worker == f.WorkerID {
				mine = l
			}
		}
		if mine == nil {
			if f.BarsProcessed > 0 {
				t.Errorf("chunk %d: %d bars of attempt %d by %s, which no engine made", c.Idx, f.BarsProcessed, f.Attempt, f.WorkerID)
			}
			continue
		}
		if int(f.BarsProcessed) > len(mine.bars) {
			t.Errorf("chunk %d: %d bars reported, %d stepped over", c.Idx, f.BarsProcessed, len(mine.bars))
		}
		for i, bar := range mine.bars {
			if want := w.m.Plan.Chunk(c.Idx).Bars.First + int64(i); bar != want {
				t.Errorf("chunk %d: bar %d stepped over in place of %d", c.Idx, bar, want)
			}
		}
		if c.Status == footer.StatusOK && int64(len(mine.bars)) != c.Planned {
			t.Errorf("chunk %d is ok with %d of %d bars", c.Idx, len(mine.bars), c.Planned)
		}
		if r.stopped && r.drained && c.Status == footer.StatusStopped && w.sound(mine.worker) && int(f.BarsProcessed) != len(mine.bars) {
			t.Errorf("chunk %d: %s, %d bars reported, %d stepped over: measured and lost", c.Idx, c.Status, f.BarsProcessed, len(mine.bars))
		}
	}
	if !r.stopped || !r.drained {
		return
	}
	for _, l := range w.attempts {
		if w.sound(l.worker) && l.last.After(r.at) && len(l.bars) > 0 {
			t.Errorf("schedule 1: %s stepped over bars of chunk %d after the drain had ended", l.worker, l.chunk)
		}
	}
}

// sound reports whether the worker's link never failed.
func (w *world) sound(id string) bool {
	for _, c := range w.workers {
		if c.id == id {
			return !c.dead && !c.link.everBroken()
		}
	}
	return false
}

// publishStop does what a plain `nats pub` does.
func (w *world) publishStop(reason string) error {
	public, sign, err := w.server.Nkey()
	if err != nil {
		return err
	}
	nc, err := nats.Connect("", nats.InProcessServer(w.server), nats.Nkey(public, sign))
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.Publish(bus.StopSubject(w.m.RunID), []byte(reason)); err != nil {
		return err
	}
	return nc.Flush()
}
