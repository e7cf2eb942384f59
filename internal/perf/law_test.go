package perf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// drawChunk draws what one export may know of chunk idx.
func drawChunk(t *rapid.T, tb testing.TB, idx int) perf.Chunk {
	status := rapid.SampledFrom([]footer.Status{
		footer.StatusOK, footer.StatusPartial, footer.StatusStopped, footer.StatusFailed, footer.StatusUnresponsive,
		footer.StatusMissing, footer.StatusParseError, "", "nonsense",
	}).Draw(t, "status")
	c := aChunk(tb, idx, rapid.Int64Range(-1, chunkBars).Draw(t, "bars"), status)
	if !c.Line.IsZero() {
		f := aFooter(idx, c.Line.Bars(), rapid.Int64Range(1, 3).Draw(t, "attempt"), rapid.Int64Range(1, 3).Draw(t, "seq"))
		f.PnlBps = rapid.SampledFrom([]float64{0, 1, -2.5, 1e308, math.NaN(), math.Inf(1)}).Draw(t, "pnl")
		c.Line = encode(tb, f)
	}
	c.Error = rapid.StringN(0, 8, 20).Draw(t, "error")
	c.Trace = rapid.StringN(0, 8, 20).Draw(t, "trace")
	return c
}

func drawChunks(t *rapid.T, tb testing.TB, n int) []perf.Chunk {
	all := make([]perf.Chunk, n)
	for i := range all {
		all[i] = drawChunk(t, tb, i)
	}
	return all
}

func merged(t *rapid.T, a, b []perf.Chunk) []perf.Chunk {
	m, err := perf.Merge(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInvariant1_CoverageAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chunks := drawChunks(rt, t, rapid.IntRange(0, 12).Draw(rt, "n"))
		c := perf.Count("", chunks).Coverage
		var sum perf.StatusCount
		for _, s := range c.ByStatus {
			sum.Chunks += s.Chunks
			sum.PlannedBars += s.PlannedBars
			sum.ReplayedBars += s.ReplayedBars
		}
		var bars int64
		for _, k := range chunks {
			bars += k.Line.Bars()
		}
		if c.PlannedBars != c.ReplayedBars+c.MissingBars || c.MissingBars < 0 || c.ReplayedBars != bars {
			rt.Fatalf("%+v", c)
		}
		if sum != (perf.StatusCount{Chunks: len(chunks), PlannedBars: c.PlannedBars, ReplayedBars: c.ReplayedBars}) {
			rt.Fatalf("by_status adds up to %+v, coverage is %+v", sum, c)
		}
	})
}

func TestInvariant2_OKIsAnOKFooter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chunks := drawChunks(rt, t, rapid.IntRange(0, 5).Draw(rt, "n"))
		said := rapid.SampledFrom([]perf.Outcome{"", perf.OutcomeComplete, perf.OutcomeStopped, perf.OutcomeFailed}).Draw(rt, "said")
		done := 0
		for _, c := range chunks {
			if c.Line.IsOK() {
				done++
			}
		}
		n := perf.Count(said, chunks)
		if n.ChunksCompleted != done || n.Coverage.ByStatus[footer.StatusOK].Chunks != done {
			rt.Fatalf("%d ok footers, %+v", done, n)
		}
		if (n.Outcome == perf.OutcomeComplete) != (done > 0 && done == len(chunks)) {
			rt.Fatalf("%d of %d chunks done, outcome %s", done, len(chunks), n.Outcome)
		}
	})
}

func TestInvariant3_MergeLosesNoBar(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(rt, "n")
		a, b := drawChunks(rt, t, n), drawChunks(rt, t, n)
		if rapid.Bool().Draw(rt, "noPlanYet") {
			b = nil
		}
		before := slices.Clone(b)
		m := merged(rt, a, b)
		if !slices.Equal(b, before) {
			rt.Fatal("Merge has changed its argument")
		}
		for i := range m {
			most := a[i].Line
			if b != nil && !b[i].Line.IsZero() && (most.IsZero() || footer.Outranks(b[i].Line.Footer(), most.Footer())) {
				most = b[i].Line
			}
			if !reflect.DeepEqual(m[i].Line.Footer(), most.Footer()) {
				rt.Fatalf("chunk %d: %+v speaks, want %+v", i, m[i].Line.Footer(), most.Footer())
			}
		}
		if !slices.Equal(merged(rt, m, m), m) || !slices.Equal(merged(rt, m, b), merged(rt, merged(rt, m, b), b)) {
			rt.Fatal("merging again changes something")
		}
	})
}

// Whatever order footers come in, and however often, an export that says the
// same of the statuses has the same bytes.
func TestInvariant3_AnyOrderSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(rt, "n")
		parts := [][]perf.Chunk{drawChunks(rt, t, n), drawChunks(rt, t, n), drawChunks(rt, t, n)}
		last := make([]perf.Chunk, n) // what the lease records say at the end
		for i := range last {
			last[i] = perf.Chunk{Idx: i, Planned: chunkBars, Status: footer.StatusStopped, Error: "the end"}
		}
		var want []byte
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2, 0, 1}, {0, 0, 2, 1}} {
			var all []perf.Chunk
			for _, k := range order {
				all = merged(rt, all, parts[k])
				// As if each export had been read from its file.
				f, err := perf.Parse(appended(t, aReport(n), all))
				if err != nil {
					rt.Fatal(err)
				}
				all = f.Chunks
			}
			got := appended(t, aReport(n), merged(rt, all, last))
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				rt.Fatalf("order %v:\n%s\nthe first order:\n%s", order, got, want)
			}
		}
	})
}

