package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/run"
)

// Life is one session of a run on a bus: it publishes the plan, follows what
// workers report, mends what is lost, and on a stop sees to it that nobody
// goes on. It starts no server, no worker and no export.
type Life struct {
	Bus      *bus.Bus
	Manifest run.Manifest // as it is to be stored
	Revision uint64       // of the stored manifest that it replaces; 0: none
	Bars     []bars.Bar
	Policy   []byte // the policy's content, stored under Manifest.Policy.Content
	Logger   *slog.Logger
	// HeardStop is called for every stop of this run that counts, perhaps
	// more than once; it must not block.
	HeardStop func(run.Stop)
	// Foreign is called for stops of other runs that come over this bus; it
	// must not block. Nil: they are nobody's business.
	Foreign func(bus.HeardStop)

	board    *board
	revision uint64
	stop     atomic.Pointer[run.Stop]
	bad      chan uint64
}

// Timings of a session.
const (
	// lastRetry is how soon a step of the end is tried again when the bus
	// does not answer.
	lastRetry = 100 * time.Millisecond
	// stopOnItsWay is how long a published stop may take into its stream.
	stopOnItsWay = 100 * time.Millisecond
)

// Prepare makes the session ready to be looked at; call it before anything
// else.
func (l *Life) Prepare() {
	l.board = newBoard(l.Manifest)
	l.bad = make(chan uint64, 1024)
	l.board.onStop = func(s run.Stop) { l.HeardStop(s) }
	l.board.onBad = func(seq uint64) {
		select {
		case l.bad <- seq:
		default: // the next reconciliation reads it again
		}
	}
}

// Run publishes the plan and returns nil once every chunk has an end, or once
// ctx has ended, by a stop, and all workers have given their last word; the
// caller's deadline for that is drain's end. Any other error means that the
// bus could not be used.
func (l *Life) Run(ctx, drain context.Context) error {
	// Before the stored stop is read: one that comes in between would not be
	// seen for a whole lease.
	cancelStops, err := l.Bus.ListenStops("", l.heard)
	if err != nil {
		return fmt.Errorf("listening for stops: %w", err)
	}
	defer cancelStops()
	if err := l.publish(ctx); err != nil {
		if ctx.Err() == nil {
			return err
		}
		// Stopped while publishing: nobody may begin.
		return l.obey(drain, ctx)
	}
	followCtx, endFollow := context.WithCancel(drain)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer endFollow()
	owned.Go(func() {
		if err := l.Bus.Follow(followCtx, l.Manifest, l.board); followCtx.Err() == nil {
			l.Logger.Error("following the run ended", "error", err)
		}
	})
	if err := l.reconcileUntilDone(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return l.obey(drain, ctx)
	}
	return nil
}

// publish stores what workers need, then the tasks, then the consumer, whose
// creation commits the plan.
func (l *Life) publish(ctx context.Context) error {
	if err := dataset.Publish(ctx, l.Bus, l.Manifest.Data.SHA256, l.Bars); err != nil {
		return fmt.Errorf("storing the data set: %w", err)
	}
	there, err := l.Bus.HasObject(ctx, bus.PolicyObject(l.Manifest))
	if err == nil && !there {
		err = l.Bus.PutObject(ctx, bus.PolicyObject(l.Manifest), l.Policy)
	}
	if err != nil {
		return fmt.Errorf("storing the policy: %w", err)
	}
	rev, err := l.Bus.StoreManifest(ctx, l.Manifest, l.Revision)
	if err != nil {
		return err
	}
	l.revision = rev
	if err := l.Bus.DropQueuesBefore(ctx, l.Manifest.RunID, l.Manifest.Session); err != nil {
		return err
	}
	l.readStop(ctx)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	err = l.Bus.PublishTasks(ctx, func(yield func(run.Task) bool) {
		for idx := range l.Manifest.Plan.Published() {
			if !yield(l.Manifest.NewTask(idx)) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("publishing the plan: %w", err)
	}
	return l.Bus.MakeQueue(ctx, l.Manifest.RunID, l.Manifest.Session, l.Manifest.LeaseDuration)
}

// reconcileUntilDone waits until every chunk has an end or ctx is over, and
// meanwhile, at least once per lease, mends what was lost: tasks that
// vanished, stops that were not heard, final footers that cannot be used.
func (l *Life) reconcileUntilDone(ctx context.Context) error {
	reconnected, cancel := l.Bus.Hints()
	defer cancel()
	t := time.NewTicker(l.Manifest.LeaseDuration)
	defer t.Stop()
	// The first reading of the stop may have been overtaken by one that was
	// on its way into the stream while nobody listened yet.
	soon := time.NewTimer(stopOnItsWay)
	defer soon.Stop()
	for {
		_, _, changed := l.board.following()
		if l.board.done() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case seq := <-l.bad:
			l.deleteFooter(ctx, seq)
		case <-reconnected:
			l.readStop(ctx)
		case <-soon.C:
			l.readStop(ctx)
		case <-t.C:
			l.readStop(ctx)
			l.republish(ctx)
		}
	}
}

func (l *Life) deleteFooter(ctx context.Context, seq uint64) {
	l.Logger.Warn("a stored final footer cannot be used and is deleted", "seq", seq)
	if err := l.Bus.DeleteFooter(ctx, seq); err != nil && ctx.Err() == nil {
		l.Logger.Warn("deleting it", "error", err)
	}
}

// republish publishes the tasks of chunks that have neither an end nor a
// task. One that is handed out has its task still, so nothing is asked for
// twice.
func (l *Life) republish(ctx context.Context) {
	pending, err := l.Bus.PendingTasks(ctx, l.Manifest.RunID)
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("looking for lost tasks", "error", err)
		}
		return
	}
	var lost []int
	for i := range l.board.chunks {
		if !pending[i] && !l.board.chunks[i].Load().ended() {
			lost = append(lost, i)
		}
	}
	if len(lost) == 0 {
		return
	}
	// A chunk that ended after its task was looked for is published for
	// nothing; whoever is handed it acks it.
	err = l.Bus.PublishTasks(ctx, func(yield func(run.Task) bool) {
		for _, i := range lost {
			if !yield(l.Manifest.NewTask(i)) {
				return
			}
		}
	})
	if err != nil && ctx.Err() == nil {
		l.Logger.Warn("publishing lost tasks again", "error", err)
		return
	}
	l.Logger.Info("tasks were missing and are published again", "chunks", len(lost))
}

