package worker

import (
	"context"
	"errors"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

const (
	// runsEvery is how often runs that were changed are read though nothing was
	// notified of a change. allEvery is how often all runs are, which costs as much
	// as the bus has runs, in case that its sequences began anew unnoticed.
	// recheckIncompatibleEvery is how often runs are that this worker does not serve; it may
	// have changed itself. Its notes on them are written then, too.
	runsEvery                = 30 * time.Second
	allEvery                 = 2 * time.Hour
	recheckIncompatibleEvery = NoteEvery
	// tick is how exactly these are kept.
	tick = time.Second
	// A message about a run can arrive before its manifest is stored. The manifest
	// is then read again after storeFirst, and after twice as long each further time.
	storeFirst = 10 * time.Millisecond
	storeTries = 6
)

// seen is what of a manifest decides whether, and how, its run is served.
type seen struct {
	ref      run.Ref
	session  int
	state    run.State
	engine   string
	version  int
	identity string
	wakes    bool
}

func seenOf(m run.Manifest) seen {
	return seen{m.Ref(), m.Session, m.State, m.Engine, m.EngineVersion, m.Identity, m.Wakes}
}

// noteChange is called for each write to a manifest: the run is read again, unless
// m contains nothing new.
func (w *Worker) noteChange(id run.ID, m *run.Manifest) {
	if w.cfg.Run != "" && id != w.cfg.Run {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, known := w.seen[id]; m != nil && known && last == seenOf(*m) {
		return
	}
	c := change{}
	if m != nil {
		c.told = seenOf(*m)
	}
	w.changed[id] = c
	select {
	case w.hint <- struct{}{}:
	default:
	}
}

// change is what a message reported of a run.
type change struct {
	told  seen // by its manifest; zero: it was removed, or is to be read anyway
	tries int  // readings that did not find it
}

// stored reports whether list, the run as the bus has it, can be what was reported.
func (c change) stored(list []bus.StoredManifest) bool {
	return c.told == seen{} || len(list) > 0 && seenOf(list[0].Manifest) == c.told
}

// trackRuns keeps w.sessions as the manifests on the bus require. It reads all of
// them on connecting and now and then, and singly those that were changed and
// those of runs that are not served. The stops of runs whose chunks this worker
// holds are read on connecting and once per lease.
func (w *Worker) trackRuns(ctx context.Context) {
	reconnected, cancel := w.cfg.Bus.Hints()
	defer cancel()
	t := time.NewTicker(tick)
	defer t.Stop()
	stopsRead := map[run.ID]time.Time{}
	// When runs that were written since, all runs, and those that are not served
	// are read again.
	var next, all, recheck time.Time
	wait := tick
	read := func() {
		since := w.lastRead
		if !time.Now().Before(all) {
			since, w.lastRead = 0, 0
		}
		if err := w.readSince(ctx, since); err != nil {
			w.noteUnread(ctx, err)
			wait = min(2*wait, runsEvery)
		} else {
			if wait = runsEvery; since == 0 {
				all = time.Now().Add(allEvery)
			}
		}
		next = time.Now().Add(wait)
	}
	read()
	again := time.NewTimer(tick) // for what is not stored yet
	defer again.Stop()
	readChanged := func() {
		if wait := w.readChanged(ctx); wait > 0 {
			again.Reset(wait)
		}
	}
	for {
		w.readStops(ctx, stopsRead)
		select {
		case <-ctx.Done():
			return
		case <-reconnected:
			clear(stopsRead)
			wait, all = tick, time.Time{}
			read()
			for _, s := range w.open() {
				w.lookAgain(s, 0)
			}
		case <-w.hint:
			readChanged()
		case <-again.C:
			readChanged()
		case <-t.C:
			if !time.Now().Before(recheck) {
				w.recheckIncompatible()
				recheck = time.Now().Add(recheckIncompatibleEvery)
			}
			if readChanged(); !time.Now().Before(next) {
				read()
			}
		}
	}
}

// noteUnread logs why the runs could not be read. That the streams are not made
// yet is the usual order, and a connection that is lost is known.
func (w *Worker) noteUnread(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case bus.NobodyAnswers(err) || !w.cfg.Bus.Connected():
		w.log.Debug("reading the list of runs failed", "error", err)
	default:
		w.log.Warn("reading the list of runs failed, retrying", "error", err)
	}
}

// recheckIncompatible has the runs that are not served read again.
func (w *Worker) recheckIncompatible() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.incompatible {
		w.changed[id] = change{}
	}
}

