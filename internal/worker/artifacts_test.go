package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// bubble runs f in virtual time; see the one of package bus.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	ats.Register()
	defer ats.Unregister()
	emptyPools := func() {
		runtime.GC()
		runtime.GC()
	}
	emptyPools()
	defer emptyPools()
	synctest.Test(t, f)
}

// engineFunc is an engine of a test.
type engineFunc func(ctx context.Context, report func(footer.Footer)) (Result, error)

func (engineFunc) Name() string     { return footer.EngineBuiltin }
func (engineFunc) Identity() string { return "" }
func (f engineFunc) Replay(ctx context.Context, _ Job, report func(footer.Footer)) (Result, error) {
	return f(ctx, report)
}

// counted is a footer of n bars.
func counted(n int64) footer.Footer {
	return footer.Footer{Phase: footer.PhaseReplay, BarsProcessed: n, TotalBars: n}
}

// testArtifact has one part for each of contents.
func testArtifact(name string, contents ...string) Artifact {
	art := Artifact{Artifact: footer.Artifact{Name: name, Parts: len(contents)}}
	sum := sha256.New()
	for _, c := range contents {
		art.Content = append(art.Content, []byte(c))
		art.Bytes += int64(len(c))
		sum.Write([]byte(c))
	}
	art.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return art
}

// manyParts is an artifact that goes over the wire in more than one batch.
func manyParts() Artifact {
	var contents []string
	for i := range 20 {
		contents = append(contents, strings.Repeat(strconv.Itoa(i), 1000))
	}
	return testArtifact("signals", contents...)
}

// doneWith is an engine that replays all ten bars at once and leaves list.
func doneWith(list ...Artifact) engineFunc {
	return func(context.Context, func(footer.Footer)) (Result, error) {
		return Result{Footer: counted(10), Artifacts: list}, nil
	}
}

// halfWith is one that stops in the middle and waits for its end.
func halfWith(reached func(), list ...Artifact) engineFunc {
	return func(ctx context.Context, report func(footer.Footer)) (Result, error) {
		f := counted(5)
		f.Artifacts = listed(list) // too early: it is not for the engine to say
		report(f)
		reached()
		<-ctx.Done()
		return Result{Footer: counted(5), Artifacts: list}, context.Cause(ctx)
	}
}

// order collects what workers publish, in the order of the wire.
type order struct {
	x   *bench
	sub *nats.Subscription
}

func (x *bench) listen() order {
	x.t.Helper()
	sub, err := x.raw.SubscribeSync("gx1.>")
	must(x.t, err)
	must(x.t, x.raw.Flush())
	return order{x, sub}
}

