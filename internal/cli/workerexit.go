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

// sameSignal is how long after the first signal a further one is the same,
// delivered twice: GNU timeout signals its child, and then its group.
const sameSignal = time.Second

// exitRequest is the request to a worker process to end.
type exitRequest struct {
	signals chan os.Signal
	line    *process.Line // of a local worker; nil: it has no coordinator of its own
	cancel  context.CancelCauseFunc
	// hurry is closed when no command may go on, whatever its grace.
	hurry chan struct{}
	over  chan struct{}
	owned sync.WaitGroup
}

// heed begins to listen for what tells this process to end, and ends its work
// with cancel then. lifeline is that of a local worker, else nil.
func heed(lifeline *os.File, cancel context.CancelCauseFunc) *exitRequest {
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

// end stops listening.
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
	// Soon no command may go on: the coordinator ends, which has waited for last
	// words before, or was told not to. It shall leave no command behind.
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
			// A local worker whose coordinator lives was signalled by somebody
			// else, who may have signalled everybody. It gives back what it
			// holds with the whole grace: to end it sooner is the coordinator's.
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
			// Footers are written at once. What may take longer is the
			// answer of a bus that has most likely died, too.
			late = time.After(orphanLimit)
		case <-soon:
			close(f.hurry)
			soon = nil
		case <-late:
			os.Exit(exitOrphaned)
		}
	}
}
