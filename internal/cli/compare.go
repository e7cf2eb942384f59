package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/compare"
	"gx1replay/internal/perf"
)

// Exit codes of compare. 1 is a verdict there, so a bad command line is 2.
const (
	exitCompareFail   = 1
	exitCannotCompare = 2
)

type compareFlags struct {
	off, on, output string
	limits          compare.Limits
	asJSON          bool
}

func (p Program) compareCommand() *cobra.Command {
	f := compareFlags{limits: compare.DefaultLimits()}
	cmd := &cobra.Command{
		Use:   "compare --off A.json --on B.json --output REPORT.md",
		Short: "Judge a run with the pregate on against the same run with it off",
		Long: `compare reads two perf JSON files of one policy on one data set, with the pregate
off and on. It judges five figures, each against a threshold: speed-up, bars
skipped, feature time per bar, closed trades and model calls. It writes a Markdown
report. --json prints the report as JSON.

Exit codes:
  0  every figure meets its threshold
  1  a figure misses its threshold
  2  the runs cannot be compared, as the report explains, or wrong usage`,
		Example: `  coordinator compare --off perf_pilot_off.json --on perf_pilot_on.json --output pilot.md
  coordinator compare --off perf_pilot_off.json --on perf_pilot_on.json --output pilot.md --min-speedup 2.5 --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.compare(f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.off, "off", "", "run with the pregate off: its run id or perf JSON")
	fl.StringVar(&f.on, "on", "", "run with the pregate on: its run id or perf JSON")
	fl.StringVar(&f.output, "output", "", "Markdown report to write")
	bindLimits(fl, &f.limits)
	bindJSON(fl, &f.asJSON)
	p.bindEnv(cmd, nil)
	failWith(cmd, exitCannotCompare)
	return cmd
}

func bindLimits(fl *pflag.FlagSet, l *compare.Limits) {
	fl.Float64Var(&l.MinSpeedup, "min-speedup", l.MinSpeedup, "minimum ratio of bars per second over summed chunk wall clocks, ON / OFF")
	fl.Float64Var(&l.MinSkipPercent, "min-skip-percent", l.MinSkipPercent, "minimum share of bars that the pregate skipped, in % of ON's bars")
	fl.Float64Var(&l.MaxFeatureTimeRatio, "max-feature-time-ratio", l.MaxFeatureTimeRatio, "maximum ratio of feature time per bar, ON / OFF")
	fl.Float64Var(&l.MaxTradesDiffPercent, "max-trades-diff-percent", l.MaxTradesDiffPercent, "maximum difference in closed trades, in % of OFF's")
	fl.Float64Var(&l.MaxModelCallsRatio, "max-model-calls-ratio", l.MaxModelCallsRatio, "maximum ratio of model calls, ON / OFF")
}

func (p Program) compare(f compareFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	for _, side := range []*string{&f.off, &f.on} {
		path, err := perfPath(*side)
		if err != nil {
			return err
		}
		*side = path
	}
	r := compare.Judge(readSide(f.off), readSide(f.on), f.limits)
	if err := writeReport(f.output, r.Markdown()); err != nil {
		return err
	}
	if err := p.printCompared(r, f); err != nil {
		return err
	}
	switch r.Verdict {
	case compare.Pass:
		return nil
	case compare.Fail:
		return exitCode{code: exitCompareFail}
	}
	return exitCode{code: exitCannotCompare}
}

func (f compareFlags) check() error {
	for _, v := range []struct{ flag, path string }{{"--off", f.off}, {"--on", f.on}, {"--output", f.output}} {
		if v.path == "" {
			return fmt.Errorf("%s is missing (coordinator compare --off A.json --on B.json --output REPORT.md)", v.flag)
		}
	}
	if err := f.limits.Check(); err != nil {
		return err
	}
	out, err := os.Stat(f.output)
	if err != nil {
		return nil // there is none yet, or writing says what is wrong
	}
	for _, path := range []string{f.off, f.on} {
		if in, err := os.Stat(path); err == nil && os.SameFile(in, out) {
			return fmt.Errorf("--output %s is a file that is to be compared", f.output)
		}
	}
	return nil
}

// readSide reads one file. An error is part of the report.
func readSide(path string) compare.Side {
	b, err := readPerf(path)
	if err != nil {
		return compare.Side{Path: path, Err: err}
	}
	return compare.Read(path, b)
}

func readPerf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, perf.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > perf.MaxBytes {
		return nil, fmt.Errorf("%s is too large for a perf JSON (at most %d bytes)", path, perf.MaxBytes)
	}
	return b, nil
}

func writeReport(path string, b []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func (p Program) printCompared(r compare.Result, f compareFlags) error {
	if f.asJSON {
		b, err := r.JSON()
		if err != nil {
			return err
		}
		_, err = p.Stdout.Write(b)
		return err
	}
	fmt.Fprintln(p.Stdout, r.Headline())
	w := p.table()
	for _, row := range r.Lines() {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", row[0], row[1], row[2], row[3])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(p.Stdout, "  not comparable: %s\n", compare.Plain(problem.Text))
	}
	_, err := fmt.Fprintf(p.Stdout, "  report  %s\n", compare.Plain(f.output))
	return err
}
