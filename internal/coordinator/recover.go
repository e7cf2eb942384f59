package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// RecoverConfig holds where a run is to be recovered from, and how.
type RecoverConfig struct {
	Target layout.Run
	// Bus holds the run. Nil: the embedded bus that its coordinator left in
	// the target's state directory.
	Bus *bus.Bus
	// Live: the run's coordinator is at work, and writes the target's files.
	Live bool
	// Output is another file to write; empty: the target's perf file, for
	// which the run must not be live.
	Output  string
	Version Version
	Export  export.Config
	Logger  *slog.Logger
}

// ErrLive: a live run's perf file is its coordinator's to write.
var ErrLive = errors.New("the run is active and its coordinator owns this file; choose another --output")

// ErrNoBus: the run has left no bus to recover from.
var ErrNoBus = errors.New("this run has no bus")

// Recover exports a run, with export mode recovered, from what its bus holds
// and from what its coordinator and its local workers have left in files. A run
// that is exported already is an *Exported, unless its file is in the target's
// directory.
func Recover(ctx context.Context, cfg RecoverConfig) (export.Result, error) {
	own := cfg.Output == "" || samePath(cfg.Output, cfg.Target.Perf())
	if own && !cfg.Live && cfg.Bus != nil {
		var err error
		if cfg.Live, err = livesOn(ctx, cfg.Bus, cfg); err != nil {
			return export.Result{}, err
		}
	}
	if cfg.Live && own {
		return export.Result{}, fmt.Errorf("run %s: %w", cfg.Target.RunID, ErrLive)
	}
	if cfg.Bus != nil { // before anything is written
		m, _, err := cfg.Bus.Manifest(ctx, cfg.Target.RunID)
		if err == nil {
			err = refuseExported(cfg.Target, m)
		}
		if err != nil {
			return export.Result{}, err
		}
	}
	var lock *export.Lock
	if !cfg.Live {
		var err error
		if lock, err = export.Acquire(ctx, cfg.Target, export.RoleExport); err != nil {
			return export.Result{}, err
		}
		defer lock.Close()
	}
	b := cfg.Bus
	if b == nil {
		state := cfg.Target.StateDir()
		if embedded.Store(state) == "" {
			return export.Result{}, fmt.Errorf("run %s: %w in %s", cfg.Target.RunID, ErrNoBus, state)
		}
		var end func()
		var err error
		b, end, err = openLeft(ctx, state, cfg)
		if bad := (*damaged)(nil); errors.As(err, &bad) {
			return recoverFiles(ctx, cfg, lock, bad.found)
		}
		if err != nil {
			return export.Result{}, err
		}
		defer end()
	}
	found, err := readBus(ctx, b, cfg)
	if err != nil {
		return export.Result{}, err
	}
	files := export.RecoverConfig{
		Target: cfg.Target, Lock: lock, Found: &found, Output: cfg.Output, Config: cfg.Export, Logger: cfg.Logger,
		Artifacts: []selection.ArtifactReader{busArtifacts{b}}, Policy: readPolicy(ctx, b, found.File.Report.Policy, cfg.Logger),
	}
	if set, err := dataset.Open(ctx, b, found.File.Report.Data, nil); err == nil {
		files.Bars = set
	} else { // it may still be where the coordinator read it
		cfg.Logger.Warn("reading the data set from the bus failed", "error", err)
	}
	files.Dirs = workDirs(cfg.Target)
	return export.Recover(ctx, files)
}

// livesOn reports whether the run's coordinator lives, as b has it.
func livesOn(ctx context.Context, b *bus.Bus, cfg RecoverConfig) (bool, error) {
	m, _, err := b.Manifest(ctx, cfg.Target.RunID)
	if err != nil {
		return false, err
	}
	return Alive(ctx, b, m, func(d time.Duration) {
		cfg.Logger.Warn("watching the heartbeat of the run's coordinator", "host", m.Coordinator.Host, "for", d)
	})
}

// recoverFiles is Recover without a bus: found is what could be read of one that
// was damaged, nil if nothing.
func recoverFiles(ctx context.Context, cfg RecoverConfig, lock *export.Lock, found *ledger.Account) (export.Result, error) {
	return export.Recover(ctx, export.RecoverConfig{
		Target: cfg.Target, Lock: lock, Found: found, Dirs: workDirs(cfg.Target), Output: cfg.Output, Config: cfg.Export, Logger: cfg.Logger,
	})
}

// workDirs is where local workers leave footers; none if no worker has begun.
func workDirs(t layout.Run) []string {
	if _, err := os.Stat(t.WorkDir()); err != nil {
		return nil
	}
	return []string{t.WorkDir()}
}

// readPolicy reads the content of a run's policy from its bus; nil: it is not
// there, and may be in a file.
func readPolicy(ctx context.Context, b *bus.Bus, p run.Policy, log *slog.Logger) []byte {
	content, err := b.GetObject(ctx, bus.PolicyObject(run.Manifest{Policy: p}), policy.MaxBytes)
	if err != nil {
		log.Warn("reading the policy from the bus failed", "error", err)
		return nil
	}
	return content
}

