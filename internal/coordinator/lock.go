package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
)

const (
	// lockPatience bounds the wait for a lock that is held for one export.
	lockPatience = 15 * time.Second
	// lockSettles is how long a coordinator's lock may outlive it, while the
	// kernel ends the process.
	lockSettles = 500 * time.Millisecond
	lockAgain   = 20 * time.Millisecond
)

// takeLock takes the run's lock. Another coordinator has it as long as it
// lives; a guardian and an export have it for a moment.
func takeLock(t layout.Run, log *slog.Logger) (*export.Lock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	begun := time.Now()
	for told := false; ; {
		l, err := export.TryAcquire(t, export.RoleCoordinator)
		held := (*export.HeldError)(nil)
		if err == nil || !errors.As(err, &held) || held.Role == export.RoleCoordinator && time.Since(begun) > lockSettles {
			return l, err
		}
		if !told && held.Role != "" {
			log.Info("waiting for the run's lock", "role", held.Role, "pid", held.PID)
			told = true
		}
		if !pause(ctx, lockAgain) {
			return nil, err
		}
	}
}
