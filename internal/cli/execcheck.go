package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gx1replay/internal/bars"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/execcheck"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

const exitChunks = 3

func (p Program) execCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "exec", Short: "Test a command for --engine exec", Args: cobra.NoArgs}
	cmd.AddCommand(p.execCheckCommand())
	return cmd
}

type execCheckFlags struct {
	policy         policyFlags
	data, from, to string
	read           dataFlags
	bars           int64
	cuts           []int
	ignore         []string
	tolerance      float64
	dir            string
	asJSON         bool
	exec           execFlags
}

func (p Program) execCheckCommand() *cobra.Command {
	f := execCheckFlags{}
	cmd := &cobra.Command{
		Use:   "check --policy P --data D [flags] -- CMD ARGS…",
		Short: "Replay a range whole and in pieces, and show where the trades differ",
		Long: `check runs the command over a range of bars, once whole and again in 2, 3 and 7
pieces (--cuts), as the chunks of a run would be, without a bus. It compares the
output ({out_dir}/trades.csv, or that of --exec-emits). It shows the borders with
differences, after how many bars they end, and the likely reason. Entries and exits
must be equal. Other values may differ by --tolerance, relative, and absolute below
1. Columns that number rows are not compared.

The command runs once per piece, one after the other. Choose a range that takes
minutes and has trades in each piece.

Exit codes:
  0  no difference beyond the tolerance
  1  differences, or wrong usage, in which case nothing was replayed
  3  the command failed`,
		Example: `  coordinator exec check --policy p.yaml --data XAUUSD_M5.parquet --bars 5000 -- python3 replay.py {task}
  coordinator exec check --policy p.yaml --data XAUUSD_M5.parquet --from 2026-01-05 --to 2026-01-09T12:00:00Z \
      --cuts 4 --exec-emits scores -- python3 scores.py {task}
  coordinator exec check --policy p.yaml --data d.csv --exec-footer none -- python3 replay.py --data {slice} --out {out_dir}`,
		Args: commandArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return p.execCheck(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.policy.path, "policy", "", "policy file")
	fl.StringVar(&f.data, "data", "", dataArg)
	fl.Int64Var(&f.bars, "bars", 0, "number of bars to replay, from the first with a full warm-up (default: all)")
	aboveZero(fl, "bars", "1 or more; without the flag all are replayed")
	fl.StringVar(&f.from, "from", "", "start of the range in UTC, instead of --bars")
	fl.StringVar(&f.to, "to", "", "end of the range in UTC, exclusive")
	fl.IntSliceVar(&f.cuts, "cuts", []int{2, 3, 7}, "numbers of pieces to cut the range into, one after the other")
	fl.StringArrayVar(&f.ignore, "ignore-column", nil, "column of the trades to leave out of the comparison; repeatable")
	fl.Float64Var(&f.tolerance, "tolerance", execcheck.DefaultTolerance, "tolerance of values other than entries and exits, relative, and absolute below 1 (0: exact)")
	fl.StringVar(&f.dir, "dir", "", "keep the command's output in this directory, new or empty (default: a temporary one, which is removed)")
	f.policy.bindPregate(fl)
	f.read.bind(fl)
	bindJSON(fl, &f.asJSON)
	f.exec.bindCommand(fl)
	f.exec.bindRun(fl)
	onlyExec(cmd, &f.exec)
	p.bindEnv(cmd, nil)
	return cmd
}

// onlyExec hides --engine where there is no choice.
func onlyExec(cmd *cobra.Command, f *execFlags) {
	f.engine = footer.EngineExec
	cmd.Flags().Lookup("engine").Hidden = true
}

func (p Program) execCheck(ctx context.Context, f execCheckFlags, argv []string) error {
	const hint = "coordinator exec check --policy p.yaml --data d.parquet --bars 5000 -- python3 replay.py {task}"
	if f.data == "" {
		return usagef(hint, "--data is missing")
	}
	if len(argv) == 0 {
		return usagef(hint, "the command is missing")
	}
	for _, n := range f.cuts {
		if n < 2 {
			return usagef(hint, "--cuts %d: a cut into %d pieces (want 2 or more)", n, n)
		}
	}
	if err := execcheck.CheckTolerance(f.tolerance); err != nil {
		return usagef("", "%v", err)
	}
	spec, err := f.exec.spec(argv, true)
	if err != nil {
		return err
	}
	pol, err := f.policy.load(p, true, false)
	if err != nil {
		return err
	}
	set, err := f.read.open(f.data, true)
	if err != nil {
		return err
	}
	for _, text := range contradictions(pol, set, f.read.spread, true) {
		fmt.Fprintf(p.Stderr, "warning: %s\n", text)
	}
	at, err := f.bounds(set.Bars, pol.WarmupBars)
	if err != nil {
		return err
	}
	dir, keep, done, err := checkDir(f.dir)
	if err != nil {
		return err
	}
	log := logTo(p.Stderr, slog.LevelWarn)
	engine, err := p.engineOf(spec, log)
	if err != nil {
		return err
	}
	ctx, kill, release := untilSignal(ctx)
	defer release()
	began := time.Now()
	report, err := execcheck.Run(ctx, execcheck.Config{
		Engine: engine, Policy: pol, PolicyContent: pol.Content, Files: f.exec.shipped(), Set: set, Range: at,
		Manifest: run.Manifest{
			RunID: "exec_check", Data: coordinator.DataOf(set), Policy: coordinator.PolicyOf(pol),
			PregateEnabled: pol.Pregate.Enabled, Command: spec.Command, Engine: footer.EngineExec, EngineVersion: replay.Version,
		},
		Cuts: f.cuts, Ignore: f.ignore, Tolerance: f.tolerance, Dir: dir, Keep: keep, Kill: kill,
		Began: func(piece execcheck.Piece) {
			if f.asJSON {
				return
			}
			if piece.Pieces == 1 {
				fmt.Fprintf(p.Stderr, "replaying bars %d to %d whole, then in %s pieces\n", at.First, at.End-1, joinInts(f.cuts))
			} else if piece.Idx == 0 {
				fmt.Fprintf(p.Stderr, "%v: in %d pieces\n", time.Since(began).Round(time.Millisecond), piece.Pieces)
			}
		},
	})
	if failed := (*execcheck.FailedError)(nil); errors.As(err, &failed) {
		if failed.Trace != "" {
			fmt.Fprintln(p.Stderr, indented(failed.Trace))
		}
		return exitCode{code: exitChunks, err: err}
	}
	done()
	switch {
	case errors.Is(err, errInterrupted):
		return exitCode{code: exitChunks, err: err}
	case err != nil:
		return err
	case f.asJSON:
		err = p.printJSON(report)
	default:
		err = report.WriteText(p.Stdout)
	}
	if err == nil && !report.Same {
		return exitCode{code: exitUsage}
	}
	return err
}

func (f *execCheckFlags) bounds(list []bars.Bar, warmup int64) (run.BarRange, error) {
	n := int64(len(list))
	r := run.BarRange{End: n}
	if f.bars < 0 || f.bars == 1 || f.bars > 0 && (f.from != "" || f.to != "") {
		return r, usagef("", "--bars %d (want 2 or more, and neither --from nor --to with it)", f.bars)
	}
	if f.bars > n {
		return r, usagef("", "--bars %d of a data set of %d", f.bars, n)
	}
	if f.bars > 0 {
		r.First = min(max(warmup, 0), n-f.bars)
		r.End = r.First + f.bars
		return r, nil
	}
	for _, at := range []struct {
		flag, text string
		to         *int64
	}{{"--from", f.from, &r.First}, {"--to", f.to, &r.End}} {
		if at.text == "" {
			continue
		}
		ns, ok := execengine.ParseTime(at.text)
		if !ok {
			return r, usagef("", "%s %q is no time (want 2026-01-05, 2026-01-05T12:00:00Z or s since 1970)", at.flag, at.text)
		}
		*at.to = firstAt(list, ns)
	}
	if r.Len() < 2 {
		return r, usagef("", "--from %s --to %s hold %d bars (want 2 or more)", f.from, f.to, max(r.Len(), 0))
	}
	return r, nil
}

// firstAt is the first bar that opens at ns or later.
func firstAt(list []bars.Bar, ns int64) int64 {
	i, _ := slices.BinarySearchFunc(list, ns, func(b bars.Bar, ns int64) int { return cmp.Compare(b.TimeNS, ns) })
	return int64(i)
}

// checkDir is the command's directory; done removes a temporary one.
func checkDir(dir string) (path string, keep bool, done func(), err error) {
	path, err = freshDir(dir, "gx1-exec-check-")
	if dir != "" || err != nil {
		return path, true, func() {}, err
	}
	return path, false, func() { _ = os.RemoveAll(path) }, nil // what is left there is the system's to clean
}

var errInterrupted = errors.New("interrupted")

// untilSignal ends ctx with the first SIGINT or SIGTERM, as a stop would, and
// closes kill with the second.
func untilSignal(parent context.Context) (ctx context.Context, kill <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	killed, over := make(chan struct{}), make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; {
			select {
			case <-over:
				return
			case s := <-signals:
				if n++; n == 1 {
					cancel(fmt.Errorf("%w by %s", errInterrupted, s))
				} else if n == 2 {
					close(killed)
				}
			}
		}
	}()
	return ctx, killed, func() {
		signal.Stop(signals)
		close(over)
		<-ended
		cancel(nil)
	}
}

func joinInts(list []int) string {
	var parts []string
	for _, n := range list {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, ", ")
}

func indented(trace string) string {
	lines := strings.Split(strings.TrimRight(trace, "\n"), "\n")
	return "  | " + strings.Join(lines[max(0, len(lines)-troubleLines):], "\n  | ")
}
