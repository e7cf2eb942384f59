package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gx1replay/internal/bars"
)

func (p Program) dataCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "data", Short: "Generate, inspect, check, cut and convert bar files", Args: cobra.NoArgs}
	cmd.AddCommand(p.dataGenCommand(), p.dataInfoCommand(), p.dataConvertCommand(), p.dataCheckCommand(), p.dataCutCommand())
	return cmd
}

func (p Program) dataGenCommand() *cobra.Command {
	var n int64
	var seed uint64
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "gen --bars N --output FILE",
		Short: "Generate synthetic M5 bars similar to those of gold",
		Long: `gen writes bars with market sessions, week-end gaps, volatility that clusters,
and spreads that widen. The same seed gives the same bytes on every machine.
The extension of the output, .parquet or .csv, sets the format.`,
		Example: "  coordinator data gen --bars 70000 --seed 7 --output year.parquet",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if n < 1 || n > bars.MaxSynthetic {
				return usagef("coordinator data gen --bars 70000 --output year.parquet", "--bars %d (want 1 to %d)", n, bars.MaxSynthetic)
			}
			if output == "" {
				return usagef("coordinator data gen --bars 70000 --output year.parquet", "--output is missing")
			}
			if err := mayWrite(output, force); err != nil {
				return err
			}
			if err := bars.WriteFile(output, bars.Generate(n, seed)); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: %d bars\n", output, n)
			return nil
		},
	}
	cmd.Flags().Int64Var(&n, "bars", 0, "number of bars")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the random numbers")
	cmd.Flags().StringVar(&output, "output", "", "file to write")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the file if it exists")
	p.bindEnv(cmd, nil)
	return cmd
}

func mayWrite(path string, force bool) error {
	if _, err := os.Lstat(path); err != nil || force {
		return nil // what else is wrong with it shows when it is written
	}
	return usagef("--force overwrites it", "writing bars to %s: it exists already (want a new file)", path)
}

func (p Program) dataInfoCommand() *cobra.Command {
	var asJSON bool
	var read dataFlags
	cmd := &cobra.Command{
		Use:     "info FILE",
		Short:   "Describe a bar file: its span, gaps, prices, spreads and digest",
		Example: "  coordinator data info year.parquet\n  coordinator data info synthetic:70000,seed=7 --json",
		Args:    oneArg("FILE", "coordinator data info --help"),
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := read.open(args[0], false)
			if err != nil {
				return err
			}
			p.warnSpread(set, read.spread)
			info := describedData{set.Describe(), expiryOf(set.Bars)}
			if asJSON {
				return p.printJSON(info)
			}
			return info.WriteText(p.Stdout)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every gap")
	read.bind(cmd.Flags())
	p.bindEnv(cmd, nil)
	return cmd
}

func (p Program) warnSpread(set bars.Set, spread optionalNumber) {
	if text := uselessSpread(set, spread); text != "" {
		fmt.Fprintf(p.Stderr, "warning: %s\n", text)
	}
}

func (p Program) dataConvertCommand() *cobra.Command {
	var force bool
	var read dataFlags
	cmd := &cobra.Command{
		Use:     "convert IN OUT",
		Short:   "Convert a bar file to .parquet or .csv",
		Example: "  coordinator data convert XAUUSD_H1.csv XAUUSD_H1.parquet --spread-bps 2.5",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("coordinator data convert in.csv out.parquet", "data convert takes IN and OUT, got %d arguments", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := mayWrite(args[1], force); err != nil {
				return err
			}
			set, err := read.open(args[0], false)
			if err != nil {
				return err
			}
			p.warnSpread(set, read.spread)
			if err := bars.WriteFile(args[1], set.Bars); err != nil {
				return err
			}
			fmt.Fprintf(p.Stdout, "%s: %d bars", args[1], len(set.Bars))
			if set.SpreadAssumed {
				fmt.Fprintf(p.Stdout, ", with an assumed spread of %v bps", set.SpreadBps)
			}
			fmt.Fprintln(p.Stdout)
			printRead(p.Stderr, set)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "overwrite OUT if it exists")
	read.bind(cmd.Flags())
	p.bindEnv(cmd, nil)
	return cmd
}
