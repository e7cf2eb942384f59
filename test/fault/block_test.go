//go:build linux

package fault_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// The session's goroutine hangs before it has a plan: the watchdog exports
// all the same.
func TestBlockedSession(t *testing.T) {
	s := slow.with("--drain-timeout", "1s")
	s.env = []string{"GX1TEST_HOLD=1"}
	r, ctx := start(t, s)
	if err := r.Announced(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
	rep := valid(t, r, r.Perf(), check.Options{Stop: []string{"sigterm"}, Outcome: "stopped"})
	if len(rep.Statuses) != 0 {
		t.Errorf("the chunks are %v of a run without a plan", rep.Statuses)
	}
}

// The time-box does not wait for it either.
func TestBlockedSessionTimeBox(t *testing.T) {
	testsize.All(t)
	s := slow
	s.env = []string{"GX1TEST_HOLD=1", "GX1_MASTER_WAIT_TIMEOUT_SEC=0.3"}
	s = s.with("--drain-timeout", "1s")
	r, ctx := start(t, s)
	ends(ctx, t, r, 0)
	valid(t, r, r.Perf(), check.Options{Stop: []string{"timeout"}, Outcome: "stopped"})
}

// The disk hangs in fsync: file and stub go to the fallback directory.
func TestBlockedDisk(t *testing.T) {
	testsize.All(t)
	s := slow.with("--drain-timeout", "1s")
	s.out = filepath.Join(t.TempDir(), "out")
	s.env = []string{"GX1TEST_BLOCK_SYNC=" + s.out}
	r, ctx := start(t, s)
	moving(ctx, t, r)
	begun := time.Now()
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 2)
	if d := time.Since(begun); d < time.Second {
		t.Errorf("it gave up after %v, before the drain's deadline", d)
	}
	failedExport(t, r, false)
}
