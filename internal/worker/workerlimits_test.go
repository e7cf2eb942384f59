package worker

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

// A worker that is to leave when it is idle first does what there is to do,
// and is not idle while it works, however long that takes.
func TestExitWhenIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		x.a.nak(0)
		const work, idle = 30 * time.Second, 10 * time.Second
		var begun, done time.Time
		w := New(Config{
			Bus: x.b, ID: "w2", Host: "h", WorkDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), ExitWhenIdle: idle,
			Engine: engineFunc(func(ctx context.Context, _ func(footer.Footer)) (Result, error) {
				begun = time.Now()
				pause(ctx, work)
				done = time.Now()
				return Result{Footer: counted(10)}, context.Cause(ctx)
			}),
		})
		must(t, w.Run(t.Context()))
		if done.Sub(begun) != work {
			t.Fatalf("it worked for %v (want %v)", done.Sub(begun), work)
		}
		if left := time.Since(done); left < idle || left > idle+5*time.Second {
			t.Errorf("it left after %v without work (want %v)", left, idle)
		}
		if rec, _ := x.record(); rec.State != lease.StateDone {
			t.Errorf("the record is %s (want %s)", rec.State, lease.StateDone)
		}
	})
}

// An attempt that hangs is ended, and is a failure that says why.
func TestMaxRuntimePerChunk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		x.a.w.cfg.MaxRuntime = 7 * x.m.LeaseDuration
		x.a.w.cfg.Engine = engineFunc(func(ctx context.Context, report func(footer.Footer)) (Result, error) {
			report(counted(5))
			<-ctx.Done()
			return Result{Footer: counted(5)}, context.Cause(ctx)
		})
		begun := time.Now()
		x.a.run(t.Context())
		if took := time.Since(begun); took < 7*x.m.LeaseDuration || took > 8*x.m.LeaseDuration {
			t.Errorf("it was ended after %v (want %v)", took, 7*x.m.LeaseDuration)
		}
		rec, _ := x.record()
		if rec.State != lease.StateFailed || rec.Failures != 1 || !strings.Contains(rec.Error, "--max-runtime-per-chunk") || rec.Own.BarsProcessed != 5 {
			t.Errorf("record %s, %d failures, error %q, %d bars (want a failure that names the flag, and 5 bars)", rec.State, rec.Failures, rec.Error, rec.Own.BarsProcessed)
		}
	})
}
