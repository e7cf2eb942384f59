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

	"gx1replay/internal/bars"
	"gx1replay/internal/cli/progress"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/printable"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

type chunkFlags struct {
	rerun                        bool
	policy, data, outputDir, dir string
	connect                      connectFlags
	exec                         execFlags
}

func (p Program) chunkCommand() *cobra.Command {
	var f chunkFlags
	const hint = "coordinator chunk RUN_ID 3 --rerun"
	cmd := &cobra.Command{
		Use:   "chunk RUN_ID IDX --rerun [flags] [-- CMD ARGS…]",
		Short: "Replay one chunk of a run again, here, in the foreground",
		Long: `chunk --rerun has the run's command replay one chunk again, with the same task,
slice, policy and environment, in a fresh directory. What it writes comes to
this terminal as it comes. Nothing is published: the run stays as it is. At the
end it says how the counters compare with those of the run.

A command behind -- takes the place of the run's, as with a debugger or a
changed script; in what it differs is said. Flags that a worker has on its own
(--exec-env, --exec-dir, --exec-footer, …) are not kept with a run: give them
again. Once a run is complete and cleaned it may need --policy, too.

A chunk of the built-in engine is replayed by that.

exit codes: 0 the chunk is ok, 3 it failed or was stopped, 1 bad usage.`,
		Example: `  coordinator chunk pilot_on 3 --rerun
  coordinator chunk pilot_on 3 --rerun --exec-env 'MYLIB_*' -- python3 -m pdb replay.py {task}
  coordinator chunk pilot_on 3 --rerun --policy p.yaml --data XAUUSD_M5.parquet`,
		Args: func(cmd *cobra.Command, args []string) error {
			n := len(args)
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				n = dash
			}
			if n != 2 {
				return &usageError{msg: fmt.Sprintf("chunk takes RUN_ID and the number of a chunk, got %d arguments (a command stands behind --)", n), hint: hint}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.rerun {
				return &usageError{"--rerun is missing: it is what `chunk` does", hint}
			}
			return p.rerun(cmd.Context(), f, args[0], args[1], args[2:])
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.rerun, "rerun", false, "replay the chunk again")
	fl.StringVar(&f.policy, "policy", "", "the policy file, if the run's is not kept any more")
	fl.StringVar(&f.data, "data", "", "the bars, if they are not where the run found them")
	fl.StringVar(&f.outputDir, "output-dir", "", "where the run wrote (default: what the register knows, else "+defaultOutputDir+")")
	fl.StringVar(&f.dir, "dir", "", "the fresh directory, new or empty (default: a temporary one, which is kept)")
	f.connect.bind(fl, "", "URL of the bus, if it is not an embedded one")
	f.exec.bindCommand(fl)
	fl.StringArrayVar(&f.exec.ship, "exec-file", nil, "NAME=PATH: a file that went with the run, if it is not found by its digest; may be repeated")
	onlyExec(cmd, &f.exec)
	p.bindEnv(cmd, natsEnv)
	return cmd
}

// rerun is one chunk under way again.
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
}

