package coordinator

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

func TestMain(m *testing.M) {
	// The server's clock for access times must not be started in a bubble.
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		// The client's publisher of objects may leave this goroutine behind
		// when its cleaning overtakes the goroutine's start.
		known := goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect")
		if err := goleak.Find(known); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// bubble runs f in virtual time with a bus.
func bubble(t *testing.T, f func(t *testing.T, newRun func(chunks int) *world)) {
	t.Helper()
	dir := t.TempDir()
	// Objects are stored outside: the client's goroutine for it can outlive
	// its connection, for which a bubble does not forgive.
	emptyPools()
	storeObjects(t, dir)
	emptyPools()
	synctest.Test(t, func(t *testing.T) {
		srv := startBus(t, dir)
		var last *world
		n := 0
		f(t, func(chunks int) *world {
			if last != nil {
				srv = last.running()
			}
			n++
			last = newWorld(t, srv, dir, run.ID("r"+strconv.Itoa(n)), chunks)
			return last
		})
		if err := last.running().Close(); err != nil {
			t.Error(err)
		}
	})
}

// emptyPools empties the process's sync.Pools, which takes two collections:
// the client keeps timers in one, and a timer made in a bubble must not be
// used outside of it.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// TestRandomSchedules draws schedules of workers that come, go, crash, hang,
// fail and lose their links, with or without a stop, and judges each from
// outside. GX1R_SCHEDULES sets their number, GX1R_SEED the first seed.
func TestRandomSchedules(t *testing.T) {
	n, first := uint64(100), uint64(1)
	if testing.Short() {
		n = 40
	}
	if v, err := strconv.ParseUint(os.Getenv("GX1R_SCHEDULES"), 10, 64); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("GX1R_SEED"), 10, 64); err == nil {
		first = v
	}
	const perBubble = 25
	for from := first; from < first+n; from += perBubble {
		to := min(from+perBubble, first+n)
		t.Run(fmt.Sprintf("seeds %d to %d", from, to-1), func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				for seed := from; seed < to && !t.Failed(); seed++ {
					schedule(t, newRun, seed)
				}
			})
		})
	}
}

func schedule(t *testing.T, newRun func(int) *world, seed uint64) {
	r := newRand(seed)
	w := newRun(1 + r.IntN(8))
	w.note("seed %d: %d chunks", seed, w.m.Plan.Chunks)
	faults := 0 // that may cost an attempt
	roll := func(p float64) bool { return r.Float64() < p }
	badChunks := map[int]script{}
	if roll(0.3) {
		bad := script{}
		switch r.IntN(3) {
		case 0:
			bad.failAt = 1 + r.IntN(testChunk)
		case 1:
			bad.panicAt = 1 + r.IntN(testChunk)
		case 2:
			bad.failAt = 1
		}
		faults++
		badChunks[r.IntN(w.m.Plan.Chunks)] = bad
	}
	poison := roll(0.3)
	play := func(chunk, attempt int) script {
		if s, ok := badChunks[chunk]; ok && (poison || attempt == 1) {
			return s
		}
		return script{}
	}
	seen, endSeen := w.follow()
	crew := 1 + r.IntN(4)
	for i := range crew {
		w.hire(fmt.Sprintf("w%d", i), play)
	}
	ended := make(chan result, 1)
	go func() { ended <- w.live(t.Context(), 8*time.Second) }()

	var res result
	over := false
	for step := 0; !over; step++ {
		if time.Since(w.begun) > testPatient {
			w.fail(seed, "the run has not ended within %v", testPatient)
			return
		}
		timer := time.NewTimer(time.Duration(1+r.IntN(3000)) * time.Millisecond)
		select {
		case res = <-ended:
			over = true
			continue
		case <-timer.C:
		}
		if step > 12 {
			continue // faults end, so that the run can
		}
		c := w.workers[r.IntN(len(w.workers))]
		switch p := r.Float64(); {
		case p < 0.10:
			w.crash(c)
			faults++
			w.hire(fmt.Sprintf("w%d", len(w.workers)), play)
		case p < 0.20:
			w.dismiss(c)
			w.hire(fmt.Sprintf("w%d", len(w.workers)), play)
		case p < 0.35:
			w.note("%s: its connection is cut", c.id)
			c.link.cut()
		case p < 0.45:
			d := time.Duration(r.IntN(20_000)) * time.Millisecond
			w.note("%s: its link stalls for %v", c.id, d)
			c.link.stall()
			if d > testLease/2 {
				faults++
			}
			time.AfterFunc(d, c.link.mend)
		case p < 0.50 && !res.stopped:
			w.note("a stop is published")
			if err := w.publishStop("enough"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if res.err != nil && !res.stopped {
		w.fail(seed, "the life ended with %v", res.err)
	}
	<-time.After(time.Second) // what still moves shows itself
	endSeen()
	<-seen
	w.judge(res)
	for _, c := range w.chunks() {
		switch {
		case res.stopped:
		case c.Status == footer.StatusOK:
		case c.Status == footer.StatusFailed && faults > 0:
		default:
			t.Errorf("chunk %d ended as %s in a run that was not stopped", c.Idx, c.Status)
		}
	}
	if n := w.tally().failures; faults == 0 && n > 0 {
		t.Errorf("%d failures in a schedule without faults", n)
	}
	w.close()
	if t.Failed() {
		w.fail(seed, "see above")
	}
}

// fail prints what reproduces a schedule.
func (w *world) fail(seed uint64, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Errorf("seed %d: %s\nagain with GX1R_SEED=%d GX1R_SCHEDULES=1\n%s", seed, fmt.Sprintf(format, args...), seed, strings.Join(w.history, "\n"))
}
