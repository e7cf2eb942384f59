package coordinator

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// These tests do what a worker's key alone can do to a run's messages: whatever
// it publishes is well formed and fits the plan.

// forged is an ok footer of a chunk that nobody replayed.
func (w *world) forged(idx int, claim uint64) footer.Footer {
	c := w.m.Plan.Chunk(idx)
	return footer.Footer{
		Schema: footer.Schema, RunID: string(w.m.RunID), Incarnation: string(w.m.Incarnation),
		ChunkIdx: int64(idx), ChunkID: strconv.Itoa(idx), Status: footer.StatusOK, Final: true,
		Attempt: 1, Claim: claim, Seq: 1, Engine: footer.EngineBuiltin, WorkerID: "evil", Host: "evil",
		FirstBar: c.Bars.First, EndBar: c.Bars.End, PlannedBars: c.Bars.Len(),
		BarsProcessed: c.Bars.Len(), TotalBars: c.Bars.Len(), NTradesClosed: 1000, PnlBps: 1e9,
	}
}

// claimed is the record of a chunk's first claim, by a worker that nobody started.
func (w *world) claimed(idx int, workerID string) lease.Record {
	return lease.Record{
		State: lease.StateClaimed, RunID: w.m.RunID, Incarnation: w.m.Incarnation, ChunkIdx: idx, Session: 1,
		Holder: lease.Holder{WorkerID: workerID, Host: workerID}, Attempt: 1,
	}
}

// claim stores such a record and returns its sequence number.
func (w *world) claim(idx int, workerID string) uint64 {
	w.t.Helper()
	seq, err := w.bus.StoreLease(w.t.Context(), w.claimed(idx, workerID), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return seq
}

// byHonest checks that every chunk is ok by a worker that replayed it.
func (w *world) byHonest(r result) {
	w.t.Helper()
	w.whole(r)
	for _, c := range w.chunks() {
		if f := c.Line.Footer(); f.WorkerID == "evil" || f.PnlBps != 0 {
			w.t.Errorf("chunk %d: the footer of %s with %v bps counts", c.Idx, f.WorkerID, f.PnlBps)
		}
	}
}

func TestFootersOfChunksThatNobodyClaimed(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		// Before anybody works, under claims that are no record, and under one
		// that is the record of another chunk.
		seq := w.claim(3, "evil")
		for idx := range 3 {
			if err := w.bus.StoreFooter(t.Context(), w.forged(idx, seq+uint64(idx))); err != nil {
				t.Fatal(err)
			}
		}
		w.hire("a", nil)
		w.byHonest(w.wait(w.start(8 * time.Second)))
		if n := w.life.board.refused.Load(); n != 3 {
			t.Errorf("%d refused (want 3)", n)
		}
	})
}

// What a worker floods the run with fills no log.
func TestAFloodOfForgedFootersDoesNotFillTheLog(t *testing.T) {
	testsize.All(t)
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3 * loglimit.Burst)
		defer w.close()
		var log bytes.Buffer // written by one handler, which locks it
		w.life.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.life.Prepare()
		for idx := range w.m.Plan.Chunks {
			f := w.forged(idx, 1)
			f.Incarnation = "" // refused at once
			if err := w.bus.StoreFooter(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		w.hire("a", nil)
		w.byHonest(w.wait(w.start(8 * time.Second)))
		if n := w.life.board.refused.Load(); n != int64(w.m.Plan.Chunks) {
			t.Errorf("%d refused (want %d)", n, w.m.Plan.Chunks)
		}
		if n := strings.Count(log.String(), `msg="unusable final footer deleted`); n != loglimit.Burst {
			t.Errorf("%d lines (want %d)", n, loglimit.Burst)
		}
	})
}

// While workers hold their chunks: the forged footer comes first and keeps the
// true one out until it is deleted.
func TestFootersThatComeBeforeTheTrueOnes(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(5)
		defer w.close()
		w.byHonest(attack(w, func() {
			for idx := range w.m.Plan.Chunks {
				if err := w.bus.StoreFooter(t.Context(), w.forged(idx, 1)); err != nil && !strings.Contains(err.Error(), bus.ErrKept.Error()) {
					t.Fatal(err)
				}
			}
		}))
		if n := w.life.board.refused.Load(); n < 1 {
			t.Error("no footer was refused")
		}
	})
}

