package coordinator

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/policy"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// Defaults of Config and of the flags that fill it.
const (
	// DefaultOutputDir is the original's.
	DefaultOutputDir = "reports/replay_eval/GATED"
	// DefaultTimeBox is the original's.
	DefaultTimeBox = 6 * time.Hour
	// DefaultDrain is less than the 10 s that supervisors grant before they
	// kill.
	DefaultDrain = 8 * time.Second
	DefaultLease = lease.DefaultDuration
	// DefaultMaxFailures lets two faults pass, and ends a chunk that cannot
	// be replayed.
	DefaultMaxFailures = 3
	// DefaultListen is where the stock client connects by default.
	DefaultListen = "127.0.0.1:4222"
	// execChunks is how many chunks a worker has with exec: commands are slow,
	// and differ.
	execChunks = 8
)

// Bounds of Config.
const (
	MaxWorkers = 10_000
	minDrain   = 100 * time.Millisecond
	maxWait    = time.Hour
)

// Config holds what a session runs, and how. Policy and Load are required, and
// WorkerCommand if there are local workers; any other zero value is the default
// that its field names.
type Config struct {
	// RunID names the run. Default: made from the time. The id of an earlier run
	// resumes it.
	RunID run.ID
	// OutputDir is where the perf JSON goes. Default: DefaultOutputDir.
	OutputDir string
	// FallbackDir is where it goes if OutputDir cannot be written. Default: the
	// system's temporary directory.
	FallbackDir string
	// Policy is how bars are replayed.
	Policy policy.Policy
	// Load reads the data set; its error means that the input is bad.
	Load func(ctx context.Context) (bars.Set, error)
	// Engine is footer.EngineBuiltin (default) or footer.EngineExec.
	Engine string
	// EngineVersion is the version that the run asks its engines for, 1 or more.
	// Default: this release's, and that of a run that is resumed.
	EngineVersion int
	// Command is the user's command, with footer.EngineExec. Zero: that of the
	// first worker that has one.
	Command run.Command
	// Files are paths of the files that go with Command, by their names.
	Files map[string]string
	// Chunks is how many chunks the data set is cut into, 1 to run.MaxChunks.
	// Default: one for each worker (each CPU without local workers), with
	// footer.EngineExec eight. A resumed run keeps its chunks, and one that was
	// begun with others is a *Differs.
	Chunks int
	// ChunkBars, 1 or more, is the length of a chunk in bars, instead of Chunks.
	ChunkBars int64
	// Order is the order in which chunks are published. Default: run.OrderSpread,
	// or that of the run that is resumed; another one is a *Differs.
	Order run.Order
	// Decisions: keep what became of each bar; with footer.EngineBuiltin only.
	// Nil: no, or as the run that is resumed.
	Decisions *bool
	// NoSignals: do not keep the run's signals in a file. Runs are then compared
	// by their trades alone.
	NoSignals bool
	// RetryFailed: a session that resumes a run retries its failed chunks.
	RetryFailed bool
	// Workers is the number of local worker processes, 0 to MaxWorkers. 0: workers
	// elsewhere do it all.
	Workers int
	// WorkerCommand is the process that is the local worker of a slot.
	WorkerCommand func(slot int, w LocalWorker) process.Spec
	// Guardian is the process that exports if this one vanishes. Nil: there is
	// none.
	Guardian func() process.Spec

	// NATS is the bus to use. Nil: one is embedded.
	NATS *External
	// Listen is the embedded bus's address, HOST:PORT; port 0 is a free one, which
	// is taken, too, if the port is not free. Default: DefaultListen.
	Listen string
	// StopAuth: stopping over the embedded bus requires the run's key.
	StopAuth bool
	// SyncAlways: the embedded bus syncs each write before it is answered.
	SyncAlways bool
	// KeepBus: keep the embedded bus of a complete run.
	KeepBus bool
	// TimeBox stops the run after that time. 0: no limit.
	TimeBox time.Duration
	// Drain is how long a stop waits for the workers' final reports, 100 ms to 1 h.
	// Default: DefaultDrain.
	Drain time.Duration
	// Lease is the silence after which a worker's chunk goes to another, 1 s to
	// 1 h. Default: DefaultLease.
	Lease time.Duration
	// MaxFailures is how many failed attempts fail a chunk. Default:
	// DefaultMaxFailures.
	MaxFailures int
	// Quiet stands in the perf JSON, and changes nothing here.
	Quiet bool

	// Signals are stops; one more than a second after the first exports at once.
	// Nil: none come.
	Signals <-chan os.Signal
	// Registry is the run registry of this host. Nil: the run is not entered.
	Registry *process.Registry
	// Version is that of the program. Zero: unknown.
	Version Version
	// Export is for every export.
	Export export.Config
	// Logger is the run's log. Default: none.
	Logger *slog.Logger
	// WorkerLog takes what local workers write; several goroutines use it.
	// Default: io.Discard.
	WorkerLog io.Writer
	// Observer receives the session's events. Default: Unobserved.
	Observer Observer
}

