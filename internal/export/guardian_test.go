package export_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
)

// onLog is a log handler that calls f with each message.
type onLog struct {
	slog.Handler
	f func(msg string)
}

func (h onLog) Enabled(context.Context, slog.Level) bool { return true }
func (h onLog) Handle(_ context.Context, r slog.Record) error {
	h.f(r.Message)
	return nil
}

func logTo(f func(msg string)) *slog.Logger { return slog.New(onLog{slog.DiscardHandler, f}) }

// pipe is a guardian's pipe; the read end is closed with the test.
func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// guardOf is a guardian of workers that are all gone.
func guardOf(tg layout.Run, r *os.File) export.GuardConfig {
	return export.GuardConfig{
		Target: tg, Pipe: r, Logger: quiet(),
		Alive: func(int, string) bool { return false },
		Kill:  func(int) {},
	}
}

// theCoordinator is the coordinator of TestGuard: a process that has a lock,
// a backup and a guardian, and that only waits to be killed.
func theCoordinator(t *testing.T, tg layout.Run) {
	opened(t, tg, export.Config{})
	k := &known{r: aReport(2), chunks: theChunks(t, 100, 50)}
	k.chunks[1].Status = "unresponsive"
	backedUp(t, tg, k)
	if err := syscall.SetNonblock(3, true); err != nil {
		t.Fatal(err)
	}
	w := export.NewWire(os.NewFile(3, "pipe"))
	w.Session(1, time.Now())
	var pid int
	if _, err := fmt.Sscan(os.Getenv("EXPORT_TEST_WORKER"), &pid); err != nil {
		t.Fatal(err)
	}
	w.Started(pid, "it")
	os.Stdout.WriteString("ready\n")
	select {}
}

