package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	off, on, base, with []string
	output, data        string
	outputDir           string
	primary             string
	expectOnly          []string
	unaligned, asJSON   bool
	maxTradesDiff       int
	limits              compare.Limits
	read                dataFlags
}

func (p Program) compareCommand() *cobra.Command {
	f := compareFlags{limits: compare.DefaultLimits()}
	cmd := &cobra.Command{
		Use:   "compare A B [C …]",
		Short: "Compare runs, complete or not, on the bars that they have in common",
		Long: `compare takes two or more runs, by run id or perf JSON. A is the baseline. Runs
may have been stopped at any time: what is compared is the bars that both have
replayed. It prints one sentence to act on, then what is common, the trades with
the causes of their differences, the speed, and the inputs that differ. --output
writes a report.

--off A --on B judges the pregate by five thresholds: speed-up, bars skipped,
feature time, trades and model calls. With several runs on each side, which
alternated in time, speed is judged whatever the policies differ in:
--base A1,A2,A3 --with B1,B2,B3, or the same with --off and --on.

Exit codes:
  0  the runs were compared; with --off and --on: every threshold holds
  1  with --off and --on: a threshold fails
  2  the runs cannot be compared, or wrong usage; with --off and --on also: no
     threshold fails, and at least one cannot be judged`,
		Example: `  coordinator compare pilot_a pilot_b
  coordinator compare pilot_a pilot_b --output pilot.md --expect-only exit.stop_bps
  coordinator compare --off pilot_off --on pilot_on --output pilot.md --min-speedup 2.5
  coordinator compare --base a1,a2,a3 --with b1,b2,b3`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("max-trades-diff") {
				f.limits.MaxTradesDiff = &f.maxTradesDiff
			}
			return p.compare(cmd.Context(), f, args)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.output, "output", "", "Markdown report to write (default: none)")
	bindJSON(fl, &f.asJSON)
	fl.StringVar(&f.outputDir, "output-dir", "", "output directory of runs that are named by id (default: from the run registry, else "+defaultOutputDir+")")
	fl.StringVar(&f.primary, "primary", "", "what the first sentence is about: speed or pnl (default: speed where only the pregate differs, else pnl)")
	fl.StringSliceVar(&f.expectOnly, "expect-only", nil, "key whose values may differ; any other difference is an error; repeatable")
	fl.StringVar(&f.data, "data", "", "bar file of the runs, to follow trades to exits that neither run has recorded")
	fl.StringSliceVar(&f.base, "base", nil, "runs of the baseline, if there are several")
	fl.StringSliceVar(&f.with, "with", nil, "runs to compare with them")
	fl.StringSliceVar(&f.off, "off", nil, "run with the pregate off, or several")
	fl.StringSliceVar(&f.on, "on", nil, "run with the pregate on, or several")
	bindLimits(fl, &f.limits)
	fl.IntVar(&f.maxTradesDiff, "max-trades-diff", 0, "maximum difference in closed trades, as a number; instead of --max-trades-diff-percent")
	fl.BoolVar(&f.unaligned, "unaligned", false, "judge the plain sums of two complete runs, as the original script does")
	p.bindEnv(cmd, nil)
	failWith(cmd, exitCannotCompare)
	return cmd
}

func bindLimits(fl *pflag.FlagSet, l *compare.Limits) {
	fl.Float64Var(&l.MinSpeedup, "min-speedup", l.MinSpeedup, "minimum speed-up: time of replay, OFF / ON")
	fl.Float64Var(&l.MinSkipPercent, "min-skip-percent", l.MinSkipPercent, "minimum share of bars that the pregate skipped, in % of ON's bars")
	fl.Float64Var(&l.MaxFeatureTimeRatio, "max-feature-time-ratio", l.MaxFeatureTimeRatio, "maximum ratio of feature time, ON / OFF")
	fl.Float64Var(&l.MaxTradesDiffPercent, "max-trades-diff-percent", l.MaxTradesDiffPercent, "maximum difference in closed trades, in % of OFF's")
	fl.Float64Var(&l.MaxModelCallsRatio, "max-model-calls-ratio", l.MaxModelCallsRatio, "maximum ratio of model calls, ON / OFF")
}

// sides are the runs to compare, and whether the gate's thresholds are judged.
func (f *compareFlags) sides(args []string) (a, b []string, gate bool, err error) {
	hint := "coordinator compare A B, or --off A --on B"
	switch {
	case len(f.off)+len(f.on) > 0 && len(f.base)+len(f.with)+len(args) > 0, len(f.base)+len(f.with) > 0 && len(args) > 0:
		return nil, nil, false, &usageError{"runs were named in more than one way", hint}
	case len(f.off) > 0 && len(f.on) > 0:
		return f.off, f.on, true, nil
	case len(f.off) > 0:
		return nil, nil, false, &usageError{"--on is missing", hint}
	case len(f.on) > 0:
		return nil, nil, false, &usageError{"--off is missing", hint}
	case len(f.base) > 0 && len(f.with) > 0:
		return f.base, f.with, false, nil
	case len(f.base)+len(f.with) > 0:
		return nil, nil, false, &usageError{"--base and --with go together", hint}
	case len(args) < 2:
		return nil, nil, false, &usageError{fmt.Sprintf("%d runs were named (want two or more)", len(args)), hint}
	}
	return args[:1], args[1:], false, nil
}

