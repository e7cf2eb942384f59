package lease

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are the records of the golden files: the first claim, and one with
// another value in every field.
func golden() map[string]Record {
	full := in(StateStopped, 2)
	full.Identity = "digest"
	full.Stop = run.Stop{Source: run.SourceSIGTERM, Reason: "enough – é", Seq: 17, RequestedAt: time.Date(2026, 11, 24, 10, 37, 5, 123456789, time.UTC)}
	own, best := full.Own.Normalize(), full.Best.Normalize()
	full.Own, full.Best = &own, &best
	return map[string]Record{"claim": Decide(delivery(nil)).Next, "full": full}
}

// utc is r with its time in UTC: the zone does not travel.
func utc(r Record) Record {
	r.Stop.RequestedAt = r.Stop.RequestedAt.UTC()
	return r
}

func TestGolden(t *testing.T) {
	for name, r := range golden() {
		path := filepath.Join("testdata", "v1", name+".msgpack")
		b := mustEncode(t, r)
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, stored) {
			t.Errorf("%s has changed; if old readers still read it, run the test with -update\ngot  %q\nwant %q", path, b, stored)
		}
		got, err := Decode(stored)
		if err != nil || !reflect.DeepEqual(utc(got), r) {
			t.Errorf("%s: %+v, %v, want %+v", path, got, err, r)
		}
	}
}

