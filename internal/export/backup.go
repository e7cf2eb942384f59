package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

const (
	// backupEvery is how often the backup is written by default: what a crash
	// of everything at once may lose.
	backupEvery = 2 * time.Second
	// backupShare keeps backups at 1 % of the time: the next one waits so many
	// times what the last one took.
	backupShare = 100
)

// Backup keeps Target.Backup() up to date while a run lives: a perf JSON of
// what its coordinator knows, for a process that resumes when the coordinator, or its
// bus, is gone. It follows the rules of an export (never fewer bars than the
// file holds, never over another plan's), but is none: the report's last
// session is left open.
//
// The holder of the run's lock writes it. It takes no lock but its own.
type Backup struct {
	// Config is the zero Config unless set before the first write.
	Config Config

	target   layout.Run
	snapshot func() (perf.Report, []perf.Chunk)
	every    time.Duration
	logger   *slog.Logger

	mu      sync.Mutex
	slot    slot
	written bool // what follows describes the last write
	mark    mark
	chunks  []perf.Chunk
	took    time.Duration
}

// mark is what of a report is worth a backup when it changes; times alone are
// not.
type mark struct {
	data, policy                              string
	stop                                      run.Stop
	sessions, started, seen                   int
	redeliveries, releases, failures, refused int64
	unreachable                               bool
}

func markOf(r perf.Report) mark {
	return mark{
		data: r.Data.SHA256, policy: r.Policy.SHA256, stop: r.Stop,
		sessions: len(r.Sessions), started: r.ActualWorkersStarted, seen: r.WorkersSeen,
		redeliveries: r.Redeliveries, releases: r.Releases, failures: r.Failures, refused: r.FootersRefused,
		unreachable: r.BusUnreachable,
	}
}

// NewBackup makes the backup of the run of t; every of 0 is 2 s. snapshot is
// as the Watchdog's: it takes no lock that is held across I/O.
func NewBackup(t layout.Run, snapshot func() (perf.Report, []perf.Chunk), every time.Duration, logger *slog.Logger) *Backup {
	if every <= 0 {
		every = backupEvery
	}
	return &Backup{target: t, snapshot: snapshot, every: every, logger: logger}
}

// Run writes the backup whenever something has changed, every so often and at
// most 1 % of the time, until ctx ends; it writes nothing then. A write that
// fails is logged, once until one succeeds, and tried again. It returns at
// once, or when a write that the disk holds up is over.
func (b *Backup) Run(ctx context.Context) {
	t := time.NewTimer(b.every)
	defer t.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		began := time.Now()
		err := b.Write(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failing = false
		case !failing:
			failing = true
			b.logger.Warn("writing the footer backup failed, retrying", "error", err)
		}
		wait := b.pause()
		if err != nil { // a write that fails late must not cost more either
			wait = max(wait, backupShare*time.Since(began))
		}
		t.Reset(wait)
	}
}

// pause is how long to wait after the last write.
func (b *Backup) pause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.every, backupShare*b.took)
}

// Write writes the backup now, if there is none yet or something has changed.
// What an earlier session has left there is kept: a backup of a run that has
// no plan yet loses nothing. A file that is damaged is set aside. One of other
// data, policy or plan stays, and is an ErrOtherRun.
func (b *Backup) Write(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, chunks := b.snapshot()
	now := markOf(r)
	if b.written && now == b.mark && slices.Equal(chunks, b.chunks) {
		return nil
	}
	if err := b.write(ctx, r, chunks); err != nil {
		return fmt.Errorf("writing the footer backup of run %s: %w", b.target.RunID, err)
	}
	b.written, b.mark, b.chunks = true, now, chunks
	return nil
}

func (b *Backup) write(ctx context.Context, r perf.Report, chunks []perf.Chunk) error {
	if b.slot.path == "" {
		if err := validate(b.target); err != nil {
			return err
		}
		b.slot.path, b.slot.id, b.slot.cfg = b.target.Backup(), b.target.RunID, b.Config
		b.slot.cfg.private = true
	}
	r.Timestamp = time.Now().UTC()
	if r.Mode == "" {
		r.Mode = perf.ModeNormal
	}
	if n := len(r.Sessions); n > 0 { // so a reader sees that it did not end with this
		r.Sessions = slices.Clone(r.Sessions)
		r.Sessions[n-1].EndedAt = time.Time{}
	}
	began := time.Now()
	res, err := b.slot.export(ctx, r, chunks, false)
	b.took = time.Since(began)
	if res.SetAside != "" {
		b.logger.Warn("damaged footer backup renamed", "as", res.SetAside, "error", res.WhySetAside)
	}
	if errors.Is(err, ErrComplete) {
		return nil // it holds every bar already
	}
	return err
}

// RemoveBackup removes the backup and what stands beside it: what died before
// its rename, and damaged ones that were set aside. The holder of the run's lock
// calls it when the run is complete.
func RemoveBackup(t layout.Run) error {
	if err := validate(t); err != nil {
		return fmt.Errorf("removing a footer backup: %w", err)
	}
	entries, err := os.ReadDir(t.StateDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.Sweep(aside(t.StateDir(), t.RunID))
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(filepath.Base(t.Backup())+"*", e.Name()); ok {
			err = errors.Join(err, removeIfThere(filepath.Join(t.StateDir(), e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("removing the footer backup of run %s: %w", t.RunID, err)
	}
	return nil
}
