package run

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// Schema is the version of everything that travels with the header
// Gx1-Schema. Added fields do not raise it.
const Schema = 1

// State is how far a run is, as its manifest says.
type State string

const (
	// StateRunning: the session is at work. Workers may claim once its
	// consumer exists, which is made after the plan is published.
	StateRunning State = "running"
	// StateStopped: a stop was obeyed or the coordinator gave up; no chunk of
	// this session starts any more.
	StateStopped State = "stopped"
	// StateExported: the last export is verified; what is left is cleaning.
	StateExported State = "exported"
)

// Data says which bars a run replays.
type Data struct {
	SHA256 string `msgpack:"sha256" json:"sha256"` // of the canonical content, hex
	Bars   int64  `msgpack:"bars" json:"bars"`
	// FirstTS and LastTS are opening times of bars, RFC 3339 UTC.
	FirstTS   string  `msgpack:"first_ts" json:"first_ts"`
	LastTS    string  `msgpack:"last_ts" json:"last_ts"`
	Source    string  `msgpack:"source" json:"source"`
	SpreadBps float64 `msgpack:"spread_bps" json:"spread_bps"` // assumed; 0 where the data has bid and ask
	// BarLength is the commonest distance between two bars.
	BarLength time.Duration `msgpack:"bar_length_ns" json:"bar_length_ns"`
	SliceBars int64         `msgpack:"slice_bars" json:"slice_bars"`
	// Extra is the digest (hex) of the columns that the data set has beside its
	// bars, for a user's command; empty: none.
	Extra string `msgpack:"extra" json:"extra,omitempty"`
	// BeforeBars are bars at the data set's start that come before the period
	// that was asked for: a warm-up, in which no entry is looked for.
	BeforeBars int64 `msgpack:"before_bars,omitempty" json:"before_bars,omitempty"`
	// Read are the flags, by name, that said how the file was to be read; nil:
	// its content said it.
	Read map[string]string `msgpack:"read,omitempty" json:"read,omitempty"`
}

// Bounds of Data.Read.
const (
	maxReadFlags = 16
	maxReadText  = 4 << 10
)

// checkRead checks what says how a data set was read.
func (d Data) checkRead() error {
	if d.BeforeBars < 0 || d.BeforeBars > d.Bars {
		return fmt.Errorf("before_bars %d (want 0 to the data set's %d)", d.BeforeBars, d.Bars)
	}
	if len(d.Read) > maxReadFlags {
		return fmt.Errorf("read: %d flags (want at most %d)", len(d.Read), maxReadFlags)
	}
	for name, text := range d.Read {
		if len(name) > maxReadText || len(text) > maxReadText {
			return fmt.Errorf("read: flag %.40q of %d bytes (want at most %d)", name, len(text), maxReadText)
		}
	}
	return nil
}

// Policy says by which policy, after all overrides, a run is replayed.
type Policy struct {
	SHA256            string `msgpack:"sha256" json:"sha256"`
	SHA256WithoutGate string `msgpack:"sha256_without_gate" json:"sha256_without_gate"`
	Name              string `msgpack:"name" json:"name"`
	// Content names the object that holds the policy file, its includes
	// merged, by its own SHA-256 (hex).
	Content string `msgpack:"content" json:"content"`
	// Files are the policy file and its includes, byte for byte, for a command
	// that reads them: the policy file first. A run of an earlier version and
	// one of the built-in engine have none.
	Files []PolicyFile `msgpack:"files,omitempty" json:"files,omitempty"`
}

// SessionTimes is one life of a coordinator on a run.
type SessionTimes struct {
	Session   int       `msgpack:"session" json:"session"`
	StartedAt time.Time `msgpack:"started_at" json:"started_at"`
	EndedAt   time.Time `msgpack:"ended_at" json:"ended_at"` // zero while it lives
	WallSec   float64   `msgpack:"wall_clock_sec" json:"wall_clock_sec"`
}

