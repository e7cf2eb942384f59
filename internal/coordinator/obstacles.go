package coordinator

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// obstaclesEvery is how often it is looked whether something keeps workers from
// the run's tasks.
const obstaclesEvery = 3 * time.Second

// watchObstacles shows on the terminal what keeps workers from the run's tasks
// while nothing fails, until ctx ends: workers that do not serve the run, an
// upload that stands still, local workers that die, and a consumer that a user
// has paused. A run whose local workers cannot reach its embedded bus ends.
func (s *Session) watchObstacles(ctx context.Context, t *transport, m run.Manifest) {
	b := t.bus
	type source struct{ host, why string }
	told := map[source]bool{}
	paused, dying := false, false
	var stored, still int // objects of the data set; looks without another one
	for pause(ctx, obstaclesEvery) {
		list, err := incompatibles(ctx, b, m)
		if err != nil && ctx.Err() == nil {
			s.cfg.Logger.Debug("reading incompatible workers failed", "error", err)
		}
		for _, u := range list {
			if at := (source{u.Host, u.Why}); !told[at] && len(told) < mostObstacles {
				told[at] = true
				s.cfg.Logger.Warn("worker does not serve the run", "worker_id", u.WorkerID, "host", u.Host, "why", u.Why)
				s.notice("worker %s on %s does not serve this run: %s", u.WorkerID, u.Host, u.Why)
			}
		}
		still++
		if p := s.Progress(); p.Uploads == 0 || p.Uploaded != stored {
			stored, still = p.Uploaded, 0
		} else if still == stalledLooks {
			s.cfg.Logger.Warn("upload of the data set stalled", "objects", p.Uploaded, "of", p.Uploads)
			s.notice("the upload of the data set stalled at %d of %d objects; the bus may be slow or out of space (see its log)", p.Uploaded, p.Uploads)
		}
		if exit := s.allDie(); exit != "" && !dying {
			dying = true
			s.cfg.Logger.Warn("local workers die at their start", "exit", exit)
			s.notice("local workers die at their start (%s); the run's log holds their output", exit)
			if err := s.portAnswers(ctx, t.url); err != nil {
				s.dog.Ended(fmt.Errorf("no local worker can connect to the embedded bus, and neither can its coordinator (is the loopback interface up?): %w", err))
			}
		}
		name, now, err := b.QueuePaused(ctx, m.Ref(), m.Session)
		if err != nil || now == paused {
			continue
		}
		if paused = now; now {
			s.cfg.Logger.Warn("consumer of the run paused", "consumer", name)
			s.notice("the run's consumer is paused, so no worker gets a task; to resume it: nats consumer resume %s %s", bus.StreamTasks, name)
		} else {
			s.notice("the run's consumer was resumed")
		}
	}
}

// notice shows a line on the coordinator's terminal.
func (s *Session) notice(format string, args ...any) {
	s.cfg.Observer.Notice(fmt.Sprintf(format, args...))
}

// manyDeaths in a row, with back-off, take three seconds.
const manyDeaths = 5

// allDie returns how the local workers end if all of them have died again and
// again and no chunk was ever claimed; else an empty text.
func (s *Session) allDie() (exit string) {
	pool, board := s.pool.Load(), s.board.Load()
	if pool == nil || board == nil || board.claims.Load() > 0 {
		return ""
	}
	for _, w := range pool.Status() {
		if w.Restarts < manyDeaths {
			return ""
		}
		exit = w.LastExit
	}
	return exit
}

// portAnswers connects to the port of an embedded bus that listens on loopback,
// as local workers do. With another bus it returns nil.
func (s *Session) portAnswers(ctx context.Context, address string) error {
	if !s.onLoopback() {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	return c.Close()
}

// stalledLooks without a further object are a standstill.
const stalledLooks = 2

// mostObstacles bounds how many workers are named: anyone with a worker's key
// leaves notes.
const mostObstacles = 20
