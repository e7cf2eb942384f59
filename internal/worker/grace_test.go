package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// slowToGo is an engine that goes on for grace when it is asked to end, and
// replays one bar more.
func slowToGo(grace time.Duration, reached func()) engineFunc {
	return func(ctx context.Context, report func(footer.Footer)) (Result, error) {
		report(counted(5))
		reached()
		<-ctx.Done()
		pause(context.WithoutCancel(ctx), grace)
		return Result{Footer: counted(6)}, context.Cause(ctx)
	}
}

// A command that takes its time to end keeps the chunk: the lease is renewed
// through its grace, and what it replayed last is not another's to lose.
func TestTheLeaseIsKeptThroughTheGrace(t *testing.T) {
	for name, c := range map[string]struct {
		why  error
		want lease.State
	}{
		"told to go": {ErrShutdown, lease.StateReleased},
		"stopped":    {stopped{run.Stop{Source: run.SourceSubject}}, lease.StateStopped},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				x := newBench(t)
				grace := 3 * x.m.LeaseDuration
				life, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				reached, ended := make(chan struct{}), make(chan struct{})
				x.a.w.cfg.Engine = slowToGo(grace, func() { close(reached) })
				go func() {
					defer close(ended)
					x.a.run(life)
				}()
				<-reached
				pause(t.Context(), time.Second)
				if errors.Is(c.why, ErrShutdown) {
					cancel(c.why)
				} else {
					x.a.s.cancel(c.why)
				}
				synctest.Wait()
				_, last := x.record()
				for range 5 {
					pause(t.Context(), x.m.LeaseDuration/2)
					rec, seq := x.record()
					if rec.State != lease.StateClaimed || seq == last {
						t.Fatalf("in its grace the record is %s, sequence %d after %d (want a renewed claim)", rec.State, seq, last)
					}
					last = seq
				}
				<-ended
				if rec, _ := x.record(); rec.State != c.want || rec.Own.BarsProcessed != 6 {
					t.Errorf("the last word is %s with %d bars (want %s with 6)", rec.State, rec.Own.BarsProcessed, c.want)
				}
			})
		})
	}
}
