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
	"gx1replay/internal/loglimit"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// Life is one session of a run on a bus: it publishes the plan, follows what
// workers report, restores what is lost, and on a stop makes every worker
// end its chunk. It starts no server, no worker and no export.
type Life struct {
	Bus      *bus.Bus
	Manifest run.Manifest // as it is to be stored
	Revision uint64       // of the stored manifest that it replaces; 0: none
	Bars     []bars.Bar
	Extra    []bars.Column // what the data set has besides, for exec
	Policy   []byte        // the policy's content, stored under Manifest.Policy.Content
	// Objects are what else workers need, besides data set and policy.
	Objects []Object
	// Known is what files of earlier sessions hold: nothing, or every chunk.
	Known []perf.Chunk
	// RetryFailed takes up chunks that failed for good in earlier sessions.
	RetryFailed bool
	Replicas    int // of streams that have to be created; 0 means 1
	// Loaded, if not nil, is called when all that the bus holds of the run was
	// read, before anything is published.
	Loaded func()
	Logger *slog.Logger
	// HeardStop is called for every stop of this run that counts, perhaps
	// more than once; it must not block.
	HeardStop func(run.Stop)
	// Trouble, if not nil, is called for each attempt that went wrong; it must
	// not block.
	Trouble func(Trouble)
	// NoStart, if not nil, is called when the command of the run cannot begin; it
	// must not block.
	NoStart func(*StartError)
	// Broken, if not nil, gives an error when the bus can store nothing more: a
	// life that has not begun ends with it.
	Broken <-chan error
	// Foreign is called for stops of other runs that come over this bus; it
	// must not block. Nil: none is called.
	Foreign func(bus.HeardStop)

	board    *board
	revision uint64
	purged   bool // earlier sessions' tasks are gone
	upload   upload
	stop     atomic.Pointer[run.Stop]
	stopID   string // begins the message ids of the stops that this one stores
	lines    *loglimit.Limiter
	bad      chan bad
	hints    chan struct{} // to read the stop
}

// Object is a content for the object store, made when it is missing there.
type Object struct {
	Name string
	Make func() ([]byte, error)
}

// Timings of a session.
const (
	// lastRetry is how soon a step of the end is tried again when the bus
	// does not answer.
	lastRetry = 100 * time.Millisecond
	// stopStored is how soon a received stop is usually stored.
	stopStored = time.Millisecond
	// stopOnItsWay is how long a published stop may take into its stream.
	stopOnItsWay = 100 * time.Millisecond
)

// Prepare makes the session ready to be looked at; call it before anything
// else.
func (l *Life) Prepare() {
	l.board = newBoard(l.Manifest, l.RetryFailed, l.Known)
	l.revision = l.Revision
	l.bad = make(chan bad, 1024)
	l.stopID = bus.NewStopID()
	l.lines = loglimit.New(l.Logger)
	l.hints = make(chan struct{}, 1)
	l.board.onStop = func() {
		select {
		case l.hints <- struct{}{}:
		default:
		}
	}
	if l.Trouble != nil {
		l.board.onTrouble = l.Trouble
	}
	if l.NoStart != nil {
		l.board.starts, l.board.onNoStart = &firstStarts{session: l.Manifest.Session}, l.NoStart
	}
	l.board.onBad = func(b bad) {
		select {
		case l.bad <- b:
		default: // the next reconciliation reads it again
		}
	}
}

// Run publishes what is unfinished and returns nil once every chunk has an
// end, or once ctx has ended, by a stop, and all workers have given their
// final report; the caller's deadline for that is drain's end. ErrTakenOver
// means that a later session has begun; any other error that the bus could
// not be used.
func (l *Life) Run(ctx, drain context.Context) error {
	// Before the stored stop is read: one that comes in between would not be
	// seen for a whole lease.
	defer l.lines.Close()
	cancelStops, err := l.listen(ctx)
	if err != nil {
		return err
	}
	defer cancelStops()
	followCtx, endFollow := context.WithCancel(drain)
	var owned sync.WaitGroup
	defer owned.Wait()
	defer endFollow()
	m := l.Manifest // which may learn the command's identity later
	owned.Go(func() {
		if err := l.Bus.Follow(followCtx, m, l.board); followCtx.Err() == nil {
			l.Logger.Error("reader of the run ended", "error", err)
		}
	})
	if err := l.beginWhenPossible(ctx); err != nil {
		if ctx.Err() == nil {
			return err
		}
		// Stopped while publishing: no worker may begin.
		return l.obey(drain, ctx)
	}
	if err := l.reconcileUntilDone(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return l.obey(drain, ctx)
	}
	return nil
}

// listen listens for stops, as soon as the bus is there.
func (l *Life) listen(ctx context.Context) (cancel func(), err error) {
	for {
		cancel, err := l.Bus.ListenStops("", l.receivedStop)
		if err == nil || !bus.Transient(err) || !pause(ctx, beginEvery) {
			return cancel, err
		}
	}
}

