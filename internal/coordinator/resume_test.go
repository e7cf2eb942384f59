package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// These are the schedules about resume, stop and clean-up, by their numbers.
// Workers outlive the sessions in them, as they do on a bus that runs
// elsewhere.

// crashing is a life whose coordinator can be killed.
type crashing struct {
	w     *world
	ended <-chan result
	kill  context.CancelFunc
}

// launch runs the life in the background until it ends or is killed.
func (w *world) launch(drain time.Duration) crashing {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan result, 1)
	go func() { ended <- w.live(ctx, drain) }()
	return crashing{w, ended, cancel}
}

// crash ends the coordinator as a kill -9 does: nothing that it does reaches
// the bus any more.
func (c crashing) crash() result {
	c.w.t.Helper()
	c.w.note("the coordinator is killed")
	c.w.link.destroy()
	c.kill()
	return c.w.wait(c.ended)
}

// resume prepares the next session, as a coordinator that was started again
// does. exported is what it finds in the perf file of the session before;
// change, if not nil, changes what it is told to do.
func (w *world) resume(exported perf.Report, change func(*Life)) {
	w.t.Helper()
	w.bus.Close()
	w.link = &link{world: w}
	var err error
	if w.bus, err = dial(w.t.Context(), w.running(), w.link, "coordinator"); err != nil {
		w.t.Fatal(err)
	}
	stored, rev, err := w.bus.Manifest(w.t.Context(), w.m.RunID)
	if err != nil {
		w.t.Fatal(err)
	}
	s := Session{cfg: Config{RunID: w.m.RunID, Engine: w.m.Engine, Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)}, identity: w.m, started: time.Now(), ledger: ledger.New(w.m.RunID)}
	account(w.t, &s, exported)
	m, err := s.next(&stored, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if exported.Stop.Seq > m.StopSeq {
		m.StopSeq = exported.Stop.Seq
	}
	if err := s.passOwnStop(w.t.Context(), w.bus, &m); err != nil {
		w.t.Fatal(err)
	}
	w.m = m
	w.life = &Life{Bus: w.bus, Manifest: m, Revision: rev, Bars: w.life.Bars, Policy: testPolicy, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(w.life)
	}
	w.life.Prepare()
	w.note("session %d begins; stops up to %d are done with", m.Session, m.StopSeq)
}

// exportOf is what a perf file of this session would say of its stop. The
// last export says of any stop that it is done with, one before it of the
// coordinator's own only.
func (w *world) exportOf(r result, last bool) perf.Report {
	stop := r.stop
	if !last && !stop.Source.Own() {
		stop.Seq = 0
	}
	return perf.Report{RunID: w.m.RunID, Stop: stop, Sessions: w.m.Sessions}
}

// whole checks that every chunk is ok and that no bar of an ok chunk was
// stepped over in vain.
func (w *world) whole(r result) {
	w.t.Helper()
	if r.err != nil || r.stopped {
		w.t.Errorf("the life ended with %v, stopped %v", r.err, r.stopped)
	}
	for _, c := range w.chunks() {
		if c.Status != footer.StatusOK {
			w.t.Errorf("chunk %d: %s (want ok)", c.Idx, c.Status)
		}
	}
	w.judge(r)
	if w.t.Failed() {
		w.t.Log(strings.Join(w.history, "\n"))
	}
}

// signal stores the coordinator's own signal as a life does that obeys it.
func (w *world) signal() run.Stop {
	w.t.Helper()
	s := run.Stop{Source: run.SourceSIGTERM, Reason: "terminated", RequestedAt: time.Now()}
	w.life.storeStop(w.t.Context(), s, w.m.Session, "")
	stored := w.life.stop.Load()
	if stored == nil {
		w.t.Fatal("the signal is not stored")
	}
	return *stored
}

func TestSchedule04_OwnSignalDoesNotStopTheResume(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", nil)
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		stop := w.signal()
		c.crash()
		// The first export is written, and says nothing of the stop's sequence
		// yet: it was not stored when it began.
		early := stop
		early.Seq = 0
		w.resume(perf.Report{RunID: w.m.RunID, Stop: early, Sessions: w.m.Sessions}, nil)
		w.whole(w.wait(w.launch(8 * time.Second).ended))
	})
}

func TestSchedule05_UsersStopOutlivesACrashInTheDrain(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", func(int, int) script { return script{pace: time.Second} })
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 2 })
		if err := w.publishStop("a user's"); err != nil {
			t.Fatal(err)
		}
		// Whether the life hears of it by the stream or by a worker's record.
		w.until("the stop is stored", func() bool {
			s, err := w.bus.LastStop(t.Context(), w.m.RunID)
			return err == nil && s.Seq > 0
		})
		r := c.crash()
		w.resume(w.exportOf(r, false), nil)
		if r := w.wait(w.launch(8 * time.Second).ended); !r.stopped || r.stop.Reason != "a user's" {
			t.Errorf("stopped %v, reason %q (want the stop that nobody has seen through)\n%s", r.stopped, r.stop.Reason, strings.Join(w.history, "\n"))
		}
	})
}

