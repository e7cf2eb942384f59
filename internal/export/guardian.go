package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Timings of the guardian, from the moment at which the coordinator vanished.
// They leave the export half a second of the 2 s that it has in all.
const (
	// workersLeave: workers end by themselves within a second.
	workersLeave = 1500 * time.Millisecond
	// workersKilled is what the kernel gets to end those that did not.
	workersKilled = 200 * time.Millisecond
	// workersPoll is how often it looks whether they are gone.
	workersPoll = 10 * time.Millisecond
	// lockSettles is how long a lock may still carry the dead coordinator's
	// name: the kernel closes its pipe and its lock one after the other.
	lockSettles = 300 * time.Millisecond
	// lockPatience is how long another export of the run is waited for.
	lockPatience = 10 * time.Second
)

const (
	// maxWord bounds a line on the pipe; ours have about 100 bytes.
	maxWord = 4096
	// maxWorkers bounds the living workers that are remembered.
	maxWorkers = 4096
)

// GuardConfig is what a guardian needs. Everything but Config and Env is
// required.
type GuardConfig struct {
	Target layout.Run
	// Pipe is the read end of the pipe whose write end the coordinator's Wire
	// holds, and no other process. It is non-blocking, as os.Pipe makes it, so that
	// an end of ctx ends a read of it.
	Pipe *os.File
	// Alive reports whether the process that Wire.Started reported still runs.
	Alive func(pid int, start string) bool
	// Kill ends the process group with that number at once.
	Kill func(pgid int)
	// Woken, if not nil, is called when the coordinator has vanished, before
	// there is work to do.
	Woken  func()
	Config Config
	Env    perf.EnvInfo // for a run of which nothing else is known
	Logger *slog.Logger
}

// Guard waits, without doing anything, until the coordinator reports that it is
// done, or vanishes. When it vanishes, Guard sees to it that its local workers
// have ended, and recovers the run from its files. It leaves that to another
// session of the run if one holds the lock by then.
//
// It returns nil when there is nothing more to do, and at the latest some ten
// seconds after the coordinator is gone, if the disk answers. An end of ctx
// ends the waiting only, without a recovery.
func Guard(ctx context.Context, cfg GuardConfig) error {
	g := guardian{GuardConfig: cfg}
	stop := context.AfterFunc(ctx, func() { cfg.Pipe.Close() })
	done := g.listen()
	died := time.Now()
	if !stop() {
		return context.Cause(ctx)
	}
	if done {
		return nil
	}
	if cfg.Woken != nil {
		cfg.Woken()
	}
	cfg.Logger.Warn("coordinator vanished, recovering the run from its files")
	if err := g.recover(context.WithoutCancel(ctx), died); err != nil {
		return fmt.Errorf("guarding run %s: %w", cfg.Target.RunID, err)
	}
	return nil
}

// guardian holds what a guardian has received.
type guardian struct {
	GuardConfig
	session run.SessionTimes
	workers []startedWord
}

// listen reads the pipe to its end, or to the message done. Nothing is allocated
// while nothing comes.
func (g *guardian) listen() (done bool) {
	var buf [maxWord]byte
	n, skip := 0, false // skip: the line is too long to be ours
	for {
		k, err := g.Pipe.Read(buf[n:])
		n += k
		for {
			i := bytes.IndexByte(buf[:n], '\n')
			if i < 0 {
				break
			}
			if !skip && g.hear(buf[:i]) {
				return true
			}
			skip = false
			n = copy(buf[:], buf[i+1:n])
		}
		if n == len(buf) {
			n, skip = 0, true
		}
		if err != nil {
			if err != io.EOF && !errors.Is(err, os.ErrClosed) {
				g.Logger.Warn("reading from the coordinator failed", "error", err)
			}
			return false
		}
	}
}

// hear takes one line in and reports whether it is the last word.
func (g *guardian) hear(line []byte) (done bool) {
	var w word
	if err := json.Unmarshal(line, &w); err != nil {
		g.Logger.Warn("unexpected message from the coordinator", "line", fmt.Sprintf("%.80q", line), "error", err)
		return false
	}
	if w.Session != nil && w.Session.Session > 0 {
		g.session = run.SessionTimes{Session: w.Session.Session, StartedAt: w.Session.StartedAt}
	}
	if w.Started != nil && w.Started.PID > 1 { // 1 and below name no group of a worker
		if len(g.workers) >= maxWorkers { // many have been started again
			g.dropEnded()
		}
		if len(g.workers) < maxWorkers {
			g.workers = append(g.workers, *w.Started)
		}
	}
	return w.Done
}

func (g *guardian) recover(ctx context.Context, died time.Time) error {
	lock, err := g.lock(ctx, died)
	if lock == nil {
		return err
	}
	defer lock.Close() // its loss is of no consequence: the process ends
	cfg := RecoverConfig{
		Target: g.Target, Lock: lock, Died: died, Session: g.session, Env: g.Env, Config: g.Config, Logger: g.Logger,
	}
	// Files of many chunks take as long to read as workers take to end.
	workersGone := make(chan struct{})
	go func() {
		defer close(workersGone)
		g.waitWorkers(died)
	}()
	r, err := cfg.begin()
	<-workersGone
	if err != nil {
		return err
	}
	if _, err := os.Stat(g.Target.WorkDir()); err == nil { // else no worker has begun
		r.Dirs = []string{g.Target.WorkDir()}
	}
	res, err := r.end(ctx)
	if errors.Is(err, ErrNothing) {
		g.Logger.Warn("coordinator vanished before its epoch began, nothing to export")
		return nil
	}
	if err != nil {
		return err
	}
	g.Logger.Info("recovered", "path", res.Path, "bars", res.Totals.Coverage.ReplayedBars, "refused", res.Refused, "took", time.Since(died))
	return nil
}

// lock takes the run's lock; nil without an error means that another session
// of the run resumes from here.
func (g *guardian) lock(ctx context.Context, died time.Time) (*Lock, error) {
	if _, err := os.Stat(g.Target.Dir); err != nil {
		return nil, err // it was removed, and taking the lock would make it again
	}
	tick := time.NewTicker(workersPoll)
	defer tick.Stop()
	for {
		l, err := TryAcquire(g.Target, RoleGuardian)
		var held *HeldError
		if !errors.As(err, &held) {
			return l, err
		}
		waited := time.Since(died)
		if held.Role == RoleCoordinator && waited > lockSettles {
			g.Logger.Info("another epoch of the run is active", "pid", held.PID)
			return nil, nil
		}
		if waited > lockPatience {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// dropEnded forgets workers that are gone.
func (g *guardian) dropEnded() {
	g.workers = slices.DeleteFunc(g.workers, func(w startedWord) bool { return !g.Alive(w.PID, w.Start) })
}

// waitWorkers waits until the local workers are gone, and ends those that do
// not go by themselves.
func (g *guardian) waitWorkers(died time.Time) {
	tick := time.NewTicker(workersPoll)
	defer tick.Stop()
	killed := false
	for {
		g.dropEnded()
		left, waited := g.workers, time.Since(died)
		if len(left) == 0 {
			return
		}
		if killed && waited > workersLeave+workersKilled {
			g.Logger.Warn("local workers did not end", "count", len(left), "pid", left[0].PID)
			return
		}
		if !killed && waited > workersLeave {
			killed = true
			for _, w := range left {
				g.Logger.Warn("local worker killed: it outlived its coordinator", "pid", w.PID)
				g.Kill(w.PID)
			}
		}
		<-tick.C
	}
}
