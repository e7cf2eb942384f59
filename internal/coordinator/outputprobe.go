package coordinator

import (
	"context"
	"fmt"
	"time"
)

const (
	// probeEvery is how often the output directory is tried.
	probeEvery = time.Second
	// probeTimes is how often in a row it must fail: a disk that is full for
	// a moment ends no run.
	probeTimes = 3
)

// watchOutput ends the run when its output directory cannot be written any
// more: nothing of it could be kept there, and its bus, which stands there
// too, may never let it end by itself. It returns with ctx.
func (s *Session) watchOutput(ctx context.Context) {
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := s.lock.Probe()
		if err == nil {
			failed = 0
			continue
		}
		s.cfg.Logger.Warn("output directory not writable", "error", err)
		if failed++; failed == probeTimes {
			s.dog.Ended(fmt.Errorf("the run failed: %w", err))
			return
		}
	}
}