// readStop reads the stored stop and reports it if it counts.
func (l *Life) readStop(ctx context.Context) {
	s, err := l.Bus.LastStop(ctx, l.Manifest.RunID)
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("reading the run's stop", "error", err)
		}
		return
	}
	if !s.IsZero() && s.Seq > l.Manifest.StopSeq {
		l.stop.Store(&s)
		l.HeardStop(s)
	}
}

// heard answers a core message on a stop subject. It may be a stop that the
// stream has, or will have in a moment, or one that it lost: obey in any
// case would let a late copy stop a resume, so the stream decides, and what
// it has not is stored.
func (l *Life) heard(h bus.HeardStop) {
	if h.RunID != l.Manifest.RunID {
		if l.Foreign != nil {
			l.Foreign(h)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hearing)
	defer cancel()
	for range 3 {
		if l.readStop(ctx); l.stop.Load() != nil {
			return
		}
		if !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
	l.Logger.Warn("a stop was heard and not stored; storing it")
	l.StoreStop(ctx, run.Stop{Source: h.Source, Reason: h.Reason, RequestedAt: h.At})
	l.readStop(ctx)
}

// hearing bounds how long one core message on a stop is looked into.
const hearing = 5 * time.Second

// StoreStop stores the coordinator's own stop, so that workers, and whoever
// connects later, see it. It returns the stop with its sequence.
func (l *Life) StoreStop(ctx context.Context, s run.Stop) run.Stop {
	if stored := l.stop.Load(); stored != nil {
		return *stored
	}
	id := fmt.Sprintf("stop.%s.%d.%s", l.Manifest.RunID, l.Manifest.Session, s.Source)
	seq, err := l.Bus.StoreStop(ctx, l.Manifest.RunID, s, id)
	if err != nil {
		l.Logger.Warn("the stop is not stored", "error", err)
		return s
	}
	s.Seq = seq
	l.stop.CompareAndSwap(nil, &s)
	return s
}

// obey ends the session: no chunk begins any more, and those under way give
// their last word. It returns nil when they have.
func (l *Life) obey(drain, stopped context.Context) error {
	var s run.Stop
	if cause := (Stopped{}); errors.As(context.Cause(stopped), &cause) {
		s = cause.Stop
	}
	if s.Seq == 0 && !s.IsZero() {
		l.StoreStop(drain, s)
	}
	m := l.Manifest
	m.State = run.StateStopped
	steps := []struct {
		what string
		do   func() error
	}{
		{"telling workers by the manifest", func() error {
			rev, err := l.Bus.StoreManifest(drain, m, l.revision)
			if errors.Is(err, bus.ErrConflict) || l.revision == 0 {
				return nil // another session has taken over, or there is no manifest yet
			}
			if err == nil {
				l.revision = rev
			}
			return err
		}},
		{"purging the tasks", func() error { return l.Bus.PurgeTasks(drain, m.RunID) }},
		{"deleting the consumer", func() error { return l.Bus.DropQueue(drain, m.RunID, m.Session) }},
		{"collecting last words", func() error { return l.lastWords(drain) }},
	}
	for _, step := range steps {
		for {
			err := step.do()
			if err == nil {
				break
			}
			if drain.Err() != nil || !pause(drain, lastRetry) {
				return fmt.Errorf("%s: %w", step.what, err)
			}
			l.Logger.Debug("trying again", "step", step.what, "error", err)
		}
	}
	return nil
}

// lastWords waits until everything that was stored before its call is known
// and nobody holds a chunk. The consumer is deleted before, so no claim that
// leads to a bar can come later.
func (l *Life) lastWords(ctx context.Context) error {
	leases, footers, err := l.Bus.Fence(ctx, l.Manifest.RunID)
	if err != nil {
		return err
	}
	for {
		a, b, changed := l.board.following()
		if a >= leases && b >= footers && l.board.claimed.Load() == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Stopped is the cause of a session's end by a stop.
type Stopped struct{ run.Stop }

func (s Stopped) Error() string { return "the run is stopped (" + string(s.Source) + ")" }

// pause waits for d and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
