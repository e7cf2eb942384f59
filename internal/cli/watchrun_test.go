package cli

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// firstWrite is a buffer that tells of its first write.
type firstWrite struct {
	text bytes.Buffer
	once sync.Once
	told chan struct{}
}

func (w *firstWrite) Write(b []byte) (int, error) {
	defer w.once.Do(func() { close(w.told) })
	return w.text.Write(b)
}

// status --watch of one run exits 0 when that run ends.
func TestStatusWatchOfARunThatEnds(t *testing.T) {
	ownPlaces(t)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ran := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, stdout, stderr := program(t, ctx, false, "run", "--policy", gatedPolicy(), "--data", "synthetic:900", "--run-id", "r1", "--output-dir", dir,
			"--workers", "0", "--chunks", "2", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--drain-timeout", "1s")
		ran <- stdout + stderr
	}()
	defer func() {
		cancel()
		<-ended
	}()
	underWay(t, ran, func() bool { return coordinates(t, "status", "r1", "--json").code == 0 })

	out := &firstWrite{told: make(chan struct{})}
	var errs bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: out, Stderr: &errs, Getenv: func(string) string { return "" }}
	watched := make(chan int, 1)
	go func() { watched <- p.Coordinator(ctx, []string{"status", "r1", "--watch"}) }()
	select {
	case <-out.told:
	case <-ctx.Done():
		t.Fatal("the watch prints nothing")
	case code := <-watched:
		t.Fatalf("the watch ended with %d before the run: %s%s", code, &out.text, &errs)
	}
	if got := coordinates(t, "stop", "r1"); got.code != 0 {
		t.Errorf("the stop: %d %s", got.code, got.stderr)
	}
	if code := <-watched; code != 0 || !strings.Contains(out.text.String(), "run r1 has ended") {
		t.Errorf("the watch: %d %s%s (want 0 and that it has ended)", code, &out.text, &errs)
	}
}
