package cli

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"gx1replay/internal/coordinator"
	"gx1replay/internal/process"
)

type gcFlags struct {
	outputDir      string
	dryRun, asJSON bool
	connect        connectFlags
}

func (p Program) gcCommand() *cobra.Command {
	var f gcFlags
	cmd := &cobra.Command{
		Use:   "gc [RUN…]",
		Short: "Remove leftover files of runs",
		Long: `gc removes the buses, footer backups and work directories that complete runs left
behind after a crash. It also removes those of the runs that you name, whatever
their outcome. Their perf JSONs stay, but anything that only the bus or the backup
held is lost. With --nats it also cleans that bus. It never touches active runs.`,
		Example: `  coordinator gc --dry-run
  coordinator gc pilot_off --output-dir reports/replay_eval/GATED`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.gc(cmd, args, f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.outputDir, "output-dir", defaultOutputDir, "output directory of the runs")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	f.connect.bind(fl, "", "URL of a bus to clean as well")
	bindJSON(fl, &f.asJSON)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

func (p Program) gc(cmd *cobra.Command, args []string, f gcFlags) error {
	dir, err := filepath.Abs(f.outputDir)
	if err != nil {
		return fmt.Errorf("--output-dir: %w", err)
	}
	log := logTo(p.Stderr, slog.LevelWarn)
	cfg := coordinator.GCConfig{OutputDir: dir, DryRun: f.dryRun, Logger: log}
	for _, text := range args {
		a, err := parseRunArg(text)
		if err != nil {
			return err
		}
		cfg.Runs = append(cfg.Runs, a.id)
	}
	if cfg.Registry, err = process.OpenRegistry(""); err != nil {
		return err
	}
	if f.connect.external() {
		if cfg.Bus, err = f.connect.dial(cmd.Context(), "gc", "", log); err != nil {
			return err
		}
		defer cfg.Bus.Close()
	}
	list, err := coordinator.GC(cmd.Context(), cfg)
	if errOut := p.printGarbage(list, f); errOut != nil {
		return errOut
	}
	return err
}

func (p Program) printGarbage(list []coordinator.Garbage, f gcFlags) error {
	if f.asJSON {
		if list == nil {
			list = []coordinator.Garbage{}
		}
		return p.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.Stdout, "nothing to remove")
		return nil
	}
	done := "removed"
	if f.dryRun {
		done = "would be removed"
	}
	w := p.table()
	fmt.Fprintln(w, "RUN_ID\tOUTCOME\tSIZE\t\tWHY\tWHERE")
	for _, g := range list {
		what := "stays"
		if g.Removed {
			what = done
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", g.RunID, g.Outcome, size(g.Bytes), what, g.Why, g.Where)
	}
	return w.Flush()
}

func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
