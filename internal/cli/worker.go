package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/dataset"
	"gx1replay/internal/layout"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/worker"
)

const (
	// orphanLimit is when an orphaned local worker exits: it has a second, less the
	// time of the exit.
	orphanLimit  = 800 * time.Millisecond
	exitOrphaned = 1
)

type workerFlags struct {
	connect     connectFlags
	exec        execFlags
	concurrency int
	maxRuntime  time.Duration
	idle        time.Duration
	keepWork    time.Duration
	runID       string
	// coordinators are public nkeys.
	coordinators []string
	workDir      string
	cacheDir     string
	cacheMax     byteSize
}

// workerCommand is the program chunkworker and, hidden, the verb of local workers.
func (p Program) workerCommand(name string, hidden bool) *cobra.Command {
	var f workerFlags
	cmd := &cobra.Command{
		Use: name, Hidden: hidden,
		Short: "Replay chunks of runs on a JetStream bus",
		Long: `chunkworker takes tasks from a bus, replays their chunks, and reports its
measurements. On SIGTERM or Ctrl-C it returns its chunks, so that another worker
can take them at once.`,
		Example: `  chunkworker --nats nats://127.0.0.1:4222 --nkey run.nk --concurrency 4
  chunkworker --nats nats://127.0.0.1:4222 --exit-when-idle=5m --max-runtime-per-chunk 1h
  chunkworker --nats nats://127.0.0.1:4222 --engine exec -- python3 replay.py {task}
  chunkworker --nats nats://10.0.0.1:4222 --nkey worker.nk --coordinator-key UBZWPEPBIAMQTF4VWZDUNGPTJRU7JSON6GFRJREPAFILUDH7CNO4DIZK`,
		Args: commandArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return p.work(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	f.connect.bind(fl, nats.DefaultURL, "URL of the bus, or several separated by commas")
	fl.IntVar(&f.concurrency, "concurrency", 0, "chunks to replay at a time (default: one per CPU, with --engine exec 1)")
	aboveZero(fl, "concurrency", fmt.Sprintf("1 to %d", maxSlots))
	fl.DurationVar(&f.maxRuntime, "max-runtime-per-chunk", 0, "fail an attempt that runs longer than this (0: no limit)")
	fl.DurationVar(&f.idle, "exit-when-idle", 0, "exit after being idle this long; useful with autoscalers (0: never)")
	fl.Lookup("exit-when-idle").NoOptDefVal = defaultIdle
	fl.StringVar(&f.runID, "run", "", "serve this run only")
	fl.StringArrayVar(&f.coordinators, "coordinator-key", nil, "serve only runs whose manifest a coordinator with this public nkey signed (U…, repeatable)")
	f.exec.bindCommand(fl)
	fl.StringVar(&f.workDir, "work-dir", "", "private directory for attempts and the files that commands open (default: gx1-replay-<uid>/work in the system's temporary directory)")
	fl.DurationVar(&f.keepWork, "keep-work", 7*24*time.Hour, "remove attempts and files that were not used for this long; attempts of complete runs are removed at once (0: keep all)")
	fl.StringVar(&f.cacheDir, "cache-dir", "", "cache directory for bars, models and files (default: gx1-replay in the user's cache directory)")
	f.cacheMax = defaultCache
	fl.Var(&f.cacheMax, "cache-max", "maximum size of the cache, such as 4G; the least recently used files are removed (0: no cache)")
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// defaultCache holds the slices of fifty million bars.
const defaultCache = 4 << 30

// cache is the worker's. A local worker's is removed with its run: the bus is on
// the same disk.
func (f *workerFlags) cache(local bool, log *slog.Logger) (*dataset.Cache, error) {
	if local {
		return dataset.NewCache(layout.Work(f.workDir).Cache(), math.MaxInt64, log), nil
	}
	dir := f.cacheDir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			log.Warn("no cache directory (set --cache-dir)", "error", err)
			return nil, nil
		}
		dir = filepath.Join(base, "gx1-replay")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("--cache-dir: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		log.Warn("creating the cache directory failed", "error", err)
	}
	return dataset.NewCache(dir, int64(f.cacheMax), log), nil
}

// workDirectory makes the work directory, where nobody else may put files. A local
// worker's is in its run's own directory.
func (f *workerFlags) workDirectory(local bool) (string, error) {
	switch {
	case local:
		return f.workDir, safefile.InnerDir(f.workDir)
	case f.workDir == "":
		// Beside the run registry, if that has no other place.
		parent, err := safefile.TempDir(os.TempDir(), "gx1-replay-"+strconv.Itoa(os.Geteuid()))
		if err != nil {
			return "", usagef("--work-dir DIR: a directory of your own", "the default work directory: %v", err)
		}
		dir := filepath.Join(parent, "work")
		return dir, safefile.InnerDir(dir)
	}
	dir, err := safefile.UserDir(f.workDir)
	if err != nil {
		return "", usagef("--work-dir DIR: a directory of your own that others cannot write", "--work-dir: %v", err)
	}
	return dir, nil
}

// keep is how long unused files stay in the work directory. A local worker's is
// removed with its run.
func (f *workerFlags) keep(local bool) time.Duration {
	if local {
		return 0
	}
	return f.keepWork
}

// defaultIdle is the value of --exit-when-idle without one.
const defaultIdle = "1m"

const maxSlots = 1024

// slotVar holds a local worker's number among those of its run.
const slotVar = envPrefix + "LOCAL_SLOT"

func localSlot(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= coordinator.MaxWorkers {
		return 0, fmt.Errorf("%s is %.40q (want 0 to %d)", slotVar, text, coordinator.MaxWorkers-1)
	}
	return n, nil
}

func (f *workerFlags) slots(local bool) (int, error) {
	switch {
	case f.concurrency < 0 || f.concurrency > maxSlots:
		return 0, usagef("", "--concurrency %d (want 1 to %d)", f.concurrency, maxSlots)
	case f.maxRuntime < 0:
		return 0, usagef("", "--max-runtime-per-chunk %v (want a duration, or 0 for no limit)", f.maxRuntime)
	case f.keepWork < 0:
		return 0, usagef("", "--keep-work %v (want a duration, or 0 to keep everything)", f.keepWork)
	case f.idle < 0:
		return 0, usagef("", "--exit-when-idle %v (want a duration, or 0 to never exit)", f.idle)
	}
	for _, key := range f.coordinators {
		if !nkeys.IsValidPublicUserKey(key) {
			return 0, usagef("nk -inkey coordinator.nk -pubout, or the users.conf of `coordinator auth init`", "--coordinator-key %q (want the public nkey of a user, which begins with U)", key)
		}
	}
	switch {
	case f.concurrency > 0:
		return f.concurrency, nil
	case local, f.exec.exec():
		return 1, nil // a local worker is one of several
	}
	return min(runtime.NumCPU(), maxSlots), nil
}

// connectWorker waits for a bus that is not there yet, because a worker may be
// started first. A local worker's is there, or gone.
func connectWorker(ctx context.Context, cfg bus.Config, local bool) (*bus.Bus, error) {
	said := time.Time{}
	for {
		b, err := bus.Connect(ctx, cfg)
		if err == nil || local || !bus.Unreachable(err) {
			return b, err
		}
		if time.Since(said) > waitingEvery {
			said = time.Now()
			cfg.Logger.Warn("bus not reachable, waiting", "error", err)
		}
		t := time.NewTimer(connectEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

const (
	connectEvery = time.Second
	// waitingEvery is how often the wait is logged.
	waitingEvery = 30 * time.Second
)

// exitSecondSignal is a shell's code for a program that a signal ended.
const exitSecondSignal = 130

// work is the life of a worker process. The first signal asks it to exit; another
// one, more than sameSignal later, ends it.
func (p Program) work(ctx context.Context, f workerFlags, argv []string) error {
	// Before other files are opened: the lifeline's descriptor is fixed.
	lifeline, local := process.InheritedLifeline(p.Getenv)
	// If the reader of the log dies, a write must fail and not end this process
	// with its footers unwritten.
	outliveReaders()
	log := logTo(p.Stderr, slog.LevelInfo)
	slots, err := f.slots(local)
	if err != nil {
		return err
	}
	var only run.ID
	if f.runID != "" {
		id, err := run.ParseID(f.runID)
		if err != nil {
			return fmt.Errorf("--run: %w", err)
		}
		only = id
	}
	first := 0
	if local {
		if err := f.exec.takeVariables(p.Getenv(variablesVar)); err != nil {
			return err
		}
		if first, err = localSlot(p.Getenv(slotVar)); err != nil {
			return err
		}
	}
	if f.workDir, err = f.workDirectory(local); err != nil {
		return err
	}
	spec, err := f.exec.spec(argv, false)
	if err != nil {
		return err
	}
	if f.exec.exec() && len(argv) == 0 {
		return usagef("chunkworker --engine exec -- python3 replay.py {task}", "--engine exec without a command")
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding this host's name: %w", err)
	}
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("making a worker_id: %w", err)
	}
	id := fmt.Sprintf("%s-%d-%x", host, os.Getpid(), random)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var end *exitRequest
	if local {
		end = awaitExit(lifeline, cancel)
		if err := process.YieldToCoordinator(); err != nil {
			log.Warn("lowering this worker's priority failed", "error", err)
		}
	} else {
		end = awaitExit(nil, cancel)
	}
	defer end.end()

	where, err := f.connect.access()
	if err != nil {
		return err
	}
	b, err := connectWorker(ctx, bus.Config{Access: where, Name: "gx1 worker " + id, Worker: id, Logger: log.With("worker_id", id)}, local)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, worker.ErrOrphaned) || errors.Is(cause, worker.ErrShutdown) && bus.Unreachable(err) {
			return nil
		}
		return err
	}
	defer b.Close()
	if !local {
		if err := b.CheckServer(); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if err := b.Require(ctx, access.Worker); err != nil {
			return err
		}
	}
	cache, err := f.cache(local, log.With("worker_id", id))
	if err != nil {
		return err
	}
	var engine worker.Engine
	usage := process.SelfCPU
	if f.exec.exec() {
		inner, err := p.engineOf(spec, log.With("worker_id", id))
		if err != nil {
			return err
		}
		exec := &worker.Exec{Engine: inner, Objects: b, Cache: cache, WorkDir: f.workDir, Hurry: end.hurry}
		defer exec.Close()
		engine, usage = exec, nil
	} else {
		engine = &worker.Builtin{Objects: b, Cache: cache, Usage: process.SelfCPU, OnBar: p.Hooks.OnBar}
	}
	if p.Hooks.Engine != nil {
		engine = p.Hooks.Engine(engine)
	}
	w := worker.New(worker.Config{
		Bus: b, ID: id, Host: host, PID: os.Getpid(), Slots: slots, FirstSlot: first, Run: only, WorkDir: f.workDir,
		Engine: engine, Logger: log, Usage: usage, MaxRuntime: f.maxRuntime, ExitWhenIdle: f.idle,
		KeepWork: f.keep(local), CoordinatorKeys: f.coordinators, Build: cmp.Or(p.Hooks.Build, version().String()), EngineVersion: p.Hooks.EngineVersion,
	})
	err = w.Run(ctx)
	if broken := (*worker.SetUpError)(nil); errors.As(err, &broken) {
		return exitCode{code: broken.Code, err: err}
	}
	return err
}