func TestSchedule06_CrashBeforeStopSeqIsRaised(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", nil)
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		if err := w.publishStop("enough"); err != nil {
			t.Fatal(err)
		}
		r := w.wait(c.ended)
		if !r.stopped || !r.drained {
			t.Fatalf("stopped %v, drained %v (want both)", r.stopped, r.drained)
		}
		stored, _, err := w.bus.Manifest(t.Context(), w.m.RunID)
		if err != nil || stored.StopSeq >= r.stop.Seq {
			t.Fatalf("stop_seq %d of the manifest, error %v (want it below %d still)", stored.StopSeq, err, r.stop.Seq)
		}
		// The last export stands; the manifest was never written again.
		w.resume(w.exportOf(r, true), nil)
		w.whole(w.wait(w.launch(8 * time.Second).ended))
	})
}

func TestSchedule07_StopThatIsRetriedAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		w.hire("a", func(int, int) script { return script{pace: 500 * time.Millisecond} })
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 3 })
		user, err := dial(t.Context(), w.running(), nil, "user")
		if err != nil {
			t.Fatal(err)
		}
		defer user.Close()
		stop := func() uint64 {
			seq, err := user.StoreStop(t.Context(), w.m.RunID, run.Stop{Source: run.SourceSubject, Reason: "enough"}, 0, "stop.by.user.1")
			if err != nil {
				t.Fatal(err)
			}
			return seq
		}
		first := stop()
		r := w.wait(c.ended)
		w.resume(w.exportOf(r, true), nil)
		c = w.launch(8 * time.Second)
		n := w.stepped()
		w.until("bars move again", func() bool { return w.stepped() > n })
		// The answer to the first was lost: its sender says it again.
		if again := stop(); again != first {
			t.Fatalf("the retry is stored as %d (want the first one's %d)", again, first)
		}
		w.whole(w.wait(c.ended))
	})
}

func TestSchedule08_StoppedRecordsOfAnEarlierSession(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(6)
		defer w.close()
		w.hire("a", nil)
		w.hire("b", nil)
		// Stop, resume, stop, resume, all within two minutes.
		for range 3 {
			c := w.launch(8 * time.Second)
			n := w.stepped()
			w.until("bars move", func() bool { return w.stepped() > n+2 })
			if err := w.publishStop("again"); err != nil {
				t.Fatal(err)
			}
			r := w.wait(c.ended)
			if !r.stopped || !r.drained {
				t.Fatalf("stopped %v, drained %v (want both)\n%s", r.stopped, r.drained, strings.Join(w.history, "\n"))
			}
			w.judge(r)
			w.resume(w.exportOf(r, true), nil)
		}
		w.whole(w.wait(w.launch(8 * time.Second).ended))
		if got := w.m.Session; got != 4 {
			t.Errorf("session %d (want 4)", got)
		}
	})
}

func TestSchedule14_ConsumerOfACrashedSession(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(16)
		defer w.close()
		w.hire("a", nil)
		w.hire("b", nil)
		// Three crashes in one run; workers go on all the time.
		for range 3 {
			c := w.launch(8 * time.Second)
			n := w.stepped()
			w.until("bars move", func() bool { return w.stepped() > n+2 })
			c.crash()
			<-time.After(time.Second)
			w.resume(perf.Report{}, nil)
		}
		w.whole(w.wait(w.launch(8 * time.Second).ended))
		if n := w.tally().failures; n != 0 {
			t.Errorf("%d failures (want none: no attempt failed)\n%s", n, strings.Join(w.history, "\n"))
		}
	})
}

// A crash between the manifest's `exported` and the end of the cleaning: the
// next start cleans on and plans nothing.
func TestSchedule15_CrashInTheCleaning(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3)
		defer w.close()
		w.hire("a", nil)
		w.whole(w.wait(w.launch(8 * time.Second).ended))
		m := w.life.Manifest
		m.Sessions[0].EndedAt = time.Now().UTC()
		m.State, m.ExportFile, m.ExportSHA256 = run.StateExported, "perf.json", strings.Repeat("0", 64)
		if _, err := w.bus.StoreManifest(t.Context(), m, w.life.revision); err != nil {
			t.Fatal(err)
		}
		s := Session{cfg: Config{RunID: w.m.RunID, Engine: w.m.Engine, Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler), NATS: &External{}}, identity: w.m, started: time.Now(), ledger: ledger.New(w.m.RunID)}
		began, err := s.agree(t.Context(), &Life{}, w.bus)
		var cleaned *Cleaned
		if began || !errors.As(err, &cleaned) || cleaned.File != "perf.json" {
			t.Errorf("began %v, error %v (want nothing begun, and the file named)", began, err)
		}
		leases, footers, err := w.bus.Fence(t.Context(), w.m.RunID)
		if err != nil || leases != 0 || footers != 0 {
			t.Errorf("records up to %d and footers up to %d are left, error %v (want none)", leases, footers, err)
		}
		if _, _, err := w.bus.Manifest(t.Context(), w.m.RunID); err != nil && !errors.Is(err, bus.ErrNoRun) {
			t.Error(err)
		}
	})
}