// Coordinator says who leads a session, and when it was last known to live.
type Coordinator struct {
	Host string `msgpack:"host" json:"host"`
	PID  int    `msgpack:"pid" json:"pid"`
	// StartTime tells the process from a later one of the same number on its
	// host.
	StartTime string    `msgpack:"start_time" json:"start_time"`
	HeardAt   time.Time `msgpack:"heard_at" json:"heard_at"` // when it wrote this manifest, by its own clock
	// BootID and PIDNamespace say where PID has a meaning. Empty: of a version
	// that did not say.
	BootID       string `msgpack:"boot_id" json:"boot_id"`
	PIDNamespace string `msgpack:"pid_namespace" json:"pid_namespace"`
}

// Manifest is what every participant knows of a run. It stands in the KV
// bucket GX1_RUNS under the run_id and is written by coordinators only.
type Manifest struct {
	Schema int `msgpack:"schema" json:"schema"`
	RunID  ID  `msgpack:"run_id" json:"run_id"`
	// Incarnation tells this run from others of its name. What a message of
	// another incarnation says is not about this run.
	Incarnation Incarnation `msgpack:"incarnation" json:"incarnation"`
	Session     int         `msgpack:"session" json:"session"` // 1, 2, …
	State       State       `msgpack:"state" json:"state"`
	StopSeq     uint64      `msgpack:"stop_seq" json:"stop_seq"` // a stop counts above this sequence

	Data   Data   `msgpack:"data" json:"data"`
	Plan   Plan   `msgpack:"plan" json:"plan"`
	Policy Policy `msgpack:"policy" json:"policy"`

	// FeatureStates names the object with what the policy's recursive features
	// know at the borders of slices; empty: none is needed.
	FeatureStates string `msgpack:"feature_states" json:"feature_states"`
	// Models are the model files by the names that the policy has for them:
	// the SHA-256 (hex) of each, under which ModelObject finds it.
	Models map[string]string `msgpack:"models" json:"models"`

	PregateEnabled       bool   `msgpack:"pregate_enabled" json:"pregate_enabled"`
	PregateEnabledSource string `msgpack:"pregate_enabled_source" json:"pregate_enabled_source"` // env | yaml | flag

	// Decisions: workers keep what became of each bar.
	Decisions bool `msgpack:"decisions" json:"decisions"`

	Engine string `msgpack:"engine" json:"engine"` // builtin | exec
	// EngineVersion is that of the run's engine; see SameEngine.
	EngineVersion int    `msgpack:"engine_version" json:"engine_version"`
	Identity      string `msgpack:"identity" json:"identity"` // exec's; empty for builtin
	// Command is the user's command of a run by exec.
	Command Command `msgpack:"command" json:"command"`

	LeaseDuration time.Duration `msgpack:"lease_duration_ns" json:"lease_duration_ns"`
	MaxFailures   int           `msgpack:"max_failures" json:"max_failures"`
	// Wakes: the coordinator wakes idle workers when there may be tasks, so they
	// need not ask for them.
	Wakes bool `msgpack:"wakes,omitempty" json:"wakes,omitempty"`

	Sessions    []SessionTimes `msgpack:"sessions" json:"sessions"`
	Coordinator Coordinator    `msgpack:"coordinator" json:"coordinator"`
	CreatedAt   time.Time      `msgpack:"created_at" json:"created_at"`

	ExportSHA256 string `msgpack:"export_sha256" json:"export_sha256"` // of the last verified export
	ExportFile   string `msgpack:"export_file" json:"export_file"`
	// ExportHost is the host that has ExportFile; empty: written by a version
	// that did not say, and Coordinator.Host is the one that exported.
	ExportHost string `msgpack:"export_host" json:"export_host"`

	// Signature is the coordinator's, over SignedText; empty where it connects
	// without a key.
	Signature Signature `msgpack:"signature" json:"signature"`
}

// Signature says who stands for a manifest's inputs and session.
type Signature struct {
	Key   string `msgpack:"key" json:"key"`     // the signer's public nkey
	Bytes []byte `msgpack:"bytes" json:"bytes"` // Ed25519, over SignedText
}

// Bounds of a signature from the bus.
const (
	maxKeyLen       = 128
	maxSignatureLen = 128
)

