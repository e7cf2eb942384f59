package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// ErrNothing: nothing is known of a run that was to be recovered.
var ErrNothing = errors.New("nothing is known of the run")

// RecoverConfig says what to recover from and where to.
type RecoverConfig struct {
	Target Target
	// Lock is the target's; whoever recovers holds it. It is not needed with
	// Output.
	Lock *Lock
	// Dirs hold footers: see Collect. One that does not exist is an error.
	Dirs []string
	// Found is what the run's bus holds, as its coordinator would export it;
	// nil: the bus was not read.
	Found *perf.File
	// Output is the file to write instead of the target's perf file. It obeys
	// the same rules, and it may not be a file that the run itself writes.
	Output string
	// Died is when the run's coordinator is known to have died; zero: unknown.
	Died time.Time
	// Session is the session that died then, by its number and start; zero:
	// the last one that was heard of.
	Session run.SessionTimes
	// Env goes into the file where nothing tells the coordinator's.
	Env    perf.EnvInfo
	Config Config
	Logger *slog.Logger
}

// NotExported is the error of a recovery that knew what to write, but could
// not: the export has failed, and Files (the stub, or files in the fallback
// directory) say so. With an Output there are none.
type NotExported struct {
	Err   error
	Files []string
}

func (e *NotExported) Error() string { return e.Err.Error() }
func (e *NotExported) Unwrap() error { return e.Err }

// Recover writes the perf JSON of a run whose coordinator is gone, with
// export_mode recovered, from its perf file, its footer backup and footers in
// directories. Who recovers, and how often, does not matter: the result has
// the bars of the footers that speak. A complete file stays as it is. Into the
// target's directories it also writes the footers and the copy for readers; if
// they cannot be written that is logged.
//
// A damaged perf file or backup is logged, and what is left is used. An error
// is ErrNothing, bad input, or a *NotExported.
func Recover(ctx context.Context, cfg RecoverConfig) (Result, error) {
	res, err := recoverRun(ctx, cfg)
	if err != nil {
		return res, fmt.Errorf("recovering run %s: %w", cfg.Target.RunID, err)
	}
	return res, nil
}

