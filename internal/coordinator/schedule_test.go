package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/test/testsize"
)

const (
	// perBubble is how many schedules share a server: setting one up costs as
	// much as a few schedules.
	perBubble = 250
	// worthParts is from how many schedules on several processes pay.
	worthParts = 2 * perBubble
	// partEnv is set in those processes, so that they start none themselves.
	partEnv = "GX1TEST_SCHEDULES_PART"
)

// TestRandomSchedules draws schedules of workers that come, go, crash, hang,
// fail and lose their links, of coordinators that are killed and resumed, with
// or without stops, and judges each from outside. GX1R_SCHEDULES sets their number, GX1R_SEED the first seed.
func TestRandomSchedules(t *testing.T) {
	n, first := testsize.Of[uint64](t, 16, 100), uint64(1)
	if v, err := strconv.ParseUint(os.Getenv("GX1R_SCHEDULES"), 10, 64); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("GX1R_SEED"), 10, 64); err == nil {
		first = v
	}
	if parts := runtime.NumCPU(); n >= worthParts && os.Getenv(partEnv) == "" {
		scheduleParts(t, first, n, uint64(parts))
		return
	}
	for from := first; from < first+n; from += perBubble {
		to := min(from+perBubble, first+n)
		t.Run(fmt.Sprintf("seeds %d to %d", from, to-1), func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				var eye *observer
				for seed := from; seed < to && !t.Failed(); seed++ {
					r := rand.New(rand.NewPCG(seed, 0x6778315f))
					w := newRun(1 + r.IntN(maxTestChunks))
					if eye == nil {
						eye = observe(t, w.server)
						defer eye.close()
					}
					schedule(t, w, eye, seed, r)
				}
			})
		})
	}
}

// schedule draws one schedule from r, plays it and judges it.
func schedule(t *testing.T, w *world, eye *observer, seed uint64, r *rand.Rand) {
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
	eye.watch(w)
	crew := 1 + r.IntN(4)
	for i := range crew {
		w.hire(fmt.Sprintf("w%d", i), play)
	}
	c := w.launch(8 * time.Second)
	resume := func(exported perf.Report) {
		// What is stored between the two is not watched.
		eye.watch(nil)
		w.resume(exported, nil)
		eye.watch(w)
		c = w.launch(8 * time.Second)
	}
	var res result
	over := false
	for step := 0; !over; step++ {
		if time.Since(w.begun) > testPatient {
			w.fail(seed, "the run has not ended within %v", testPatient)
			return
		}
		timer := time.NewTimer(time.Duration(1 + r.IntN(12*int(testBar))))
		select {
		case res = <-c.ended:
			// A run that was stopped may be taken up again, as often as one
			// likes.
			if over = !res.stopped || roll(0.5); !over {
				resume(w.exportOf(res, true))
			}
			continue
		case <-timer.C:
		}
		if step > 12 {
			continue // faults end, so that the run can
		}
		who := w.workers[r.IntN(len(w.workers))]
		switch p := r.Float64(); {
		case p < 0.10:
			w.crash(who)
			faults++
			w.hire(fmt.Sprintf("w%d", len(w.workers)), play)
		case p < 0.20:
			w.dismiss(who)
			w.hire(fmt.Sprintf("w%d", len(w.workers)), play)
		case p < 0.35:
			w.note("%s: its connection is cut", who.id)
			who.link.cut()
		case p < 0.45:
			d := time.Duration(r.IntN(20_000)) * time.Millisecond
			w.note("%s: its link stalls for %v", who.id, d)
			who.link.stall()
			if d > testLease/2 {
				faults++
			}
			time.AfterFunc(d, who.link.restore)
		case p < 0.50:
			w.note("a stop is published")
			if err := w.publishStop("enough"); err != nil {
				t.Fatal(err)
			}
		case p < 0.56:
			resume(w.exportOf(c.crash(), false))
		}
	}
	c.kill()
	if res.err != nil && !res.stopped {
		w.fail(seed, "the life ended with %v", res.err)
	}
	<-time.After(time.Second) // what still moves shows itself
	eye.watch(nil)
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

// scheduleParts plays n schedules in several processes of one thread each.
// Virtual time moves when all of a bubble sleeps, so a second thread mostly
// waits, and bubbles of one process cannot run side by side (emptyPools).
func scheduleParts(t *testing.T, first, n, parts uint64) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	each := (n + parts - 1) / parts
	for from := first; from < first+n; from += each {
		count := min(each, first+n-from)
		t.Run(fmt.Sprintf("part from seed %d", from), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if at, ok := t.Deadline(); ok {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, at.Add(-time.Second))
				defer cancel()
			}
			cmd := exec.CommandContext(ctx, exe, "-test.run=^TestRandomSchedules$")
			cmd.Env = append(os.Environ(), partEnv+"=1", "GOMAXPROCS=1", "GOGC=400",
				fmt.Sprintf("GX1R_SEED=%d", from), fmt.Sprintf("GX1R_SCHEDULES=%d", count))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
