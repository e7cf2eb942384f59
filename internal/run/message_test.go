package run

import (
	"bytes"
	"encoding/json"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func fixtureManifest() Manifest {
	at := time.Date(2026, 11, 24, 10, 37, 5, 123456789, time.UTC)
	return Manifest{
		Schema: Schema, RunID: "20261124_103705_0f9e", Session: 2, State: StateRunning, StopSeq: 17,
		Data: Data{
			SHA256: strings.Repeat("ab", 32), Bars: 70000, FirstTS: "2025-01-01T23:00:00Z", LastTS: "2025-12-31T21:55:00Z",
			Source: "gold_m5.parquet", SpreadBps: 1.5, BarLength: 5 * time.Minute, SliceBars: 8192,
		},
		Plan:           Plan{Bars: 70000, Chunks: 7, Order: OrderSpread},
		Policy:         Policy{SHA256: "aa", SHA256WithoutGate: "bb", Name: "gated", Content: "cc"},
		FeatureStates:  "state.ab.cd",
		Models:         map[string]string{"eu.json": strings.Repeat("01", 32), "us.json": strings.Repeat("02", 32), "x/y.txt": strings.Repeat("03", 32)},
		PregateEnabled: true, PregateEnabledSource: "yaml",
		Engine: "builtin", LeaseDuration: 10 * time.Second, MaxFailures: 3,
		Sessions: []SessionTimes{
			{Session: 1, StartedAt: at, EndedAt: at.Add(time.Minute), WallSec: 60},
			{Session: 2, StartedAt: at.Add(time.Hour)},
		},
		CreatedAt: at, ExportSHA256: "dd", ExportFile: "perf.json", ExportHost: "box1",
	}
}

func encoded(t testing.TB, v interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestManifestRoundTrip(t *testing.T) {
	m := fixtureManifest()
	b := encoded(t, m)
	got, err := DecodeManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, got), b) {
		t.Errorf("%+v\nbecame\n%+v", m, got)
	}
	if !got.CreatedAt.Equal(m.CreatedAt) || got.Sessions[0].WallSec != 60 || !got.Sessions[1].EndedAt.IsZero() {
		t.Errorf("times or sessions changed: %+v", got)
	}
}

func TestManifestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Manifest)
		want   string // empty: accepted
	}{
		{"as it is", func(*Manifest) {}, ""},
		{"stopped", func(m *Manifest) { m.State = StateStopped }, ""},
		{"exported", func(m *Manifest) { m.State = StateExported }, ""},
		{"no sessions listed", func(m *Manifest) { m.Sessions = nil }, ""},
		{"shortest lease", func(m *Manifest) { m.LeaseDuration = 100 * time.Millisecond }, ""},
		{"longest lease", func(m *Manifest) { m.LeaseDuration = 24 * time.Hour }, ""},
		{"schema", func(m *Manifest) { m.Schema = 2 }, "schema 2 is unknown (want 1)"},
		{"run_id", func(m *Manifest) { m.RunID = "a.b" }, "run_id"},
		{"session", func(m *Manifest) { m.Session = 0 }, "session 0"},
		{"state", func(m *Manifest) { m.State = "paused" }, `state "paused" is unknown`},
		{"no state", func(m *Manifest) { m.State = "" }, `state "" is unknown`},
		{"plan", func(m *Manifest) { m.Plan.Chunks = 70001 }, "contradicts itself"},
		{"bars", func(m *Manifest) { m.Data.Bars = 69999 }, "the data set has 69999 bars, the plan 70000"},
		{"slices", func(m *Manifest) { m.Data.SliceBars = 0 }, "0 bars per slice"},
		{"short lease", func(m *Manifest) { m.LeaseDuration = 99 * time.Millisecond }, "lease duration 99ms"},
		{"long lease", func(m *Manifest) { m.LeaseDuration = 24*time.Hour + 1 }, "lease duration"},
		{"negative lease", func(m *Manifest) { m.LeaseDuration = -time.Second }, "lease duration -1s"},
		{"no models", func(m *Manifest) { m.Models = nil }, ""},
		{"a model without a digest", func(m *Manifest) { m.Models = map[string]string{"a.json": ""} }, `model file "a.json": digest ""`},
		{"half a digest", func(m *Manifest) { m.Models["us.json"] = strings.Repeat("01", 16) }, `model file "us.json"`},
		{"a model that is a path", func(m *Manifest) { m.Models["us.json"] = "../" + strings.Repeat("01", 31) }, `model file "us.json"`},
		{"failures", func(m *Manifest) { m.MaxFailures = 0 }, "max_failures 0"},
		{"NaN spread", func(m *Manifest) { m.Data.SpreadBps = math.NaN() }, "spread_bps NaN"},
		{"infinite spread", func(m *Manifest) { m.Data.SpreadBps = math.Inf(1) }, "spread_bps +Inf"},
		{"negative spread", func(m *Manifest) { m.Data.SpreadBps = -1 }, "spread_bps -1"},
		{"infinite wall time", func(m *Manifest) { m.Sessions[0].WallSec = math.Inf(-1) }, "wall_clock_sec -Inf"},
		{"NaN wall time", func(m *Manifest) { m.Sessions[1].WallSec = math.NaN() }, "wall_clock_sec NaN"},
		{"year 10000", func(m *Manifest) { m.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "created_at"},
		{"year -1", func(m *Manifest) { m.Sessions[0].EndedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }, "ended_at"},
		{"year 10000 of a start", func(m *Manifest) { m.Sessions[1].StartedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "started_at"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := fixtureManifest()
			tc.change(&m)
			err := m.Validate()
			_, decErr := DecodeManifest(encoded(t, m))
			if tc.want == "" {
				if err != nil || decErr != nil {
					t.Fatalf("refused: %v, %v", err, decErr)
				}
				return
			}
			for _, err := range []error{err, decErr} {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want one with %q", err, tc.want)
				}
			}
		})
	}
}

