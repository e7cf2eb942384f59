package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"gx1replay/internal/bars"
)

func (p Program) dataCheckCommand() *cobra.Command {
	var asJSON, force bool
	var output string
	var read dataFlags
	cmd := &cobra.Command{
		Use:   "check FILE [--repair KINDS --output OUT]",
		Short: "Report all errors and oddities in a bar file",
		Long: `check reads a file as run does and reports all errors; run stops at the first.
Errors are wrong order, duplicates, crossed bid and ask, highs and lows that do
not contain open and close (by one unit in the last place, by one point, by more),
and missing or impossible prices. check also reports oddities: gaps while the
market is usually open, bars that are not a whole number of bar lengths apart,
prices that do not move, spikes, and the hours at which weeks begin, which show
daylight saving time.

With --repair and --output, check writes the repaired bars to a new file and lists
its changes. crossed raises asks to their bids. ulp widens highs and lows by one
unit in the last place. duplicates removes repeated bars. sort sorts by time.

Exit codes:
  0  run accepts the data
  1  run refuses it`,
		Example: `  coordinator data check GBPUSD_M1.csv
  coordinator data check GBPUSD_M1.csv --json
  coordinator data check GBPUSD_M1.csv --repair crossed,sort --output repaired.parquet`,
		Args: oneArg("FILE", "coordinator data check --help"),
		RunE: func(_ *cobra.Command, args []string) error {
			if (output == "") != (read.form.Repair == "") {
				return usagef("coordinator data check in.csv --repair crossed --output repaired.csv", "--repair and --output go together: repaired bars are written to a new file")
			}
			if output != "" {
				return p.repairData(args[0], output, force, asJSON, read)
			}
			if err := read.check(); err != nil {
				return err
			}
			in, err := bars.Inspect(args[0], bars.ReadOptions{SpreadBps: read.spread.value, Form: read.form})
			if err != nil {
				return err
			}
			if asJSON {
				err = p.printJSON(in)
			} else {
				err = in.WriteText(p.Stdout)
			}
			if err == nil && !in.OK {
				return exitCode{code: exitUsage}
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	bindJSON(fl, &asJSON)
	fl.StringVar(&output, "output", "", "with --repair, file to write (.parquet or .csv)")
	fl.BoolVar(&force, "force", false, "overwrite the output if it exists")
	read.bind(fl)
	p.bindEnv(cmd, nil)
	return cmd
}

// repaired is what a repair prints with --json.
type repaired struct {
	Output  string        `json:"output"`
	Bars    int           `json:"bars"`
	Changes []bars.Change `json:"changes"`
}

func (p Program) repairData(from, to string, force, asJSON bool, read dataFlags) error {
	if err := mayWrite(to, force); err != nil {
		return err
	}
	set, err := read.open(from, false)
	if err != nil {
		return err
	}
	if err := bars.WriteFile(to, set.Bars); err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(repaired{Output: to, Bars: len(set.Bars), Changes: append([]bars.Change{}, set.Read.Repairs...)})
	}
	fmt.Fprintf(p.Stdout, "%s: %d bars\n", to, len(set.Bars))
	if len(set.Read.Repairs) == 0 {
		fmt.Fprintln(p.Stdout, "nothing was to be repaired")
	}
	for _, c := range set.Read.Repairs {
		fmt.Fprintf(p.Stdout, "repaired: %s\n", c)
	}
	return nil
}

func (p Program) dataCutCommand() *cobra.Command {
	var force bool
	var read dataFlags
	const hint = "coordinator data cut in.parquet out.parquet --from 2024-01-01 --to 2024-07-01"
	cmd := &cobra.Command{
		Use:   "cut IN OUT --from T --to T",
		Short: "Write one period of a bar file to another file",
		Long: `cut writes the bars that open at or after --from and before --to. --warmup N adds
the N bars before --from, for the look-back of a policy. A run over such a file
makes the same trades as run --from.`,
		Example: "  " + hint + "\n  coordinator data cut in.csv july.csv --from 2024-07-01 --to 2024-08-01 --warmup 500",
		Args:    takes(2, 2, "IN and OUT", hint),
		RunE: func(_ *cobra.Command, args []string) error {
			if read.form.From == "" && read.form.To == "" {
				return usagef(hint, "--from and --to are missing")
			}
			if err := mayWrite(args[1], force); err != nil {
				return err
			}
			set, err := read.open(args[0], false)
			if err != nil {
				return err
			}
			if err := bars.WriteFile(args[1], set.Bars); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: %d bars", args[1], len(set.Bars))
			if set.Before > 0 {
				fmt.Fprintf(p.Stdout, ", %d of them before the period", set.Before)
			}
			fmt.Fprintln(p.Stdout)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	read.bindPeriod(fl)
	fl.StringVar(&read.form.Warmup, "warmup", "", "number of bars to include before --from (default 0)")
	fl.BoolVar(&force, "force", false, "overwrite OUT if it exists")
	read.bind(fl)
	p.bindEnv(cmd, nil)
	return cmd
}