// A claim that the coordinator saw stays one: the late footer of a worker that
// was taken for silent counts as soon as it comes.
func TestLateFooterUnderAClaimThatWasSeen(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		w.hire("a", func(_, attempt int) script {
			if attempt == 1 {
				return script{hangAt: 3}
			}
			return script{pace: time.Hour}
		})
		ended := w.start(8 * time.Second)
		w.until("the chunk is claimed", func() bool { return w.life.board.claimed.Load() == 1 })
		first := w.life.board.chunks[0].Load().rec.Token()
		w.workers[0].link.stall()
		w.hire("b", func(int, int) script { return script{pace: time.Hour} })
		w.until("another has the chunk", func() bool {
			rec := w.life.board.chunks[0].Load().rec
			return rec != nil && rec.Holder.WorkerID == "b"
		})
		late := w.forged(0, first.Claim)
		late.WorkerID, late.Slot, late.Attempt, late.PnlBps = first.WorkerID, first.Slot, first.Attempt, 0
		if err := w.bus.StoreFooter(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		if r := w.wait(ended); r.err != nil || r.stopped {
			t.Errorf("the life ended with %v, stopped %v", r.err, r.stopped)
		}
		if c := w.chunks()[0]; c.Status != footer.StatusOK || c.Line.Footer().WorkerID != "a" {
			t.Errorf("%s by %s (want ok by a)", c.Status, c.Line.Footer().WorkerID)
		}
	})
}

// A coordinator that never saw the claim, and finds it replaced, has the chunk
// replayed: work is lost, and nothing is false.
func TestFooterWhoseClaimCannotBeReadAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(2)
		defer w.close()
		seq := w.claim(0, "gone")
		next := w.claimed(0, "gone")
		next.Holder.WorkerID, next.Attempt = "next", 2
		if _, err := w.bus.StoreLease(t.Context(), next.Released(nil), seq); err != nil {
			t.Fatal(err)
		}
		f := w.forged(0, seq)
		f.WorkerID, f.PnlBps = "gone", 0
		if err := w.bus.StoreFooter(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		w.hire("a", nil)
		w.byHonest(w.wait(w.start(8 * time.Second)))
		if got := w.chunks()[0].Line.Footer().WorkerID; got != "a" {
			t.Errorf("chunk 0 is by %s (want a)", got)
		}
	})
}

// Records of sessions that nobody leads, and of attempts that cannot have been,
// keep a chunk from nobody. An attempt of 2^30 once hung a run and its resume.
func TestRecordsThatCannotBe(t *testing.T) {
	testsize.All(t)
	for name, change := range map[string]func(*lease.Record){
		"a session of 2^20":        func(r *lease.Record) { r.Session = run.MaxSession },
		"an attempt of 2^30":       func(r *lease.Record) { r.Attempt = 1 << 30 },
		"an attempt of 2^53":       func(r *lease.Record) { r.Attempt = 1 << 53 },
		"failures of 2^29":         func(r *lease.Record) { r.Failures = 1 << 29 },
		"exhausted, never claimed": func(r *lease.Record) { r.State, r.Failures = lease.StateExhausted, 3 },
		"stopped by no stop": func(r *lease.Record) {
			r.State, r.Stop = lease.StateStopped, run.Stop{Source: run.SourceSubject, Reason: "evil", Seq: 1, RequestedAt: time.Now()}
		},
		"another incarnation": func(r *lease.Record) { r.Incarnation = run.NewIncarnation([16]byte{7}) },
		"no incarnation":      func(r *lease.Record) { r.Incarnation = "" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(4)
				defer w.close()
				nc, _ := w.attacker()
				defer nc.Close()
				forge := func(idx int) {
					r := w.claimed(idx, "evil")
					change(&r)
					data, err := r.Encode()
					if err != nil {
						t.Fatal(err)
					}
					m := nats.NewMsg("gx1.progress." + string(w.m.RunID) + "." + strconv.Itoa(idx))
					m.Header.Set("Gx1-Schema", "1")
					m.Data = data
					if err := nc.PublishMsg(m); err != nil {
						t.Fatal(err)
					}
				}
				forge(0) // before anybody works
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				r := attack(w, func() {
					for idx := range w.m.Plan.Chunks {
						forge(idx)
					}
					if err := nc.Flush(); err != nil {
						t.Fatal(err)
					}
				})
				w.byHonest(r)
			})
		})
	}
}
