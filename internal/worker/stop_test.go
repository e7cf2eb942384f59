package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// Hints that are false cost a few readings however many come, end nothing, and
// keep no true one from being followed.
func TestAFloodOfStopHints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		w, s := x.a.w, x.a.s
		w.sessions["r"] = s
		var reads atomic.Int64
		_, err := x.raw.Subscribe("$JS.API.DIRECT.GET.GX1_STOP.>", func(*nats.Msg) { reads.Add(1) })
		must(t, err)
		must(t, x.raw.Flush())
		ctx, end := context.WithCancel(t.Context())
		var owned sync.WaitGroup
		owned.Go(func() { w.followHints(ctx) })
		defer owned.Wait()
		defer end()

		const series = 7 // readings of one hint
		for range 10_000 {
			w.hintStop("r")
			w.hintStop("another")
		}
		<-time.After(time.Second)
		if n := reads.Load(); n < series || n > 2*series || s.ctx.Err() != nil {
			t.Errorf("%d readings, %v (want %d or twice as many, and that the run goes on)", n, context.Cause(s.ctx), series)
		}
		_, err = x.b.StoreStop(t.Context(), "r", run.Stop{Source: run.SourceSubject, Reason: "enough"}, 0, bus.NewStopID())
		must(t, err)
		before := reads.Load()
		w.hintStop("r")
		<-time.After(time.Second)
		var why stopped
		if n := reads.Load() - before; !errors.As(context.Cause(s.ctx), &why) || why.Reason != "enough" || n != 1 {
			t.Errorf("%d readings, %v (want one, and that the run is stopped)", n, context.Cause(s.ctx))
		}
		w.hintStop("r")
		<-time.After(time.Second)
		if n := reads.Load() - before; n != 1 {
			t.Errorf("%d readings of a run that is stopped (want none after the first)", n)
		}
	})
}