// External is a bus that runs elsewhere.
type External struct {
	bus.Access
	// Replicas of streams that have to be made: 1, 3 or 5. Default: 3 on a
	// cluster of three servers or more, else 1.
	Replicas int
}

// LocalWorker holds what a local worker needs.
type LocalWorker struct {
	RunID   run.ID
	URL     string
	KeyFile string // of the embedded bus; empty with another
	WorkDir string
}

// ConfigError is a field of a Config with a value that it cannot have.
type ConfigError struct {
	Field string // as Config names it
	Value any
	Want  string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s is %v (want %s)", e.Field, e.Value, e.Want)
}

// Validate returns a *ConfigError for the first field whose value is out of its
// range. Run validates, too, and looks whether what is required is there.
func (c Config) Validate() error {
	bad := func(field string, value any, want string) error { return &ConfigError{field, value, want} }
	if c.RunID != "" {
		if _, err := run.ParseNewID(string(c.RunID)); err != nil {
			return err
		}
	}
	switch exec := c.Engine == footer.EngineExec; {
	case c.Engine != "" && !exec && c.Engine != footer.EngineBuiltin:
		return bad("Engine", fmt.Sprintf("%q", c.Engine), footer.EngineBuiltin+" or "+footer.EngineExec)
	case c.EngineVersion < 0:
		return bad("EngineVersion", c.EngineVersion, "1 or more")
	case exec && c.Decisions != nil && *c.Decisions:
		return bad("Decisions", true, "false with engine exec: only the built-in engine knows what became of each bar")
	case c.Workers < 0 || c.Workers > MaxWorkers:
		return bad("Workers", c.Workers, fmt.Sprintf("0 to %d", MaxWorkers))
	case c.Chunks < 0 || c.Chunks > run.MaxChunks:
		return bad("Chunks", c.Chunks, fmt.Sprintf("1 to %d", run.MaxChunks))
	case c.ChunkBars < 0:
		return bad("ChunkBars", c.ChunkBars, "1 or more")
	case c.Chunks > 0 && c.ChunkBars > 0:
		return bad("ChunkBars", c.ChunkBars, "either Chunks or ChunkBars")
	case c.Order != "" && !slices.Contains(run.Orders(), c.Order):
		return bad("Order", fmt.Sprintf("%q", c.Order), fmt.Sprintf("%s, %s or %s", run.OrderSpread, run.OrderTime, run.OrderSample))
	case c.TimeBox < 0:
		return bad("TimeBox", c.TimeBox, "a time above 0")
	case c.Drain != 0 && (c.Drain < minDrain || c.Drain > maxWait):
		return bad("Drain", c.Drain, "100ms to 1h")
	case c.Lease != 0 && (c.Lease < lease.MinDuration || c.Lease > lease.MaxDuration):
		return bad("Lease", c.Lease, "1s to 1h")
	case c.MaxFailures < 0:
		return bad("MaxFailures", c.MaxFailures, "1 or more")
	case c.NATS != nil && c.NATS.Replicas != 0 && c.NATS.Replicas != 1 && c.NATS.Replicas != 3 && c.NATS.Replicas != 5:
		return bad("NATS.Replicas", c.NATS.Replicas, "1, 3 or 5")
	}
	return nil
}

func (c Config) decisions() bool { return c.Decisions != nil && *c.Decisions }

// asked is what whoever made a Config asked for by name, and a resumed run has
// to agree with.
type asked struct{ plan, order, decisions bool }

// complete is c with its defaults.
func (c Config) complete() (Config, asked, error) {
	err := c.Validate()
	switch {
	case err != nil:
	case c.Load == nil:
		err = errors.New("no Load: which bars?")
	case c.Workers > 0 && c.WorkerCommand == nil:
		err = errors.New("no WorkerCommand: what starts a local worker?")
	}
	if err != nil {
		return c, asked{}, fmt.Errorf("configuring a run: %w", err)
	}
	a := asked{plan: c.Chunks > 0 || c.ChunkBars > 0, order: c.Order != "", decisions: c.Decisions != nil}
	if c.RunID == "" {
		var random [2]byte
		_, _ = rand.Read(random[:]) // never fails
		c.RunID = run.NewID(time.Now(), random)
	}
	c.OutputDir = cmp.Or(c.OutputDir, DefaultOutputDir)
	c.Engine = cmp.Or(c.Engine, footer.EngineBuiltin)
	c.Order = cmp.Or(c.Order, run.OrderSpread)
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	c.Drain, c.Lease = cmp.Or(c.Drain, DefaultDrain), cmp.Or(c.Lease, DefaultLease)
	c.MaxFailures = cmp.Or(c.MaxFailures, DefaultMaxFailures)
	if c.Chunks == 0 {
		c.Chunks = cmp.Or(c.Workers, runtime.NumCPU())
		if c.Engine == footer.EngineExec {
			c.Chunks *= execChunks
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.WorkerLog == nil {
		c.WorkerLog = io.Discard
	}
	if c.Observer == nil {
		c.Observer = Unobserved{}
	}
	return c, a, nil
}
