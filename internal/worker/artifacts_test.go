package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

func (x *bench) countParts() uint64 {
	x.t.Helper()
	s, err := x.js().Stream(x.t.Context(), bus.StreamArtifacts)
	must(x.t, err)
	return s.CachedInfo().State.Msgs
}

func TestArtifactsAreStoredBeforeTheFooterThatListsThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		o := x.listen()
		log := testArtifact("log", "one", "two")
		x.a.w.cfg.Engine = doneWith(manyParts(), log)
		x.a.run(t.Context())
		if got := o.judge(); got != "claimed artifact footer done" {
			t.Errorf("published: %s", got)
		}
		f := x.okFooter()
		rec, _ := x.record()
		for name, f := range map[string]*footer.Footer{"the final footer": f, "the record": rec.Own, "the record's best": rec.Best} {
			if len(f.Artifacts) != 2 || f.Artifacts[0] != manyParts().Artifact || f.Artifacts[1] != log.Artifact || !f.IsOK() {
				t.Errorf("%s: %s, artifacts %+v", name, f.Status, f.Artifacts)
			}
		}
		// The second one's parts go on counting.
		if got := x.artifact(f, 20, log.Artifact); string(bytes.Join(got, []byte(" "))) != "one two" {
			t.Errorf("the second artifact is %q", got)
		}
		if disk := x.onDisk(); !disk.IsOK() || len(disk.Artifacts) != 2 || disk.Seq != f.Seq {
			t.Errorf("on disk: %s, seq %d, %+v", disk.Status, disk.Seq, disk.Artifacts)
		}
	})
}

// A bus that takes no artifacts keeps the footer waiting, not the lease.
func TestAFooterWaitsForItsArtifacts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		x.refuseArtifacts()
		o := x.listen()
		x.a.w.cfg.Engine = doneWith(manyParts())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			x.a.run(t.Context())
		}()
		_, before := x.record()
		for range 5 {
			pause(t.Context(), x.m.LeaseDuration)
			rec, seq := x.record()
			if rec.State != lease.StateClaimed || seq <= before || rec.Own.BarsProcessed != 10 || len(rec.Own.Artifacts) != 0 || x.okFooter() != nil {
				t.Fatalf("while the bus refuses artifacts: %s at %d, %+v, final footer %v", rec.State, seq, rec.Own, x.okFooter())
			}
			before = seq
		}
		must(t, x.b.MakeStreams(t.Context(), 1))
		<-ended
		if got := o.judge(); !strings.HasSuffix(got, "claimed artifact footer done") && !strings.HasSuffix(got, "artifact claimed artifact footer done") {
			t.Errorf("published: %s", got)
		}
		if f := x.okFooter(); f == nil || len(f.Artifacts) != 1 {
			t.Errorf("final footer %+v", f)
		}
	})
}

// The last word of an attempt that is sent away is neither lost nor late
// because of artifacts, which stay on disk.
func TestTheFinalReportDoesNotWaitForArtifacts(t *testing.T) {
	for name, c := range map[string]struct {
		why   error
		state lease.State
		most  time.Duration // until the record is stored
	}{
		"stop":         {stopped{run.Stop{Source: run.SourceSubject, Seq: 3}}, lease.StateStopped, lastWords / partsShare},
		"session over": {errSessionOver, lease.StateReleased, lastWords / partsShare},
		"shutdown":     {ErrShutdown, lease.StateReleased, lastWords / partsShare},
		"orphaned":     {ErrOrphaned, lease.StateReleased, orphanWords / partsShare},
	} {
		for at, w := range map[string]struct{ replayed, refuses bool }{
			"in the middle": {false, false},
			"in the middle, the bus refuses artifacts":        {false, true},
			"when all is replayed, the bus refuses artifacts": {true, true},
		} {
			t.Run(name+" "+at, func(t *testing.T) {
				bubble(t, func(t *testing.T) { testFinalReport(t, c.why, c.state, c.most, w.replayed, w.refuses) })
			})
		}
	}
}