// SignedText is what a coordinator signs of m: run, session and inputs. It is
// the same for every write of one session's manifest.
func (m Manifest) SignedText() []byte {
	return fmt.Appendf(nil, "gx1-manifest-v1\nrun %s\nincarnation %s\nsession %d\ninputs %s\n", m.RunID, m.Incarnation, m.Session, m.Inputs())
}

// MaxSession bounds a session's number: no run is resumed that often.
const MaxSession = 1 << 20

// maxManifestBytes bounds what DecodeManifest looks at. A manifest has about
// 1 kB and 100 bytes a session.
const maxManifestBytes = 256 << 10

// Encode returns m as msgpack, the same bytes for the same manifest.
func (m Manifest) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.SetSortMapKeys(true)
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encoding the manifest of run %s: %w", m.RunID, err)
	}
	return b.Bytes(), nil
}

// DecodeManifest reads a manifest that came from the bus and validates it.
func DecodeManifest(b []byte) (Manifest, error) {
	if len(b) > maxManifestBytes {
		return Manifest{}, fmt.Errorf("manifest has %d bytes (at most %d)", len(b), maxManifestBytes)
	}
	var m Manifest
	if err := Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("decoding a manifest: %w", err)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, fmt.Errorf("manifest of run %.70q: %w", string(m.RunID), err)
	}
	return m, nil
}

// Validate checks everything that a worker relies on.
func (m Manifest) Validate() error {
	if m.Schema != Schema {
		return fmt.Errorf("schema %d is unknown (want %d)", m.Schema, Schema)
	}
	if _, err := ParseID(string(m.RunID)); err != nil {
		return err
	}
	if err := m.Incarnation.Validate(); err != nil {
		return err
	}
	if m.Session < 1 || m.Session > MaxSession {
		return fmt.Errorf("session %d (want 1 to %d)", m.Session, MaxSession)
	}
	if len(m.Signature.Key) > maxKeyLen || len(m.Signature.Bytes) > maxSignatureLen {
		return fmt.Errorf("signature of %d bytes by a key of %d (at most %d and %d)", len(m.Signature.Bytes), len(m.Signature.Key), maxSignatureLen, maxKeyLen)
	}
	switch m.State {
	case StateRunning, StateStopped, StateExported:
	default:
		return fmt.Errorf("state %q is unknown", m.State)
	}
	if err := m.Plan.Validate(); err != nil {
		return err
	}
	if m.Data.Bars != m.Plan.Bars {
		return fmt.Errorf("the data set has %d bars, the plan %d", m.Data.Bars, m.Plan.Bars)
	}
	if err := m.Policy.checkFiles(); err != nil {
		return err
	}
	if m.Data.SliceBars < 1 {
		return fmt.Errorf("%d bars per slice (want 1 or more)", m.Data.SliceBars)
	}
	if err := m.Data.checkRead(); err != nil {
		return err
	}
	if m.Data.Extra != "" {
		if err := checkSHA(m.Data.Extra); err != nil {
			return fmt.Errorf("extra columns: %w", err)
		}
	}
	switch {
	case m.LeaseDuration < 100*time.Millisecond || m.LeaseDuration > 24*time.Hour:
		return fmt.Errorf("lease duration %v (want 100ms to 24h)", m.LeaseDuration)
	case m.EngineVersion < 0 || m.EngineVersion > maxEngineVersion:
		return fmt.Errorf("engine_version %d (want 0 to %d)", m.EngineVersion, maxEngineVersion)
	case m.MaxFailures < 1:
		return fmt.Errorf("max_failures %d (want 1 or more)", m.MaxFailures)
	}
	if err := m.Command.Validate(); err != nil {
		return err
	}
	for name, sha := range m.Models {
		if err := checkSHA(sha); err != nil {
			return fmt.Errorf("model file %.80q: %w", name, err)
		}
	}
	return m.checkJSON()
}

// ModelObject names the object that holds the model file of that SHA-256
// (hex).
func ModelObject(sha256Hex string) string { return "model." + sha256Hex }