func TestSchedule16_RetryOfExhaustedChunks(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3)
		defer w.close()
		fixed := false
		w.hire("a", func(chunk, _ int) script {
			if chunk == 1 && !fixed {
				return script{failAt: 4}
			}
			return script{}
		})
		r := w.wait(w.launch(8 * time.Second).ended)
		if got := w.chunks()[1].Status; r.err != nil || got != footer.StatusFailed {
			t.Fatalf("chunk 1: %s, the life ended with %v (want failed, nil)", got, r.err)
		}
		// Without being told to, nobody takes it up.
		n := w.stepped()
		w.resume(w.exportOf(r, true), nil)
		r = w.wait(w.launch(8 * time.Second).ended)
		if got := w.chunks()[1].Status; r.err != nil || got != footer.StatusFailed || w.stepped() != n {
			t.Errorf("chunk 1: %s, %d more bars, the life ended with %v (want failed, none, nil)", got, w.stepped()-n, r.err)
		}
		fixed = true
		w.resume(w.exportOf(r, true), func(l *Life) { l.RetryFailed = true })
		w.whole(w.wait(w.launch(8 * time.Second).ended))
		if got := w.stepped() - n; got != testChunk {
			t.Errorf("%d more bars (want the failed chunk's %d)", got, testChunk)
		}
	})
}

func TestSchedule21_RunAgainWithinTwoMinutes(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(5)
		defer w.close()
		// Stopped before any task is taken: all are purged, and published
		// again a moment later.
		c := w.launch(8 * time.Second)
		w.until("the plan is published", func() bool {
			pending, err := w.bus.PendingTasks(t.Context(), w.m.RunID)
			return err == nil && len(pending) == 5
		})
		if err := w.publishStop("too soon"); err != nil {
			t.Fatal(err)
		}
		r := w.wait(c.ended)
		w.resume(w.exportOf(r, true), nil)
		w.hire("a", nil)
		w.allOK(w.wait(w.launch(8 * time.Second).ended))
	})
}

// A claim of an earlier session whose holder is gone is released by the
// coordinator once it has not changed for a whole lease, while workers replay
// what was never begun: nobody spends a lease on watching it.
func TestLapsedClaimIsReleasedByTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(8)
		defer w.close()
		dead := w.hire("dead", nil)
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 2 })
		w.crash(dead)
		c.crash()
		w.resume(perf.Report{}, nil)
		c = w.launch(8 * time.Second)
		// Whoever came before would serve the session that crashed, and give
		// back what he took.
		w.until("the second session begins", func() bool {
			m, _, err := w.bus.Manifest(t.Context(), w.m.RunID)
			return err == nil && m.Session == 2
		})
		w.hire("a", nil)
		begun := time.Now()
		w.whole(w.wait(c.ended))
		if got := w.tally(); got.failures != 0 || got.releases != 1 || got.redeliveries != 1 {
			t.Errorf("%+v (want one release, which is no failure, and one redelivery)\n%s", got, strings.Join(w.history, "\n"))
		}
		// Eight chunks in a row, and no lease of waiting beside them.
		if took, replay := time.Since(begun), time.Duration(len(w.life.Bars))*testBar; took > replay+testLease/2 {
			t.Errorf("it took %v (want little more than the %v of eight chunks)\n%s", took, replay, strings.Join(w.history, "\n"))
		}
	})
}

// A holder of an earlier session that lives keeps its claim: its record
// changes within a lease.
func TestLivingClaimIsNotReleased(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(2)
		defer w.close()
		w.hire("a", nil)
		c := w.launch(8 * time.Second)
		w.until("bars move", func() bool { return w.stepped() > 2 })
		rec, seq, err := w.bus.Lease(t.Context(), w.m.RunID, 0)
		if err != nil || rec == nil {
			t.Fatalf("the first chunk's record: %v, %v", rec, err)
		}
		stale := map[int]uint64{0: seq}
		w.until("the record changes", func() bool {
			_, now, err := w.bus.Lease(t.Context(), w.m.RunID, 0)
			return err == nil && now != seq
		})
		w.life.Manifest.Session++ // as a later session's coordinator sees it
		w.life.release(t.Context(), stale)
		w.life.Manifest.Session--
		if rec, _, err = w.bus.Lease(t.Context(), w.m.RunID, 0); err != nil || rec.State == lease.StateReleased {
			t.Errorf("the record is %v, %v (want the living holder's)", rec, err)
		}
		w.whole(w.wait(c.ended))
	})
}
