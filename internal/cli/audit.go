package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/audit"
	"gx1replay/internal/footer"
)

// Exit codes of audit. 1 says that chunks differ, so everything else that goes
// wrong is 2.
const (
	exitAuditDiffers = 1
	exitNotAudited   = 2
)

type auditFlags struct {
	chunkFlags
	chunks, parallel       int
	fraction               float64
	seed                   uint64
	seeded                 bool
	workers, hosts, ignore []string
	models                 string
	asJSON                 bool
}

func (p Program) auditCommand() *cobra.Command {
	f := auditFlags{}
	cmd := &cobra.Command{
		Use:   "audit RUN [flags] [-- CMD ARGS…]",
		Short: "Replay a sample of a run's chunks and compare it with what the workers reported",
		Long: `audit replays a random sample of a run's chunks on this machine. It compares
every counter, and the signals by their digest, with what the workers reported.
It does not compare times. RUN is a run id or the path of a perf JSON. Call audit
on a machine that you trust. It needs the perf JSON, the bars and the policy, but no
worker. It does not change the run.

audit reads the bars from --data, else from the source that the run used, else from
the run's bus. Their SHA-256 must be the run's. The policy is --policy, else
policy.values of the perf JSON, else the policy stored with the run. Model files
are found by path (--models DIR) and checked by digest.

Chunks that are not ok have partial footers and are not audited. A run with
--engine exec is replayed by its command, or by the one after --. Its rows are
compared as by "exec check": columns that number rows are left out. Repeat the
flags of the workers (--exec-env, --exec-dir, …), which the run does not store.

The default sample is 59 chunks. If 5 % of the chunks were forged, it would miss all
of them with a probability of at most 5 %. The output reports what the sample proves
for this run, and the seed that repeats it.

Exit codes:
  0  all sampled chunks are equal
  1  some chunks differ
  2  the run could not be audited`,
		Example: `  coordinator audit pilot_on
  coordinator audit perf_pilot_on.json --data XAUUSD_M5.parquet --chunks 200
  coordinator audit pilot_on --fraction 0.1 --seed 7 --json
  coordinator audit pilot_on --worker-host rented7
  coordinator audit pilot_on --exec-env 'MYLIB_*' -- python3 replay.py {task}`,
		Args: takesBeforeCommand(1, "one RUN", "coordinator audit pilot_on"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.seeded = cmd.Flags().Changed("seed")
			return p.audit(cmd.Context(), f, cmd.Flags(), args[0], args[1:])
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVar(&f.chunks, "chunks", audit.DefaultChunks, "number of chunks to sample; all if the run has fewer")
	fl.Float64Var(&f.fraction, "fraction", 0, "fraction of the chunks to sample instead, 0 to 1")
	aboveZero(fl, "fraction", "more than 0, at most 1")
	fl.Uint64Var(&f.seed, "seed", 0, "seed of the sample, to repeat an audit (default: random)")
	fl.StringArrayVar(&f.workers, "worker", nil, "sample only chunks that this worker_id reported; repeatable")
	fl.StringArrayVar(&f.hosts, "worker-host", nil, "sample only chunks that workers on this host reported; repeatable")
	fl.StringVar(&f.policy, "policy", "", "policy file (default: policy.values of the perf JSON)")
	fl.StringVar(&f.data, "data", "", "bars (default: the source that the run used)")
	fl.StringVar(&f.models, "models", "", "directory of the model files (default: the paths in the policy)")
	fl.IntVar(&f.parallel, "workers", 0, "chunks to replay at a time (0: one per CPU, with a command 1)")
	fl.StringVar(&f.dir, "dir", "", "exec: keep the command's output in this directory, new or empty (default: a temporary one, which is removed)")
	fl.StringArrayVar(&f.ignore, "ignore-column", nil, "exec: column of the trades to leave out of the comparison; repeatable")
	bindJSON(fl, &f.asJSON)
	f.bind(fl)
	f.exec.bindCommand(fl)
	fl.StringArrayVar(&f.exec.ship, "exec-file", nil, "shipped file NAME=PATH, if it is not found by its digest; repeatable")
	onlyExec(cmd, &f.exec)
	p.bindEnv(cmd, natsEnv)
	failWith(cmd, exitNotAudited)
	return cmd
}

func (p Program) audit(ctx context.Context, f auditFlags, given *pflag.FlagSet, arg string, argv []string) error {
	if err := f.check(); err != nil {
		return err
	}
	found, done, err := p.findAudited(ctx, f, arg)
	if err != nil {
		return err
	}
	defer done()
	a := &auditing{
		rerun: rerun{p: p, found: found, hint: "coordinator audit " + arg, given: given, f: f.chunkFlags},
		f:     f,
	}
	if err := a.choose(); err != nil {
		return err
	}
	ctx, kill, release := untilSignal(ctx)
	defer release()
	a.kill = kill
	finish, err := a.ready(ctx, argv)
	if err != nil {
		return err
	}
	defer finish()
	a.run(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("audit of run %s: %w after %d of %d chunks", found.m.RunID, context.Cause(ctx), a.done(), len(a.sample))
	}
	report := a.report(arg)
	if f.asJSON {
		err = p.printJSON(report)
	} else {
		_, err = p.Stdout.Write(report.text())
	}
	if err != nil {
		return err
	}
	switch {
	case report.Different > 0:
		return exitCode{code: exitAuditDiffers}
	case report.NotReplayed > 0:
		return fmt.Errorf("%s could not be replayed: %s", counted(report.NotReplayed, "chunk"), a.firstError())
	}
	return nil
}

const maxParallel = 1024

func (f *auditFlags) check() error {
	switch {
	case f.chunks < 1:
		return usagef("", "--chunks %d (want 1 or more)", f.chunks)
	case math.IsNaN(f.fraction) || f.fraction < 0 || f.fraction > 1:
		return usagef("", "--fraction %v (want more than 0, at most 1)", f.fraction)
	case f.parallel < 0 || f.parallel > maxParallel:
		return usagef("", "--workers %d (want 0 to %d)", f.parallel, maxParallel)
	}
	return nil
}

// ready opens what the replay needs; finish closes it.
func (a *auditing) ready(ctx context.Context, argv []string) (finish func(), err error) {
	exec := a.found.m.Engine == footer.EngineExec
	switch {
	case a.f.parallel > 0:
	case exec: // as a worker does: how much a command needs is not known
		a.f.parallel = 1
	default:
		a.f.parallel = runtime.NumCPU()
	}
	if exec {
		return a.readyExec(ctx, argv)
	}
	if len(argv) > 0 {
		return nil, usagef("", "a command (%s) for a run of the engine %s", argv[0], a.found.m.Engine)
	}
	return func() {}, a.readyBuiltin(ctx)
}

func (a *auditing) readyExec(ctx context.Context, argv []string) (func(), error) {
	if err := a.openData(ctx); err != nil {
		return nil, err
	}
	if err := a.openPolicy(ctx); err != nil {
		return nil, err
	}
	keep := a.f.dir != ""
	e, err := a.execution(ctx, argv, fmt.Sprintf("gx1-audit-%s-", a.found.m.RunID))
	tidy := func() {
		if !keep && a.dir != "" {
			_ = os.RemoveAll(a.dir) // what is left there is the system's to clean
		}
	}
	if err != nil {
		tidy()
		return nil, err
	}
	a.replay = newExecAudit(a, e, keep).replay
	return func() { e.engine.Close(); tidy() }, nil
}

var errNotKept = errors.New("it is no longer stored")
