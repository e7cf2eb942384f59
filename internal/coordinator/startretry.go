package coordinator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gx1replay/internal/bus"
)

// beginWhenPossible begins, and tries again for as long as the run lasts while
// the bus is lost: all that begin does can be done twice.
func (l *Life) beginWhenPossible(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer cancel(nil)
	var broken atomic.Pointer[error]
	owned.Go(func() {
		select {
		case err := <-l.Broken:
			broken.Store(&err)
			cancel(err)
		case <-ctx.Done():
		}
	})
	for {
		err := l.begin(ctx)
		if why := broken.Load(); why != nil && err != nil {
			return *why
		}
		if err == nil || !bus.Transient(err) {
			return err
		}
		l.Logger.Warn("run cannot start yet, retrying", "error", err)
		if !pause(ctx, beginEvery) {
			return context.Cause(ctx)
		}
	}
}

// beginEvery is how often a beginning is tried.
const beginEvery = time.Second
