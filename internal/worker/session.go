package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

// session is one session of a run as this worker sees it. Its context ends
// when the run is stopped or the session is over; the cause distinguishes the two.
type session struct {
	m      run.Manifest
	rev    uint64 // of the manifest that opened it
	ctx    context.Context
	cancel context.CancelCauseFunc
	missed int // how often running the list of runs was without it

	digest  sync.Once
	inputs  string // digest of m's inputs, by inputsOf
	mu      sync.Mutex
	queue   *bus.Queue
	retryAt time.Time // the queue was not there: not before then again

	hotUntil atomic.Int64 // Unix nanoseconds: until then tasks are looked for
	hinted   atomic.Bool  // it waits among the worker's stopHints
}

// inputsOf is the digest of the inputs of s's run, which each attempt needs.
func (s *session) inputsOf() string {
	s.digest.Do(func() { s.inputs = s.m.Inputs() })
	return s.inputs
}

// lookUntil is until when tasks of s are looked for without a further message.
func (s *session) lookUntil() time.Time { return time.Unix(0, s.hotUntil.Load()) }

// stopped is the cause of a session's end by a stop of the run.
type stopped struct{ run.Stop }

func (s stopped) Error() string { return "the run is stopped (" + string(s.Source) + ")" }

var errSessionOver = errors.New("the run's epoch is over")

// queueRetry is how soon a session's consumer that was not there is looked
// for again.
const queueRetry = 20 * time.Millisecond

// follows reports whether s is newer than m, which a replica that lags behind
// still has. Sessions count within an incarnation, revisions beyond it.
func (s *session) follows(m bus.StoredManifest) bool {
	if s.m.Ref() == m.Ref() {
		return s.m.Session > m.Session
	}
	return s.rev > m.Revision
}

func (s *session) openQueue(ctx context.Context, b *bus.Bus) (*bus.Queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		return s.queue, nil
	}
	if time.Now().Before(s.retryAt) {
		return nil, bus.ErrNoConsumer
	}
	q, err := b.OpenQueue(ctx, s.m.Ref(), s.m.Session)
	if err != nil {
		s.retryAt = time.Now().Add(queueRetry)
		return nil, err
	}
	s.queue = q
	return q, nil
}

func (s *session) dropQueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
	s.retryAt = time.Now().Add(queueRetry)
}

// servable lists the sessions that may have tasks, always in the same order,
// and a channel that is closed when the list changes.
func (w *Worker) servable() ([]*session, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*session
	for _, s := range w.sessions {
		if s.ctx.Err() == nil {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *session) int { return strings.Compare(string(a.m.RunID), string(b.m.RunID)) })
	return list, w.wake
}

func (w *Worker) open() []*session {
	list, _ := w.servable()
	return list
}

// applyRuns opens and ends sessions as the manifests require. A manifest that is
// refused changes nothing: an open session goes by the one that opened it.
// all: list has every run of the bus.
func (w *Worker) applyRuns(ctx context.Context, list []bus.StoredManifest, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	listed := map[run.ID]bool{}
	if all || w.seen == nil {
		w.seen = map[run.ID]seen{}
	}
	for _, m := range list {
		w.seen[m.RunID] = seenOf(m.Manifest)
		listed[m.RunID] = true
		old := w.sessions[m.RunID]
		ours := m.State == run.StateRunning && m.Engine == w.cfg.Engine.Name()
		err := w.accepted.check(m.Manifest)
		mine := ours && err == nil && w.fits(m.Manifest)
		if ours && err != nil {
			w.noteRefused(m.RunID, err)
		}
		switch {
		case old != nil && (err != nil || old.follows(m)):
			old.missed = 0
			continue
		case old != nil && old.m.Ref() == m.Ref() && old.m.Session == m.Session && mine:
			w.accepted.open(m.Manifest)
			old.missed = 0
			continue
		case old != nil:
			over := errSessionOver
			if ours && !mine && old.m.Ref() == m.Ref() && old.m.Session == m.Session {
				over = fmt.Errorf("%w: %s", ErrChanged, w.incompatible[m.RunID].text)
			}
			w.endSession(old, over)
			changed = true
		}
		if mine {
			// A session outlives ctx: attempts are let go in order, by Run.
			w.accepted.open(m.Manifest)
			s := &session{m: m.Manifest, rev: m.Revision}
			s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
			s.hotUntil.Store(time.Now().Add(lookFor).UnixNano())
			w.sessions[m.RunID] = s
			changed = true
		}
	}
	for id, s := range w.sessions {
		if all && !listed[id] {
			// A replica that lags behind may not have it yet.
			if s.missed++; s.missed < 2 {
				continue
			}
			w.endSession(s, errSessionOver)
			changed = true
		}
	}
	for id := range w.incompatible {
		// Of a run that is over nothing more is reported.
		if (all || listed[id]) && !slices.ContainsFunc(list, func(m bus.StoredManifest) bool { return m.RunID == id && m.State == run.StateRunning }) {
			delete(w.incompatible, id)
		}
	}
	if changed {
		w.rouse()
	}
}

// fits reports whether the engine can serve m; a reason why not is logged once.
// The caller holds w.mu.
func (w *Worker) fits(m run.Manifest) bool {
	var err error
	if !w.serves(m.EngineVersion) {
		err = fmt.Errorf("the run's engine has version %d, this worker's version %d (build %s): run a chunkworker of the coordinator's release",
			run.EngineOf(m.EngineVersion), w.cfg.EngineVersion, w.cfg.Build)
	} else {
		err = w.cfg.Engine.Fits(m)
	}
	if err == nil {
		delete(w.incompatible, m.RunID)
		return true
	}
	w.setIncompatible(m.RunID, err.Error())
	return false
}

// serves reports whether this program has the engine of version v.
func (w *Worker) serves(v int) bool {
	return run.SameEngine(v, w.cfg.EngineVersion) || w.cfg.EngineVersion == replay.Version && replay.Serves(v)
}

// noteRefused logs why a run's manifest is refused, once per reason. The caller
// holds w.mu.
func (w *Worker) noteRefused(id run.ID, err error) {
	if text := err.Error(); w.incompatible[id].text != text {
		w.incompatible[id] = incompatible{text: text}
		w.log.Error("manifest refused", "run_id", id, "manifests_refused", w.accepted.count, "error", err)
	}
}

// endSession ends s for the reason why and forgets what is known of its chunks.
// The caller holds w.mu.
func (w *Worker) endSession(s *session, why error) {
	s.cancel(why)
	delete(w.sessions, s.m.RunID)
	maps.DeleteFunc(w.deferred, func(key chunkKey, _ int) bool { return key.id == s.m.RunID })
}

func (w *Worker) endSessions() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sessions {
		s.cancel(errSessionOver)
	}
}
