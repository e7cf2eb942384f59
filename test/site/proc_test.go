//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Threads of this process that end, as those that have entered a namespace do,
// end nothing that was started here.
func TestProcessesOutliveThreads(t *testing.T) {
	p, err := startProc(filepath.Join(t.TempDir(), "log"), os.Environ(), []string{"sleep", "600"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tid := range endedThreads(50) {
		if tid == os.Getpid() {
			continue // the first thread never ends
		}
		err := until(ctx, "the thread has ended", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
			return errors.Is(err, fs.ErrNotExist)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := p.ended(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if sig := state.Sys().(syscall.WaitStatus).Signal(); sig != syscall.SIGTERM {
		t.Errorf("it was ended by: %v (want the SIGTERM that it was sent)", sig)
	}
}

// endedThreads are n threads, all of them at the same moment, which end.
func endedThreads(n int) []int {
	tids := make([]int, n)
	var all, there sync.WaitGroup
	there.Add(n)
	for i := range n {
		all.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
			tids[i] = unix.Gettid()
			there.Done()
			there.Wait() // each has one of its own
		})
	}
	all.Wait()
	return tids
}
