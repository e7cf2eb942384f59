//go:build linux

package execrun

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"gx1replay/test/drive"
)

// Killed is what became of what a killed worker had started.
type Killed struct {
	Worker drive.Process
	Below  []drive.Process // guard, command and what that had started
	Gone   time.Duration   // until none of them lived
}

// KillWorker kills a local worker whose command is under way, as by kill -9,
// and waits for the end of all that descends from it. ErrExited: none was
// under way before the run's end.
func KillWorker(ctx context.Context, r *drive.Run) (k Killed, err error) {
	for {
		if k = underWay(r); k.Worker.PID != 0 {
			break
		}
		select {
		case <-r.Exited():
			return k, fmt.Errorf("killing a worker of run %s: %w", r.RunID, drive.ErrExited)
		default:
		}
		if ctx.Err() != nil {
			return k, fmt.Errorf("run %s: no worker has a command under way: %w", r.RunID, context.Cause(ctx))
		}
		pause(ctx, scanEvery)
	}
	at := time.Now()
	if err := syscall.Kill(k.Worker.PID, syscall.SIGKILL); err != nil {
		return k, fmt.Errorf("killing worker %v: %w", k.Worker, err)
	}
	for left := k.Below; len(left) > 0; left = StillThere(r, left) {
		if ctx.Err() != nil {
			return k, fmt.Errorf("worker %d was killed, and what it had started lives: %v", k.Worker.PID, left)
		}
		pause(ctx, lookEvery)
	}
	k.Gone = time.Since(at)
	return k, nil
}

// underWay finds a worker with a guard, a command and the two processes that
// the command leaves behind.
func underWay(r *drive.Run) Killed {
	for _, w := range r.Workers() {
		below := Below(r, w.PID)
		below = slices.DeleteFunc(below, func(p drive.Process) bool { return p.State == "Z" })
		asleep := 0
		for _, p := range below {
			if len(p.Args) > 0 && p.Args[0] == "sleep" {
				asleep++
			}
		}
		if asleep == 2 && len(below) >= 4 {
			return Killed{Worker: w, Below: below}
		}
	}
	return Killed{}
}

const (
	// lookEvery is how often is looked for what announces itself to nobody.
	lookEvery = 10 * time.Millisecond
	// scanEvery is the same where a look takes much: all processes there are.
	scanEvery = 100 * time.Millisecond
)

// pause lets some time pass, or what is left of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
