package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gx1replay/internal/perf"
	"gx1replay/internal/printable"
	"gx1replay/internal/safefile"
	"gx1replay/internal/selection"
)

func (p Program) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify RUN",
		Short: "Recompute the totals of a perf JSON and name every difference",
		Long: `verify recomputes the totals of a perf JSON and names every value that differs,
with its file, its field, the value and what was expected.

From the chunks it computes statuses, counts, coverage, totals and outcome, and
from the sessions the time. From the trades file that the perf JSON names it
computes the digest, the number of rows and the sums, for the run and for every
chunk, and the pnl of each row from its prices. If the parquet file, the metrics
and the attribution are beside the trades file, it compares them with its rows.

verify shows that the files agree with each other. To check what workers reported,
use "coordinator audit".

Exit codes:
  0  everything agrees
  1  something differs, or a file cannot be read`,
		Example: `  coordinator verify reports/replay_eval/GATED/perf_pilot_on.json
  coordinator verify perf_pilot_on.json --json`,
		Args: oneArg("RUN", "coordinator verify perf_RUN_ID.json"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := perfPath(args[0])
			if err != nil {
				return err
			}
			return p.verify(path, asJSON)
		},
	}
	bindJSON(cmd.Flags(), &asJSON)
	p.bindEnv(cmd, nil)
	return cmd
}

// verified is what verify prints with --json.
type verified struct {
	Path         string             `json:"path"`
	OK           bool               `json:"ok"`
	Error        string             `json:"error"` // one line; empty: all agrees
	RunID        string             `json:"run_id"`
	Outcome      perf.Outcome       `json:"outcome"`
	PlannedBars  int64              `json:"planned_bars"`
	ReplayedBars int64              `json:"replayed_bars"`
	Trades       selection.Verified `json:"trades"`
	WithoutRows  int64              `json:"without_rows"`
	Differences  perf.Differences   `json:"differences"`
}

func (p Program) verify(path string, asJSON bool) error {
	f, err := parsePerf(path)
	if err != nil && !errors.Is(err, perf.ErrVerify) {
		if !asJSON {
			return fmt.Errorf("%s: %w", path, err)
		}
		return p.printVerifiedJSON(verified{Path: path, Error: err.Error(), Trades: selection.Verified{Others: []string{}, Missing: []string{}}, Differences: perf.Differences{}})
	}
	v := verified{
		Path: path, RunID: string(f.Report.RunID), Outcome: f.Totals.Outcome, Differences: perf.Differences{},
		PlannedBars: f.Totals.Coverage.PlannedBars, ReplayedBars: f.Totals.Coverage.ReplayedBars,
		WithoutRows: f.Report.Selection.Trades.WithoutRows,
	}
	v.add(path, err)
	v.add(path, f.VerifyTime().Err())
	v.add(path, f.VerifyPolicy().Err())
	v.Trades, err = selection.Verify(path, f)
	if err != nil && !errors.Is(err, selection.ErrVerify) {
		v.Error = err.Error()
	}
	v.add(path, err)
	v.OK = v.Error == ""
	if asJSON {
		return p.printVerifiedJSON(v)
	}
	return p.printVerified(v, f)
}

// add adds the differences in err, each once; those without a file are of path.
func (v *verified) add(path string, err error) {
	var list perf.Differences
	if !errors.As(err, &list) {
		return
	}
	named := map[[2]string]bool{}
	for _, d := range v.Differences {
		named[[2]string{d.File, d.Field}] = true
	}
	for _, d := range list {
		if d.File == "" {
			d.File = path
		}
		if at := [2]string{d.File, d.Field}; !named[at] {
			named[at] = true
			v.Differences = append(v.Differences, d)
		}
	}
	v.Error = v.Differences.Error()
}

// parsePerf reads the perf JSON at path. With an ErrVerify there is a file.
func parsePerf(path string) (perf.File, error) {
	b, err := safefile.ReadLinked(path, perf.MaxBytes)
	if err != nil {
		return perf.File{}, err
	}
	return perf.ParseVerified(b)
}

func (p Program) printVerifiedJSON(v verified) error {
	err := p.printJSON(v)
	if err == nil && !v.OK {
		return exitCode{code: exitUsage}
	}
	return err
}

// printVerified prints for people. Each number is the computed one.
func (p Program) printVerified(v verified, f perf.File) error {
	if !v.OK {
		for _, d := range v.Differences {
			fmt.Fprintln(p.Stdout, printable.Line(d.String()))
		}
		if len(v.Differences) == 0 {
			return fmt.Errorf("%s: %s", v.Path, v.Error)
		}
		return exitCode{code: exitUsage, err: fmt.Errorf("%s: %s", v.Path, counted(len(v.Differences), "difference"))}
	}
	fmt.Fprintf(p.Stdout, "%s: run %s, %s, %d of %d bars in %d chunks; all totals agree with the chunks\n",
		v.Path, v.RunID, v.Outcome, v.ReplayedBars, v.PlannedBars, f.Totals.ChunksTotal)
	without := ""
	if v.WithoutRows > 0 {
		without = fmt.Sprintf("; %s without rows, which are lost", counted(int(v.WithoutRows), "further trade"))
	}
	switch t := v.Trades; {
	case t.File == "":
		if without != "" {
			fmt.Fprintf(p.Stdout, "%s: no trades file%s\n", v.Path, without)
		}
	case f.Report.Selection.Scope == perf.ScopeCommand:
		fmt.Fprintf(p.Stdout, "%s: %d rows, the command's own trades, SHA-256 as recorded%s; their pnl is the command's and was not computed\n", t.File, t.Rows, without)
	default:
		net := ""
		if t.NetPnlBps != nil {
			net = fmt.Sprintf(", %.2f after costs", *t.NetPnlBps)
		}
		fmt.Fprintf(p.Stdout, "%s: %d rows, %.2f bps%s, SHA-256 as recorded; rows and sums agree with the perf JSON%s\n", t.File, t.Rows, t.PnlBps, net, without)
	}
	for _, path := range v.Trades.Others {
		fmt.Fprintf(p.Stdout, "%s: agrees with these rows\n", path)
	}
	for _, path := range v.Trades.Missing {
		fmt.Fprintf(p.Stdout, "%s: not found, so not compared\n", path)
	}
	return nil
}
