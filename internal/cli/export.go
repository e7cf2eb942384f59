package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/process"
)

type exportFlags struct {
	whichRun
	footers             []string
	output, fallbackDir string
	timeout             time.Duration
	asJSON              bool
}

func (p Program) exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run's perf JSON from its bus or its files",
		Long: `export writes the perf JSON of an orphaned run, with export_mode recovered. It
reads the bus, the footer backup, and the footers in the work directories. With
--footers it reads files alone. While the run is active, export writes only to
--output. The new file never holds fewer bars than the existing one, and a complete
file stays unchanged. If the bus reports that the run is complete, export writes
nothing and prints the file, host and SHA-256 of its perf JSON. Reading an external
bus requires a coordinator's key.`,
		Example: `  coordinator export pilot_on
  coordinator export pilot_on --output so_far.json
  coordinator export pilot_on --footers /mnt/host1/work --footers /mnt/host2/work`,
		Args: oneArg("RUN", "coordinator ls"),
		RunE: func(cmd *cobra.Command, args []string) error {
			outliveReaders()
			return p.export(cmd, args[0], f)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringArrayVar(&f.footers, "footers", nil, "directory of chunk_footer.json files to read instead of the bus; repeatable")
	fl.StringVar(&f.output, "output", "", "file to write (default: perf_<run_id>.json in the output directory)")
	fl.StringVar(&f.fallbackDir, "fallback-dir", "", "directory to use if --output-dir cannot be written (default: the system's temporary directory)")
	fl.DurationVar(&f.timeout, "timeout", time.Minute, "time limit of this command")
	aboveZero(fl, "timeout", "a duration above 0")
	f.bind(fl)
	bindJSON(fl, &f.asJSON)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

func (p Program) export(cmd *cobra.Command, text string, f exportFlags) error {
	id, err := f.id(text)
	if err != nil {
		return err
	}
	log := logTo(p.Stderr, slog.LevelWarn).With("run_id", id)
	target, entry, err := f.place(id)
	if err != nil {
		return err
	}
	target.FallbackDir = f.fallbackDir
	if _, err := os.Stat(target.StateDir()); err != nil && !f.connect.external() && len(f.footers) == 0 {
		return usagef("coordinator export "+text+" --output-dir DIR, or --footers DIR", "run %s has no files in %s", id, target.Dir)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	exp := p.Hooks.Export
	exp.Stderr = p.Stderr
	var res export.Result
	if len(f.footers) > 0 {
		res, err = fromFooters(ctx, target, f, exp, entry.Alive, log)
	} else {
		res, err = fromBus(ctx, target, f, exp, entry, log)
	}
	if errors.Is(err, coordinator.ErrNoBus) || errors.Is(err, bus.ErrNoRun) {
		// Files of its coordinator and workers are next.
		if _, errStat := os.Stat(target.WorkDir()); errStat == nil {
			f.footers = []string{target.WorkDir()}
		}
		res, err = fromFooters(ctx, target, f, exp, entry.Alive, log)
	}
	var failed *export.NotExported
	if errors.As(err, &failed) {
		return exitCode{code: exitFailed, err: err}
	}
	if err != nil {
		return err
	}
	return p.printExported(res, f.asJSON)
}

func fromFooters(ctx context.Context, t layout.Run, f exportFlags, exp export.Config, alive bool, log *slog.Logger) (export.Result, error) {
	cfg := export.RecoverConfig{Target: t, Dirs: f.footers, Output: f.output, Config: exp, Logger: log}
	if cfg.Output == "" {
		if alive {
			return export.Result{}, fmt.Errorf("run %s: %w", t.RunID, coordinator.ErrLive)
		}
		lock, err := export.Acquire(ctx, t, export.RoleExport)
		if err != nil {
			return export.Result{}, err
		}
		defer lock.Close()
		cfg.Lock = lock
	}
	return export.Recover(ctx, cfg)
}

func fromBus(ctx context.Context, t layout.Run, f exportFlags, exp export.Config, e process.Entry, log *slog.Logger) (export.Result, error) {
	cfg := coordinator.RecoverConfig{
		Target: t, Live: e.Alive, Output: f.output, Version: version(), Export: exp, Logger: log,
	}
	if f.connect.external() {
		var err error
		if cfg.Bus, err = f.connect.dial(ctx, "export", access.Coordinator, log); err != nil {
			return export.Result{}, err
		}
		defer cfg.Bus.Close()
	} else if e.Alive {
		var err error
		if cfg.Bus, err = coordinator.ConnectTo(ctx, e); err != nil {
			return export.Result{}, err
		}
		defer cfg.Bus.Close()
	}
	return coordinator.Recover(ctx, cfg)
}

// exported is what export and verify print with --json.
type exported struct {
	Path         string       `json:"path"`
	SHA256       string       `json:"sha256"`
	Outcome      perf.Outcome `json:"outcome"`
	PlannedBars  int64        `json:"planned_bars"`
	ReplayedBars int64        `json:"replayed_bars"`
	MissingBars  int64        `json:"missing_bars"`
	Chunks       int          `json:"chunks"`
	ChunksOK     int          `json:"chunks_ok"`
	Refused      int          `json:"footers_refused"`
	PlanGuessed  bool         `json:"plan_inferred"`
	SetAside     string       `json:"set_aside"`
}

func (p Program) printExported(res export.Result, asJSON bool) error {
	t := res.Totals
	e := exported{
		Path: res.Path, SHA256: res.SHA256, Outcome: t.Outcome,
		PlannedBars: t.Coverage.PlannedBars, ReplayedBars: t.Coverage.ReplayedBars, MissingBars: t.Coverage.MissingBars,
		Chunks: t.ChunksTotal, ChunksOK: t.ChunksCompleted, Refused: res.Refused, PlanGuessed: res.FootersOnly, SetAside: res.SetAside,
	}
	if asJSON {
		return p.printJSON(e)
	}
	fmt.Fprintf(p.Stdout, "%s: %s, %d of %d bars, %d of %d chunks ok\n", relative(e.Path), e.Outcome, e.ReplayedBars, e.PlannedBars, e.ChunksOK, e.Chunks)
	if e.PlanGuessed {
		fmt.Fprintln(p.Stdout, "note: only footers were found; the plan was taken from them, and data set and policy are unknown")
	}
	if e.Refused > 0 {
		fmt.Fprintf(p.Stdout, "note: %d footers could not be used\n", e.Refused)
	}
	if e.SetAside != "" {
		fmt.Fprintf(p.Stdout, "note: an existing file that is not an export of this run was renamed to %s\n", e.SetAside)
	}
	return nil
}
