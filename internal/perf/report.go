package perf

import (
	"encoding/json"
	"time"

	"gx1replay/internal/run"
)

// Schema is the version of the perf JSON's own fields. Added fields do not
// raise it.
const Schema = 1

// SchemaVersion is the text that the original's comparison demands under
// schema_version.
const SchemaVersion = "perf_v1"

// exportSeq is what the same comparison demands under export_seq.
const exportSeq = 1

// Outcome is how a run ended, or stands so far.
type Outcome string

const (
	// OutcomeComplete: every chunk is ok. Such a file is replaced only
	// by one with the same bars and exact trades, where its own are not exact.
	OutcomeComplete Outcome = "complete"
	// OutcomeStopped: chunks are missing or partial, none has failed.
	OutcomeStopped Outcome = "stopped"
	// OutcomeFailed: a chunk has failed, or the run was given up.
	OutcomeFailed Outcome = "failed"
)

// Mode is what made the coordinator export.
type Mode string

const (
	ModeNormal      Mode = "normal"
	ModeSignal      Mode = "watchdog_sigterm" // any signal; the original's word
	ModeStopSubject Mode = "stop_subject"
	ModeTimeout     Mode = "timeout"
	ModeRecovered   Mode = "recovered" // by another process than the run's coordinator
)

// Scope says over which signals the selection of trades ran.
type Scope string

const (
	ScopeRun       Scope = "run"
	ScopeStretches Scope = "stretches"
	ScopeChunks    Scope = "chunks" // each chunk as if nothing was open at its start
	// ScopeCommand: nothing was selected. The trades are those that a command
	// has made by itself, chunk after chunk as it left them.
	ScopeCommand Scope = "command"
)

// Report is all of the perf JSON that does not follow from its chunks. Zero
// values are written as they are: nothing is ever null. A field whose JSON
// name is not the obvious one names it.
type Report struct {
	RunID run.ID
	// Incarnation is known with the data set; empty also for runs of versions
	// that had none.
	Incarnation run.Incarnation
	Timestamp   time.Time // of this export, written in UTC to the millisecond
	WriterPID   int

	// Outcome counts only where the chunks leave it open: see OutcomeOf.
	Outcome Outcome
	Mode    Mode // export_mode
	// Error (error) is why the run failed; it counts only if the outcome is
	// failed. What is wrong with a chunk is in the chunk.
	Error string
	// Partial (export_partial): a claimed chunk has not given its last word.
	Partial bool

	PregateEnabled       bool
	PregateEnabledSource string // env, yaml or flag

	RequestedWorkers     int
	ActualWorkersStarted int
	Workers              int
	Wall                 time.Duration // total_wall_clock_sec, measured, over all sessions

	// Selection counts only where it holds for the chunks: see Holds.
	Selection      Selection
	Fill           string // next_open or signal_close
	BusUnreachable bool

	// Stop: without a source none came. Its Seq (stop.seq) says up to where
	// stops are done with, whether one came or not.
	Stop  run.Stop
	Drain time.Duration // stop.drain_ms: from the stop to the end of the drain

	// Plan is the order in which chunks were published. Without an order it is not
	// known.
	Plan   Plan
	Data   run.Data
	Policy run.Policy
	// PolicyValues (policy.values) is what the replay reads of the policy, as
	// policy.Values writes it; empty: not known.
	PolicyValues json.RawMessage
	Model        Model
	Command      run.Command // with exec, once it is known

	Sessions       []run.SessionTimes
	WorkersSeen    int // processes that were ever heard of
	Hosts          []string
	Redeliveries   int64 // attempts beyond the first of each chunk
	Releases       int64
	Failures       int64
	FootersRefused int64

	Env EnvInfo // env_info
	// WorkerBuilds (env_info.worker_builds) are the builds of the workers that
	// were heard of, in order.
	WorkerBuilds []string
	// EngineVersion is that of the run's engine; 0: a version that named none.
	EngineVersion int
}

// Plan is what a perf JSON tells of a run's plan beside its chunks.
type Plan struct {
	Order run.Order `json:"order"`
	Seed  uint64    `json:"seed"` // of run.OrderSample; else 0
}

// TradesFile names the CSV of the run's trades. Without one File is empty.
type TradesFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // hex
	// WithoutRows counts trades whose rows were lost in a crash, or, of a
	// command's own, are not in the file.
	WithoutRows int64 `json:"without_rows"`
}

// SignalsFile names the parquet of the run's signals. Without one File is empty.
type SignalsFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // hex
	Rows   int64  `json:"rows"`
}

// Model says what turned features into probabilities; zero with exec.
type Model struct {
	Kind    string            `json:"kind"`       // logistic | xgboost | lightgbm
	Latency time.Duration     `json:"latency_ns"` // declared artificial cost of a call
	Digests map[string]string `json:"digests"`    // model file → SHA-256, hex
}

// EnvInfo says where and with what the coordinator ran.
type EnvInfo struct {
	GoVersion         string `json:"go_version"`
	ModuleVersion     string `json:"module_version"`
	GitCommit         string `json:"git_commit"`
	NATSServerVersion string `json:"nats_server_version"`
	OS                string `json:"os"`
	Arch              string `json:"arch"`
	CPUs              int    `json:"cpus"`
	GOMAXPROCS        int    `json:"gomaxprocs"`
	Host              string `json:"host"`
	Engine            string `json:"engine"`
	PregateEnabled    bool   `json:"pregate_enabled"`
	QuietMode         bool   `json:"quiet_mode"`
}
