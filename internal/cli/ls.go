package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/access"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

func (p Program) lsCommand() *cobra.Command {
	var connect connectFlags
	var outputDir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the runs of a directory, of this machine and of a bus",
		Long: `ls lists runs, the latest first: those that have left a perf JSON or a footer
backup in the output directory, those that are active on this machine, and with
--nats those of a bus. Figures of an active run are those of its last export or
backup; "coordinator status" asks the run itself.`,
		Example: `  coordinator ls
  coordinator ls --output-dir /data/runs --json
  coordinator ls --nats nats://10.0.0.1:4222 --nkey observer.nk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, problems, err := listRuns(outputDir)
			if err == nil && connect.external() {
				list, err = p.addBusRuns(cmd.Context(), list, connect)
			}
			if err != nil {
				return err
			}
			for _, err := range problems {
				fmt.Fprintf(p.Stderr, "warning: %v\n", err)
			}
			return p.writeRuns(list, asJSON)
		},
	}
	cmd.Flags().StringVar(&outputDir, "output-dir", defaultOutputDir, "directory whose runs to list")
	connect.bind(cmd.Flags(), "", "URL of a bus whose runs to list, too")
	bindJSON(cmd.Flags(), &asJSON)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// listedRun is a run as `ls --json` prints it.
type listedRun struct {
	RunID run.ID `json:"run_id"`
	// State is complete, stopped or failed; active while a coordinator runs it;
	// orphaned after one died.
	State        string    `json:"state"`
	At           time.Time `json:"at"` // of the last export, or of the start
	PlannedBars  int64     `json:"planned_bars"`
	ReplayedBars int64     `json:"replayed_bars"`
	TotalTrades  int64     `json:"total_trades"`
	TotalPnlBps  float64   `json:"total_pnl_bps"`
	Policy       string    `json:"policy"`
	Path         string    `json:"path"` // what the figures are from; empty: none are known
}

// Values of listedRun.State besides the outcomes.
const (
	stateActive   = "active"
	stateOrphaned = "orphaned"
)

func (l *listedRun) set(path string, f perf.File) {
	l.RunID, l.State, l.At, l.Path = f.Report.RunID, string(f.Totals.Outcome), f.Report.Timestamp, path
	l.PlannedBars, l.ReplayedBars = f.Totals.Coverage.PlannedBars, f.Totals.Coverage.ReplayedBars
	l.TotalTrades, l.TotalPnlBps, l.Policy = f.Totals.TotalTrades, f.Totals.TotalPnlBps, f.Report.Policy.Name
}

// listRuns lists the runs of a directory, and those of this machine that are
// active elsewhere. Problems are about files that could not be read.
func listRuns(dir string) (list []listedRun, problems []error, err error) {
	list = []listedRun{}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("--output-dir: %w", err)
	}
	runs := map[run.ID]*listedRun{}
	add := func(path string) {
		f, err := readHead(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			problems = append(problems, err)
			return
		}
		l := &listedRun{}
		l.set(path, f)
		if old := runs[l.RunID]; old == nil || l.At.After(old.At) && l.ReplayedBars >= old.ReplayedBars {
			runs[l.RunID] = l
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, e := range entries {
		if _, kind, ok := layout.Parse(e.Name()); ok && kind == layout.Perf && e.Type().IsRegular() {
			add(filepath.Join(dir, e.Name()))
		}
	}
	states, err := os.ReadDir(layout.Run{Dir: dir}.StatesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, err)
	}
	for _, e := range states {
		if id, err := run.ParseID(e.Name()); err == nil {
			add(layout.Run{Dir: dir, RunID: id}.Backup())
		}
	}
	reg, err := process.OpenRegistry("")
	if err != nil {
		return nil, nil, err
	}
	active, bad := reg.List()
	problems = append(problems, bad...)
	for _, e := range active {
		here := e.OutputDir == dir
		if !here && !e.Alive {
			continue
		}
		l := runs[e.RunID]
		if l == nil || !here {
			l = &listedRun{RunID: e.RunID, At: e.StartedAt, Path: ""}
			if f, err := readHead(layout.Run{Dir: e.OutputDir, RunID: e.RunID}.Backup()); err == nil {
				l.set(layout.Run{Dir: e.OutputDir, RunID: e.RunID}.Backup(), f)
			}
			runs[e.RunID] = l
		}
		l.State = stateActive
		if !e.Alive {
			l.State = stateOrphaned
		}
	}
	for _, l := range runs {
		list = append(list, *l)
	}
	slices.SortFunc(list, func(a, b listedRun) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.RunID, b.RunID)) })
	return list, problems, nil
}

func (p Program) addBusRuns(ctx context.Context, list []listedRun, c connectFlags) ([]listedRun, error) {
	b, err := c.dial(ctx, "ls", access.Observer, discard())
	if err != nil {
		return nil, err
	}
	defer b.Close()
	runs, err := runsOn(ctx, b, c.given, "")
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		l := listedRun{RunID: r.RunID, State: r.onBus, At: r.StartedAt}
		if r.Alive {
			l.State = stateActive
		}
		if s := r.Standing; s != nil {
			l.PlannedBars, l.ReplayedBars = s.PlannedBars, s.Bars
		}
		if !slices.ContainsFunc(list, func(known listedRun) bool { return known.RunID == l.RunID }) {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b listedRun) int { return b.At.Compare(a.At) })
	return list, nil
}

func (p Program) writeRuns(list []listedRun, asJSON bool) error {
	if asJSON {
		return p.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.Stdout, "no runs found; --output-dir DIR lists those of another directory")
		return nil
	}
	w := p.table()
	fmt.Fprintln(w, "RUN_ID\tSTATE\tWHEN\tBARS\tTRADES\tPNL_BPS\tPOLICY")
	for _, l := range list {
		bars, trades, pnl := "-", "-", "-"
		if l.PlannedBars > 0 {
			bars = progress.Count(l.ReplayedBars)
			if l.ReplayedBars != l.PlannedBars {
				bars = fmt.Sprintf("%s (%d %%)", bars, 100*l.ReplayedBars/l.PlannedBars)
			}
		}
		if l.Path != "" {
			trades, pnl = progress.Count(l.TotalTrades), fmt.Sprintf("%+.1f", l.TotalPnlBps)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.RunID, l.State, l.At.Local().Format("2006-01-02 15:04"), bars, trades, pnl, dash(printable.Line(l.Policy)))
	}
	return w.Flush()
}