// readBus makes of what the bus holds what a coordinator would export now.
func readBus(ctx context.Context, b *bus.Bus, cfg RecoverConfig) (ledger.Account, error) {
	id := cfg.Target.RunID
	m, _, err := b.Manifest(ctx, id)
	if err != nil {
		return ledger.Account{}, err
	}
	heard, err := b.LastHeard(ctx, id)
	if err != nil {
		return ledger.Account{}, err
	}
	stop, err := b.LastStop(ctx, id)
	if err != nil {
		return ledger.Account{}, err
	}
	board, err := readBoard(ctx, b, m, cfg.Logger)
	if err != nil {
		return ledger.Account{}, fmt.Errorf("reading run %s from its bus: %w", id, err)
	}
	// What was cleaned while it was read is not missing.
	now, _, err := b.Manifest(ctx, id)
	if err == nil {
		err = refuseExported(cfg.Target, now)
	}
	if err != nil {
		return ledger.Account{}, err
	}
	chunks, t := board.snapshot()
	crew := board.crew.Load()
	heard = latest(heard, m.Coordinator.HeardAt)
	for i := range m.Sessions {
		if t := &m.Sessions[i]; t.EndedAt.IsZero() {
			t.EndedAt = latest(t.StartedAt, heard)
			t.WallSec = t.EndedAt.Sub(t.StartedAt).Seconds()
		}
	}
	r := perf.Report{
		RunID: id, Incarnation: m.Incarnation, WriterPID: os.Getpid(), Timestamp: time.Now().UTC(), Mode: perf.ModeRecovered, Outcome: perf.OutcomeStopped,
		Partial: t.partial, PregateEnabled: m.PregateEnabled, PregateEnabledSource: m.PregateEnabledSource,
		Stop: run.Stop{Seq: m.StopSeq}, Data: m.Data, Policy: m.Policy, Command: m.Command,
		Sessions: m.Sessions, Wall: perf.WallOf(m.Sessions),
		WorkersSeen: len(crew.workers), Hosts: crew.hosts, WorkerBuilds: crew.builds, EngineVersion: m.EngineVersion,
		Redeliveries: t.redeliveries, Releases: t.releases, Failures: t.failures, FootersRefused: board.refused.Load(),
		Env: envInfo(cfg.Version, hostName(), m.Engine, m.PregateEnabled),
	}
	if stop.Seq > m.StopSeq { // came, and no session has recorded that it is done with
		r.Stop = stop.Stop
		r.Stop.Seq = m.StopSeq
	}
	// It was read just now, but its content is as old as the last report.
	at := r.Timestamp
	if n := len(r.Sessions); n > 0 {
		at = r.Sessions[n-1].EndedAt
	}
	return ledger.Account{From: ledger.Bus, File: perf.File{Report: r, Totals: perf.Count(r.Outcome, chunks), Chunks: chunks}, HeardAt: at}, nil
}

// readBoard reads all that the bus holds of a run.
func readBoard(ctx context.Context, b *bus.Bus, m run.Manifest, log *slog.Logger) (*board, error) {
	board := newBoard(m, false, nil)
	l := &Life{Bus: b, Manifest: m, Logger: log, board: board}
	follow, end := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() { followed <- b.Follow(follow, m, board) }()
	err := l.load(ctx)
	end()
	<-followed
	return board, err
}

// Standing is how far a run is, by its bus.
type Standing struct {
	Session     int   `json:"session"`
	Chunks      int   `json:"chunks"`
	ChunksOK    int   `json:"chunks_ok"`
	Running     int   `json:"chunks_running"`
	Failed      int   `json:"chunks_failed"`
	PlannedBars int64 `json:"planned_bars"`
	Bars        int64 `json:"bars"`
	Failures    int64 `json:"failures"` // of attempts, also of those that were tried again
	// Incompatible are workers that do not serve the run, by their latest notes.
	Incompatible []bus.Incompatible `json:"unfit,omitempty"`
}

// Look reads how far a run is from its bus.
func Look(ctx context.Context, b *bus.Bus, id run.ID, log *slog.Logger) (Standing, error) {
	m, _, err := b.Manifest(ctx, id)
	if err != nil {
		return Standing{}, err
	}
	board := newBoard(m, false, nil)
	if err := b.Read(ctx, m, board); err != nil {
		return Standing{}, fmt.Errorf("reading run %s from its bus: %w", id, err)
	}
	chunks, t := board.snapshot()
	totals := perf.Count(perf.OutcomeStopped, chunks)
	list, err := incompatibles(ctx, b, m)
	if err != nil {
		log.Debug("reading incompatible workers failed", "error", err)
	}
	return Standing{
		Incompatible: list,
		Session:      m.Session, Chunks: len(chunks), ChunksOK: totals.ChunksCompleted, Running: int(board.claimed.Load()),
		Failed:      totals.Coverage.ByStatus[footer.StatusFailed].Chunks,
		PlannedBars: totals.Coverage.PlannedBars, Bars: totals.Coverage.ReplayedBars, Failures: t.failures,
	}, nil
}

// incompatibleFor is how long a worker's note holds: it is repeated every
// worker.NoteEvery, and clocks of hosts differ.
const incompatibleFor = 30 * time.Second

// incompatibles reads which workers do not serve the run m, as far as they have reported
// it lately: one that was ended reports nothing.
func incompatibles(ctx context.Context, b *bus.Bus, m run.Manifest) ([]bus.Incompatible, error) {
	if m.State != run.StateRunning {
		return nil, nil
	}
	list, err := b.Incompatibles(ctx, m.RunID)
	return slices.DeleteFunc(list, func(u bus.Incompatible) bool { return time.Since(u.At) > incompatibleFor }), err
}

// samePath reports whether a and b name one file, be it that it is not there.
func samePath(a, b string) bool {
	if a == b {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
