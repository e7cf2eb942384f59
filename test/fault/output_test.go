//go:build linux

package fault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// mount mounts something for the length of the test, or skips it.
func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, fstype, flags, data); err != nil {
		t.Skipf("mounting %s on %s is not possible here: %v", fstype, target, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", target, err)
		}
	})
}

// spoilers are the ways in which an output directory goes bad under a run.
var spoilers = []struct {
	name string
	// prepare returns the output directory.
	prepare func(t *testing.T) string
	spoil   func(t *testing.T, r *drive.Run)
	// stubBeside: the directory itself takes the stub.
	stubBeside bool
}{
	{
		name:    "read-only",
		prepare: func(t *testing.T) string { return t.TempDir() },
		spoil: func(t *testing.T, r *drive.Run) {
			// Files are open for writing below it, so the mount itself cannot
			// be made read-only; a read-only one on top of it can.
			mount(t, r.Out, r.Out, "", syscall.MS_BIND, "")
			if err := syscall.Mount("", r.Out, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
				t.Fatalf("remounting read-only: %v", err)
			}
			if err := os.WriteFile(filepath.Join(r.Out, "x"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
				t.Fatalf("writing there: %v (want a read-only file system)", err)
			}
		},
	},
	{
		name:    "deleted",
		prepare: func(t *testing.T) string { return filepath.Join(t.TempDir(), "out") },
		spoil: func(t *testing.T, r *drive.Run) {
			// Moved first, so that it is gone at one stroke while the bus
			// writes into it.
			moved := r.Out + ".gone"
			if err := os.Rename(r.Out, moved); err != nil {
				t.Fatal(err)
			}
			for os.RemoveAll(moved) != nil {
			}
		},
	},
	{
		name: "full",
		prepare: func(t *testing.T) string {
			dir := t.TempDir()
			mount(t, "tmpfs", dir, "tmpfs", 0, "size=32m")
			return dir
		},
		spoil: func(t *testing.T, r *drive.Run) {
			f, err := os.Create(filepath.Join(r.Out, "fill"))
			if err != nil {
				t.Fatal(err)
			}
			block := make([]byte, 4096)
			fill := func() (err error) {
				for err == nil {
					_, err = f.Write(block)
				}
				return err
			}
			if err := fill(); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("filling the disk: %v", err)
			}
			// The bus gives some of its own back: that is not to be had either.
			var filler sync.WaitGroup
			over := make(chan struct{})
			filler.Go(func() {
				again := time.NewTicker(time.Millisecond)
				defer again.Stop()
				for {
					select {
					case <-again.C:
						_ = fill() // until it is full again
					case <-r.Exited():
						return
					case <-over:
						return
					}
				}
			})
			t.Cleanup(func() {
				close(over)
				filler.Wait()
				_ = f.Close()
			})
		},
	},
	{
		name:       "name taken",
		prepare:    func(t *testing.T) string { return t.TempDir() },
		stubBeside: true,
		spoil: func(t *testing.T, r *drive.Run) {
			if err := os.Mkdir(r.Perf(), 0o755); err != nil {
				t.Fatal(err)
			}
		},
	},
}

// An output directory that goes bad under a run that is then stopped costs
// the export, not the run's result: stub, exit code 2, and what was measured
// in the fallback directory.
func TestOutputGoesBadThenStop(t *testing.T) {
	t.Parallel()
	for _, c := range spoilers {
		t.Run(c.name, func(t *testing.T) {
			s := slow.with("--drain-timeout", "1s")
			s.out = c.prepare(t)
			r, ctx := start(t, s)
			moving(ctx, t, r)
			c.spoil(t, r)
			if err := r.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if remade(ctx, t, r) {
				ends(ctx, t, r, 0)
				valid(t, r, r.Perf(), check.Options{MaxUnreported: -1})
				return
			}
			ends(ctx, t, r, 2)
			failedExport(t, r, c.stubBeside)
		})
	}
}

// The same without a stop: nobody may have to find out by waiting for hours.
func TestOutputGoesBadAndNobodyStops(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for _, c := range spoilers {
		if c.stubBeside {
			continue // all but the export works, and that fails at the end: see below
		}
		t.Run(c.name, func(t *testing.T) {
			s := slow.with("--drain-timeout", "1s")
			s.out = c.prepare(t)
			r, ctx := start(t, s)
			moving(ctx, t, r)
			c.spoil(t, r)
			limit, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			if remade(limit, t, r) {
				ends(limit, t, r, 3)
				valid(t, r, r.Perf(), check.Options{MaxUnreported: -1})
				return
			}
			ends(limit, t, r, 2)
			failedExport(t, r, false)
		})
	}
}

// A run that is done finds its file's name taken.
func TestNameTakenAndTheRunCompletes(t *testing.T) {
	s := setup{bars: 2000, latency: time.Millisecond, args: []string{"--chunks", "4", "--workers", "2"}}
	r, ctx := start(t, s)
	if err := r.Announced(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.Perf(), 0o755); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 2)
	for idx, status := range readStub(t, r, r.Stub(), 4).Statuses {
		if status != "ok" {
			t.Errorf("chunks_statuses[%q] is %q of a run that was done", idx, status)
		}
	}
}

// remade waits for the end of the program and says whether its export found a
// directory after all: the bus's server, when it opens a consumer's store,
// makes every directory above it, a deleted output directory too.
func remade(ctx context.Context, t *testing.T, r *drive.Run) bool {
	t.Helper()
	if _, err := r.Wait(ctx); err != nil {
		return false // ends says why
	}
	info, err := os.Stat(r.Perf())
	return err == nil && info.Mode().IsRegular()
}

// failedExport demands what an export that failed has to leave.
func failedExport(t *testing.T, r *drive.Run, beside bool) {
	t.Helper()
	if beside {
		readStub(t, r, r.Stub(), 4)
		return
	}
	readStub(t, r, r.FallbackStub(), 4)
	toldOnStderr(t, r)
	valid(t, r, r.FallbackPerf(), check.Options{MaxUnreported: -1})
}
