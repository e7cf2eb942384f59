package coordinator

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// A run ends, or says what is wrong, whatever is done to its bus. What is done
// here is done by somebody with all rights, or by a disk.

// attacker is a connection with all rights.
func (w *world) attacker() (*nats.Conn, jetstream.JetStream) {
	w.t.Helper()
	public, sign, err := w.running().Nkey()
	if err != nil {
		w.t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(w.running()), nats.Nkey(public, sign))
	if err != nil {
		w.t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return nc, js
}

// paced is slow enough that an attack hits in the middle of a chunk.
func paced(int, int) script { return script{pace: 500 * time.Millisecond} }

// attack runs a life of several chunks with two workers, does f once bars
// move, and returns how the life ended.
func attack(w *world, f func()) result {
	w.t.Helper()
	w.hire("a", paced)
	w.hire("b", paced)
	ended := w.start(8 * time.Second)
	w.until("a chunk is ok and others are under way", func() bool {
		return w.life.board.ok.Load() >= 1 && w.life.board.claimed.Load() >= 1
	})
	w.note("the attack")
	f()
	return w.wait(ended)
}

// The object store is left alone: storing objects in virtual time leaves a
// goroutine of the client behind (bubble).
func TestStreamsDeleted(t *testing.T) {
	testsize.All(t)
	all := []string{bus.StreamTasks, bus.StreamProgress, bus.StreamFooters, bus.StreamStop, bus.StreamArtifacts, "KV_" + bus.BucketRuns}
	for _, name := range append(slices.Clone(all), "all") {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(5)
				defer w.close()
				w.whole(attack(w, func() {
					nc, js := w.attacker()
					defer nc.Close()
					list := []string{name}
					if name == "all" {
						list = all
					}
					for _, n := range list {
						if err := js.DeleteStream(t.Context(), n); err != nil {
							t.Fatal(err)
						}
					}
				}))
			})
		})
	}
}

func TestConsumerDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(5)
		defer w.close()
		w.allOK(attack(w, func() {
			if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
				t.Fatal(err)
			}
		}))
	})
}

func TestManifestDeletedOrGarbage(t *testing.T) {
	for name, f := range map[string]func(*world, jetstream.KeyValue) error{
		"deleted": func(w *world, kv jetstream.KeyValue) error {
			return kv.Delete(w.t.Context(), string(w.m.RunID))
		},
		"garbage": func(w *world, kv jetstream.KeyValue) error {
			_, err := kv.Put(w.t.Context(), string(w.m.RunID), []byte{0xc1, 0xff})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(5)
				defer w.close()
				w.whole(attack(w, func() {
					nc, js := w.attacker()
					defer nc.Close()
					kv, err := js.KeyValue(t.Context(), bus.BucketRuns)
					if err != nil {
						t.Fatal(err)
					}
					if err := f(w, kv); err != nil {
						t.Fatal(err)
					}
				}))
			})
		})
	}
}

// Garbage on every subject of the run while it goes on, again and again.
func TestGarbageOnEverySubject(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(5)
		defer w.close()
		r := attack(w, func() {
			nc, _ := w.attacker()
			defer nc.Close()
			for range 3 {
				for _, subject := range []string{
					"gx1.task.%.0", "gx1.task.%.4", "gx1.task.%.99", "gx1.progress.%.0", "gx1.progress.%.3", "gx1.progress.%.99",
					"gx1.footer.%.0", "gx1.footer.%.3", "gx1.footer.%.4", "gx1.footer.%.99", "gx1.artifact.%.0.1.0",
				} {
					for _, data := range [][]byte{{0xc1, 0xff, 0x00}, {}, []byte(strings.Repeat("\x81", 4096))} {
						if err := nc.Publish(strings.ReplaceAll(subject, "%", string(w.m.RunID)), data); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				<-time.After(700 * time.Millisecond)
			}
		})
		w.whole(r)
		if n := w.life.board.refused.Load(); n < 3 {
			t.Errorf("%d refused (want what was put there: at least 3)", n)
		}
	})
}

// A final footer that can be read and contradicts the plan keeps the true one
// out until it is deleted; its worker publishes again.
func TestStoredFooterThatContradictsThePlan(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3)
		defer w.close()
		chunk := w.m.Plan.Chunk(2)
		lie := footer.Footer{
			Schema: footer.Schema, RunID: string(w.m.RunID), Incarnation: string(w.m.Incarnation), ChunkIdx: 2, ChunkID: "2", Status: footer.StatusOK, Final: true,
			Attempt: 1, Claim: 1, Seq: 1, Engine: footer.EngineBuiltin, WorkerID: "liar",
			FirstBar: chunk.Bars.First, EndBar: chunk.Bars.End, PlannedBars: chunk.Bars.Len(),
			BarsProcessed: chunk.Bars.Len() - 1, TotalBars: chunk.Bars.Len() - 1, // one is missing
		}
		if err := w.bus.StoreFooter(t.Context(), lie); err != nil {
			t.Fatal(err)
		}
		w.hire("a", nil)
		ended := w.start(8 * time.Second)
		w.allOK(w.wait(ended))
		if n := w.life.board.refused.Load(); n != 1 {
			t.Errorf("%d refused (want 1)", n)
		}
		if got := w.chunks()[2].Line.Footer().WorkerID; got != "a" {
			t.Errorf("chunk 2 is by %s (want a)", got)
		}
	})
}

