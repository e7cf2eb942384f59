// Package footer holds the Footer, what an attempt at a chunk has measured up
// to one moment: its fields, its codec, its validation against the plan, and
// the rule that says which of several footers speaks for a chunk.
//
// It sees no clock, file or bus. Counters of different attempts are never
// added here or anywhere: one footer speaks for a chunk as a whole.
//
// Invariants, which tests carry by their number:
//
//  1. Pick is commutative, associative, idempotent and total.
//  2. A footer that Check accepts never claims more bars than its chunk has.
//  3. What Encode or AppendJSON writes holds no NaN, no infinity and no null,
//     but for what a command itself wrote into its own footer (child).
//  4. Decode of any bytes returns a footer or an error; it never panics and
//     allocates at most a small multiple of the input.
package footer

import "encoding/json"

// Status is the word for how far an attempt, or a chunk, came.
type Status string

const (
	StatusOK           Status = "ok"           // the chunk is done
	StatusPartial      Status = "partial"      // an attempt under way; never a chunk's status
	StatusStopped      Status = "stopped"      // ended early by a stop, a release or the run's end
	StatusFailed       Status = "failed"       // every allowed attempt failed
	StatusUnresponsive Status = "unresponsive" // claimed, and no last word within the drain
	StatusMissing      Status = "missing"      // nothing was heard
	StatusParseError   Status = "parse_error"  // only refused records were heard
)

// Phase is what an attempt is doing.
type Phase string

const (
	PhaseStartup Phase = "startup"
	PhaseWarmup  Phase = "warmup"
	PhaseReplay  Phase = "replay"
)

// MaxTraceLen bounds error and error_traceback in characters.
const MaxTraceLen = 5000

// Checkpoint is one row of cumulative counters: bars, wall nanoseconds, CPU
// nanoseconds, model calls, pregate skips.
type Checkpoint [5]int64

// Artifact names one file that a chunk left beside its footer.
type Artifact struct {
	Name   string `msgpack:"name" json:"name"`
	Bytes  int64  `msgpack:"bytes" json:"bytes"`
	SHA256 string `msgpack:"sha256" json:"sha256"`
	Parts  int    `msgpack:"parts" json:"parts"`
}

