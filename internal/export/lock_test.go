package export_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
)

func TestLockExcludes(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	before := time.Now().Add(-time.Minute)
	_, err := export.TryAcquire(tg, export.RoleExport)
	var held *export.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("%v", err)
	}
	host, _ := os.Hostname()
	if held.PID != os.Getpid() || held.Host != host || held.Since.Before(before) || held.Path != tg.Lock() || held.Role != export.RoleExport {
		t.Errorf("%+v", held)
	}
	if !strings.Contains(err.Error(), "is held by export, process ") {
		t.Errorf("%v", err)
	}
	other := tg
	other.RunID = "r2"
	locked(t, other)

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	if _, err := export.Acquire(ctx, tg, export.RoleExport); !errors.Is(err, errTest) || !errors.As(err, &held) {
		t.Errorf("%v", err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := export.Acquire(t.Context(), tg, export.RoleExport)
		if err == nil {
			err = l.Close()
		}
		got <- err
	}()
	for range 2 { // closing again does nothing
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-got; err != nil {
		t.Errorf("waiting: %v", err)
	}
	if b, err := os.ReadFile(tg.Lock()); err != nil || len(b) != 0 {
		t.Errorf("a free lock holds %q, %v", b, err)
	}
}

func TestLockOfAnUnnamedHolder(t *testing.T) {
	tg := target(t)
	locked(t, tg)
	write(t, tg.Lock(), []byte("{"))
	_, err := export.TryAcquire(tg, export.RoleExport)
	if err == nil || !strings.Contains(err.Error(), "is held by another process") {
		t.Errorf("%v", err)
	}
}

func TestLockModes(t *testing.T) {
	tg := target(t)
	locked(t, tg)
	for path, want := range map[string]os.FileMode{tg.StateDir(): 0o700, filepath.Dir(tg.StateDir()): 0o700, tg.Lock(): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestLockRefusesWhatIsNoRun(t *testing.T) {
	for _, tg := range []layout.Run{{Dir: t.TempDir(), RunID: "../x"}, {Dir: t.TempDir()}, {RunID: "r1"}} {
		if _, err := export.TryAcquire(tg, export.RoleExport); err == nil {
			t.Errorf("%+v is locked", tg)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	if _, err := export.Acquire(t.Context(), layout.Run{Dir: file, RunID: "r1"}, export.RoleExport); err == nil {
		t.Error("a file is an output directory")
	}
}

// A lock of a process that was killed is free.
func TestLockOfTheDead(t *testing.T) {
	tg := target(t)
	if dir := os.Getenv("EXPORT_TEST_LOCK_DIR"); dir != "" {
		tg.Dir = dir
		if _, err := export.TryAcquire(tg, export.RoleExport); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("locked\n")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestLockOfTheDead$")
	cmd.Env = append(os.Environ(), "EXPORT_TEST_LOCK_DIR="+tg.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	var held *export.HeldError
	if _, err := export.TryAcquire(tg, export.RoleExport); !errors.As(err, &held) || held.PID != cmd.Process.Pid {
		t.Errorf("%v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	l, err := export.Acquire(t.Context(), tg, export.RoleExport)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Somebody tidies up under a run: its exports go on, with a lock that others
// see; or, if another was quicker, they end.
func TestLockRemoved(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(tg.Dir, ".gx1")); err != nil {
		t.Fatal(err)
	}
	exported(t, e, theChunks(t, 40))
	var held *export.HeldError
	if _, err := export.TryAcquire(tg, export.RoleExport); !errors.As(err, &held) {
		t.Fatalf("nobody holds the new lock: %v", err)
	}
	if err := os.Remove(tg.Lock()); err != nil {
		t.Fatal(err)
	}
	locked(t, tg)
	if _, err := e.Export(t.Context(), aReport(1), theChunks(t, 50)); !errors.As(err, &held) {
		t.Errorf("two hold the lock: %v", err)
	}
	if got := replayed(t, tg.Perf()); got != 40 {
		t.Errorf("%d bars, want 40", got)
	}
}

func TestExportAfterClose(t *testing.T) {
	tg := target(t)
	l := locked(t, tg)
	e, err := export.Open(l, tg, export.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Export(t.Context(), aReport(1), theChunks(t, 50)); err == nil {
		t.Error("an export without the lock")
	}
	wantNames(t, tg.Dir, "")
}
