package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/bars"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/process"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

const defaultOutputDir = coordinator.DefaultOutputDir

type runFlags struct {
	policy                              policyFlags
	data, runID, outputDir, fallbackDir string
	workers, chunks                     int
	chunkBars                           int64
	order, listen                       string
	exec                                execFlags
	read                                dataFlags
	timeout                             seconds
	drain, lease                        time.Duration
	maxFailures, exitOnStop, replicas   int
	stopAuth, keepBus, quiet            bool
	retryFailed, explain, noGuardian    bool
	decisions, noSignals                bool
	sync                                string
	connect                             connectFlags
}

// seconds is a flag that takes seconds, as in the original, or a Go duration.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }
func (s *seconds) Type() string   { return "seconds" }
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if f, ferr := strconv.ParseFloat(text, 64); ferr == nil {
		d, err = time.Duration(f*float64(time.Second)), nil
	}
	if err != nil || d <= 0 || d > 10*365*24*time.Hour {
		return fmt.Errorf("%q is not a time limit (want seconds, as 1200 or 0.5, or a duration, as 20m)", text)
	}
	*s = seconds(d)
	return nil
}

func (p Program) runCommand() *cobra.Command {
	f := runFlags{timeout: seconds(coordinator.DefaultTimeBox)}
	cmd := &cobra.Command{
		Use:   "run --policy POLICY --data DATA",
		Short: "Replay a data set through a policy",
		Long: `run splits the data set into chunks, starts local workers, and writes
<output-dir>/perf_<run_id>.json. It ends when all chunks are done or when the run
is stopped: by Ctrl-C, SIGTERM, --timeout, or the stop command that it prints. A
second Ctrl-C exports at once. To resume a run after a stop, a crash or a kill -9,
repeat the command with its --run-id.

Exit codes:
  0  the perf JSON is valid and no chunk failed; stopped runs included
  1  wrong usage or input; nothing was run
  2  the export failed; perf_<run_id>_FAILED_EXPORT.json holds the reason
  3  the perf JSON is valid, but a chunk failed or no worker could start`,
		Example: `  coordinator run --policy examples/policies/gated.yaml --data synthetic:70000
  coordinator run --policy p.yaml --data XAUUSD_M5.parquet --workers 7 --run-id pilot_on
  coordinator run --policy p.yaml --data XAUUSD_M5.parquet --run-id pilot_on --explain
  coordinator run --policy p.yaml --data XAUUSD_H1.csv --spread-bps 3 --timeout 20m
  coordinator run --policy p.yaml --data XAUUSD_M5.parquet --engine exec -- python3 replay.py {task}`,
		Args: commandArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, f, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.policy.path, "policy", "", "policy file (YAML)")
	fl.StringVar(&f.data, "data", "", dataArg)
	fl.IntVar(&f.workers, "workers", runtime.NumCPU(), "number of local worker processes (default: one per CPU)")
	fl.Lookup("workers").DefValue = "0" // so that help is the same on every machine
	fl.IntVar(&f.chunks, "chunks", 0, "number of chunks (default: one per worker, with --engine exec eight per worker)")
	fl.Int64Var(&f.chunkBars, "chunk-bars", 0, "bars per chunk, instead of --chunks")
	aboveZero(fl, "chunks", "1 or more")
	aboveZero(fl, "chunk-bars", "1 or more")
	fl.StringVar(&f.order, "order", "", "order in which chunks start: spread (evenly over the period), time (front to back) or sample (at random, for estimates from a part) (default: spread)")
	fl.StringVar(&f.runID, "run-id", "", "name of the run, 1 to 64 of A-Z a-z 0-9 _ - (default: made from the time)")
	fl.StringVar(&f.outputDir, "output-dir", defaultOutputDir, "output directory")
	fl.StringVar(&f.fallbackDir, "fallback-dir", "", "directory to use if --output-dir cannot be written (default: the system's temporary directory)")
	fl.Var(&f.timeout, "timeout", "time limit of the run, as seconds or a duration")
	f.policy.bindPregate(fl)
	f.read.bindPeriod(fl)
	f.read.bind(fl)
	f.policy.bindKeys(fl)
	fl.BoolVar(&f.decisions, "decisions", false, "also write decisions_<run_id>.parquet, with the decision at each bar and its reason")
	fl.BoolVar(&f.noSignals, "no-signals", false, "do not write signals_<run_id>.parquet, which coordinator compare needs to compare parts of runs")
	fl.DurationVar(&f.drain, "drain-timeout", coordinator.DefaultDrain, "after a stop, wait at most this long for the final reports of the workers")
	aboveZero(fl, "drain-timeout", "100ms to 1h")
	fl.DurationVar(&f.lease, "lease-duration", coordinator.DefaultLease, "lease of a worker on its chunk; another worker takes the chunk after a silence of one and a half leases")
	aboveZero(fl, "lease-duration", "1s to 1h")
	fl.IntVar(&f.maxFailures, "max-failures", coordinator.DefaultMaxFailures, "failed attempts after which a chunk fails")
	aboveZero(fl, "max-failures", "1 or more")
	fl.IntVar(&f.exitOnStop, "exit-on-stop", 0, "exit code of a stopped run; useful with schedulers that requeue on non-zero")
	fl.BoolVar(&f.retryFailed, "retry-failed", false, "when resuming, also retry failed chunks")
	fl.BoolVar(&f.explain, "explain", false, "when resuming, print why each chunk is replayed or kept")
	fl.BoolVar(&f.noGuardian, "no-guardian", false, "do not start the guardian, which exports if the coordinator is killed")
	f.exec.bindCommand(fl)
	f.exec.bindRun(fl)
	f.connect.bind(fl, "", "URL of a JetStream server, or several separated by commas (default: the embedded server)")
	fl.IntVar(&f.replicas, "replicas", 0, "replicas of each stream: 1, 3 or 5 (default: 3 on a cluster of three or more servers, else 1)")
	aboveZero(fl, "replicas", "1, 3 or 5; without the flag the cluster's size decides")
	fl.StringVar(&f.listen, "listen", coordinator.DefaultListen, "address of the embedded bus; if the port is taken, a free one is used")
	fl.BoolVar(&f.stopAuth, "stop-auth", false, "require the run's key to stop it over NATS")
	fl.StringVar(&f.sync, "sync", syncDefault, "when the embedded bus syncs its files: default (every 2 minutes) or always (before each answer)")
	fl.BoolVar(&f.keepBus, "keep-bus", false, "keep the embedded bus's files after a complete run")
	fl.BoolVar(&f.quiet, "quiet", false, "print the result only")
	env := maps.Clone(natsEnv)
	maps.Copy(env, originalEnv)
	p.bindEnv(cmd, env)
	return cmd
}