// Footer is what an attempt has measured. Counters and timings are cumulative
// over the attempt. The order of the fields is the order in files.
//
// The first block has the original's names and meanings; scripts read it.
type Footer struct {
	RunID          string `msgpack:"run_id" json:"run_id"`
	ChunkID        string `msgpack:"chunk_id" json:"chunk_id"` // chunk_idx as text
	Status         Status `msgpack:"status" json:"status"`
	Error          string `msgpack:"error" json:"error"`
	ErrorTraceback string `msgpack:"error_traceback" json:"error_traceback"`

	NModelCalls          int64   `msgpack:"n_model_calls" json:"n_model_calls"`
	NTradesClosed        int64   `msgpack:"n_trades_closed" json:"n_trades_closed"`
	WallClockSec         float64 `msgpack:"wall_clock_sec" json:"wall_clock_sec"`
	TotalBars            int64   `msgpack:"total_bars" json:"total_bars"`
	BarsPerSec           float64 `msgpack:"bars_per_sec" json:"bars_per_sec"`
	FeatureTimeMeanMS    float64 `msgpack:"feature_time_mean_ms" json:"feature_time_mean_ms"`
	FeatureTimeoutCount  int64   `msgpack:"feature_timeout_count" json:"feature_timeout_count"`
	HTFAlignWarnCount    int64   `msgpack:"htf_align_warn_count" json:"htf_align_warn_count"`
	PregateSkips         int64   `msgpack:"pregate_skips" json:"pregate_skips"`
	PregatePasses        int64   `msgpack:"pregate_passes" json:"pregate_passes"`
	PregateMissingInputs int64   `msgpack:"pregate_missing_inputs" json:"pregate_missing_inputs"`
	TPregateTotalSec     float64 `msgpack:"t_pregate_total_sec" json:"t_pregate_total_sec"`
	TFeatureBuildSec     float64 `msgpack:"t_feature_build_total_sec" json:"t_feature_build_total_sec"`
	TModelTotalSec       float64 `msgpack:"t_model_total_sec" json:"t_model_total_sec"`
	TPolicyTotalSec      float64 `msgpack:"t_policy_total_sec" json:"t_policy_total_sec"` // entry rule, following, selection
	TIOTotalSec          float64 `msgpack:"t_io_total_sec" json:"t_io_total_sec"`         // reading bars, writing artifacts
	BarsProcessed        int64   `msgpack:"bars_processed" json:"bars_processed"`
	StartTS              string  `msgpack:"start_ts" json:"start_ts"` // opening time of the chunk's first bar, RFC 3339 UTC
	EndTS                string  `msgpack:"end_ts" json:"end_ts"`     // opening time of the last bar stepped over; empty before the first
	WorkerTimeSec        float64 `msgpack:"worker_time_sec" json:"worker_time_sec"`
	PID                  int64   `msgpack:"pid" json:"pid"`
	Timestamp            string  `msgpack:"timestamp" json:"timestamp"` // when this footer was made, RFC 3339 UTC

	Schema            int64           `msgpack:"schema" json:"schema"`
	ChunkIdx          int64           `msgpack:"chunk_idx" json:"chunk_idx"`
	Attempt           int64           `msgpack:"attempt" json:"attempt"` // 1, 2, …
	Claim             uint64          `msgpack:"claim" json:"claim"`     // sequence of the claim in GX1_PROGRESS
	Seq               int64           `msgpack:"seq" json:"seq"`         // rises within an attempt
	Final             bool            `msgpack:"final" json:"final"`
	WorkerID          string          `msgpack:"worker_id" json:"worker_id"`
	Host              string          `msgpack:"host" json:"host"`
	Engine            string          `msgpack:"engine" json:"engine"`
	Incarnation       string          `msgpack:"incarnation" json:"incarnation"`       // the run's; empty for runs of earlier versions
	WorkerBuild       string          `msgpack:"worker_build" json:"worker_build"`     // version and commit of the worker's program
	EngineVersion     int64           `msgpack:"engine_version" json:"engine_version"` // 0: a worker of before versions were counted
	ChunksTotal       int64           `msgpack:"chunks_total" json:"chunks_total"`     // of the plan; 0: as above
	DataBars          int64           `msgpack:"data_bars" json:"data_bars"`           // of the data set; 0: as above
	PlannedBars       int64           `msgpack:"planned_bars" json:"planned_bars"`
	FirstBar          int64           `msgpack:"first_bar" json:"first_bar"`
	EndBar            int64           `msgpack:"end_bar" json:"end_bar"`
	BarsSkippedWarmup int64           `msgpack:"bars_skipped_warmup" json:"bars_skipped_warmup"`
	CPUUserSec        float64         `msgpack:"cpu_user_sec" json:"cpu_user_sec"`
	CPUSysSec         float64         `msgpack:"cpu_sys_sec" json:"cpu_sys_sec"`
	MaxRSSBytes       int64           `msgpack:"max_rss_bytes" json:"max_rss_bytes"`
	TStartupSec       float64         `msgpack:"t_startup_sec" json:"t_startup_sec"`
	TWarmupSec        float64         `msgpack:"t_warmup_sec" json:"t_warmup_sec"`
	Phase             Phase           `msgpack:"phase" json:"phase"`
	Slot              int64           `msgpack:"slot" json:"slot"`
	PnlBps            float64         `msgpack:"pnl_bps" json:"pnl_bps"`
	TradesOpen        int64           `msgpack:"trades_open" json:"trades_open"`
	OpenPnlBps        float64         `msgpack:"open_pnl_bps" json:"open_pnl_bps"` // open trades, marked to market at the last bar
	SkipReasons       Counts          `msgpack:"skip_reasons" json:"skip_reasons"` // pregate skips by reason; they add up to pregate_skips
	DropReasons       Counts          `msgpack:"drop_reasons" json:"drop_reasons"` // signals that became no trade, by reason
	NSignals          int64           `msgpack:"n_signals" json:"n_signals"`
	NonfiniteFields   []string        `msgpack:"nonfinite_fields" json:"nonfinite_fields"`
	Unreported        []string        `msgpack:"unreported" json:"unreported"`
	Child             json.RawMessage `msgpack:"child" json:"child"` // exec: the command's own footer, a JSON object
	ChildStatus       string          `msgpack:"child_status" json:"child_status"`
	Artifacts         []Artifact      `msgpack:"artifacts" json:"artifacts"`
	Checkpoints       []Checkpoint    `msgpack:"checkpoints" json:"checkpoints"`
}

// Counts counts by name. At most MaxReasons names of at most MaxReasonLen
// bytes are accepted from the bus.
type Counts map[string]int64

// Bounds on what is accepted from the bus.
const (
	MaxReasons   = 64
	MaxReasonLen = 64
)
