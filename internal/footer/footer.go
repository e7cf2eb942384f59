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

// Checkpoint is one row of cumulative counters, by the indices below. Rows of
// earlier versions end after the pregate's skips; what follows is 0 in them.
type Checkpoint [checkpointColumns]int64

// The columns of a checkpoint.
const (
	CheckpointBars = iota
	CheckpointWallNS
	CheckpointCPUNS
	CheckpointCalls    // of the model
	CheckpointSkips    // of the pregate, bars
	CheckpointFeatures // n_features_built
	CheckpointWarmup   // bars_skipped_warmup

	checkpointColumns

	// earlierColumns is how many columns rows of earlier versions have.
	earlierColumns = CheckpointSkips + 1
)

// Artifact names one file that a chunk left beside its footer.
type Artifact struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Parts  int    `json:"parts"`
}

// Footer is what an attempt has measured. Counters and timings are cumulative
// over the attempt. The order of the fields is the order in files.
//
// The first block has the original's names and meanings; scripts read it.
type Footer struct {
	RunID          string `json:"run_id"`
	ChunkID        string `json:"chunk_id"` // chunk_idx as text
	Status         Status `json:"status"`
	Error          string `json:"error" footer:"reported"`
	ErrorTraceback string `json:"error_traceback" footer:"reported"`

	NModelCalls          int64   `json:"n_model_calls" footer:"measured exact"`
	NTradesClosed        int64   `json:"n_trades_closed" footer:"measured exact"`
	WallClockSec         float64 `json:"wall_clock_sec" footer:"reported"`
	TotalBars            int64   `json:"total_bars" footer:"reported exact"`
	BarsPerSec           float64 `json:"bars_per_sec" footer:"reported"`
	FeatureTimeMeanMS    float64 `json:"feature_time_mean_ms" footer:"measured"`
	FeatureTimeoutCount  int64   `json:"feature_timeout_count" footer:"measured exact"`
	HTFAlignWarnCount    int64   `json:"htf_align_warn_count" footer:"measured exact"`
	PregateSkips         int64   `json:"pregate_skips" footer:"measured exact"`
	PregatePasses        int64   `json:"pregate_passes" footer:"measured exact"`
	PregateMissingInputs int64   `json:"pregate_missing_inputs" footer:"measured exact"`
	TPregateTotalSec     float64 `json:"t_pregate_total_sec" footer:"measured"`
	TFeatureBuildSec     float64 `json:"t_feature_build_total_sec" footer:"measured"`
	TModelTotalSec       float64 `json:"t_model_total_sec" footer:"measured"`
	TPolicyTotalSec      float64 `json:"t_policy_total_sec" footer:"measured"` // entry rule, following, selection
	TIOTotalSec          float64 `json:"t_io_total_sec" footer:"measured"`     // reading bars, writing artifacts
	BarsProcessed        int64   `json:"bars_processed" footer:"reported exact"`
	StartTS              string  `json:"start_ts" footer:"exact"` // opening time of the chunk's first bar, RFC 3339 UTC
	EndTS                string  `json:"end_ts" footer:"exact"`   // opening time of the last bar stepped over; empty before the first
	WorkerTimeSec        float64 `json:"worker_time_sec" footer:"reported"`
	PID                  int64   `json:"pid"`
	Timestamp            string  `json:"timestamp"` // when this footer was made, RFC 3339 UTC

	Schema            int64           `json:"schema"`
	ChunkIdx          int64           `json:"chunk_idx"`
	Attempt           int64           `json:"attempt"` // 1, 2, …
	Claim             uint64          `json:"claim"`   // sequence of the claim in GX1_PROGRESS
	Seq               int64           `json:"seq"`     // rises within an attempt
	Final             bool            `json:"final"`
	WorkerID          string          `json:"worker_id"`
	Host              string          `json:"host"`
	Engine            string          `json:"engine" footer:"exact"`
	Incarnation       string          `json:"incarnation"`    // the run's; empty for runs of earlier versions
	WorkerBuild       string          `json:"worker_build"`   // version and commit of the worker's program
	EngineVersion     int64           `json:"engine_version"` // 0: a worker of before versions were counted
	ChunksTotal       int64           `json:"chunks_total"`   // of the plan; 0: as above
	DataBars          int64           `json:"data_bars"`      // of the data set; 0: as above
	PlannedBars       int64           `json:"planned_bars" footer:"exact"`
	FirstBar          int64           `json:"first_bar" footer:"exact"`
	EndBar            int64           `json:"end_bar" footer:"exact"`
	BarsSkippedWarmup int64           `json:"bars_skipped_warmup" footer:"measured exact"`
	CPUUserSec        float64         `json:"cpu_user_sec" footer:"reported"`
	CPUSysSec         float64         `json:"cpu_sys_sec" footer:"reported"`
	MaxRSSBytes       int64           `json:"max_rss_bytes" footer:"reported"`
	TStartupSec       float64         `json:"t_startup_sec" footer:"reported"`
	TWarmupSec        float64         `json:"t_warmup_sec" footer:"reported"`
	Phase             Phase           `json:"phase"`
	Slot              int64           `json:"slot"`
	PnlBps            float64         `json:"pnl_bps" footer:"measured exact signed"`
	TradesOpen        int64           `json:"trades_open" footer:"measured exact"`
	OpenPnlBps        float64         `json:"open_pnl_bps" footer:"measured exact signed"` // open trades, marked to market at the last bar
	SkipReasons       Counts          `json:"skip_reasons" footer:"reported exact"`        // pregate skips by reason; they add up to pregate_skips
	DropReasons       Counts          `json:"drop_reasons" footer:"reported exact"`        // signals that became no trade, by reason
	NSignals          int64           `json:"n_signals" footer:"measured exact"`
	NonfiniteFields   []string        `json:"nonfinite_fields"`
	Unreported        []string        `json:"unreported"`
	Child             json.RawMessage `json:"child"` // exec: the command's own footer, a JSON object
	ChildStatus       string          `json:"child_status"`
	Artifacts         []Artifact      `json:"artifacts"`
	Slots             int64           `json:"slots"`                                  // of the worker's process; 0: a worker of an earlier version
	StartedAt         string          `json:"started_at"`                             // when the attempt began, RFC 3339 UTC
	EndedAt           string          `json:"ended_at"`                               // when the replay ended; empty while it goes on
	NFeaturesBuilt    int64           `json:"n_features_built" footer:"measured"`     // bars for which features were built
	TFeatureUpkeepSec float64         `json:"t_feature_upkeep_sec" footer:"measured"` // part of t_feature_build_total_sec: what each bar costs, built or not
	Checkpoints       []Checkpoint    `json:"checkpoints"`
}

// Counts counts by name. At most MaxReasons names of at most MaxReasonLen
// bytes are accepted from the bus.
type Counts map[string]int64

// Rate is how many bars a second bars in sec seconds are; 0: no time has
// passed. Every figure in bars/s is one of these.
func Rate(bars int64, sec float64) float64 {
	if sec <= 0 {
		return 0
	}
	return float64(bars) / sec
}

// Bounds on what is accepted from the bus.
const (
	MaxReasons   = 64
	MaxReasonLen = 64
)
