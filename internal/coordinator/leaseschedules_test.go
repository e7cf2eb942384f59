package coordinator

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/test/testsize"
)

// These are schedules that broke earlier drafts of the lease and stop rules,
// by their numbers. Those about pure rules stand in package lease, those
// about one claim in package worker.

// begin runs the life in the background.
func (w *world) start(drain time.Duration) <-chan result {
	ended := make(chan result, 1)
	go func() { ended <- w.live(w.t.Context(), drain) }()
	return ended
}

// wait waits for the life's end.
func (w *world) wait(ended <-chan result) result {
	w.t.Helper()
	t := time.NewTimer(testPatient)
	defer t.Stop()
	select {
	case r := <-ended:
		return r
	case <-t.C:
		w.t.Fatalf("the run has not ended within %v\n%s", testPatient, strings.Join(w.history, "\n"))
		return result{}
	}
}

// until waits, in virtual time, for a condition.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	for range int(testPatient / testBar) {
		synctest.Wait()
		if cond() {
			return
		}
		<-time.After(testBar / 4)
	}
	w.t.Fatalf("it never came that %s\n%s", what, strings.Join(w.history, "\n"))
}

// stepped counts the bars that anyone stepped over.
func (w *world) stepped() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.attempts {
		n += len(l.bars)
	}
	return n
}

// allOK checks a run that had no reason to lose anything: every chunk ok in
// its first attempt.
func (w *world) allOK(r result) {
	w.t.Helper()
	if r.err != nil || r.stopped {
		w.t.Errorf("the life ended with %v, stopped %v", r.err, r.stopped)
	}
	for _, c := range w.chunks() {
		if c.Status != footer.StatusOK || c.Line.Footer().Attempt != 1 {
			w.t.Errorf("chunk %d: %s, attempt %d (want ok, 1)", c.Idx, c.Status, c.Line.Footer().Attempt)
		}
	}
	if t := w.tally(); t.failures != 0 || t.releases != 0 {
		w.t.Errorf("failures %d, releases %d (want none)", t.failures, t.releases)
	}
	if w.t.Failed() {
		w.t.Log(strings.Join(w.history, "\n"))
	}
}

func TestSchedule02_StopHeardByWorkersOnly(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", nil)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		// The coordinator's link is down while the stop is published, so its
		// core copy never comes; the stream tells it.
		w.link.stall()
		if err := w.publishStop("quietly"); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Second)
		w.link.cut()
		w.link.restore()
		if r := w.wait(ended); !r.stopped || r.stop.Reason != "quietly" || !r.drained {
			t.Errorf("stopped %v, reason %q, drained %v (want a stop, its reason, a drain)\n%s", r.stopped, r.stop.Reason, r.drained, strings.Join(w.history, "\n"))
		}
	})
}

func TestSchedule03_StopThatTheStreamLost(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", nil)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		// Larger than the stream takes: only core listeners hear it.
		if err := w.publishStop("enough " + strings.Repeat(" ", 100<<10)); err != nil {
			t.Fatal(err)
		}
		r := w.wait(ended)
		if !r.stopped || !r.drained {
			t.Fatalf("stopped %v, drained %v (want both)", r.stopped, r.drained)
		}
		s, err := w.bus.LastStop(t.Context(), w.m.RunID)
		if err != nil || s.Seq == 0 || s.Reason != "enough" {
			t.Errorf("stored stop %+v, error %v (want the coordinator to have stored it)", s, err)
		}
	})
}

func TestSchedule13_EarlyRedeliveryToTheSameProcess(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		w.hireSlots("a", 2, nil)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		// A consumer that is made again hands the task out at once.
		if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.bus.MakeQueue(t.Context(), w.m.Ref(), 1, testLease); err != nil {
			t.Fatal(err)
		}
		w.allOK(w.wait(ended))
		if n := w.stepped(); n != testChunk {
			t.Errorf("%d bars stepped over (want %d, each once)", n, testChunk)
		}
	})
}

func TestSchedule18_NoRespondersFromASessionThatGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		slow := func(int, int) script { return script{pace: 3 * time.Second} }
		w.hire("a", slow)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 2 })
		if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
			t.Fatal(err)
		}
		<-time.After(testLease) // several in-progress go unanswered
		if err := w.bus.MakeQueue(t.Context(), w.m.Ref(), 1, testLease); err != nil {
			t.Fatal(err)
		}
		w.allOK(w.wait(ended))
	})
}