// checkJSON says whether every value of m can be written as JSON, which has no
// NaN and no infinity, and whose times end with the year 9999 of any zone.
func (m Manifest) checkJSON() error {
	if s := m.Data.SpreadBps; math.IsNaN(s) || math.IsInf(s, 0) || s < 0 {
		return fmt.Errorf("spread_bps %v (want a finite number, 0 or more)", s)
	}
	for i, s := range m.Sessions {
		if math.IsNaN(s.WallSec) || math.IsInf(s.WallSec, 0) {
			return fmt.Errorf("sessions[%d]: wall_clock_sec %v (want a finite number)", i, s.WallSec)
		}
		if err := cmp.Or(checkTime("started_at", s.StartedAt), checkTime("ended_at", s.EndedAt)); err != nil {
			return fmt.Errorf("sessions[%d]: %w", i, err)
		}
	}
	return cmp.Or(checkTime("created_at", m.CreatedAt), checkTime("coordinator.heard_at", m.Coordinator.HeardAt))
}

func checkTime(name string, t time.Time) error {
	if y := t.UTC().Year(); y < 1 || y > 9998 {
		return fmt.Errorf("%s is in the year %d (want 1 to 9998)", name, y)
	}
	return nil
}

// Task is the message that asks for one chunk to be replayed. What is the
// same for all chunks of a run stands in its manifest.
type Task struct {
	Schema      int         `msgpack:"schema"`
	RunID       ID          `msgpack:"run_id"`
	Incarnation Incarnation `msgpack:"incarnation"`
	ChunkIdx    int         `msgpack:"chunk_idx"`
	Bars        BarRange    `msgpack:"bars"`
	// DataBars is the length of the data set: where it ends, open trades
	// close; where a chunk or a slice ends, they do not.
	DataBars int64 `msgpack:"data_bars"`
}

// maxTaskBytes bounds what DecodeTask looks at; a task has about 100 bytes.
const maxTaskBytes = 4 << 10

// Encode returns t as msgpack.
func (t Task) Encode() ([]byte, error) {
	b, err := msgpack.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding the task of chunk %d: %w", t.ChunkIdx, err)
	}
	return b, nil
}

// DecodeTask reads a task that came from the bus and validates it by itself;
// whether it fits its run, Fits says.
func DecodeTask(b []byte) (Task, error) {
	if len(b) > maxTaskBytes {
		return Task{}, fmt.Errorf("task has %d bytes (at most %d)", len(b), maxTaskBytes)
	}
	var t Task
	if err := Unmarshal(b, &t); err != nil {
		return Task{}, fmt.Errorf("decoding a task: %w", err)
	}
	if t.Schema != Schema {
		return Task{}, fmt.Errorf("task: schema %d is unknown (want %d)", t.Schema, Schema)
	}
	if _, err := ParseID(string(t.RunID)); err != nil {
		return Task{}, fmt.Errorf("task: %w", err)
	}
	if err := t.Incarnation.Validate(); err != nil {
		return Task{}, fmt.Errorf("task: %w", err)
	}
	return t, nil
}

// NewTask is the task of chunk idx of m's plan.
func (m Manifest) NewTask(idx int) Task {
	return Task{Schema: Schema, RunID: m.RunID, Incarnation: m.Incarnation, ChunkIdx: idx, Bars: m.Plan.Chunk(idx).Bars, DataBars: m.Data.Bars}
}

// ErrOtherIncarnation: a message is of an earlier or later run of the same
// run_id.
var ErrOtherIncarnation = errors.New("it is of another incarnation of the run")

// Fits says whether t is the task that m's plan has for its chunk. One of
// another incarnation is ErrOtherIncarnation.
func (t Task) Fits(m Manifest) error {
	if t.Incarnation != m.Incarnation {
		return fmt.Errorf("task of run %s, chunk %d: %w (%q, want %q)", m.RunID, t.ChunkIdx, ErrOtherIncarnation, t.Incarnation, m.Incarnation)
	}
	if t.ChunkIdx < 0 || t.ChunkIdx >= m.Plan.Chunks {
		return fmt.Errorf("task of run %s: chunk_idx %d (want 0 to %d)", m.RunID, t.ChunkIdx, m.Plan.Chunks-1)
	}
	if want := m.NewTask(t.ChunkIdx); t != want {
		return fmt.Errorf("task %+v contradicts the plan of run %s (want %+v)", t, m.RunID, want)
	}
	return nil
}
