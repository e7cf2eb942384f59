package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"gx1replay/internal/footer"
	plan "gx1replay/internal/run"
	"gx1replay/internal/worker"
)

// barEngine steps over bars as the product's engine does, calling onBar.
type barEngine struct {
	worker.Engine
	bars  int64
	onBar func(worker.Job) func(int64) error
}

func (e barEngine) Replay(_ context.Context, job worker.Job, _ func(footer.Footer)) (res worker.Result, err error) {
	step := e.onBar(job)
	for bar := range e.bars {
		if err := step(bar); err != nil {
			return res, err
		}
		res.Footer.BarsProcessed++
	}
	return res, nil
}

// A process passes its bars, those of all its attempts together, and no more
// until the file is gone. What is held heeds a cancel and is not logged.
func TestGate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gate")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := hooks(env("GX1TEST_GATE", "5,"+file, "GX1TEST_BARLOG", dir), 42, []string{"worker"})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64 // bars that came to the gate
	held := make(chan struct{})
	onBar := func(job worker.Job) func(int64) error {
		step := h.OnBar(job)
		return func(bar int64) error {
			if asked.Add(1) == 6 {
				close(held)
			}
			return step(bar)
		}
	}
	job := func(idx int) worker.Job { return worker.Job{Chunk: plan.Chunk{Idx: idx}, Attempt: 1} }
	res, err := h.Engine(barEngine{bars: 3, onBar: onBar}).Replay(t.Context(), job(0), nil)
	if err != nil || res.Footer.BarsProcessed != 3 {
		t.Fatalf("the first attempt: %d bars, error %v", res.Footer.BarsProcessed, err)
	}

	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-held
		cancel(cause)
	}()
	res, err = h.Engine(barEngine{bars: 100, onBar: onBar}).Replay(ctx, job(1), nil)
	if err != cause || res.Footer.BarsProcessed != 2 {
		t.Errorf("the second attempt: %d bars, error %v (want 2, the cancel's cause)", res.Footer.BarsProcessed, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "42.log"))
	if want := "0 1 0\n0 1 1\n0 1 2\n1 1 0\n1 1 1\n"; err != nil || string(b) != want {
		t.Errorf("the log is %q, error %v (want %q)", b, err, want)
	}

	done := make(chan error, 1)
	go func() {
		res, err := h.Engine(barEngine{bars: 100, onBar: onBar}).Replay(t.Context(), job(2), nil)
		if err == nil && res.Footer.BarsProcessed != 100 {
			err = errors.New("not all bars were stepped over")
		}
		done <- err
	}()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the third attempt: %v", err)
	}
}
