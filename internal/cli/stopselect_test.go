package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gx1replay/internal/export"
	"gx1replay/test/testsize"
)

// All bars of a run are replayed, and the disk takes its trades slowly. A stop,
// and the time-box, are obeyed all the same: the file has every bar.
func TestStopsDuringTheLastSelection(t *testing.T) {
	testsize.All(t)
	for _, c := range []struct {
		name    string
		timeBox string
		stop    bool
	}{{"a stop", "1h", true}, {"the time-box", "4s", false}} {
		t.Run(c.name, func(t *testing.T) {
			ownPlaces(t)
			dir := t.TempDir()
			selecting, release := make(chan struct{}), make(chan struct{})
			var once, freed sync.Once
			free := func() { freed.Do(func() { close(release) }) }
			defer free()
			var out, errs bytes.Buffer
			p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
			p.Hooks.Export = export.Config{BeforeSync: func(aside string) error {
				if filepath.Dir(aside) == filepath.Join(dir, "r1") { // the trades
					once.Do(func() { close(selecting) })
					<-release
				}
				return nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			ran := make(chan int, 1)
			go func() {
				ran <- p.Coordinator(ctx, []string{"run", "--policy", gatedPolicy(), "--data", "synthetic:900", "--run-id", "r1", "--output-dir", dir,
					"--workers", "1", "--chunks", "2", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--drain-timeout", "1s", "--timeout", c.timeBox})
			}()
			select {
			case <-selecting:
			case code := <-ran:
				t.Fatalf("the run ended with %d before its trades were written\n%s%s", code, &out, &errs)
			}
			if c.stop {
				if got := coordinates(t, "stop", "r1"); got.code != 0 {
					t.Errorf("the stop: %d %s", got.code, got.stderr)
				}
			}
			// The run's files for readers are written once the verdict is there.
			late := time.AfterFunc(30*time.Second, func() {
				t.Error("the run does not end by it")
				free()
			})
			defer late.Stop()
			code := endsOnceFreed(t, ran, filepath.Join(dir, "r1", "run.log"), free)
			if code != 0 || !strings.Contains(out.String(), "900 of 900 bars") {
				t.Errorf("the run: %d %s%s", code, &out, &errs)
			}
		})
	}
}

// endsOnceFreed frees the disk once the log says that the run is exported, and waits
// for the run's end.
func endsOnceFreed(t *testing.T, ran <-chan int, log string, free func()) int {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case code := <-ran:
			return code
		case <-again.C:
			if text, err := tail(log, 1<<20); err == nil && strings.Contains(string(text), "msg=exported ") {
				free()
			}
		}
	}
}
