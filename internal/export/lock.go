package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"gx1replay/internal/layout"
)

// lockPoll is how often Acquire tries a lock that is held: soon enough for a
// person, seldom enough to cost nothing. flock cannot be cancelled, so it is
// not waited for in the kernel.
const lockPoll = 20 * time.Millisecond

// Role is what the holder of a run's lock is to the run.
type Role string

const (
	// RoleCoordinator: a session of the run. It holds the lock as long as it
	// lives, so no command waits for it.
	RoleCoordinator Role = "coordinator"
	// RoleGuardian and RoleExport hold the lock for one export; a session
	// waits for them.
	RoleGuardian Role = "guardian"
	RoleExport   Role = "export"
)

// Lock is the right to export a run, held by one process at a time. It is a
// flock(2) on a file that stays: the kernel releases it when its holder dies.
type Lock struct {
	target layout.Run
	role   Role

	mu sync.Mutex
	f  *os.File // nil once closed
}

// holder is what the lock file contains about its holder, for messages only.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
	Role  Role      `json:"role"`
}

// HeldError reports that another process holds the lock. Its PID is 0 and its Role empty
// if the holder has not written it, as in the moment between taking the lock and
// telling.
type HeldError struct {
	Path  string
	PID   int
	Host  string
	Since time.Time
	Role  Role
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is held by another process", e.Path)
	}
	role := ""
	if e.Role != "" {
		role = string(e.Role) + ", "
	}
	return fmt.Sprintf("%s is held by %sprocess %d on %s since %s", e.Path, role, e.PID, e.Host, e.Since.UTC().Format(time.RFC3339))
}

// Acquire takes the run's lock and makes the output directory and the state
// directory where they are missing. It waits until the lock is free or ctx
// ends; its error then is both the *HeldError and the cause of ctx.
func Acquire(ctx context.Context, t layout.Run, role Role) (*Lock, error) {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		l, err := TryAcquire(t, role)
		if held := (*HeldError)(nil); !errors.As(err, &held) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for it: %w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// TryAcquire is Acquire without waiting: a lock that is held is a *HeldError.
func TryAcquire(t layout.Run, role Role) (*Lock, error) {
	if err := validate(t); err != nil {
		return nil, fmt.Errorf("taking the run's lock: %w", err)
	}
	if err := mkdirs(t); err != nil {
		return nil, fmt.Errorf("taking the lock of run %s: %w", t.RunID, err)
	}
	f, err := lockFile(t.Lock(), role)
	if err != nil {
		return nil, fmt.Errorf("taking the lock of run %s: %w", t.RunID, err)
	}
	return &Lock{target: t, role: role, f: f}, nil
}

// lockFile opens and locks the file at path. A file that was removed or
// replaced in between is no lock: it tries again with the new one.
func lockFile(path string, role Role) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			defer f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, heldBy(f)
			}
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if stands(f, path) {
			tell(f, role)
			return f, nil
		}
		f.Close()
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// stands reports whether path still names the open file f.
func stands(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// tell writes the lock's holder into its file. On a full disk that fails, and the
// lock holds all the same.
func tell(f *os.File, role Role) {
	host, _ := os.Hostname() // empty where it has no name
	b, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second), Role: role})
	if err != nil || f.Truncate(0) != nil {
		return
	}
	_, _ = f.WriteAt(append(b, '\n'), 0)
}

func heldBy(f *os.File) error {
	e := &HeldError{Path: f.Name()}
	var h holder
	if b, err := io.ReadAll(io.NewSectionReader(f, 0, 4096)); err == nil && json.Unmarshal(b, &h) == nil {
		e.PID, e.Host, e.Since, e.Role = h.PID, h.Host, h.Since, h.Role
	}
	return e
}

// ensure makes sure that the lock still is one: when a user removed the
// state directory under a run, another process could take a new lock beside
// ours. It then takes the new one itself, but does not make Dir again.
func (l *Lock) ensure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return fmt.Errorf("the lock of run %s was released", l.target.RunID)
	}
	if stands(l.f, l.target.Lock()) {
		return nil
	}
	if err := mkStateDir(l.target); err != nil {
		return fmt.Errorf("taking the lock of run %s again, as it was removed: %w", l.target.RunID, err)
	}
	f, err := lockFile(l.target.Lock(), l.role)
	if err != nil {
		return fmt.Errorf("taking the lock of run %s again, as it was removed: %w", l.target.RunID, err)
	}
	l.f.Close()
	l.f = f
	return nil
}

// Close lets go of the lock. The file stays, without the holder's name. It
// may be called twice.
func (l *Lock) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	_ = l.f.Truncate(0) // for messages only
	err := l.f.Close()
	l.f = nil
	if err != nil {
		return fmt.Errorf("releasing the lock of run %s: %w", l.target.RunID, err)
	}
	return nil
}
