package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gx1replay/internal/export"
	"gx1replay/internal/perf"
)

func (p Program) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify PERF.json",
		Short: "Recompute what follows from a perf JSON's chunks, and say what does not fit",
		Long: `verify computes statuses, counts, coverage, totals and times of a perf JSON from
its chunks and sessions, and names the first field that does not fit, its value
and what was expected. If the file names the run's trades, their digest, number
and sum are held against it as well. Exit codes: 0 all fits; 1 it does not, or the file
cannot be read.`,
		Example: "  coordinator verify reports/replay_eval/GATED/perf_pilot_on.json",
		Args:    oneArg("PERF.json", "coordinator verify perf_RUN_ID.json"),
		RunE:    func(_ *cobra.Command, args []string) error { return p.verify(args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	p.bindEnv(cmd, nil)
	return cmd
}

// verified is what verify prints with --json.
type verified struct {
	Path         string       `json:"path"`
	OK           bool         `json:"ok"`
	Error        string       `json:"error"`
	RunID        string       `json:"run_id"`
	Outcome      perf.Outcome `json:"outcome"`
	PlannedBars  int64        `json:"planned_bars"`
	ReplayedBars int64        `json:"replayed_bars"`
}

func (p Program) verify(path string, asJSON bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > perf.MaxBytes {
		return fmt.Errorf("%s has %d bytes (at most %d)", path, info.Size(), perf.MaxBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := perf.ParseVerified(b)
	trades := ""
	if err == nil {
		trades, err = export.VerifyTrades(path, f)
	}
	c := f.Totals.Coverage
	if asJSON {
		v := verified{Path: path, OK: err == nil, RunID: string(f.Report.RunID), Outcome: f.Totals.Outcome, PlannedBars: c.PlannedBars, ReplayedBars: c.ReplayedBars}
		if err != nil {
			v.Error = err.Error()
		}
		enc := json.NewEncoder(p.Stdout)
		enc.SetIndent("", "  ")
		if errOut := enc.Encode(v); errOut != nil {
			return errOut
		}
		if err != nil {
			return exitCode{code: exitUsage}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(p.Stdout, "%s: run %s, %s, %d of %d bars in %d chunks; everything that follows from them fits\n",
		path, f.Report.RunID, f.Totals.Outcome, c.ReplayedBars, c.PlannedBars, f.Totals.ChunksTotal)
	switch {
	case trades == "":
	case f.Report.Selection.Scope == perf.ScopeCommand:
		fmt.Fprintf(p.Stdout, "%s: the command's own trades, as they were put together; what they are worth is not ours to say\n", trades)
	default:
		fmt.Fprintf(p.Stdout, "%s: %d trades, %.2f bps, as the perf JSON says\n", trades, f.Totals.TotalTrades-f.Report.Selection.Trades.WithoutRows, f.Totals.TotalPnlBps)
	}
	return nil
}