// judge fails the test if a footer lists what was not published before it, or
// what the bus does not hold. It returns the kinds of messages in order, each
// once in a row.
func (o order) judge() string {
	t, x := o.x.t, o.x
	t.Helper()
	must(t, x.raw.Flush())
	n, _, err := o.sub.Pending()
	must(t, err)
	parts := map[string][]byte{}
	var kinds []string
	check := func(f *footer.Footer) {
		if f == nil {
			return
		}
		first := 0
		for _, art := range f.Artifacts {
			sum := sha256.New()
			for i := range art.Parts {
				sum.Write(parts["gx1.artifact."+f.RunID+"."+f.ChunkID+"."+strconv.FormatUint(f.Claim, 10)+"."+strconv.Itoa(first+i)])
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != art.SHA256 {
				t.Errorf("a footer (%s, seq %d) lists %s, and before it came content with SHA-256 %s", f.Status, f.Seq, art.Name, got)
			}
			x.artifact(f, first, art)
			first += art.Parts
		}
	}
	for range n {
		m, err := o.sub.NextMsg(time.Minute)
		must(t, err)
		kind := strings.Split(m.Subject, ".")[1]
		switch kind {
		case "artifact":
			parts[m.Subject] = m.Data
		case "progress":
			r, err := lease.Decode(m.Data)
			must(t, err)
			check(r.Own)
			check(r.Best)
			kind = string(r.State)
		case "footer":
			f, err := footer.Decode(m.Data)
			must(t, err)
			check(&f)
		}
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " ")
}

// artifact reads an artifact of f and holds it against the list.
func (x *bench) artifact(f *footer.Footer, first int, art footer.Artifact) [][]byte {
	x.t.Helper()
	got, err := x.b.Artifact(x.t.Context(), x.m.RunID, int(f.ChunkIdx), f.Claim, first, art.Parts, art.Bytes)
	if err != nil {
		x.t.Errorf("%s of claim %d: %v", art.Name, f.Claim, err)
		return nil
	}
	if sum := sha256.Sum256(bytes.Join(got, nil)); hex.EncodeToString(sum[:]) != art.SHA256 {
		x.t.Errorf("%s of claim %d has SHA-256 %x (want %s)", art.Name, f.Claim, sum, art.SHA256)
	}
	return got
}

// firstDir is where the bench's attempt keeps its files, if it is the first.
func (x *bench) firstDir() string {
	return filepath.Join(x.a.w.cfg.WorkDir, string(x.m.RunID), "chunk_0", "attempt_1")
}

// onDisk reads the footer in firstDir, and holds the files that it lists
// against it.
func (x *bench) onDisk() footer.Footer {
	x.t.Helper()
	data, err := os.ReadFile(filepath.Join(x.firstDir(), footerFile))
	must(x.t, err)
	f, err := footer.DecodeJSON(data)
	must(x.t, err)
	for _, art := range f.Artifacts {
		content, err := os.ReadFile(filepath.Join(x.firstDir(), art.Name))
		must(x.t, err)
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != art.SHA256 || int64(len(content)) != art.Bytes {
			x.t.Errorf("%s: %d bytes, SHA-256 %x (want %d, %s)", art.Name, len(content), sum, art.Bytes, art.SHA256)
		}
	}
	files, err := os.ReadDir(x.firstDir())
	must(x.t, err)
	if len(files) != 1+len(f.Artifacts) {
		x.t.Errorf("%d files in the attempt's directory, %d are listed: %v", len(files), len(f.Artifacts), files)
	}
	return f
}

func (x *bench) okFooter() *footer.Footer {
	x.t.Helper()
	f, _, err := x.b.Footer(x.t.Context(), x.m, 0)
	must(x.t, err)
	return f
}

func (x *bench) js() jetstream.JetStream {
	x.t.Helper()
	js, err := jetstream.New(x.raw)
	must(x.t, err)
	return js
}

// refuseArtifacts takes away the stream of artifacts.
func (x *bench) refuseArtifacts() {
	x.t.Helper()
	must(x.t, x.js().DeleteStream(x.t.Context(), bus.StreamArtifacts))
}

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
func TestTheLastWordDoesNotWaitForArtifacts(t *testing.T) {
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
				bubble(t, func(t *testing.T) { testLastWord(t, c.why, c.state, c.most, w.replayed, w.refuses) })
			})
		}
	}
}

func testLastWord(t *testing.T, why error, want lease.State, most time.Duration, replayed, refuses bool) {
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
	if _, err := os.Stat(filepath.Join(x.firstDir(), footerFile)); replayed != (err == nil) {
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
		old, err := x.b.Artifact(t.Context(), "r", 0, x.a.rec.Claim, 0, 2, 100)
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
		"the footer":       {Result{Artifacts: []Artifact{testArtifact(footerFile)}}, "its name"},
		"twice":            {Result{Artifacts: []Artifact{testArtifact("a"), testArtifact("b"), testArtifact("a")}}, "artifact a is there twice"},
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
			// A directory is in the way of the artifact alone.
			must(t, os.MkdirAll(filepath.Join(x.firstDir(), "signals", "x"), 0o755))
			return Result{Footer: counted(10), Artifacts: []Artifact{manyParts()}}, nil
		})
		x.a.run(t.Context())
		f := x.okFooter()
		if f == nil || len(f.Artifacts) != 1 {
			t.Fatalf("final footer %+v", f)
		}
		x.artifact(f, 0, f.Artifacts[0])
		data, err := os.ReadFile(filepath.Join(x.firstDir(), footerFile))
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
				x.a.w.cfg.Engine = &Builtin{Objects: objects, CacheDir: t.TempDir(), OnBar: func(Job) func(int64) error {
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