// begin stores what workers need and the session, reads what the bus holds of
// the run, publishes what is unfinished, and makes the consumer, whose
// creation commits the plan.
func (l *Life) begin(ctx context.Context) error {
	if err := l.putObjects(ctx); err != nil {
		return err
	}
	if err := l.storeFirst(ctx); err != nil {
		return err
	}
	if err := l.Bus.DropQueuesBefore(ctx, l.Manifest.Ref(), l.Manifest.Session); err != nil {
		return err
	}
	if err := l.load(ctx); err != nil {
		return err
	}
	l.readStop(ctx)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := l.giveBack(ctx); err != nil {
		return err
	}
	// What an earlier session left to be done stands in its own order; nobody
	// holds it any more, as its consumer is gone.
	if l.Manifest.Session > 1 && !l.purged {
		if err := l.Bus.PurgeTasks(ctx, l.Manifest.RunID); err != nil {
			return err
		}
		l.purged = true // what comes now is this session's
	}
	return l.ask(ctx, l.board.unfinished())
}

// storeFirst stores the session in the manifest. A conflict with our own write,
// whose answer was lost, is none.
func (l *Life) storeFirst(ctx context.Context) error {
	rev, err := l.Bus.StoreManifest(ctx, l.Manifest, l.revision)
	if errors.Is(err, bus.ErrConflict) {
		var stored run.Manifest
		stored, rev, err = l.Bus.Manifest(ctx, l.Manifest.RunID)
		if err == nil && (stored.Ref() != l.Manifest.Ref() || stored.Session != l.Manifest.Session || !sameProcess(stored.Coordinator, l.Manifest.Coordinator)) {
			err = fmt.Errorf("run %s: %w", l.Manifest.RunID, ErrTakenOver)
		}
	}
	if err != nil {
		return err
	}
	l.revision = rev
	return nil
}

// putObjects stores the data set, the policy and what else workers need where
// they are missing.
func (l *Life) putObjects(ctx context.Context) error {
	l.upload.expect(len(l.Bars), len(l.Extra))
	defer l.upload.end()
	store := counting{l.Bus, &l.upload}
	if err := dataset.Publish(ctx, store, l.Manifest.Data.SHA256, l.Bars); err != nil {
		return fmt.Errorf("storing the data set: %w", err)
	}
	if err := dataset.PublishExtra(ctx, store, l.Manifest.Data.Extra, l.Extra, int64(len(l.Bars))); err != nil {
		return fmt.Errorf("storing the data set's own columns: %w", err)
	}
	there, err := l.Bus.HasObject(ctx, bus.PolicyObject(l.Manifest))
	if err == nil && !there {
		err = l.Bus.PutObject(ctx, bus.PolicyObject(l.Manifest), l.Policy)
	}
	if err != nil {
		return fmt.Errorf("storing the policy: %w", err)
	}
	for _, o := range l.Objects {
		if err := l.putObject(ctx, o); err != nil {
			return fmt.Errorf("storing %s: %w", o.Name, err)
		}
	}
	return nil
}

func (l *Life) putObject(ctx context.Context, o Object) error {
	there, err := l.Bus.HasObject(ctx, o.Name)
	if err != nil || there {
		return err
	}
	data, err := o.Make()
	if err != nil {
		return err
	}
	return l.Bus.PutObject(ctx, o.Name, data)
}

