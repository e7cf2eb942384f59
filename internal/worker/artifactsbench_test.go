package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
	"gx1replay/test/virtual"
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
	virtual.Test(t, f)
}

// engineFunc is an engine of a test.
type engineFunc func(ctx context.Context, report func(footer.Footer)) (Result, error)

func (engineFunc) Name() string            { return footer.EngineBuiltin }
func (engineFunc) Identity() string        { return "" }
func (engineFunc) Fits(run.Manifest) error { return nil }
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
	got, err := x.b.Artifact(x.t.Context(), x.m.Ref(), int(f.ChunkIdx), f.Claim, first, art.Parts, art.Bytes)
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
	return filepath.Join(x.a.w.cfg.WorkDir, x.m.Incarnation.Dir(x.m.RunID), "chunk_0", "attempt_1")
}

// onDisk reads the footer in firstDir, and holds the files that it lists
// against it.
func (x *bench) onDisk() footer.Footer {
	x.t.Helper()
	data, err := os.ReadFile(filepath.Join(x.firstDir(), layout.FooterFile))
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