func testFinalReport(t *testing.T, why error, want lease.State, most time.Duration, replayed, refuses bool) {
	x := newBench(t)
	if refuses {
		x.refuseArtifacts()
	}
	o := x.listen()
	life, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	end := func() {
		var stop stopped
		if errors.As(why, &stop) || errors.Is(why, errSessionOver) {
			x.a.s.cancel(why)
		} else {
			cancel(why)
		}
	}
	reached := make(chan struct{})
	art := manyParts()
	bars := int64(5)
	x.a.w.cfg.Engine = halfWith(func() { close(reached) }, art)
	if replayed {
		bars, most = 10, 2*most // of what is replayed, artifacts have two thirds
		x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) {
			close(reached)
			return Result{Footer: counted(10), Artifacts: []Artifact{art}}, nil
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		x.a.run(life)
	}()
	<-reached
	pause(t.Context(), 3*time.Second)
	if _, err := os.Stat(filepath.Join(x.firstDir(), layout.FooterFile)); replayed != (err == nil) {
		t.Errorf("before it is sent away: the footer's file: %v", err)
	}
	begun := time.Now()
	end()
	synctest.Wait()
	x.onDisk() // files first, whatever the bus does
	<-ended
	if took := time.Since(begun); took > most+retryEvery || !refuses && took > 0 {
		t.Errorf("the last word came after %v (want %v at most)", took, most)
	}
	o.judge()
	rec, _ := x.record()
	onBus := 1
	if refuses {
		onBus = 0
	}
	if rec.State != want || rec.Own == nil || rec.Own.BarsProcessed != bars || len(rec.Own.Artifacts) != onBus || rec.Best.Seq != rec.Own.Seq || x.okFooter() != nil {
		t.Errorf("record %s (want %s), own %+v", rec.State, want, rec.Own)
	}
	disk := x.onDisk()
	if len(disk.Artifacts) != 1 || disk.BarsProcessed != bars || disk.IsOK() != replayed {
		t.Errorf("on disk: %s, %d bars, artifacts %+v", disk.Status, disk.BarsProcessed, disk.Artifacts)
	}
	if refuses && !footer.Outranks(disk, *rec.Own) {
		t.Error("the footer on disk, which lists what is there, does not outrank the record's")
	}
}

// What a failed attempt has found counts, and the next claim keeps it.
func TestAFailedAttemptLeavesItsArtifacts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		o := x.listen()
		x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) {
			return Result{Footer: counted(7), Artifacts: []Artifact{manyParts()}}, errors.New("a bad bar")
		})
		x.a.run(t.Context())
		if got := o.judge(); got != "claimed artifact failed" {
			t.Errorf("published: %s", got)
		}
		rec, _ := x.record()
		if rec.Own.Error != "a bad bar" || len(rec.Own.Artifacts) != 1 || rec.Failures != 1 {
			t.Errorf("record %+v", rec.Own)
		}
		if disk := x.onDisk(); disk.Error != "a bad bar" || len(disk.Artifacts) != 1 {
			t.Errorf("on disk: %+v", disk)
		}
		// Another worker's attempt that gets less far carries it on.
		claim := rec.Claim
		a := x.attempt("w2", engineFunc(func(context.Context, func(footer.Footer)) (Result, error) {
			return Result{Footer: counted(2)}, errors.New("another")
		}))
		a.run(t.Context())
		rec, _ = x.record()
		if rec.Attempt != 2 || rec.Best.Claim != claim || len(rec.Best.Artifacts) != 1 || len(rec.Own.Artifacts) != 0 {
			t.Errorf("the next record: own %+v, best %+v", rec.Own, rec.Best)
		}
		x.artifact(rec.Best, 0, rec.Best.Artifacts[0])
	})
}

// A worker that dies with its artifacts stored and its footer not leaves them
// under its claim; the next attempt has a claim of its own.
func TestKilledBetweenArtifactsAndFooter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		if !x.a.take(t.Context(), x.claimRecord(), 0) {
			t.Fatal("not claimed")
		}
		u := x.a.upload([]Artifact{testArtifact("signals", "old", "older")})
		for all := false; !all; {
			var err error
			all, err = u.step(t.Context())
			must(t, err)
		}
		o := x.listen()
		a := x.attempt("w2", doneWith(manyParts()))
		a.run(t.Context())
		o.judge()
		f := x.okFooter()
		if f == nil || f.Attempt != 2 || f.Claim == x.a.rec.Claim || len(f.Artifacts) != 1 || f.Artifacts[0] != manyParts().Artifact {
			t.Fatalf("final footer %+v", f)
		}
		old, err := x.b.Artifact(t.Context(), x.m.Ref(), 0, x.a.rec.Claim, 0, 2, 100)
		if err != nil || string(bytes.Join(old, []byte(" "))) != "old older" {
			t.Errorf("the dead worker's: %q, %v", old, err)
		}
		if n := x.countParts(); n != 22 {
			t.Errorf("%d parts (want 22)", n)
		}
	})
}