// Records of versions without incarnations are read: they are of runs that have
// none.
func TestEarlierRecordsAreRead(t *testing.T) {
	for name, want := range map[string]State{"claim": StateClaimed, "full": StateStopped} {
		stored, err := os.ReadFile(filepath.Join("testdata", "earlier", name+".msgpack"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(stored)
		if err != nil || r.State != want || r.Incarnation != "" || r.RunID != "r1" {
			t.Errorf("%s: %+v, %v (want %s of run r1, without an incarnation)", name, r, err, want)
		}
	}
}

// Best is written once where it is the attempt's own, and comes back as the
// same footer.
func TestRoundTripKeepsBestAndOwnTogether(t *testing.T) {
	r := held()
	r.Own, r.Best = nil, nil
	one := r.Renewed(measured(10, 2))
	if one.Best != one.Own {
		t.Fatal("best is not the attempt's own")
	}
	got, err := Decode(mustEncode(t, one))
	if err != nil || got.Own == nil || got.Best != got.Own || bars(got) != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	if two := mustEncode(t, held()); len(two) < len(mustEncode(t, one))+500 {
		t.Errorf("two footers are %d bytes", len(two))
	}
	onlyBest := r
	onlyBest.Best = measured(15, 1)
	if got, err = Decode(mustEncode(t, onlyBest)); err != nil || got.Own != nil || bars(got) != 15 {
		t.Errorf("only best: %+v, %v", got, err)
	}
	if got, err = Decode(mustEncode(t, r)); err != nil || got.Own != nil || got.Best != nil {
		t.Errorf("neither: %+v, %v", got, err)
	}
	// A writer that got it wrong does not make best worse than its own.
	wrong := held()
	wrong.Own, wrong.Best = measured(15, 2), measured(10, 1)
	if got, err = Decode(mustEncode(t, wrong)); err != nil || bars(got) != 15 || got.Best != got.Own {
		t.Errorf("wrong best: %+v, %v", got, err)
	}
}

// However long the texts of a failure are, the record can be read, or its
// failure would never be counted.
func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("é", 30_000)
	r := held().Failed(nil, "first "+long, long+" last", maxFailures, false)
	got, err := Decode(mustEncode(t, r))
	if err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(got.Error); n != footer.MaxTraceLen || !strings.HasPrefix(got.Error, "first é") {
		t.Errorf("error: %d characters from %.10q on", n, got.Error)
	}
	if n := utf8.RuneCountInString(got.Traceback); n != footer.MaxTraceLen || !strings.HasSuffix(got.Traceback, "é last") {
		t.Errorf("trace: %d characters", n)
	}
	if got.Failures != 2 || got.State != StateFailed {
		t.Errorf("%s, %d failures", got.State, got.Failures)
	}
}

// refusals are changes of a record's fields on the wire, and what is said of
// them.
var refusals = []struct {
	field string
	value any
	want  string
}{
	{"schema", 2, "schema 2 is unknown (want 1)"},
	{"schema", nil, "schema 0 is unknown"},
	{"run_id", "a.b", "run_id"},
	{"state", "asleep", `state "asleep" is unknown`},
	{"state", "", `state "" is unknown`},
	{"chunk_idx", -1, "chunk_idx -1 is out of range"},
	{"chunk_idx", run.MaxChunks, "chunk_idx 1048576 is out of range"},
	{"session", 0, "session 0 is out of range (want 1 to 9007199254740992)"},
	{"session", uint64(1<<64 - 1), "session -1 is out of range"},
	{"attempt", 0, "attempt 0 is out of range"},
	{"attempt", 1<<63 - 1, "attempt 9223372036854775807 is out of range"},
	{"slot", -1, "slot -1 is out of range"},
	{"failures", -1, "failures -1 is out of range"},
	{"failures", 1<<63 - 1, "failures 9223372036854775807 is out of range"},
	{"releases", -1, "releases -1 is out of range"},
	{"worker_id", "", "worker_id is empty"},
	{"worker_id", strings.Repeat("x", maxText+1), "a text of 20001 bytes (at most 20000)"},
	{"host", strings.Repeat("x", maxText+1), "a text of 20001 bytes"},
	{"identity", strings.Repeat("x", maxText+1), "a text of 20001 bytes"},
	{"error", strings.Repeat("x", maxText+1), "a text of 20001 bytes"},
	{"error_traceback", strings.Repeat("x", maxText+1), "a text of 20001 bytes"},
	{"stop", run.Stop{Source: "web", Reason: strings.Repeat("x", maxText+1)}, "a text of 20001 bytes"},
	{"stop", run.Stop{Source: run.Source(strings.Repeat("x", maxText+1))}, "a text of 20001 bytes"},
	{"stop", run.Stop{}, "state stopped without the stop's source"},
	{"attempt", "two", "decoding a lease record"},
	{"attempt", 1.5, "decoding a lease record"},
	{"footer", []byte{0xc0}, "lease record of chunk 1: decoding a footer: it is null"},
	{"best", []byte{0x80, 0x80}, "lease record of chunk 1: best: decoding a footer"},
	{"best", make([]byte, footer.MaxEncodedBytes+1), "best: footer has 393217 bytes"},
}

func TestDecodeRefuses(t *testing.T) {
	for _, tc := range refusals {
		var m map[string]any
		if err := msgpack.Unmarshal(mustEncode(t, golden()["full"]), &m); err != nil {
			t.Fatal(err)
		}
		m[tc.field] = tc.value
		b, err := msgpack.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(b)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %.40v: error %v, want one with %q", tc.field, tc.value, err, tc.want)
		}
		if !reflect.DeepEqual(r, Record{}) {
			t.Errorf("%s %.40v: a record beside the error", tc.field, tc.value)
		}
	}
	good := mustEncode(t, golden()["full"])
	for name, b := range map[string][]byte{
		"nothing": nil, "null": {0xc0}, "a number": {0x05}, "cut": good[:len(good)-1],
		"a byte too many": append(bytes.Clone(good), 0xc0), "oversize": make([]byte, MaxRecordBytes+1),
	} {
		if _, err := Decode(b); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What is read on the bus is never a record that its writer could not know to
// be refused.
func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"state":         func(r *Record) { r.State = "" },
		"run_id":        func(r *Record) { r.RunID = "" },
		"attempt":       func(r *Record) { r.Attempt = 0 },
		"no worker":     func(r *Record) { r.Holder.WorkerID = "" },
		"long identity": func(r *Record) { r.Identity = strings.Repeat("x", maxText+1) },
		"no stop":       func(r *Record) { r.State = StateStopped },
		"large own":     func(r *Record) { r.Own = &footer.Footer{Host: strings.Repeat("x", footer.MaxEncodedBytes)} },
		"large best":    func(r *Record) { r.Best = &footer.Footer{Host: strings.Repeat("x", footer.MaxEncodedBytes)} },
	} {
		r := held()
		change(&r)
		if _, err := r.Encode(); err == nil || !strings.Contains(err.Error(), "encoding the lease record of chunk 1") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// cost is the bytes of heap and new stack that f takes.
func cost(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	// The stacks may also have shrunk meanwhile.
	return int64(after.TotalAlloc-before.TotalAlloc) + max(0, int64(after.StackSys)-int64(before.StackSys))
}

func TestDecodeIsBounded(t *testing.T) {
	head := append([]byte{0x81, 0xa5}, "later"...)
	for name, b := range map[string][]byte{
		"lists in lists": append(append(bytes.Clone(head), bytes.Repeat([]byte{0x91}, MaxRecordBytes-100)...), 0xc0),
		"maps in maps":   append(bytes.Clone(head), bytes.Repeat([]byte{0x81, 0xa0}, MaxRecordBytes/2-100)...),
		"map of 2^32":    {0xdf, 0xff, 0xff, 0xff, 0xff},
		"best of 2^32":   append(append([]byte{0x81, 0xa4}, "best"...), 0xc6, 0xff, 0xff, 0xff, 0xff),
	} {
		var err error
		used := cost(func() { _, err = Decode(b) })
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if used > 256<<10 {
			t.Errorf("%s: %d bytes of input cost %d", name, len(b), used)
		}
	}
}

func TestCheck(t *testing.T) {
	m := fixtureManifest()
	for _, tc := range []struct {
		name   string
		change func(*Record)
		want   string // empty: accepted
	}{
		{"as it is", func(*Record) {}, ""},
		{"without footers", func(r *Record) { r.Own, r.Best = nil, nil }, ""},
		{"done", func(r *Record) { *r = r.Done(okFooter(2)) }, ""},
		{"run", func(r *Record) { r.RunID = "r2" }, "run_id r2 (want r1)"},
		{"chunk", func(r *Record) { r.ChunkIdx = 4 }, "chunk_idx 4 (want 0 to 3)"},
		{"incarnation", func(r *Record) { r.Incarnation = "" }, `another incarnation of the run ("", want "0011`},
		{"of an earlier session", func(r *Record) { r.Session = 1 }, ""},
		{"of a session that nobody leads", func(r *Record) { r.Session = 1 << 30 }, "session 1073741824 (the manifest has 2): no such session is known"},
		{"as many attempts as messages", func(r *Record) { r.Attempt, r.Own.Attempt = 41, 41 }, ""},
		{"more attempts than messages", func(r *Record) { r.Attempt, r.Own.Attempt = 1<<30, 1<<30 }, "attempt 1073741824, claim 40 at sequence 41 (want at most that)"},
		{"a claim of the future", func(r *Record) { r.Claim = 42 }, "attempt 2, claim 42 at sequence 41"},
		{"failures that no attempt had", func(r *Record) { r.Failures = 1 << 29 }, "536870912 failures and 1 releases of 2 attempts"},
		{"releases that no attempt had", func(r *Record) { r.Releases = 2 }, "1 failures and 2 releases of 2 attempts"},
		{"the footer of another worker", func(r *Record) { r.Own.WorkerID = "evil" }, `attempt 2 of "other" carries the footer of attempt 2 of "evil"`},
		{"the footer of another attempt", func(r *Record) { r.Own.Attempt = 1 }, `attempt 2 of "other" carries the footer of attempt 1 of "other"`},
		{"best of another incarnation", func(r *Record) { r.Best.Incarnation = "" }, "another incarnation"},
		{"own of another chunk", func(r *Record) { r.ChunkIdx = 2; r.Best = nil }, "lease record of chunk 2 carries a footer of chunk 1"},
		{"best of another chunk", func(r *Record) { r.ChunkIdx = 2; r.Own = nil }, "lease record of chunk 2 carries a footer of chunk 1"},
		{"own against the plan", func(r *Record) { r.Own.PlannedBars++ }, "lease record of chunk 1: footer of chunk 1: bars"},
		{"best beyond the plan", func(r *Record) { r.Best.BarsProcessed = 26 }, "bars_processed 26 (at most 25 are planned)"},
	} {
		r := held()
		tc.change(&r)
		err := r.Check(m, 41)
		if tc.want == "" && err != nil {
			t.Errorf("%s: refused: %v", tc.name, err)
		}
		if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

// FuzzDecode also holds that whatever is accepted can be gone on with: every
// record that the rules make of it is accepted in turn.
func FuzzDecode(f *testing.F) {
	for _, r := range golden() {
		f.Add(mustEncode(f, r))
	}
	f.Add(mustEncode(f, held().Done(okFooter(2))))
	f.Add(mustEncode(f, in(StateExhausted, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			if !reflect.DeepEqual(r, Record{}) {
				t.Fatalf("%+v beside the error %v", r, err)
			}
			return
		}
		if len(b) > MaxRecordBytes/4 {
			t.Skip("texts that are no UTF-8 may grow beyond the bound")
		}
		if max(r.Session, r.Attempt, r.Failures, r.Releases) == maxCount {
			t.Skip("there is no next one")
		}
		d := Delivery{Me: me, Run: run.Ref{ID: r.RunID, Incarnation: r.Incarnation}, ChunkIdx: r.ChunkIdx, Session: r.Session + 1, Prev: &r, Deferred: true, MaxFailures: maxFailures}
		nexts := []Record{r, r.Released(nil), r.Failed(measured(1, 1), "e", "t", maxFailures, false), r.Stopped(nil, run.Stop{Source: run.SourceWeb}), r.Done(okFooter(1)), AfterWatch(d).Next}
		if dec := Decide(d); dec.Action == Claim || dec.Action == Exhaust {
			nexts = append(nexts, dec.Next)
		}
		for i, next := range nexts {
			first := mustEncode(t, next)
			got, err := Decode(first)
			if err != nil {
				t.Fatalf("record %d (%s) made of %+v is refused: %v", i, next.State, r, err)
			}
			if second := mustEncode(t, got); !bytes.Equal(first, second) {
				t.Fatalf("record %d: %+v became %+v", i, next, got)
			}
			if r.Best != nil && (got.Best == nil || footer.Outranks(*r.Best, *got.Best)) {
				t.Fatalf("record %d: best fell from %+v to %v", i, r.Best, fmt.Sprint(got.Best))
			}
		}
	})
}