// An engine whose counters contradict one another is an error of its attempts:
// it must not make the lease records unreadable, for then nobody would count
// them and they would go on for ever.
func TestEngineThatReportsNonsense(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(3)
		defer w.close()
		w.hire("a", func(chunk, _ int) script { return script{lie: chunk == 1} })
		r := w.wait(w.start(8 * time.Second))
		c := w.chunks()[1]
		if r.err != nil || c.Status != footer.StatusFailed || !strings.Contains(c.Error, "n_model_calls") {
			t.Errorf("chunk 1: %s, %q, the life ended with %v (want failed, an error about n_model_calls, nil)", c.Status, c.Error, r.err)
		}
		if got := w.tally(); got.failures != int64(w.m.MaxFailures) || w.life.board.refused.Load() != 0 {
			t.Errorf("%d failures, %d refused (want %d, none)", got.failures, w.life.board.refused.Load(), w.m.MaxFailures)
		}
		for _, idx := range []int{0, 2} {
			if got := w.chunks()[idx].Status; got != footer.StatusOK {
				t.Errorf("chunk %d: %s (want ok)", idx, got)
			}
		}
		if t.Failed() {
			t.Log(strings.Join(w.history, "\n"))
		}
	})
}

// keep copies a directory of the bus's store aside; back puts it in its place
// again.
func (w *world) keep(name string) (back func()) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "bus", name)
	aside := w.t.TempDir()
	if err := os.CopyFS(aside, os.DirFS(dir)); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.note("%s is as it was", dir)
		if err := os.RemoveAll(dir); err != nil {
			w.t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(aside)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A power cut that takes the consumer's state, or all files, back to what
// they were some time ago.
func TestServerWithAnOlderCopyOfItsFiles(t *testing.T) {
	testsize.All(t)
	for name, find := range map[string]func(t *testing.T, w *world) string{
		"everything": func(*testing.T, *world) string { return "jetstream" },
		"the consumer": func(t *testing.T, w *world) string {
			list, err := filepath.Glob(filepath.Join(w.dir, "bus", "jetstream", "*", "streams", bus.StreamTasks, "obs"))
			if err != nil || len(list) != 1 {
				t.Fatalf("consumers in %v, error %v (want one directory)", list, err)
			}
			rel, err := filepath.Rel(filepath.Join(w.dir, "bus"), list[0])
			if err != nil {
				t.Fatal(err)
			}
			return rel
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(6)
				defer w.close()
				w.whole(attack(w, func() {
					var back func()
					w.outage(time.Second, func() { back = w.keep(find(t, w)) })
					ok, n := w.life.board.ok.Load(), w.stepped()
					w.until("more is done", func() bool { return w.life.board.ok.Load() > ok && w.stepped() > n+5 })
					w.outage(time.Second, back)
				}))
			})
		})
	}
}

// The same again when the coordinator was killed with it: what only it knew
// comes back from its files.
func TestResumeOnAnOlderCopyOfTheBus(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(6)
		defer w.close()
		w.hire("a", paced)
		w.hire("b", paced)
		c := w.launch(8 * time.Second)
		w.until("a chunk is ok", func() bool { return w.life.board.ok.Load() >= 1 })
		var back func()
		w.outage(time.Second, func() { back = w.keep("jetstream") })
		w.until("four are", func() bool { return w.life.board.ok.Load() >= 4 })
		known := w.chunks() // the footer backup
		c.crash()
		w.outage(time.Second, back)
		w.resume(w.exportOf(result{}, false), func(l *Life) { l.Known = known })
		w.whole(w.wait(w.launch(8 * time.Second).ended))
		for i, k := range known {
			if k.Status == footer.StatusOK && w.chunks()[i].Line.Footer().WorkerID != k.Line.Footer().WorkerID {
				t.Errorf("chunk %d was ok already and is another's now", i)
			}
		}
	})
}

// A manifest of a later session means that another coordinator leads the run:
// this one leaves and touches nothing of it.
func TestTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(5)
		defer w.close()
		r := attack(w, func() {
			m, rev, err := w.bus.Manifest(t.Context(), w.m.RunID)
			if err != nil {
				t.Fatal(err)
			}
			m.Session, m.Coordinator = 2, run.Coordinator{Host: "another", PID: 7, StartTime: "1"}
			m.Sessions = append(m.Sessions, run.SessionTimes{Session: 2, StartedAt: time.Now().UTC()})
			if _, err := w.bus.StoreManifest(t.Context(), m, rev); err != nil {
				t.Fatal(err)
			}
		})
		if r.err == nil || !strings.Contains(r.err.Error(), ErrTakenOver.Error()) {
			t.Errorf("the life ended with %v (want %v)", r.err, ErrTakenOver)
		}
		if m, _, err := w.bus.Manifest(t.Context(), w.m.RunID); err != nil || m.Session != 2 {
			t.Errorf("session %d of the manifest, error %v (want the other's, 2)", m.Session, err)
		}
	})
}
