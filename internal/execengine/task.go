package execengine

// TaskSchema is the version of the task file.
const TaskSchema = 1

// Task is the task file, JSON: what a command is asked for. Times are in the
// run's --exec-ts-format.
type Task struct {
	Schema         int                 `json:"schema"`
	RunID          string              `json:"run_id"`
	ChunkID        string              `json:"chunk_id"`
	ChunkIdx       int                 `json:"chunk_idx"`
	ChunksTotal    int                 `json:"chunks_total"`
	Attempt        int                 `json:"attempt"`
	Slot           int                 `json:"slot"`
	FirstBar       int64               `json:"first_bar"` // index in the data set
	EndBar         int64               `json:"end_bar"`   // exclusive
	PlannedBars    int64               `json:"planned_bars"`
	WarmupBars     int64               `json:"warmup_bars"` // bars of the slice before the chunk
	TailBars       int64               `json:"tail_bars"`   // bars of the slice behind it
	StartTS        Time                `json:"start_ts"`
	EndTS          Time                `json:"end_ts"` // of the last own bar, inclusive
	LoadStartTS    Time                `json:"load_start_ts"`
	Data           TaskFile            `json:"data"`
	Slice          TaskSlice           `json:"slice"`
	Policy         TaskFile            `json:"policy"`
	PregateEnabled bool                `json:"pregate_enabled"`
	Params         map[string]string   `json:"params"`
	Files          map[string]TaskFile `json:"files"`
	OutDir         string              `json:"out_dir"`
	FooterFile     string              `json:"footer_file"`
	ProgressFile   string              `json:"progress_file"`
	StopFile       string              `json:"stop_file"`
	CheckpointBars int64               `json:"checkpoint_bars"`
	GraceSec       float64             `json:"grace_sec"`
}

// TaskFile is a file of a task. Path is empty where the command did not ask
// for it.
type TaskFile struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// TaskSlice is the slice: warm-up, own bars, tail, in that order.
type TaskSlice struct {
	Path        string `json:"path"`
	Rows        int64  `json:"rows"`
	FirstOwnRow int64  `json:"first_own_row"` // warm-up bars before it
	TailRows    int64  `json:"tail_rows"`
}