// readStops reads the stops of runs whose chunks this worker holds. last is when
// each was read.
func (w *Worker) readStops(ctx context.Context, last map[run.ID]time.Time) {
	for _, s := range w.open() {
		at, known := last[s.m.RunID]
		if !w.worksOn(s.m.RunID) {
			delete(last, s.m.RunID)
			continue
		}
		if time.Since(at) < lease.TimingOf(s.m).ReadStop() {
			continue
		}
		w.readStop(ctx, s)
		last[s.m.RunID] = time.Now()
		if !known {
			// A stop from before we listened may have been on its way
			// into the stream: the first reading does not count.
			last[s.m.RunID] = time.Time{}
		}
	}
}

// readRuns reads all manifests.
func (w *Worker) readRuns(ctx context.Context) error { return w.readSince(ctx, 0) }

// readSince reads the manifests that were written after revision; 0: all.
func (w *Worker) readSince(ctx context.Context, revision uint64) error {
	var list []bus.StoredManifest
	var err error
	if w.cfg.Run != "" {
		revision = 0
		list, err = w.readOne(ctx, w.cfg.Run)
	} else {
		list, err = w.cfg.Bus.ManifestsSince(ctx, revision)
	}
	if err != nil {
		return err
	}
	w.applyRuns(ctx, list, revision == 0)
	for _, m := range list {
		w.lastRead = max(w.lastRead, m.Revision)
	}
	w.storeIncompatible(ctx)
	if w.cfg.KeepWork > 0 {
		w.removeExported(list, revision == 0)
	}
	return nil
}

// readChanged reads the manifests of runs that were changed. again is how long to
// wait before it is called again for some that are not stored yet; 0: there are
// none.
func (w *Worker) readChanged(ctx context.Context) (again time.Duration) {
	w.mu.Lock()
	ids := w.changed
	w.changed = map[run.ID]change{}
	w.mu.Unlock()
	if len(ids) == 0 {
		return 0
	}
	// A later message counts more.
	keep := func(id run.ID, c change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if _, newer := w.changed[id]; !newer {
			w.changed[id] = c
		}
	}
	var refused *bus.RefusedError
	for id, c := range ids {
		list, err := w.readOne(ctx, id)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Debug("reading a run failed", "run_id", id, "error", err)
			}
			if !errors.As(err, &refused) {
				keep(id, c) // again with the next tick
			}
			continue
		}
		if !c.stored(list) && c.tries < storeTries {
			wait := storeFirst << c.tries
			if again == 0 || wait < again {
				again = wait
			}
			c.tries++
			keep(id, c)
		} else if len(list) == 0 {
			w.gone(id)
		}
		w.applyRuns(ctx, list, false)
		if w.cfg.KeepWork > 0 {
			w.removeExported(list, false)
		}
	}
	w.storeIncompatible(ctx)
	return again
}

// readOne reads the manifest of one run; the list is empty if there is none.
func (w *Worker) readOne(ctx context.Context, id run.ID) ([]bus.StoredManifest, error) {
	m, rev, err := w.cfg.Bus.Manifest(ctx, id)
	if errors.Is(err, bus.ErrNoRun) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []bus.StoredManifest{{Manifest: m, Revision: rev}}, nil
}

// gone ends the session of a run that was removed. Where a replica only lagged
// behind, the next reading of runs opens it again.
func (w *Worker) gone(id run.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.seen, id)
	delete(w.incompatible, id)
	if s := w.sessions[id]; s != nil {
		w.lastRead = min(w.lastRead, s.rev-1)
		w.endSession(s, errSessionOver)
		w.rouse()
	}
}