func (p Program) rerun(ctx context.Context, f chunkFlags, idText, idxText string, argv []string) error {
	id, err := run.ParseID(idText)
	if err != nil {
		return err
	}
	idx, err := chunkIdx(idxText)
	if err != nil {
		return err
	}
	found, done, err := p.findManifest(ctx, id, f.outputDir, f.connect)
	if err != nil {
		return err
	}
	defer done()
	if idx >= len(found.chunks) {
		return &usageError{msg: fmt.Sprintf("chunk %d of run %s, which has %d (0 to %d)", idx, id, len(found.chunks), len(found.chunks)-1)}
	}
	r := &rerun{p: p, f: f, found: found, chunk: found.chunk(idx), was: found.chunks[idx].Line.Footer()}
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
	r.tell(now, err, time.Since(began))
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

// open reads the data set and the policy.
func (r *rerun) open(ctx context.Context) (err error) {
	m := r.found.m
	source := m.Data.Source
	if r.f.data != "" {
		source = r.f.data
	}
	const hint = "--data D: where the run's bars are now"
	r.set, err = bars.Open(source, bars.ReadOptions{SpreadBps: m.Data.SpreadBps, Extra: m.Engine == footer.EngineExec})
	if err != nil {
		return &usageError{msg: err.Error(), hint: hint}
	}
	if sum := bars.Digest(r.set.Bars); sum != m.Data.SHA256 {
		return &usageError{msg: fmt.Sprintf("the bars of %s have SHA-256 %.12s, those of the run %.12s", source, sum, m.Data.SHA256), hint: hint}
	}
	if r.chunk.Bars.First < 0 || r.chunk.Bars.End > int64(len(r.set.Bars)) || r.chunk.Bars.Len() < 1 {
		return fmt.Errorf("chunk %d has bars [%d, %d) of a data set of %d", r.chunk.Idx, r.chunk.Bars.First, r.chunk.Bars.End, len(r.set.Bars))
	}
	return r.openPolicy(ctx)
}

func (r *rerun) openPolicy(ctx context.Context) error {
	m := r.found.m
	opt := policy.Options{NeedModel: m.Engine != footer.EngineExec, PregateFlag: &m.PregateEnabled}
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
	if r.content, err = r.found.policy(ctx); err != nil {
		return &usageError{msg: err.Error(), hint: hint}
	}
	if r.policy, err = policy.Parse(m.Policy.Name, r.content, opt); err != nil {
		return &usageError{msg: fmt.Sprintf("reading the run's policy: %v", err), hint: hint}
	}
	return nil
}

// command readies the run's command, or the one that was given in its place.
func (r *rerun) command(ctx context.Context, argv []string) (func(context.Context) (footer.Footer, error), error) {
	m := &r.found.m
	given := len(argv) > 0
	if !given {
		argv = m.Command.Argv
	}
	if len(argv) == 0 {
		return nil, &usageError{fmt.Sprintf("it is not known which command run %s has", m.RunID), "coordinator chunk RUN_ID IDX --rerun -- CMD"}
	}
	spec, err := r.f.exec.spec(argv, false)
	if err != nil {
		return nil, err
	}
	engine, err := r.p.engineOf(spec, discard())
	if err != nil {
		return nil, err
	}
	r.sameFiles(&spec.Command, engine.Dir)
	c := m.Command
	if c.Emits == "" { // the run's command is not known: the defaults
		c.Emits, c.SliceFormat, c.TSFormat = spec.Command.Emits, spec.Command.SliceFormat, spec.Command.TSFormat
	}
	c.Argv, c.Digests = spec.Command.Argv, spec.Command.Digests
	if !m.Command.IsZero() {
		for _, d := range m.Command.Differences(c) {
			r.note("differs from the run: it had %s", d)
		}
	}
	spec.Command, m.Command = c, c
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := execengine.CheckEmits(c.Emits, r.policy, m.Data); err != nil {
		return nil, err
	}
	for name := range r.f.exec.shipped() {
		if _, known := c.Files[name]; !known {
			return nil, &usageError{msg: fmt.Sprintf("--exec-file %s: the run has no file of that name", name)}
		}
	}
	if r.dir, err = freshDir(r.f.dir, fmt.Sprintf("gx1-rerun-%s-%d-", m.RunID, r.chunk.Idx)); err != nil {
		return nil, err
	}
	files, err := r.files(ctx, c.Files)
	if err != nil {
		return nil, err
	}
	engine.Spec, engine.Stdout, engine.Stderr = spec, raw(r.p.Stdout), raw(r.p.Stderr)
	memory := execengine.Memory{Set: r.set}
	return func(ctx context.Context) (footer.Footer, error) {
		defer engine.Close()
		res, err := engine.Replay(ctx, execengine.Job{
			Manifest: *m, Chunk: r.chunk, Slot: int(r.was.Slot), Attempt: max(int(r.was.Attempt), 1), Dir: r.dir,
			Policy: r.policy, PolicyContent: r.content, Source: memory, Files: files, DataFile: memory.DataFile(r.dir, c),
			Grace: func(error) time.Duration { return spec.Grace }, Kill: r.kill,
		}, nil)
		if res.Unkept != nil {
			r.note("%v", res.Unkept)
		}
		return res.Footer, err
	}, nil
}

// sameFiles digests those files of the run's command that --exec-digest named,
// so that their changes are seen without naming them again.
func (r *rerun) sameFiles(c *run.Command, dir string) {
	for name := range r.found.m.Command.Digests {
		if _, there := c.Digests[name]; there || slices.Contains(r.found.m.Command.Argv, name) {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if f, err := execengine.ShipFile(path); err == nil {
			c.Digests[name] = f.SHA256
		}
	}
}

// files finds the shipped files: where the command line says, or by digest.
func (r *rerun) files(ctx context.Context, list map[string]run.CommandFile) (map[string]string, error) {
	given := r.f.exec.shipped()
	paths := map[string]string{}
	for name, f := range list {
		path := given[name]
		if path != "" {
			got, err := execengine.ShipFile(path)
			if err != nil {
				return nil, fmt.Errorf("--exec-file %s: %w", name, err)
			}
			if got.SHA256 != f.SHA256 {
				r.note("differs from the run: --exec-file %s: SHA-256 %.12s, not %.12s", name, got.SHA256, f.SHA256)
			}
		} else if path = r.fileByDigest(f); path == "" {
			var err error
			if path, err = r.found.fetchFile(ctx, f, filepath.Join(r.dir, "files")); err != nil {
				return nil, &usageError{msg: fmt.Sprintf("--exec-file %s (%s, SHA-256 %.12s): %v", name, f.Name, f.SHA256, err), hint: "--exec-file " + name + "=PATH"}
			}
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		paths[name] = abs
	}
	return paths, nil
}

// fileByDigest looks where workers find or keep shipped files; empty: it is
// not there.
func (r *rerun) fileByDigest(f run.CommandFile) string {
	list := []string{filepath.Join(r.found.target.WorkDir(), "files", f.SHA256, f.Name)}
	if dir := r.f.exec.files; dir != "" {
		list = append(list, filepath.Join(dir, f.SHA256), filepath.Join(dir, f.Name))
	}
	for _, path := range list {
		if got, err := execengine.ShipFile(path); err == nil && got.SHA256 == f.SHA256 {
			return path
		}
	}
	return ""
}

// builtin readies the built-in engine.
func (r *rerun) builtin(argv []string) (func(context.Context) (footer.Footer, error), error) {
	if len(argv) > 0 {
		return nil, &usageError{msg: fmt.Sprintf("a command (%s) for a run of the engine %s", argv[0], r.found.m.Engine)}
	}
	m := r.found.m
	job := replay.Job{Bars: r.chunk.Bars, DataBars: m.Data.Bars, BarLength: m.Data.BarLength, Policy: r.policy}
	return func(ctx context.Context) (footer.Footer, error) {
		res, err := replay.Run(ctx, job, replay.InMemory(r.set.Bars), nil)
		return res.Footer, err
	}, nil
}

// freshDir makes a directory that is new or empty.
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

// tell says how it ended, and how that compares with the run.
func (r *rerun) tell(now footer.Footer, err error, took time.Duration) {
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

// statusThen is what became of the chunk in the run, if that was something
// else.
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