// Whose lease is lost has files, and says nothing to the bus.
func TestALostLeaseLeavesFilesAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		reached := make(chan struct{})
		x.a.w.cfg.Engine = halfWith(func() { close(reached) }, manyParts())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			x.a.run(t.Context())
		}()
		<-reached
		synctest.Wait()
		other, seq := x.record()
		other.Holder.WorkerID, other.Attempt = "w2", other.Attempt+1
		_, err := x.b.StoreLease(t.Context(), *other, seq)
		must(t, err)
		<-ended
		if n := x.countParts(); n != 0 {
			t.Errorf("%d parts were stored", n)
		}
		if disk := x.onDisk(); len(disk.Artifacts) != 1 || disk.BarsProcessed != 5 {
			t.Errorf("on disk: %+v", disk)
		}
		if rec, _ := x.record(); rec.Holder.WorkerID != "w2" {
			t.Errorf("the record is %s's", rec.Holder.WorkerID)
		}
	})
}

// An ok footer is true whoever holds the lease, with its artifacts.
func TestDoneWithoutTheLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		x.refuseArtifacts()
		x.a.w.cfg.Engine = doneWith(manyParts())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			x.a.run(t.Context())
		}()
		pause(t.Context(), time.Second)
		for {
			other, seq := x.record()
			other.Holder.WorkerID, other.Attempt = "w2", other.Attempt+1
			if _, err := x.b.StoreLease(t.Context(), *other, seq); err == nil {
				break
			}
		}
		pause(t.Context(), time.Second)
		must(t, x.b.MakeStreams(t.Context(), 1))
		<-ended
		if f := x.okFooter(); f == nil || f.WorkerID != "w1" || len(f.Artifacts) != 1 {
			t.Errorf("final footer %+v", f)
		}
		if rec, _ := x.record(); rec.Holder.WorkerID != "w2" || rec.State != lease.StateClaimed {
			t.Errorf("the record is %s's, %s", rec.Holder.WorkerID, rec.State)
		}
	})
}

// What cannot be kept costs itself, never the footer.
func TestArtifactsThatCannotBeKept(t *testing.T) {
	long := testArtifact("signals", strings.Repeat("x", bus.MaxArtifactPart+1))
	more := testArtifact("signals", "a", "b")
	more.Parts++
	many := make([]Artifact, maxArtifacts+1)
	for i := range many {
		many[i] = testArtifact(strconv.Itoa(i))
	}
	for name, c := range map[string]struct {
		result Result
		want   string // in the log
	}{
		"not encoded":      {Result{Unkept: errors.New("signal 7 has no side")}, "signal 7 has no side"},
		"a part too large": {Result{Artifacts: []Artifact{long}}, "part 0 has 524289 bytes"},
		"other parts":      {Result{Artifacts: []Artifact{more}}, "2 parts, 3 are listed"},
		"no name":          {Result{Artifacts: []Artifact{testArtifact("")}}, "its name"},
		"a path":           {Result{Artifacts: []Artifact{testArtifact("../signals")}}, "its name"},
		"the parent":       {Result{Artifacts: []Artifact{testArtifact("..")}}, "its name"},
		"the footer":       {Result{Artifacts: []Artifact{testArtifact(layout.FooterFile)}}, "its name"},
		"twice":            {Result{Artifacts: []Artifact{testArtifact("a"), testArtifact("b"), testArtifact("a")}}, "artifact a appears twice"},
		"too many":         {Result{Artifacts: many}, "65 artifacts (at most 64)"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x := newBench(t)
				var log bytes.Buffer
				x.a.log = slog.New(slog.NewTextHandler(&log, nil))
				c.result.Footer = counted(10)
				x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) { return c.result, nil })
				x.a.run(t.Context())
				if f := x.okFooter(); f == nil || len(f.Artifacts) != 0 || x.countParts() != 0 {
					t.Errorf("final footer %+v, %d parts", f, x.countParts())
				}
				if disk := x.onDisk(); !disk.IsOK() {
					t.Errorf("on disk: %s", disk.Status)
				}
				if !strings.Contains(log.String(), c.want) {
					t.Errorf("the log says %q (want %q in it)", log.String(), c.want)
				}
			})
		})
	}
}