func TestTaskFits(t *testing.T) {
	m := fixtureManifest()
	for i := range m.Plan.Chunks {
		task := m.NewTask(i)
		if err := task.Fits(m); err != nil {
			t.Errorf("chunk %d: its own task is refused: %v", i, err)
		}
		got, err := DecodeTask(encoded(t, task))
		if err != nil || got != task {
			t.Errorf("chunk %d: %+v became %+v, %v", i, task, got, err)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*Task)
		want   string
	}{
		{"incarnation", func(k *Task) { k.Incarnation = NewIncarnation([16]byte{9}) }, "another incarnation"},
		{"chunk below", func(k *Task) { k.ChunkIdx = -1 }, "chunk_idx -1 (want 0 to 6)"},
		{"chunk above", func(k *Task) { k.ChunkIdx = 7 }, "chunk_idx 7 (want 0 to 6)"},
		{"chunk far above", func(k *Task) { k.ChunkIdx = math.MaxInt }, "(want 0 to 6)"},
		{"another chunk's bars", func(k *Task) { k.ChunkIdx = 4 }, "contradicts the plan"},
		{"first", func(k *Task) { k.Bars.First-- }, "contradicts the plan"},
		{"end", func(k *Task) { k.Bars.End++ }, "contradicts the plan"},
		{"data set", func(k *Task) { k.DataBars++ }, "contradicts the plan"},
		{"run", func(k *Task) { k.RunID = "another" }, "contradicts the plan"},
		{"schema", func(k *Task) { k.Schema++ }, "contradicts the plan"},
	} {
		task := m.NewTask(3)
		tc.change(&task)
		if err := task.Fits(m); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

func TestDecodeTaskRefuses(t *testing.T) {
	good := fixtureManifest().NewTask(3)
	other := good
	other.Schema = 2
	noID := good
	noID.RunID = ""
	for _, tc := range []struct {
		name string
		in   []byte
		want string
	}{
		{"nothing", nil, "EOF"},
		{"oversize", make([]byte, maxTaskBytes+1), "task has 4097 bytes (at most 4096)"},
		{"bytes after its end", append(encoded(t, good), 0xc0), "follow its end"},
		{"cut", encoded(t, good)[:40], "decoding a task"},
		{"null", []byte{0xc0}, "schema 0 is unknown (want 1)"},
		{"schema", encoded(t, other), "schema 2 is unknown (want 1)"},
		{"run_id", encoded(t, noID), "run_id is empty"},
		{"text for a number", packed(t, map[string]any{"schema": "1"}), "decoding a task"},
		{"float for a number", packed(t, map[string]any{"schema": math.NaN()}), "decoding a task"},
		{"extension", packed(t, map[string]any{"schema": time.Unix(1, 0)}), "decoding a task"},
	} {
		if _, err := DecodeTask(tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	// A field of a later version is passed over.
	b := packed(t, map[string]any{"schema": 1, "run_id": "r", "later": map[string]any{"a": []int{1}}})
	if _, err := DecodeTask(b); err != nil {
		t.Errorf("an unknown field: %v", err)
	}
}

func packed(t testing.TB, v any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withField is a map of one field whose value is given as raw bytes.
func withField(name string, value ...byte) []byte {
	b := append([]byte{0x81, 0xa0 | byte(len(name))}, name...)
	return append(b, value...)
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

// What a message says of its own lengths and depth costs nothing before the
// bytes that it promises are there.
func TestDecodeIsBounded(t *testing.T) {
	deep := bytes.Repeat([]byte{0x91}, maxManifestBytes-20) // lists in lists
	for _, tc := range []struct {
		name string
		in   []byte
	}{
		{"sessions, more than memory has", withField("sessions", 0xdd, 0xff, 0xff, 0xff, 0xff)},
		{"sessions, some gigabytes", withField("sessions", 0xdd, 0x01, 0xff, 0xff, 0xff)},
		{"text", withField("run_id", 0xdb, 0xff, 0xff, 0xff, 0xff)},
		{"unknown map", withField("x", 0xdf, 0xff, 0xff, 0xff, 0xff)},
		{"unknown extension", withField("x", 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01)},
		{"deep list", withField("x", append(deep, 0xc0)...)},
		{"deep map", withField("x", bytes.Repeat([]byte{0x81, 0xa0}, maxManifestBytes/2-10)...)},
		{"top level map", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var err error
			used := cost(func() { _, err = DecodeManifest(tc.in) })
			if err == nil {
				t.Error("it is accepted")
			}
			if used > 256<<10 {
				t.Errorf("%d bytes of input cost %d bytes", len(tc.in), used)
			}
		})
	}
}

func FuzzDecodeTask(f *testing.F) {
	m := fixtureManifest()
	f.Add(encoded(f, m.NewTask(0)))
	f.Add(encoded(f, m.NewTask(6)))
	f.Add([]byte{0xc0})
	f.Add(withField("chunk_idx", 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		task, err := DecodeTask(b)
		if err != nil {
			if task != (Task{}) {
				t.Fatalf("%+v beside the error %v", task, err)
			}
			return
		}
		if _, err := ParseID(string(task.RunID)); err != nil || task.Schema != Schema {
			t.Fatalf("%+v is accepted", task)
		}
		again, err := DecodeTask(encoded(t, task))
		if err != nil || again != task {
			t.Fatalf("%+v became %+v, %v", task, again, err)
		}
		if task.Fits(m) == nil && task != m.NewTask(task.ChunkIdx) {
			t.Fatalf("%+v fits", task)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	m := fixtureManifest()
	f.Add(encoded(f, m))
	m.Plan = Plan{Bars: 70000, Chunks: 18, ChunkBars: 4000, Order: OrderTime}
	m.Sessions, m.Engine, m.State = nil, "exec", StateExported
	f.Add(encoded(f, m))
	f.Add(withField("sessions", 0xdd, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("accepted, and then: %v", err)
		}
		first := encoded(t, m)
		again, err := DecodeManifest(first)
		if err != nil {
			t.Fatalf("its own bytes are refused: %v", err)
		}
		if second := encoded(t, again); !bytes.Equal(first, second) {
			t.Fatalf("%+v became %+v", m, again)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatalf("it cannot be written as JSON: %v", err)
		}
		last := m.Plan.Chunk(m.Plan.Chunks - 1).Bars
		if last.Len() < 1 || last.End != m.Data.Bars {
			t.Fatalf("the last chunk of %+v is %+v", m.Plan, last)
		}
	})
}
