package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// ErrNothing: nothing is known of a run that was to be recovered.
var ErrNothing = errors.New("no data of this run found")

// RecoverConfig holds what to recover from and where to.
type RecoverConfig struct {
	Target layout.Run
	// Lock is the target's, and the recovering process holds it. It is not needed with
	// Output.
	Lock *Lock
	// Dirs hold footers: see ledger.AddFooters. One that does not exist is an
	// error.
	Dirs []string
	// Found is what the run's bus holds, as its coordinator would export it;
	// nil: the bus was not read.
	Found *ledger.Account
	// Artifacts are further readers of what attempts left, besides the
	// attempts' directories in Dirs and in the target's state directory.
	Artifacts []selection.ArtifactReader
	// Policy is the content of the run's policy; nil: as KeepPolicy wrote it.
	Policy []byte
	// Bars are those of the run's data set; nil: they are read from where its
	// coordinator read them.
	Bars selection.Bars
	// Output is the file to write instead of the target's perf file. It obeys
	// the same rules, and it may not be a file that the run itself writes.
	Output string
	// Died is when the run's coordinator is known to have died; zero: unknown.
	Died time.Time
	// Session is the session that died then, by its number and start; zero:
	// the last one that is known.
	Session run.SessionTimes
	// Env goes into the file if the coordinator's is not known.
	Env    perf.EnvInfo
	Config Config
	Logger *slog.Logger
}

// NotExported is the error of a recovery that had what to write, but could
// not: the export has failed, and Files (the stub, or files in the fallback
// directory) say so. With an Output there are none.
type NotExported struct {
	Err   error
	Files []string
}

func (e *NotExported) Error() string { return e.Err.Error() }
func (e *NotExported) Unwrap() error { return e.Err }

// Recover writes the perf JSON of a run whose coordinator is gone, with
// export_mode recovered, from its perf file, its footer backup, footers in
// directories, and its bus if that was read. The result is the same for every
// process and after every repetition. It has
// the bars of the authoritative footers. A complete file stays as it is. Into the
// target's directories it also writes the footers and the copy for readers; if
// they cannot be written that is logged.
//
// A damaged perf file or backup is logged, and what is left is used. An error
// is ErrNothing, bad input, or a *NotExported.
func Recover(ctx context.Context, cfg RecoverConfig) (Result, error) {
	var res Result
	r, err := cfg.begin()
	if err == nil {
		res, err = r.end(ctx)
	}
	if err != nil {
		return res, fmt.Errorf("recovering run %s: %w", cfg.Target.RunID, err)
	}
	return res, nil
}

// recovery is a recovery whose perf file and backup were read.
type recovery struct {
	RecoverConfig
	exporter *Exporter // nil with an Output
	ledger   *ledger.Ledger
}