// load waits until everything that the bus held before its call is known.
func (l *Life) load(ctx context.Context) error {
	leases, footers, err := l.Bus.Fence(ctx, l.Manifest.RunID)
	if err != nil {
		return err
	}
	for {
		a, b, changed := l.board.following()
		if a >= leases && b >= footers {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := l.prove(ctx); err != nil {
		return err
	}
	if l.Loaded != nil {
		l.Loaded()
		l.Loaded = nil // called once
	}
	return nil
}

// giveBack stores ok footers that are known and that the bus does not have,
// from files or from before the bus lost them: an ok footer is true, no matter who
// sends it, and keeps its chunk from being replayed.
func (l *Life) giveBack(ctx context.Context) error {
	_, footers, err := l.Bus.Fence(ctx, l.Manifest.RunID)
	if err != nil {
		return err
	}
	if _, b, _ := l.board.following(); b < footers {
		return nil // it is still being read
	}
	for _, f := range l.board.lacking() {
		if err := l.Bus.StoreFooter(ctx, f); err != nil && !errors.Is(err, bus.ErrKept) {
			return fmt.Errorf("storing a footer that the bus lacks: %w", err)
		}
	}
	return nil
}

// ask publishes the tasks of chunks and sees to it that there is a consumer
// to hand them out. A chunk that has a task already is not asked for twice.
func (l *Life) ask(ctx context.Context, chunks []int) error {
	err := l.Bus.PublishTasks(ctx, func(yield func(run.Task) bool) {
		for _, idx := range chunks {
			if !yield(l.Manifest.NewTask(idx)) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("publishing tasks: %w", err)
	}
	if err := l.Bus.MakeQueue(ctx, l.Manifest.Ref(), l.Manifest.Session, l.Manifest.LeaseDuration); err != nil {
		return err
	}
	if len(chunks) > 0 {
		l.wake()
	}
	return nil
}

// readStop reads the stored stop and reports it if it counts.
func (l *Life) readStop(ctx context.Context) {
	s, err := l.Bus.LastStop(ctx, l.Manifest.RunID)
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("reading the run's stop failed", "error", err)
		}
		return
	}
	if s.IsZero() || s.Seq <= l.Manifest.StopSeq {
		return
	}
	if s.Session == 0 || s.Session >= l.Manifest.Session {
		s.Stop = foreign(s.Stop)
	}
	if l.stop.Swap(&s.Stop) == nil {
		l.hintStop()
	}
	l.HeardStop(s.Stop)
}

// foreign is a stop that came over the bus. This coordinator has its own
// signals and its time-box before the bus does, so that one which claims that it
// is such is not this coordinator's.
func foreign(s run.Stop) run.Stop {
	if s.Source.Own() {
		s.Source = run.SourceSubject
	}
	return s
}

// receivedStop answers a core message on a stop subject. It may be a stop that the
// stream has, or will have in a moment, or one that it lost: obey in any
// case would let a late copy stop a resume, so the stream decides, and what
// it has not is stored.
func (l *Life) receivedStop(ctx context.Context, h bus.HeardStop) {
	if h.RunID != l.Manifest.RunID {
		if l.Foreign != nil {
			l.Foreign(h)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hearing)
	defer cancel()
	for wait := stopStored; wait < stopOnItsWay; wait *= 2 {
		if l.readStop(ctx); l.stop.Load() != nil {
			return
		}
		if !pause(ctx, wait) {
			return
		}
	}
	l.lines.Warn("stop received but not stored, storing it")
	l.storeStop(ctx, foreign(run.Stop{Source: h.Source, Reason: h.Reason, RequestedAt: h.At}), 0, h.MsgID)
	l.readStop(ctx)
}

// hearing bounds how long one core message on a stop is looked into.
const hearing = 5 * time.Second

// storeStop stores a stop that the bus does not have, so that workers, and
// workers that connect later, see it. session is this one for the coordinator's
// own signal, else 0; msgID is the sender's, empty if there is none. The retry
// of a stop that is done with stores nothing and is not obeyed.
func (l *Life) storeStop(ctx context.Context, s run.Stop, session int, msgID string) {
	if l.stop.Load() != nil {
		return
	}
	if msgID == "" {
		msgID = l.stopID + "." + string(s.Source)
	}
	seq, err := l.Bus.StoreStop(ctx, l.Manifest.RunID, s, session, msgID)
	if err != nil {
		l.Logger.Warn("storing the stop failed", "error", err)
		return
	}
	if seq <= l.Manifest.StopSeq {
		l.lines.Info("stop already handled", "seq", seq)
		return
	}
	s.Seq = seq
	l.stop.CompareAndSwap(nil, &s)
	// The export that records that this stop is done with needs its sequence.
	l.HeardStop(s)
}

// obey ends the session: no chunk begins any more, and those under way give
// their final report. It returns nil when they have.
func (l *Life) obey(drain, stopped context.Context) error {
	var s run.Stop
	if cause := (run.Stopped{}); errors.As(context.Cause(stopped), &cause) {
		s = cause.Stop
	}
	if s.Seq == 0 && !s.IsZero() {
		l.storeStop(drain, s, l.Manifest.Session, "")
	}
	m := l.Manifest
	m.State = run.StateStopped
	steps := []struct {
		what string
		do   func() error
	}{
		{"writing the stop into the manifest", func() error {
			if l.revision == 0 {
				return nil // there is none yet
			}
			return l.write(drain, m)
		}},
		{"purging the tasks", func() error { return l.Bus.PurgeTasks(drain, m.RunID) }},
		{"deleting the consumer", func() error { return l.Bus.DropQueue(drain, m.Ref(), m.Session) }},
		{"collecting final reports", func() error { return l.finalReports(drain) }},
		// One that was given again meanwhile belongs to this session, too.
		{"reading the stop again", func() error { l.readStop(drain); return nil }},
	}
	for _, step := range steps {
		for {
			err := step.do()
			if err == nil {
				break
			}
			if errors.Is(err, ErrTakenOver) {
				return err // tasks and consumer are the other's now
			}
			if drain.Err() != nil || !pause(drain, lastRetry) {
				return fmt.Errorf("%s: %w", step.what, err)
			}
			l.Logger.Debug("retrying", "step", step.what, "error", err)
		}
	}
	return nil
}

// finalReports waits until everything that was stored before its call is known
// and no worker holds a chunk. The consumer is deleted before, so no claim that
// leads to a bar can come later.
func (l *Life) finalReports(ctx context.Context) error {
	leases, footers, err := l.Bus.Fence(ctx, l.Manifest.RunID)
	if err != nil {
		return err
	}
	for {
		a, b, changed := l.board.following()
		if a >= leases && b >= footers && l.board.claimed.Load() == 0 {
			return l.prove(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

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
