package coordinator

import (
	"time"

	"gx1replay/internal/lease"
)

// calls are the chunks that may need another worker: those that have a record
// and no end, with the time at which the record was seen last to change. The
// board's lock guards it.
type calls struct {
	since map[int]call
	now   bool // one was given back since the workers were woken last
}

type call struct {
	claimed bool
	at      time.Time
	last    time.Time // that workers were woken for it
}

// note receives a chunk's new record, or that it has an end.
func (c *calls) note(idx int, old, next *lease.Record, ended bool) {
	if ended {
		delete(c.since, idx)
		return
	}
	if next == nil || next == old {
		return
	}
	if c.since == nil {
		c.since = map[int]call{}
	}
	claimed := next.State == lease.StateClaimed
	c.since[idx] = call{claimed: claimed, at: time.Now()}
	c.now = c.now || !claimed
}

// due reports whether workers are to be woken: a chunk was given back, or its
// record is silent for an ack-wait, so that its task is handed out again. They
// are woken for it repeatedly until a worker watches it or has it, seldom
// after a lease.
func (c *calls) due(t lease.Timing) bool {
	now, due := time.Now(), c.now
	c.now = false
	for idx, k := range c.since {
		silent := now.Sub(k.at)
		if k.claimed && silent < t.AckWait() {
			continue
		}
		if silent > t.Watch() && now.Sub(k.last) < t.WakeAgain() {
			continue
		}
		k.last = now
		c.since[idx] = k
		due = true
	}
	return due
}

// calling is calls.due.
func (b *board) calling() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls.due(lease.TimingOf(b.m))
}

// givenBack reports whether a chunk was given back since workers were woken
// last.
func (b *board) givenBack() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls.now
}

// wake wakes idle workers.
func (l *Life) wake() {
	if !l.Manifest.Wakes {
		return
	}
	if err := l.Bus.Wake(l.Manifest.RunID, len(l.board.crew.Load().workers)); err != nil {
		l.Logger.Debug("waking idle workers failed", "error", err)
	}
}

// hintStop tells workers that a stop of the run is stored. Those in an account
// of their own do not receive an operator's message; the manifest, which tells
// them too, is written later.
func (l *Life) hintStop() {
	if !l.Manifest.Wakes {
		return
	}
	if err := l.Bus.HintStop(l.Manifest.RunID); err != nil {
		l.Logger.Debug("telling workers of the stop failed", "error", err)
	}
}
