package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/bars"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/printable"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

type chunkFlags struct {
	whichRun
	rerun             bool
	policy, data, dir string
	exec              execFlags
}

func (p Program) chunkCommand() *cobra.Command {
	var f chunkFlags
	cmd := &cobra.Command{
		Use:   "chunk RUN IDX [flags] [-- CMD ARGS…]",
		Short: "Replay one chunk of a run in the foreground",
		Long: `chunk replays one chunk of a run with the same task, slice, policy and environment,
in a new directory. The output of the command goes to this terminal. Nothing is
published, and the run stays unchanged. At the end, chunk compares the counters
with those of the run.

A command after -- replaces the command of the run, for example to use a debugger
or a changed script. chunk prints how it differs. The run stores the flags of its
command (--exec-env, --exec-dir, --exec-footer, …); flags given here override them.
The run does not store values of variables: repeat --exec-env NAME=VALUE, or set
NAME. It does not store the flags of workers that were started by hand; repeat them.
After a complete run was cleaned up, chunk may also need --policy.

A chunk of the built-in engine is replayed by the built-in engine.

Exit codes:
  0  the chunk is ok
  1  wrong usage
  3  the chunk failed or was stopped`,
		Example: `  coordinator chunk pilot_on 3
  coordinator chunk pilot_on 3 --exec-env 'MYLIB_*' -- python3 -m pdb replay.py {task}
  coordinator chunk pilot_on 3 --policy p.yaml --data XAUUSD_M5.parquet`,
		Args: takesBeforeCommand(2, "RUN and the number of a chunk", "coordinator chunk RUN_ID 3"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.rerun(cmd.Context(), f, cmd.Flags(), args[0], args[1], args[2:])
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.rerun, "rerun", false, "no effect; accepted for older scripts")
	fl.StringVar(&f.policy, "policy", "", "policy file, if the run's copy was removed")
	fl.StringVar(&f.data, "data", "", "bars, if the run's source has moved")
	fl.StringVar(&f.dir, "dir", "", "directory of the attempt, new or empty (default: a temporary one, which is kept)")
	f.bind(fl)
	f.exec.bindCommand(fl)
	fl.StringArrayVar(&f.exec.ship, "exec-file", nil, "shipped file NAME=PATH, if it is not found by its digest; repeatable")
	onlyExec(cmd, &f.exec)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// rerun replays one chunk again.
type rerun struct {
	p       Program
	f       chunkFlags
	found   *foundRun
	chunk   run.Chunk
	was     footer.Footer // as the run has it; zero: nothing was measured
	set     bars.Set
	policy  policy.Policy
	content []byte
	dir     string
	kill    <-chan struct{}
	hint    string // a command line of this verb
	given   *pflag.FlagSet
}

func (p Program) rerun(ctx context.Context, f chunkFlags, given *pflag.FlagSet, idText, idxText string, argv []string) error {
	id, err := f.id(idText)
	if err != nil {
		return err
	}
	idx, err := chunkIdx(idxText)
	if err != nil {
		return err
	}
	found, done, err := p.findManifest(ctx, id, f.whichRun, "")
	if err != nil {
		return err
	}
	defer done()
	if found.elsewhere != nil {
		return found.elsewhere
	}
	if idx >= len(found.chunks) {
		return usagef("", "chunk %d of run %s, which has %d (0 to %d)", idx, id, len(found.chunks), len(found.chunks)-1)
	}
	r := &rerun{p: p, f: f, found: found, chunk: found.chunk(idx), was: found.chunks[idx].Line.Footer(), hint: "coordinator chunk RUN_ID IDX", given: given}
	r.was.Status, r.was.Error = found.chunks[idx].Status, found.chunks[idx].Error
	if err := r.open(ctx); err != nil {
		return err
	}
	exec := found.m.Engine == footer.EngineExec
	var replay func(context.Context) (footer.Footer, error)
	if exec {
		replay, err = r.command(ctx, argv)
	} else {
		replay, err = r.builtin(argv)
	}
	if err != nil {
		return err
	}
	ctx, kill, release := untilSignal(ctx)
	defer release()
	r.kill = kill
	first, end := r.chunk.Bars.First, r.chunk.Bars.End
	fmt.Fprintf(p.Stderr, "chunk %d of run %s again: bars %d to %d, %s to %s; %s\n", idx, id, first, end-1, r.stamp(first), r.stamp(end-1), found.from)
	began := time.Now()
	now, err := replay(ctx)
	r.printResult(now, err, time.Since(began))
	if err != nil {
		return exitCode{code: exitChunks}
	}
	return nil
}

func (r *rerun) note(format string, args ...any) {
	fmt.Fprintf(r.p.Stderr, "note: "+format+"\n", args...)
}

func (r *rerun) stamp(bar int64) string {
	return time.Unix(0, r.set.Bars[bar].TimeNS).UTC().Format(time.RFC3339)
}

func (r *rerun) open(ctx context.Context) error {
	if err := r.openBars(); err != nil {
		return err
	}
	if r.chunk.Bars.First < 0 || r.chunk.Bars.End > int64(len(r.set.Bars)) || r.chunk.Bars.Len() < 1 {
		return fmt.Errorf("chunk %d has bars [%d, %d) of a data set of %d", r.chunk.Idx, r.chunk.Bars.First, r.chunk.Bars.End, len(r.set.Bars))
	}
	return r.openPolicy(ctx)
}

func (r *rerun) openBars() (err error) {
	m := r.found.m
	source := m.Data.Source
	if r.f.data != "" {
		source = r.f.data
	}
	const hint = "--data D: where the run's bars are now"
	form, err := bars.FormOf(m.Data.Read)
	if err != nil {
		return fmt.Errorf("reading %s as run %s did: %w", source, m.RunID, err)
	}
	r.set, err = bars.Open(source, bars.ReadOptions{SpreadBps: &m.Data.SpreadBps, Extra: m.Engine == footer.EngineExec, Form: form})
	if err != nil {
		return usagef(hint, "%v", err)
	}
	if sum := bars.Digest(r.set.Bars); sum != m.Data.SHA256 {
		return usagef(hint, "the bars of %s have SHA-256 %.12s, those of the run %.12s", source, sum, m.Data.SHA256)
	}
	return nil
}

func (r *rerun) openPolicy(ctx context.Context) error {
	m := r.found.m
	// The run began with these model files, so their versions were accepted.
	opt := policy.Options{NeedModel: m.Engine != footer.EngineExec, PregateFlag: &m.PregateEnabled, AcceptNewerModel: true}
	var err error
	if r.f.policy != "" {
		if r.policy, err = policy.Load(r.f.policy, opt); err != nil {
			return err
		}
		if sum := coordinator.PolicyOf(r.policy).Content; sum != m.Policy.Content {
			r.note("the policy differs from the run's: %s has SHA-256 %.12s, not %.12s", r.f.policy, sum, m.Policy.Content)
		}
		r.content = r.policy.Content
		return nil
	}
	const hint = "--policy P: the run's policy"
	name := m.Policy.Name
	if r.content, err = r.found.policy(ctx); err != nil && m.Engine != footer.EngineExec && len(r.found.values) > 0 {
		r.content, name, err = r.found.values, "policy.values", nil
	}
	if err != nil {
		return usagef(hint, "%v", err)
	}
	if r.policy, err = policy.Parse(name, r.content, opt); err != nil {
		return usagef(hint, "reading the run's policy: %v", err)
	}
	return nil
}

func (r *rerun) builtin(argv []string) (func(context.Context) (footer.Footer, error), error) {
	if len(argv) > 0 {
		return nil, usagef("", "a command (%s) for a run of the engine %s", argv[0], r.found.m.Engine)
	}
	m := r.found.m
	pol, err := replay.ForVersion(m.EngineVersion, r.policy, m.Data.BarLength)
	if err != nil {
		return nil, err
	}
	job := replay.Job{Bars: r.chunk.Bars, DataBars: m.Data.Bars, BarLength: m.Data.BarLength, Policy: pol}
	job.Policy.WarmupBars = max(job.Policy.WarmupBars, m.Data.BeforeBars)
	return func(ctx context.Context) (footer.Footer, error) {
		res, err := replay.Run(ctx, job, replay.InMemory(r.set.Bars), nil)
		return res.Footer, err
	}, nil
}

func freshDir(dir, pattern string) (string, error) {
	if dir == "" {
		path, err := os.MkdirTemp("", pattern)
		if err != nil {
			return "", fmt.Errorf("making a directory for the command: %w", err)
		}
		return path, nil
	}
	path, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	var entries []os.DirEntry
	if err == nil {
		entries, err = os.ReadDir(path)
	}
	if err == nil && len(entries) > 0 {
		err = errors.New("it is not empty")
	}
	if err != nil {
		return "", fmt.Errorf("--dir %s: %w", dir, err)
	}
	return path, nil
}

// printResult prints how the replay ended, and how that compares with the run.
func (r *rerun) printResult(now footer.Footer, err error, took time.Duration) {
	out := r.p.Stderr
	how := "ok"
	switch {
	case errors.Is(err, errInterrupted):
		how = "stopped"
	case err != nil:
		how = "failed"
	}
	fmt.Fprintf(out, "chunk %d: %s after %v%s\n", r.chunk.Idx, how, took.Round(time.Millisecond), r.statusThen(how))
	if err != nil {
		fmt.Fprintf(out, "  error       %v\n", err)
	}
	row := func(what, name, is, was string) {
		text := is
		switch {
		case unreported(now, name):
			text, is = "not reported", ""
		case r.was.Attempt == 0:
		case unreported(r.was, name):
			text += " (not reported in the run)"
		case is == was:
			text += " (the same in the run)"
		default:
			text += " (" + was + " in the run)"
		}
		fmt.Fprintf(out, "  %-11s %s\n", what, text)
	}
	row("bars", "bars_processed", progress.Count(now.BarsProcessed), progress.Count(r.was.BarsProcessed))
	row("trades", "n_trades_closed", progress.Count(now.NTradesClosed), progress.Count(r.was.NTradesClosed))
	row("model calls", "n_model_calls", progress.Count(now.NModelCalls), progress.Count(r.was.NModelCalls))
	bps := func(x float64) string { return fmt.Sprintf("%+.6g bps", x) }
	row("pnl", "pnl_bps", bps(now.PnlBps), bps(r.was.PnlBps))
	if r.dir != "" {
		fmt.Fprintf(out, "  directory   %s\n", r.dir)
	}
}

// statusThen is the status that the chunk had in the run, if another.
func (r *rerun) statusThen(how string) string {
	was := string(r.was.Status)
	if was == "" || was == how {
		return ""
	}
	text, _, _ := strings.Cut(r.was.Error, "\n")
	if text != "" {
		text = ": " + printable.Line(text)
	}
	return fmt.Sprintf(" (%s in the run%s)", was, text)
}

func unreported(f footer.Footer, name string) bool { return slices.Contains(f.Unreported, name) }