// A coordinator that is killed while a worker hangs: the worker is ended, its
// last footer found, the run exported.
func TestGuard(t *testing.T) {
	tg := target(t)
	if dir := os.Getenv("EXPORT_TEST_COORDINATOR_DIR"); dir != "" {
		tg.Dir = dir
		theCoordinator(t, tg)
	}
	worker := exec.Command("sleep", "600")
	worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := worker.Start(); err != nil {
		t.Skipf("this needs a process that sleeps: %v", err)
	}
	gone := make(chan struct{})
	go func() { _ = worker.Wait(); close(gone) }()
	defer func() { _ = worker.Process.Kill(); <-gone }()

	r, w := pipe(t)
	coordinator := exec.Command(os.Args[0], "-test.run=TestGuard$")
	coordinator.Env = append(os.Environ(), "EXPORT_TEST_COORDINATOR_DIR="+tg.Dir, fmt.Sprint("EXPORT_TEST_WORKER=", worker.Process.Pid))
	coordinator.ExtraFiles = []*os.File{w}
	out, err := coordinator.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := coordinator.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer coordinator.Wait()
	defer coordinator.Process.Kill()
	if b := make([]byte, 6); func() error { _, err := io.ReadFull(out, b); return err }() != nil || string(b) != "ready\n" {
		t.Fatalf("the coordinator said %q", b)
	}
	cfg := guardOf(tg, r)
	var killedAt, died time.Time
	cfg.Alive = func(pid int, start string) bool {
		if pid != worker.Process.Pid || start != "it" {
			t.Errorf("asked for %d, %q", pid, start)
		}
		select {
		case <-gone:
			return false
		default:
			return true
		}
	}
	cfg.Kill = func(pgid int) {
		killedAt = time.Now()
		// As a worker that wrote its last word and then hung.
		end := anEnd(t, 1, 60, 1, "stopped", 0)
		end.Timestamp = time.Now().Add(time.Hour).Format(time.RFC3339Nano)
		putFooter(t, tg.WorkDir(), end)
		if err := syscall.Kill(-pgid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	cfg.Logger = logTo(func(msg string) {
		if strings.Contains(msg, "coordinator vanished") {
			died = time.Now()
		}
	})
	guarded := make(chan error, 1)
	go func() { guarded <- export.Guard(t.Context(), cfg) }()
	if err := coordinator.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-guarded; err != nil {
		t.Fatal(err)
	}
	t.Logf("from the death to the end of the recovery: %v", time.Since(died))
	if wait := killedAt.Sub(died); wait < time.Second {
		t.Errorf("the worker was killed after %v: it has a second to end by itself", wait)
	}
	f := read(t, tg.Perf())
	if f.Totals.Coverage.ReplayedBars != 160 || f.Report.Mode != perf.ModeRecovered || f.Chunks[1].Status != "stopped" || f.Report.Partial {
		t.Errorf("%+v", f)
	}
	if s := f.Report.Sessions; len(s) != 1 || s[0].EndedAt.IsZero() || s[0].WallSec > 60 {
		t.Errorf("%+v", s)
	}
	locked(t, tg) // the guardian has let go
}

func TestGuardLeavesAlone(t *testing.T) {
	for name, c := range map[string]struct {
		say func(tg layout.Run, w *os.File)
		err error
	}{
		"a coordinator that is done": {func(_ layout.Run, w *os.File) { export.NewWire(w).Done() }, nil},
		"a run that nothing is known of": {func(_ layout.Run, w *os.File) {
			fmt.Fprintf(w, "garbage\n{\"started\":{\"pid\":1}}\n%s\n{\"started\":3}\n", strings.Repeat("x", 10_000))
			w.Close()
		}, nil},
		"what follows a line that is too long": {func(_ layout.Run, w *os.File) {
			fmt.Fprintf(w, "%s\n{\"done\":true}\n", strings.Repeat("x", 10_000))
		}, nil},
		"a run whose output directory is gone": {func(tg layout.Run, w *os.File) {
			os.RemoveAll(tg.Dir)
			w.Close()
		}, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			if err := os.Mkdir(tg.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			r, w := pipe(t)
			cfg := guardOf(tg, r)
			cfg.Alive = func(pid int, start string) bool { t.Errorf("asked for worker %d", pid); return false }
			go c.say(tg, w)
			if err := export.Guard(t.Context(), cfg); !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if c.err == nil {
				wantNames(t, tg.Dir, "")
			} else if _, err := os.Stat(tg.Dir); err == nil {
				t.Error("the output directory was made again")
			}
		})
	}
}

func TestGuardAndTheLock(t *testing.T) {
	for role, waits := range map[export.Role]bool{export.RoleCoordinator: false, export.RoleExport: true} {
		t.Run(string(role), func(t *testing.T) {
			tg := target(t)
			held, err := export.TryAcquire(tg, role)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			backedUp(t, tg, &known{r: aReport(2), chunks: theChunks(t, 100, 50)})
			r, w := pipe(t)
			cfg := guardOf(tg, r)
			cfg.Logger = logTo(func(msg string) {
				if waits && strings.Contains(msg, "coordinator vanished") {
					time.AfterFunc(400*time.Millisecond, func() { held.Close() }) // longer than the dead one's lock may take
				}
			})
			w.Close()
			if err := export.Guard(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(tg.Perf()); (err == nil) != waits {
				t.Errorf("exported: %v, want %v", err == nil, waits)
			}
		})
	}
}

func TestGuardEnds(t *testing.T) {
	tg := target(t)
	r, _ := pipe(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg := guardOf(tg, r)
	time.AfterFunc(0, func() { cancel(errTest) })
	if err := export.Guard(ctx, cfg); !errors.Is(err, errTest) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(tg.Dir); err == nil {
		t.Error("it did something")
	}
}

// Whatever comes over the pipe, no process is asked for or ended that cannot be
// a worker, and the guardian ends.
func FuzzGuardPipe(f *testing.F) {
	f.Add([]byte("{\"session\":{\"session\":1}}\n{\"started\":{\"pid\":7,\"start\":\"x\"}}\n{\"done\":true}\n"))
	f.Add([]byte("{\"session\":{\"session\":9223372036854775807,\"started_at\":\"9999-12-31T23:59:59Z\"}}\n"))
	f.Add([]byte("{\"started\":{\"pid\":-1}}\n{\"started\":{\"pid\":1}}\n{\"started\":null}\nnull\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tg := target(t)
		if err := os.Mkdir(tg.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r, w := pipe(t)
		cfg := guardOf(tg, r)
		cfg.Alive = func(pid int, _ string) bool {
			if pid <= 1 {
				t.Errorf("asked for process %d", pid)
			}
			return false
		}
		cfg.Kill = func(pgid int) { t.Errorf("killed %d", pgid) }
		go func() {
			_, _ = w.Write(b) // the guardian may leave before all is read
			w.Close()
		}()
		if err := export.Guard(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(tg.Perf()); err == nil {
			read(t, tg.Perf())
		}
	})
}

// A guardian that hangs, or is gone, holds nobody up.
func TestWire(t *testing.T) {
	var none *export.Wire
	none.Session(1, time.Now())
	none.Started(1, "x")
	none.Done()

	_, w := pipe(t) // nobody reads
	hung := export.NewWire(w)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for pid := range 5000 {
				hung.Started(pid, strings.Repeat("x", 60))
			}
		})
	}
	wg.Wait()
	if _, err := w.Stat(); err != nil {
		t.Errorf("the pipe was closed before the coordinator is done: %v", err)
	}
	hung.Done()
	if _, err := w.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the pipe is open after the end: %v", err)
	}
	hung.Started(7, "x")
	hung.Done()

	r, w := pipe(t)
	r.Close() // killed
	dead := export.NewWire(w)
	dead.Started(7, "x")
	dead.Done()
}