func (p Program) compare(ctx context.Context, f compareFlags, args []string) error {
	a, b, gate, err := f.sides(args)
	if err == nil {
		err = f.check(slices.Concat(a, b))
	}
	if err != nil {
		return err
	}
	if f.unaligned {
		return p.compareUnaligned(f, a, b)
	}
	o := compare.Options{Primary: f.primary, ExpectOnly: f.expectOnly}
	if gate {
		o.Thresholds = &f.limits
	}
	if o.Follow, err = follower(ctx, f.data, f.read); err != nil {
		return err
	}
	left, err := loadRuns(f.outputDir, a)
	if err != nil {
		return err
	}
	right, err := loadRuns(f.outputDir, b)
	if err != nil {
		return err
	}
	list, err := comparisons(left, right, o, gate || len(f.with) > 0)
	if err != nil {
		return err
	}
	if f.output != "" {
		if err := writeReport(f.output, markdown(list)); err != nil {
			return err
		}
	}
	if err := p.printCompared(list, f); err != nil || !gate {
		return err
	}
	return verdictCode(list[0].ThresholdVerdict())
}

// comparisons compares each of right with the first of left; as sides, all of
// them together.
func comparisons(left, right []*compare.Run, o compare.Options, asSides bool) ([]compare.Comparison, error) {
	if asSides {
		c, err := compare.CompareSides(left, right, o)
		return []compare.Comparison{c}, err
	}
	var list []compare.Comparison
	for _, r := range right {
		c, err := compare.Compare(left[0], r, o)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func loadRuns(outputDir string, names []string) ([]*compare.Run, error) {
	var list []*compare.Run
	for _, name := range names {
		r, err := loadRun(outputDir, name)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func verdictCode(v compare.Verdict) error {
	switch v {
	case compare.Pass:
		return nil
	case compare.Fail:
		return exitCode{code: exitCompareFail}
	}
	return exitCode{code: exitCannotCompare}
}

func (f *compareFlags) check(names []string) error {
	if err := f.limits.Check(); err != nil {
		return err
	}
	if f.primary != "" && f.primary != compare.PrimarySpeed && f.primary != compare.PrimaryPnl {
		return &usageError{fmt.Sprintf("--primary %q (want %s or %s)", f.primary, compare.PrimarySpeed, compare.PrimaryPnl), "coordinator compare --help"}
	}
	out, err := os.Stat(f.output)
	if err != nil {
		return nil // there is none yet, or writing says what is wrong
	}
	for _, name := range names {
		path, err := perfPathIn(f.outputDir, name)
		if err != nil {
			return err
		}
		if in, err := os.Stat(path); err == nil && os.SameFile(in, out) {
			return fmt.Errorf("--output %s is a file that is to be compared", f.output)
		}
	}
	return nil
}

// compareUnaligned judges the plain sums of two runs.
func (p Program) compareUnaligned(f compareFlags, a, b []string) error {
	if len(a) != 1 || len(b) != 1 {
		return &usageError{"--unaligned judges two runs", "coordinator compare --off A --on B --unaligned"}
	}
	var sides [2]compare.Side
	for i, name := range []string{a[0], b[0]} {
		path, err := perfPathIn(f.outputDir, name)
		if err != nil {
			return err
		}
		sides[i] = readSide(path)
	}
	r := compare.Judge(sides[0], sides[1], f.limits)
	if f.output != "" {
		if err := writeReport(f.output, r.Markdown()); err != nil {
			return err
		}
	}
	if err := p.printUnaligned(r, f); err != nil {
		return err
	}
	return verdictCode(r.Verdict)
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

// markdown is one report of all comparisons; of several it begins with a table
// against the first run.
func markdown(list []compare.Comparison) []byte {
	if len(list) == 1 {
		return list[0].Markdown()
	}
	var b bytes.Buffer
	b.Write(compare.Table(list))
	for i := range list {
		b.WriteString("\n---\n\n")
		b.Write(list[i].Markdown())
	}
	return b.Bytes()
}

func (p Program) printCompared(list []compare.Comparison, f compareFlags) error {
	if f.asJSON {
		if len(list) == 1 {
			b, err := list[0].JSON()
			if err != nil {
				return err
			}
			_, err = p.Stdout.Write(b)
			return err
		}
		b, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			return errors.Join(errors.New("printing the comparisons as JSON"), err)
		}
		_, err = fmt.Fprintf(p.Stdout, "%s\n", b)
		return err
	}
	for i := range list {
		for k, line := range list[i].Lines() {
			indent := "  "
			if k == 0 {
				indent = ""
			}
			fmt.Fprintf(p.Stdout, "%s%s\n", indent, strings.TrimRight(line, " "))
		}
	}
	if f.output == "" {
		return nil
	}
	_, err := fmt.Fprintf(p.Stdout, "  report  %s\n", compare.Plain(f.output))
	return err
}

func (p Program) printUnaligned(r compare.Result, f compareFlags) error {
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
	if f.output == "" {
		return nil
	}
	_, err := fmt.Fprintf(p.Stdout, "  report  %s\n", compare.Plain(f.output))
	return err
}