// anyText draws texts with bytes that are no UTF-8 too.
func anyText(t *rapid.T, label string) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, label))
}

func anyTime(t *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64().Draw(t, label), 0)
}

func drawReport(t *rapid.T) perf.Report {
	odd := rapid.SampledFrom([]float64{0, 0.1, -1, 1e300, math.NaN(), math.Inf(-1)})
	r := perf.Report{
		RunID: "golden", Timestamp: anyTime(t, "timestamp"), Outcome: perf.Outcome(anyText(t, "outcome")), Mode: perf.Mode(anyText(t, "mode")),
		Partial: rapid.Bool().Draw(t, "partial"), Wall: time.Duration(rapid.Int64().Draw(t, "wall")),
		Stop:  run.Stop{Source: run.Source(anyText(t, "source")), Reason: anyText(t, "reason"), Seq: rapid.Uint64().Draw(t, "seq"), RequestedAt: anyTime(t, "at")},
		Model: perf.Model{Kind: anyText(t, "kind")}, Data: run.Data{Source: anyText(t, "data"), SpreadBps: odd.Draw(t, "spread")},
		Env: perf.EnvInfo{Host: anyText(t, "host")},
	}
	if rapid.Bool().Draw(t, "lists") {
		r.Hosts = []string{anyText(t, "h")}
		r.Sessions = []run.SessionTimes{{StartedAt: anyTime(t, "started"), WallSec: odd.Draw(t, "sec")}}
		r.Command = aCommand(rapid.SampledFrom([]string{run.EmitsTrades, run.EmitsScores, "made up"}).Draw(t, "emits"))
		r.Command.Argv[1] = anyText(t, "arg")
		r.Command.Digests[anyText(t, "file")] = r.Command.Digests["replay.py"]
	}
	return r
}

func TestInvariant4_ValidWhateverItHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, chunks := drawReport(rt), drawChunks(rt, t, rapid.IntRange(0, 5).Draw(rt, "n"))
		for i := range chunks {
			chunks[i].Error, chunks[i].Trace = anyText(rt, "error"), anyText(rt, "trace")
		}
		b := appended(t, r, chunks)
		if err := perf.Verify(b); err != nil {
			rt.Fatalf("%v\n%s", err, b)
		}
		f, err := perf.Parse(b)
		if err != nil {
			rt.Fatal(err)
		}
		again := appended(t, f.Report, f.Chunks)
		if f, err = perf.Parse(again); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(appended(t, f.Report, f.Chunks), again) {
			rt.Fatal("reading and writing does not come to rest")
		}
		stub, err := perf.AppendStub(nil, perf.Stub{RunID: r.RunID, Timestamp: r.Timestamp, Error: anyText(rt, "cause"), Trace: anyText(rt, "stack"), Env: r.Env}, chunks)
		if err != nil || !json.Valid(stub) || bytes.Contains(stub, []byte("null")) && !strings.Contains(r.Env.Host, "null") {
			rt.Fatalf("%v: %s", err, stub)
		}
	})
}

// NaN or infinity in any number of a footer: valid JSON, 0, and its name.
func TestInvariant4_NonFiniteAnywhere(t *testing.T) {
	probe := reflect.TypeFor[footer.Footer]()
	fields := 0
	for i := range probe.NumField() {
		if probe.Field(i).Type.Kind() != reflect.Float64 {
			continue
		}
		fields++
		name := probe.Field(i).Tag.Get("json")
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			f := aFooter(0, 40, 1, 1)
			reflect.ValueOf(&f).Elem().Field(i).SetFloat(bad)
			b := appended(t, aReport(1), []perf.Chunk{{Planned: chunkBars, Status: footer.StatusStopped, Line: encode(t, f)}})
			if err := perf.Verify(b); err != nil {
				t.Fatalf("%s %v: %v", name, bad, err)
			}
			read, err := perf.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			got := read.Chunks[0].Line.Footer()
			if v := reflect.ValueOf(got).Field(i).Float(); v != 0 || !slices.Contains(got.NonfiniteFields, name) {
				t.Errorf("%s %v is written as %v, nonfinite_fields %v", name, bad, v, got.NonfiniteFields)
			}
		}
	}
	if fields < 15 {
		t.Fatalf("only %d fields were tried", fields)
	}
}

// The Encoder writes what Append appends, also when it is used again and
// whatever the blocks.
func TestEncoderWritesWhatAppendAppends(t *testing.T) {
	var e perf.Encoder
	for _, n := range []int{1000, 0, 7, 1000} {
		r, chunks := aReport(n), manyChunks(t, n)
		var got bytes.Buffer
		if err := e.Write(&got, r, chunks); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), appended(t, r, chunks)) {
			t.Errorf("%d chunks: the bytes differ", n)
		}
	}
	for after := range 5 { // 1,000 chunks are five blocks
		w := &fullAfter{writes: after}
		if err := e.Write(w, aReport(1000), manyChunks(t, 1000)); !errors.Is(err, errFull) {
			t.Errorf("after %d writes: %v", after, err)
		}
	}
	if err := e.Write(io.Discard, aReport(1), []perf.Chunk{{Idx: 1}}); err == nil {
		t.Error("chunks without the first are written")
	}
}

var errFull = errors.New("full")

type fullAfter struct{ writes int }

func (w *fullAfter) Write(b []byte) (int, error) {
	if w.writes--; w.writes < 0 {
		return 0, errFull
	}
	return len(b), nil
}