// begin reads what does not change any more once the coordinator is dead.
func (cfg RecoverConfig) begin() (*recovery, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &recovery{RecoverConfig: cfg, ledger: ledger.New(cfg.Target.RunID)}
	if cfg.Output == "" {
		var err error
		if r.exporter, err = Open(cfg.Lock, cfg.Target, cfg.Config); err != nil {
			return nil, err
		}
		if f, ok := r.exporter.Last(); ok {
			if err := r.ledger.Add(ledger.Account{From: ledger.PerfFile, File: f}); err != nil {
				return nil, err
			}
		}
	} else if err := r.ledger.AddFile(ledger.PerfFile, cfg.Target.Perf()); err != nil {
		cfg.Logger.Warn("perf file ignored", "error", err)
	}
	if err := r.ledger.AddFile(ledger.Backup, cfg.Target.Backup()); errors.Is(err, perf.ErrOtherRun) {
		return nil, err
	} else if err != nil {
		cfg.Logger.Warn("footer backup ignored", "error", err)
	}
	if cfg.Found != nil {
		if err := r.ledger.Add(*cfg.Found); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// end adds the footers and writes.
func (r *recovery) end(ctx context.Context) (Result, error) {
	if f, ok := r.ledger.Of(ledger.PerfFile); r.exporter != nil && ok && f.Totals.Outcome == perf.OutcomeComplete {
		return r.write(ctx, f.Report, f.Chunks)
	}
	if err := r.ledger.AddFooters(ctx, r.Dirs); err != nil {
		if partly := (*ledger.PartlyRead)(nil); !errors.As(err, &partly) {
			return Result{}, err
		}
		r.Logger.Warn("not all footers could be read", "error", err)
	}
	if !r.ledger.Known() && r.Session.Session == 0 {
		return Result{}, fmt.Errorf("%w: there is no %s, no %s, and no footer of it in %s", ErrNothing,
			r.Target.Perf(), r.Target.Backup(), orNone(strings.Join(r.Dirs, ", ")))
	}
	report := r.ledger.Recovered(ledger.Recovery{PID: os.Getpid(), Now: time.Now(), Died: r.Died, Session: r.Session, Env: r.Env})
	res, err := r.write(ctx, report, r.ledger.File().Chunks)
	res.FootersOnly, res.Refused = r.ledger.FootersOnly(), r.ledger.Refused()
	return res, err
}

func orNone(s string) string {
	if s == "" {
		return "any directory, as none was named"
	}
	return s
}

func (cfg RecoverConfig) validate() error {
	t := cfg.Target
	if err := validate(t); err != nil {
		return err
	}
	for _, d := range cfg.Dirs {
		info, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("a directory of footers: %w", err)
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is no directory (want one that holds footers)", d)
		}
	}
	if cfg.Output == "" {
		if cfg.Lock == nil {
			return errors.New("its lock is not held")
		}
		return nil
	}
	for _, own := range []string{t.Perf(), t.Stub(), t.Copy(), t.Backup(), t.Lock()} {
		if samePath(cfg.Output, own) {
			return fmt.Errorf("the output %s is a file that the run itself writes (want another name)", cfg.Output)
		}
	}
	return nil
}

// samePath reports whether a and b name one file, be it there or not.
func samePath(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil && os.SameFile(infoA, infoB) {
		return true
	}
	infoA, errA = os.Stat(filepath.Dir(a))
	infoB, errB = os.Stat(filepath.Dir(b))
	return filepath.Base(a) == filepath.Base(b) && errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// selection selects the run's trades. Where it cannot, each chunk's own counts
// stand.
func (r *recovery) selection(ctx context.Context, report perf.Report, chunks []perf.Chunk) perf.Selection {
	if sel := report.Selection; sel.Settled() && sel.Holds(chunks) {
		if r.exporter == nil { // the file stands in another directory
			sel.Trades.File, sel.Trades.SHA256, sel.Signals = "", "", perf.SignalsFile{}
		}
		return sel
	}
	s := selection.Selector{
		Files: r.Target, Policy: func() (policy.Policy, error) { return readPolicy(r.Target, report.Policy, r.Policy, policy.Options{}) },
		Bars: r.Bars, NoFiles: r.exporter == nil, Replace: r.Config.Replacer(r.Target.RunID), Logger: r.Logger,
		Artifacts: append([]selection.ArtifactReader{AttemptFiles{Roots: append([]string{r.Target.WorkDir()}, r.Dirs...), Dirs: r.ledger.Artifacts()}}, r.Artifacts...),
	}
	if s.Bars == nil {
		s.Bars = NewDataFile(report.Data)
	}
	sel, err := s.Select(ctx, report, chunks)
	if err != nil {
		r.Logger.Warn("trades are not selected over the run", "error", err)
	}
	return sel
}

// write writes the recovery.
func (r *recovery) write(ctx context.Context, report perf.Report, chunks []perf.Chunk) (Result, error) {
	if len(report.PolicyValues) == 0 && report.Policy.Content != "" {
		values, fill, err := policyValues(r.Target, report, r.Policy)
		if err != nil {
			r.Logger.Warn("policy.values is left empty: the run's policy is not at hand", "error", err)
		}
		report.PolicyValues, report.Fill = values, cmp.Or(report.Fill, fill)
	}
	if r.exporter == nil {
		s := slot{path: r.Output, id: r.Target.RunID, cfg: r.Config}
		report.Selection = r.selection(ctx, report, chunks)
		res, err := s.export(ctx, report, chunks, true)
		if err != nil && !errors.Is(err, ErrComplete) {
			return res, &NotExported{Err: err}
		}
		return res, nil
	}
	// What is known comes first, and which trades it makes when that is safe.
	res, err := r.exporter.Export(ctx, report, chunks)
	if err == nil || errors.Is(err, ErrComplete) {
		last, _ := r.exporter.Last()
		report.Selection = r.selection(ctx, last.Report, last.Chunks)
		var final Result
		final, err = r.exporter.ExportFinal(ctx, report, chunks)
		final.SetAside, final.WhySetAside = res.SetAside, res.WhySetAside
		res = final
	}
	if err != nil && !errors.Is(err, ErrComplete) {
		if errors.Is(err, perf.ErrOtherRun) {
			return res, err
		}
		files, errStub := r.exporter.Fail(Failure{Report: report, Chunks: chunks, Cause: err})
		return res, &NotExported{Err: errors.Join(err, errStub), Files: files}
	}
	if res.SetAside != "" {
		r.Logger.Warn("existing file is not an export of this run, renamed", "as", res.SetAside, "error", res.WhySetAside)
	}
	last, _ := r.exporter.Last()
	if _, err := WriteChunkFooters(ctx, r.Target, last.Chunks, last.Report.Selection); err != nil {
		r.Logger.Warn("writing the chunks' footers failed", "error", err)
	}
	if err := r.exporter.WriteCopy(); err != nil {
		r.Logger.Warn("copying the perf JSON failed", "error", err)
	}
	return res, nil
}
