package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"time"

	"gx1replay/internal/process"
	"gx1replay/internal/worker"
)

// sameSignal is the time within which a second signal is the first one delivered
// twice: GNU timeout signals its child, then its group.
const sameSignal = time.Second

type exitRequest struct {
	signals chan os.Signal
	line    *process.Line // of a local worker; nil: it has no coordinator of its own
	cancel  context.CancelCauseFunc
	// hurry is closed when commands must end, whatever their grace.
	hurry chan struct{}
	over  chan struct{}
	owned sync.WaitGroup
}

// awaitExit calls cancel when this process must exit. lifeline is a local worker's,
// else nil.
func awaitExit(lifeline *os.File, cancel context.CancelCauseFunc) *exitRequest {
	f := &exitRequest{
		signals: make(chan os.Signal, 4), cancel: cancel, hurry: make(chan struct{}), over: make(chan struct{}),
	}
	signal.Notify(f.signals, stopSignals()...)
	if lifeline != nil {
		f.line = process.Lifeline(lifeline)
	}
	f.owned.Go(f.listen)
	return f
}

func (f *exitRequest) end() {
	signal.Stop(f.signals)
	close(f.over)
	f.owned.Wait()
}

func (f *exitRequest) listen() {
	var told, gone <-chan struct{}
	if f.line != nil {
		told, gone = f.line.Told, f.line.Gone
	}
	var first time.Time // signal
	var late, soon <-chan time.Time
	hurried := false
	// The coordinator ends, after it has waited for final reports or was told not
	// to. It must leave no command behind.
	hurry := func() {
		if !hurried {
			hurried = true
			soon = time.After(worker.LocalGrace)
		}
	}
	for {
		select {
		case <-f.over:
			return
		case <-f.signals:
			// A local worker whose coordinator lives was signalled by another
			// process, perhaps with its whole group. It returns its chunks with the
			// whole grace; only the coordinator ends it sooner.
			if f.line == nil && !first.IsZero() && time.Since(first) > sameSignal {
				os.Exit(exitSecondSignal)
			}
			if first.IsZero() {
				first = time.Now()
			}
			f.cancel(worker.ErrShutdown)
		case <-told:
			told = nil
			f.cancel(worker.ErrShutdown)
			hurry()
		case <-gone:
			gone = nil
			f.cancel(worker.ErrOrphaned)
			hurry()
			// Footers are written at once. Only a bus, most likely dead too, may
			// take longer.
			late = time.After(orphanLimit)
		case <-soon:
			close(f.hurry)
			soon = nil
		case <-late:
			os.Exit(exitOrphaned)
		}
	}
}