// Files that cannot be written keep nothing from the bus.
func TestArtifactsWithoutADisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) {
			// A name that no file system takes is in the way of the artifact alone.
			a := manyParts()
			a.Name = strings.Repeat("s", 256)
			return Result{Footer: counted(10), Artifacts: []Artifact{a}}, nil
		})
		x.a.run(t.Context())
		f := x.okFooter()
		if f == nil || len(f.Artifacts) != 1 {
			t.Fatalf("final footer %+v", f)
		}
		x.artifact(f, 0, f.Artifacts[0])
		data, err := os.ReadFile(filepath.Join(x.firstDir(), layout.FooterFile))
		must(t, err)
		if disk, err := footer.DecodeJSON(data); err != nil || len(disk.Artifacts) != 0 || !disk.IsOK() {
			t.Errorf("on disk: %+v, %v", disk, err)
		}
	})
}

const signalsPolicy = "features: [roc20]\nmodel: {kind: logistic, long: {weights: {roc20: 300}}, short: {weights: {roc20: -300}}}\nexit: {stop_bps: 20, target_bps: 20}\nrisk: {max_open_trades: 1}\n"

// The built-in engine leaves its signals, those of a part as well as those of
// the whole.
func TestBuiltinLeavesItsSignals(t *testing.T) {
	for name, c := range map[string]struct {
		bars, stopAt int64 // 0: it is not stopped
		doc          string
		signals      bool
	}{
		"whole":          {20_000, 0, signalsPolicy, true},
		"stopped":        {20_000, 12_345, signalsPolicy, true},
		"no signals":     {2000, 0, "features: [roc20]\nmodel: {kind: logistic, long: {bias: -50}, short: {bias: -50}}\nexit: {max_bars: 5}\n", false},
		"stopped before": {2000, 3, signalsPolicy, false},
	} {
		t.Run(name, func(t *testing.T) {
			objects, m := loaded(t, c.bars, c.doc)
			bubble(t, func(t *testing.T) {
				x := benchOf(t, m)
				o := x.listen()
				x.a.w.cfg.Engine = &Builtin{Objects: objects, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil), OnBar: func(Job) func(int64) error {
					return func(bar int64) error {
						if c.stopAt > 0 && bar == c.stopAt {
							x.a.s.cancel(stopped{run.Stop{Source: run.SourceSubject, Seq: 3}})
						}
						return nil
					}
				}}
				x.a.run(t.Context())
				o.judge()
				rec, _ := x.record()
				f, disk := rec.Own, x.onDisk()
				want := footer.StatusOK
				if c.stopAt > 0 {
					want = footer.StatusStopped
				}
				if f.Status != want || disk.Status != want || c.stopAt == 0 && f.BarsProcessed != c.bars {
					t.Fatalf("%s on the bus, %s on disk, %d bars", f.Status, disk.Status, f.BarsProcessed)
				}
				if !c.signals {
					if f.NSignals != 0 || len(f.Artifacts) != 0 || len(disk.Artifacts) != 0 || x.countParts() != 0 {
						t.Errorf("%d signals, artifacts %+v, %d parts (want none)", f.NSignals, f.Artifacts, x.countParts())
					}
					return
				}
				if len(f.Artifacts) != 1 || f.Artifacts[0].Name != trade.ArtifactName || len(disk.Artifacts) != 1 || disk.Artifacts[0] != f.Artifacts[0] {
					t.Fatalf("artifacts %+v, on disk %+v", f.Artifacts, disk.Artifacts)
				}
				signals, err := trade.DecodeSignals(f.Artifacts[0], x.artifact(f, 0, f.Artifacts[0]))
				must(t, err)
				if int64(len(signals)) != f.NSignals || f.NSignals < 1000 {
					t.Errorf("%d signals, the footer counts %d", len(signals), f.NSignals)
				}
				counted := run.BarRange{First: 0, End: f.BarsProcessed}
				must(t, trade.ValidateSignals(signals, counted, c.bars))
				if last := signals[len(signals)-1]; c.stopAt > 0 && last.Left == nil {
					t.Errorf("the last signal has no state to go on from: %+v", last)
				}
			})
		})
	}
}