// graceLess is the rest of the drain after a command's grace.
const graceLess = 2 * time.Second

const (
	syncDefault = "default"
	syncAlways  = "always"
)

func (p Program) run(cmd *cobra.Command, f runFlags, argv []string) error {
	// From here on a signal stops the run, not the process, and a closed reader
	// stops nothing.
	outliveReaders()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)

	id, err := f.id()
	if err != nil {
		return err
	}
	pol, err := f.policy.load(p, f.exec.exec(), f.quiet)
	if err != nil {
		return err
	}
	cfg := f.config(id, pol, cmd.Flags())
	cfg.EngineVersion = p.Hooks.EngineVersion
	if err := f.check(cmd, cfg); err != nil {
		return err
	}
	if err := f.exec.checkSizes(f.workers > 0); err != nil {
		return err
	}
	spec, err := f.exec.spec(argv, true)
	if err != nil {
		return err
	}
	if err := f.exec.checkFound(spec.Command, f.workers > 0); err != nil {
		return err
	}
	form, err := f.read.withWarmup(pol, &f.exec)
	if err != nil {
		return err
	}
	if cfg.OutputDir, err = filepath.Abs(f.outputDir); err != nil {
		return fmt.Errorf("--output-dir: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program, to start workers: %w", err)
	}
	target := layout.Run{Dir: cfg.OutputDir, FallbackDir: f.fallbackDir, RunID: id}
	logFile, fresh, err := openLog(target)
	if err != nil {
		return err
	}
	// It is not closed: that would wait for a write that the disk holds up.
	logWriter := newPatientLog(logFile)
	defer logWriter.Close()
	log := logTo(logWriter, slog.LevelInfo).With("run_id", id)
	defer dumpOnQuit(signals, logWriter, p.Stderr)()

	if f.exec.exec() && !cmd.Flags().Changed("grace") {
		f.exec.grace = max(f.drain-graceLess, f.drain/2)
	}
	if f.exec.exec() && f.workers > 0 {
		if spec.Command.Flags, err = f.exec.kept(); err != nil {
			return err
		}
	}
	forWorkers, variables, err := f.exec.forWorker(argv)
	if err != nil {
		return err
	}
	ui := newUI(p, f, id)
	ui.next, ui.retry = p.resumeCommand(cmd, id, argv), p.resumeCommand(cmd, id, argv, "--retry-failed")
	exp := p.Hooks.Export
	exp.Stderr = p.Stderr
	cfg.Load = func(context.Context) (bars.Set, error) {
		set, err := bars.Open(f.data, bars.ReadOptions{SpreadBps: f.read.spread.value, Extra: f.exec.exec(), Form: form})
		if err == nil {
			logRead(log, set)
		}
		for _, c := range set.Read.Repairs {
			ui.print("warning: %s: repaired: %s", f.data, c)
		}
		if len(set.ExtraSkipped) > 0 {
			ui.print("warning: %s: columns that commands do not get: %s", f.data, strings.Join(set.ExtraSkipped, ", "))
		}
		if err == nil && !f.exec.exec() {
			for _, w := range replay.EpsilonFindings(pol.Features, set.Bars) {
				ui.print("%s: %s", w.Level, w.Text)
				log.Warn("a feature is not what it is at larger prices", "reason", w.Text)
			}
		}
		if err == nil {
			for _, text := range contradictions(pol, set, f.read.spread, f.exec.exec()) {
				ui.print("warning: %s", text)
				log.Warn("policy and data contradict each other", "what", text)
			}
		}
		return set, err
	}
	cfg.Command, cfg.Files = spec.Command, f.exec.shipped()
	cfg.WorkerCommand = func(slot int, w coordinator.LocalWorker) process.Spec {
		return process.Spec{Path: exe, Args: append([]string{exe, "worker", "--run", string(w.RunID), "--work-dir", w.WorkDir}, forWorkers...),
			Env: slices.Concat(localEnv(os.Environ()), f.connect.forWorker(w), variables, []string{slotVar + "=" + strconv.Itoa(slot)})}
	}
	cfg.Signals, cfg.Export, cfg.Logger, cfg.WorkerLog, cfg.Observer = signals, exp, log, logWriter, ui
	if p.Hooks.Observe != nil {
		cfg.Observer = p.Hooks.Observe(ui)
	}
	if !f.noGuardian {
		cfg.Guardian = func() process.Spec { return guardianSpec(exe, target) }
	}
	if f.connect.external() {
		if cfg.NATS.Access, err = f.connect.access(); err != nil {
			return err
		}
	}
	if cfg.Registry, err = process.OpenRegistry(""); err != nil {
		log.Warn("run registry unavailable", "error", err)
	}
	out, err := coordinator.Run(cfg, ui.start)
	ui.end()
	var done *coordinator.AlreadyRun
	if errors.As(err, &done) {
		return p.alreadyRun(done)
	}
	if err != nil {
		if logWriter.Close() && fresh {
			forgetLog(logFile)
		}
		var differs *coordinator.Differs
		if errors.As(err, &differs) {
			return usagef("another --run-id", "%v", differs)
		}
		return err
	}
	ui.summary(out)
	if out.Code == 0 && !out.Stop.IsZero() && out.Result.Totals.Outcome != perf.OutcomeComplete {
		out.Code = f.exitOnStop
	}
	if out.Code != 0 {
		return exitCode{code: out.Code}
	}
	return nil
}

// localEnv is the environment of local workers: this process's own without what
// would set their flags, such as credentials for another bus.
func localEnv(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		return strings.HasPrefix(v, envPrefix) || strings.HasPrefix(v, "NATS_")
	})
}

func (f runFlags) id() (run.ID, error) {
	if f.runID != "" {
		return run.ParseNewID(f.runID)
	}
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("making a run_id: %w", err)
	}
	return run.NewID(time.Now(), random), nil
}

func (p Program) alreadyRun(a *coordinator.AlreadyRun) error {
	if a.Code == 0 {
		fmt.Fprintf(p.Stdout, "run %s is complete already: %s\nnothing was run\n", a.RunID, relative(a.Path))
		return nil
	}
	what := "chunk that failed"
	if n := a.File.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks; n != 1 {
		what = fmt.Sprintf("%d chunks that failed", n)
	}
	fmt.Fprintf(p.Stdout, "run %s has ended, and chunks of it failed: %s\nnothing was run; --retry-failed retries the %s\n", a.RunID, relative(a.Path), what)
	return exitCode{code: a.Code}
}
