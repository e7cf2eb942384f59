package execengine

import (
	"time"

	"gx1replay/internal/run"
)

// Spec is the command of this worker and how it is run: what its command line
// says.
type Spec struct {
	// Command is the worker's own. Of a run's, argument vector and digests
	// must be the same; the rest comes from the run.
	Command run.Command
	Dir     string // working directory; empty: the worker's own
	// Digest are --exec-digest: files, directories and globs whose files belong
	// to the command's identity.
	Digest []string

	// Env are --exec-env: NAME, GLOB or NAME=VALUE, with placeholders in VALUE.
	Env []string
	// SlotEnv are variables with a value for each slot, in turn.
	SlotEnv map[string][]string

	// Footer is where the command leaves its footer, placeholders unexpanded;
	// empty: where GX1R_FOOTER_FILE says. NoFooter: it leaves none.
	Footer   string
	NoFooter bool
	// Progress finds progress in log lines; nil: what Detect recognises.
	Progress *Pattern
	Detect   string // a ProgressXxx; empty: ProgressNone

	Grace time.Duration // between SIGTERM and SIGKILL
	Stall time.Duration // without a new bar or change of phase

	Serve   bool
	Recycle int // chunks after which a serving process is replaced; 0: never

	MemoryMax  int64  // bytes; 0: no limit
	MemPerTask int64  // bytes that must be available before a slot starts; 0: none
	FilesDir   string // where large files are found by digest
	CapBytes   int64  // of out_dir, as it comes back; 0: DefaultCap
}

// Defaults of a Spec.
const (
	DefaultStall = 10 * time.Minute
	DefaultGrace = 6 * time.Second // the drain's deadline less 2 s
	DefaultCap   = 16 << 20
	// MaxShipped bounds a file that travels; larger ones are found by digest.
	MaxShipped = 256 << 20
)