func recoverRun(ctx context.Context, cfg RecoverConfig) (Result, error) {
	if err := cfg.validate(); err != nil {
		return Result{}, err
	}
	var exporter *Exporter
	var src sources
	var err error
	if cfg.Output == "" {
		if exporter, err = Open(cfg.Lock, cfg.Target, cfg.Config); err != nil {
			return Result{}, err
		}
		src.file, src.hasFile = exporter.Last()
		if src.hasFile && src.file.Totals.Outcome == perf.OutcomeComplete {
			return finish(ctx, cfg, exporter, src.file.Report, src.file.Chunks)
		}
	} else if src.file, src.hasFile, err = readFile(cfg.Target.Perf(), cfg.Target.RunID); err != nil {
		cfg.Logger.Warn("the perf file is not used", "error", err)
	}
	if src.backup, src.hasBackup, err = ReadBackup(cfg.Target); err != nil {
		cfg.Logger.Warn("the footer backup is not used", "error", err)
	}
	if cfg.Found != nil {
		if err := src.addFound(*cfg.Found); err != nil {
			return Result{}, err
		}
	}
	r, known, knownAt, err := src.known()
	if err != nil {
		return Result{}, err
	}
	c := newCollector(cfg.Target.RunID, known, knownAt)
	c.planned = len(known) > 0 && !guessed(r, known)
	if err := c.walk(ctx, cfg.Dirs); err != nil {
		if ctx.Err() != nil {
			return Result{}, err
		}
		cfg.Logger.Warn("not all footers could be looked at", "error", err)
	}
	chunks, err := c.chunks()
	if err != nil {
		return Result{}, err
	}
	if !src.hasFile && !src.hasBackup && len(chunks) == 0 && cfg.Session.Session == 0 {
		return Result{}, fmt.Errorf("%w: there is no %s, no %s, and no footer of it in %s", ErrNothing,
			cfg.Target.Perf(), cfg.Target.Backup(), orNone(strings.Join(cfg.Dirs, ", ")))
	}
	cfg.report(&r, src, chunks)
	r.FootersRefused = max(r.FootersRefused, int64(c.refused)) // the same ones each time
	if !c.planned {
		r.Data.Bars = 0
	}
	res, err := finish(ctx, cfg, exporter, r, chunks)
	res.Inferred, res.Refused = !c.planned && len(chunks) > 0, c.refused
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
	if err := t.validate(); err != nil {
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

// sources is what exports and backups have left.
type sources struct {
	file, backup       perf.File
	hasFile, hasBackup bool
}

// addFound takes what the bus holds as a later word than the backup's.
func (s *sources) addFound(f perf.File) error {
	if s.hasBackup {
		if err := perf.SameRun(s.backup.Report, f.Report); err != nil {
			return fmt.Errorf("the footer backup and the bus: %w", err)
		}
		chunks, err := mergeKnown(s.backup, f.Report, f.Chunks)
		if err != nil {
			return fmt.Errorf("the footer backup and the bus: %w", err)
		}
		f.Chunks, f.Report = chunks, f.Report.Inherit(s.backup.Report)
	}
	s.backup, s.hasBackup = f, true
	return nil
}

// known is what both say: the later one's word counts, and when it was given.
func (s sources) known() (r perf.Report, chunks []perf.Chunk, at time.Time, err error) {
	earlier, later := s.backup, s.file
	switch {
	case !s.hasFile && !s.hasBackup:
		return perf.Report{}, nil, time.Time{}, nil
	case !s.hasFile:
		return s.backup.Report, s.backup.Chunks, s.backup.Report.Timestamp, nil
	case !s.hasBackup:
		return s.file.Report, s.file.Chunks, s.file.Report.Timestamp, nil
	case s.backup.Report.Timestamp.After(s.file.Report.Timestamp):
		earlier, later = s.file, s.backup
	}
	if err := perf.SameRun(earlier.Report, later.Report); err != nil {
		return perf.Report{}, nil, time.Time{}, fmt.Errorf("the footer backup and the perf file: %w", err)
	}
	chunks, err = mergeKnown(earlier, later.Report, later.Chunks)
	if err != nil {
		return perf.Report{}, nil, time.Time{}, fmt.Errorf("the footer backup and the perf file: %w", err)
	}
	return later.Report.Inherit(earlier.Report), chunks, later.Report.Timestamp, nil
}

// report makes r, what was known, the report of the recovery.
func (cfg RecoverConfig) report(r *perf.Report, src sources, chunks []perf.Chunk) {
	r.RunID, r.WriterPID, r.Timestamp, r.Mode = cfg.Target.RunID, os.Getpid(), time.Now().UTC(), perf.ModeRecovered
	// A run that was given up stays so; failed chunks say it by themselves.
	if r.Outcome != perf.OutcomeFailed || src.failedChunks() {
		r.Outcome = perf.OutcomeStopped
	}
	if r.Env == (perf.EnvInfo{}) {
		r.Env = cfg.Env
	}
	r.Partial = false
	workers, redeliveries := map[string]bool{}, int64(0)
	hosts := slices.Clone(r.Hosts)
	for _, c := range chunks {
		r.Partial = r.Partial || c.Status == footer.StatusUnresponsive
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		workers[f.WorkerID] = true
		hosts = append(hosts, f.Host)
		redeliveries += f.Attempt - 1
		if r.Data.SHA256 == "" {
			r.Env.Engine = f.Engine
			r.PregateEnabled = r.PregateEnabled || f.PregateSkips+f.PregatePasses > 0
		}
	}
	slices.Sort(hosts)
	r.Hosts = slices.Compact(hosts)
	// Footers speak of the best attempts only; what was counted may be more.
	r.WorkersSeen, r.Redeliveries = max(r.WorkersSeen, len(workers)), max(r.Redeliveries, redeliveries)
	if sessions := cfg.sessions(r.Sessions, src); len(sessions) > 0 {
		r.Sessions, r.Wall = sessions, perf.WallOf(sessions)
	}
}

// failedChunks reports whether an account says failed because of a chunk.
func (s sources) failedChunks() bool {
	return s.file.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks+s.backup.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0
}

// sessions ends what has no end: the session that died when it did, any other
// when it was last heard of.
func (cfg RecoverConfig) sessions(all []run.SessionTimes, src sources) []run.SessionTimes {
	dead := cfg.Session
	if dead.Session > 0 {
		all = perf.MergeSessions(all, []run.SessionTimes{{Session: dead.Session, StartedAt: dead.StartedAt}})
	} else if n := len(all); n > 0 && !cfg.Died.IsZero() && (all[n-1].EndedAt.IsZero() || src.openInBackup(all[n-1].Session)) {
		dead = all[n-1]
	}
	for _, s := range all {
		switch {
		case s.Session == dead.Session && !cfg.Died.IsZero():
			all = perf.EndSession(all, s.Session, cfg.Died)
		case s.EndedAt.IsZero():
			all = perf.EndSession(all, s.Session, src.lastHeard(s.Session))
		}
	}
	return all
}

// openInBackup reports whether session n was alive at the last backup. An
// export during its drain may have given it an end that was not its last.
func (s sources) openInBackup(n int) bool {
	all := s.backup.Report.Sessions
	return len(all) > 0 && all[len(all)-1].Session == n && all[len(all)-1].EndedAt.IsZero()
}

// lastHeard is when session n last wrote anything.
func (s sources) lastHeard(n int) time.Time {
	var at time.Time
	for _, r := range []perf.Report{s.file.Report, s.backup.Report} {
		if k := len(r.Sessions); k > 0 && r.Sessions[k-1].Session == n && r.Timestamp.After(at) {
			at = r.Timestamp
		}
	}
	return at
}

// finish writes the recovery; exporter is nil with an Output.
func finish(ctx context.Context, cfg RecoverConfig, exporter *Exporter, r perf.Report, chunks []perf.Chunk) (Result, error) {
	if exporter == nil {
		s := slot{path: cfg.Output, id: cfg.Target.RunID, cfg: cfg.Config}
		res, err := s.export(ctx, r, chunks, true)
		if err != nil && !errors.Is(err, ErrComplete) {
			return res, &NotExported{Err: err}
		}
		return res, nil
	}
	res, err := exporter.ExportFinal(ctx, r, chunks)
	if err != nil && !errors.Is(err, ErrComplete) {
		if errors.Is(err, perf.ErrOtherRun) {
			return res, err
		}
		files, errStub := exporter.Fail(Failure{Report: r, Chunks: chunks, Cause: err})
		return res, &NotExported{Err: errors.Join(err, errStub), Files: files}
	}
	if res.SetAside != "" {
		cfg.Logger.Warn("the file in the perf file's place was no export of this run and was set aside", "as", res.SetAside, "error", res.WhySetAside)
	}
	last, _ := exporter.Last()
	if _, err := WriteChunkFooters(ctx, cfg.Target, last.Chunks); err != nil {
		cfg.Logger.Warn("writing the chunks' footers", "error", err)
	}
	if err := exporter.WriteCopy(); err != nil {
		cfg.Logger.Warn("copying the perf JSON", "error", err)
	}
	return res, nil
}
