package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/worker"
)

// gate lets a process step over so many bars, in all its attempts together,
// and holds it before the next one while a file is there. So a run cannot
// complete before a test allows it, however slow the test is to act. What is
// held goes on renewing its lease, and heeds cancels.
type gate struct {
	bars int64
	file string

	mu     sync.Mutex
	passed int64
	open   bool // the file was seen to be gone
	ctxs   map[attemptKey]context.Context
}

type attemptKey struct {
	run            string
	chunk, attempt int
}

func keyOf(job worker.Job) attemptKey {
	return attemptKey{string(job.Manifest.RunID), job.Chunk.Idx, job.Attempt}
}

// lookEvery is how often a held attempt looks whether the file is gone.
const lookEvery = 5 * time.Millisecond

func parseGate(text string) (*gate, error) {
	number, file, _ := strings.Cut(text, ",")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || file == "" {
		return nil, fmt.Errorf("%q (want BARS,FILE)", text)
	}
	return &gate{bars: n, file: file, ctxs: map[attemptKey]context.Context{}}, nil
}

// engine tells the gate which context an attempt's bars heed.
func (g *gate) engine(e worker.Engine) worker.Engine { return gatedEngine{e, g} }

type gatedEngine struct {
	worker.Engine
	gate *gate
}

// Replay is the engine's.
func (e gatedEngine) Replay(ctx context.Context, job worker.Job, report func(footer.Footer)) (worker.Result, error) {
	key := keyOf(job)
	e.gate.mu.Lock()
	e.gate.ctxs[key] = ctx
	e.gate.mu.Unlock()
	defer func() {
		e.gate.mu.Lock()
		defer e.gate.mu.Unlock()
		delete(e.gate.ctxs, key)
	}()
	return e.Engine.Replay(ctx, job, report)
}

// pass returns when the bar may be stepped over, or with the cancel's cause.
func (g *gate) pass(job worker.Job, _ int64) error {
	var look *time.Ticker
	for {
		ctx, free := g.free(job)
		if free {
			return nil
		}
		if look == nil {
			look = time.NewTicker(lookEvery)
			defer look.Stop()
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// free counts the bar if it may pass, and otherwise says what ends the wait.
func (g *gate) free(job worker.Job) (context.Context, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open && g.passed >= g.bars {
		_, err := os.Stat(g.file)
		g.open = errors.Is(err, fs.ErrNotExist)
		if !g.open {
			return g.ctxs[keyOf(job)], false
		}
	}
	g.passed++
	return nil, true
}
