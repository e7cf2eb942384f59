package coordinator

import (
	"context"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// obstaclesEvery is how often it is looked whether something keeps workers from
// the run's tasks.
const obstaclesEvery = 3 * time.Second

// watchObstacles shows on the terminal what keeps workers from the run's tasks
// while nothing fails, until ctx ends: workers that do not serve the run, and a
// consumer that somebody has paused.
func (s *Session) watchObstacles(ctx context.Context, b *bus.Bus, m run.Manifest) {
	type source struct{ host, why string }
	told := map[source]bool{}
	paused := false
	for pause(ctx, obstaclesEvery) {
		list, err := unfits(ctx, b, m)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Debug("reading which workers do not serve the run failed", "error", err)
		}
		for _, u := range list {
			if at := (source{u.Host, u.Why}); !told[at] && len(told) < mostObstacles {
				told[at] = true
				s.cfg.Logger.Warn("a worker does not serve the run", "worker_id", u.WorkerID, "host", u.Host, "why", u.Why)
				s.notice("worker %s on %s does not serve this run: %s", u.WorkerID, u.Host, u.Why)
			}
		}
		name, now, err := b.QueuePaused(ctx, m.Ref(), m.Session)
		if err != nil || now == paused {
			continue
		}
		if paused = now; now {
			s.cfg.Logger.Warn("the run's consumer is paused", "consumer", name)
			s.notice("somebody has paused the run's consumer, so no worker gets a task: nats consumer resume %s %s", bus.StreamTasks, name)
		} else {
			s.notice("the run's consumer is not paused any more")
		}
	}
}

// mostObstacles bounds how many workers are named: anyone with a worker's key
// leaves notes.
const mostObstacles = 20
