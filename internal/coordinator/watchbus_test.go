package coordinator

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// A bus that does not answer is known of in time to be shown within two
// seconds, whatever became of the link to it; and so is one that is back.
func TestLostBusIsSeen(t *testing.T) {
	const (
		drawn = 200 * time.Millisecond // how often the progress line is
		limit = 2*time.Second - drawn
	)
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.bus.Close()
		s := &Session{cfg: Config{Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)}}
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { s.watchBus(ctx, w.bus) })
		seen := func(lost bool) time.Duration {
			since := time.Now()
			for s.Progress().BusLost != lost {
				if <-time.After(time.Millisecond); time.Since(since) > time.Minute {
					t.Fatalf("that the bus is lost is %v for a minute (want %v)", !lost, lost)
				}
			}
			return time.Since(since)
		}
		for name, lose := range map[string]func(){
			"silent": w.link.stall,
			"closed": func() { w.link.stall(); w.link.cut() },
		} {
			for at := time.Duration(0); at < 2*askEvery; at += 37 * time.Millisecond {
				<-time.After(10*time.Second + at)
				if s.Progress().BusLost {
					t.Fatal("the bus answers and is said to be lost")
				}
				lose()
				if took := seen(true); took > limit {
					t.Errorf("%s, after %v: seen after %v (want %v)", name, at, took, limit)
				}
				<-time.After(at)
				w.link.restore()
				if took := seen(false); took > limit {
					t.Errorf("%s, after %v: that it is back is seen after %v (want %v)", name, at, took, limit)
				}
			}
		}
		cancel()
		watching.Wait()
	})
}
