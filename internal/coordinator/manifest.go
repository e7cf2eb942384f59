package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// keepManifest writes the manifest again if the bus has lost it or has an older
// one. ErrTakenOver: a later session has begun.
func (l *Life) keepManifest(ctx context.Context) error {
	stored, rev, err := l.Bus.Manifest(ctx, l.Manifest.RunID)
	if err == nil && rev == l.revision && stored.Ref() == l.Manifest.Ref() &&
		stored.Session == l.Manifest.Session && sameProcess(stored.Coordinator, l.Manifest.Coordinator) {
		return nil
	}
	m := l.Manifest
	m.Coordinator.HeardAt = time.Now().UTC()
	return l.write(ctx, m) // its error contains what is wrong with the stored one
}

// write stores m as this session's manifest. A bus that came back with older
// files, or without any, gets it as it was; over a later session, or another
// coordinator's of the same number, nothing is written: ErrTakenOver.
func (l *Life) write(ctx context.Context, m run.Manifest) error {
	for {
		rev, err := l.Bus.StoreManifest(ctx, m, l.revision)
		if err == nil {
			l.revision = rev
			return nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		stored, rev, err := l.Bus.Manifest(ctx, m.RunID)
		var refused *bus.RefusedError
		switch {
		case errors.Is(err, bus.ErrNoRun):
			rev = 0
		case errors.As(err, &refused):
			l.Logger.Warn("unusable manifest replaced", "error", err)
			rev = refused.Seq
		case err != nil:
			return err
		case stored.Ref() != m.Ref():
			return fmt.Errorf("run %s: %w: it is now a different run of this name, led by %s", m.RunID, ErrTakenOver, describeProcess(stored.Coordinator))
		case stored.Session > m.Session, stored.Session == m.Session && !sameProcess(stored.Coordinator, m.Coordinator):
			return fmt.Errorf("run %s, epoch %d: %w: epoch %d is led by %s",
				m.RunID, m.Session, ErrTakenOver, stored.Session, describeProcess(stored.Coordinator))
		}
		if rev == l.revision {
			return fmt.Errorf("manifest of run %s: %w, and nothing was changed", m.RunID, bus.ErrConflict)
		}
		l.revision = rev
	}
}

func describeProcess(c run.Coordinator) string { return fmt.Sprintf("process %d on %s", c.PID, c.Host) }

func sameProcess(a, b run.Coordinator) bool {
	return a.Host == b.Host && a.PID == b.PID && a.StartTime == b.StartTime && a.BootID == b.BootID && a.PIDNamespace == b.PIDNamespace
}