func TestSchedule20_LateWakerHoldsLess(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		pace := func(int, int) script { return script{pace: 2 * time.Second} }
		a := w.hire("a", pace)
		ended := w.start(8 * time.Second)
		w.until("a has bars", func() bool { return w.stepped() >= 3 })
		a.link.stall()
		w.hire("b", pace)
		w.until("b has more", func() bool {
			s := w.chunks()[0].Line.Footer()
			return s.WorkerID == "b" && s.BarsProcessed >= 5
		})
		a.link.restore()
		if err := w.publishStop("now"); err != nil {
			t.Fatal(err)
		}
		r := w.wait(ended)
		f := w.chunks()[0].Line.Footer()
		if !r.drained || f.WorkerID != "b" || f.BarsProcessed < 5 {
			t.Errorf("drained %v, %d bars by %s (want b's, at least 5)\n%s", r.drained, f.BarsProcessed, f.WorkerID, strings.Join(w.history, "\n"))
		}
		w.judge(r)
	})
}

func TestSchedule22_OutageOfTheServer(t *testing.T) {
	testsize.All(t)
	for _, d := range []time.Duration{time.Second, 6 * time.Second, 12 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(4)
				defer w.close()
				pace := func(int, int) script { return script{pace: 3 * time.Second} }
				w.hire("a", pace)
				w.hire("b", pace)
				ended := w.start(8 * time.Second)
				w.until("bars move", func() bool { return w.stepped() > 3 })
				w.outage(d)
				w.allOK(w.wait(ended))
			})
		})
	}
}

func TestSchedule23_WatcherDuringAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		pace := func(int, int) script { return script{pace: 5 * time.Second} }
		w.hire("a", pace)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 1 })
		// b is handed the chunk too, watches a's record, and must not take it
		// for an outage in which a could not write.
		w.hire("b", pace)
		if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.bus.MakeQueue(t.Context(), w.m.Ref(), 1, testLease); err != nil {
			t.Fatal(err)
		}
		<-time.After(testLease / 3)
		w.outage(testLease * 8 / 10)
		w.allOK(w.wait(ended))
	})
}

// TestChunkThatEndsWhileItIsLookedAt: b is handed a's chunk, reads one of
// footer and record before a has ended and the other one after. It must not
// take the chunk for one whose footer is missing.
func TestChunkThatEndsWhileItIsLookedAt(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		w.hire("a", func(int, int) script { return script{pace: 500 * time.Millisecond} })
		ended := w.start(8 * time.Second)
		w.until("a is nearly through", func() bool { return w.stepped() >= testChunk-2 })
		var looks atomic.Int64
		over := make(chan struct{})
		b := &link{world: w, sending: func(out []byte) {
			for _, stream := range []string{bus.StreamFooters, bus.StreamProgress} {
				looks.Add(int64(bytes.Count(out, []byte("$JS.API.DIRECT.GET."+stream+"."))))
			}
			if looks.Load() > 1 {
				<-over
			}
		}}
		w.hireOver(b, "b", 1, nil)
		if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.bus.MakeQueue(t.Context(), w.m.Ref(), 1, testLease); err != nil {
			t.Fatal(err)
		}
		r := w.wait(ended)
		<-time.After(testBar) // a's record says `done`; b's request still waits
		close(over)
		<-time.After(testLease)
		w.allOK(r)
		if n := w.stepped(); n != testChunk || looks.Load() < 2 {
			t.Errorf("%d bars stepped over, %d looks of b (want %d, each once, and at least 2)", n, looks.Load(), testChunk)
		}
	})
}

// TestGarbageNeverStopsARun: whatever lies on the run's subjects is counted,
// and the run ends all the same.
func TestGarbageNeverStopsARun(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3)
		defer w.close()
		public, sign, err := w.server.Nkey()
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect("", nats.InProcessServer(w.server), nats.Nkey(public, sign))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		for _, subject := range []string{"gx1.progress.%.0", "gx1.footer.%.0", "gx1.footer.%.1", "gx1.progress.%.77", "gx1.task.%.2", "gx1.task.%.9"} {
			if err := nc.Publish(strings.ReplaceAll(subject, "%", string(w.m.RunID)), []byte{0xc1, 0xff, 0x00}); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		w.hire("a", nil)
		ended := w.start(8 * time.Second)
		w.allOK(w.wait(ended))
		if n := w.life.board.refused.Load(); n < 3 {
			t.Errorf("%d refused (want what was put there: at least 3)", n)
		}
	})
}

// TestVanishedTasksArePublishedAgain: a purge by hand costs a lease at most.
func TestVanishedTasksArePublishedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(6)
		defer w.close()
		w.hire("a", nil)
		ended := w.start(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		if err := w.bus.PurgeTasks(t.Context(), w.m.RunID); err != nil {
			t.Fatal(err)
		}
		w.allOK(w.wait(ended))
	})
}
