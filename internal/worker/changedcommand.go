package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/run"
)

// ErrChanged marks an engine's error that it does not fit the run any more:
// what it runs has changed. The chunk is given back, and nothing that the
// attempt has replayed counts.
var ErrChanged = errors.New("this worker's command or files have changed")

// endIncompatible ends s, whose run the engine does not fit any more, with all that
// this process has claimed of it. The next reading of the runs opens it again
// if the engine fits then.
func (w *Worker) endIncompatible(s *session, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.TrimPrefix(why.Error(), ErrChanged.Error()+": ")
	w.setIncompatible(s.m.RunID, text)
	s.cancel(fmt.Errorf("%w: %s", ErrChanged, text))
	if w.sessions[s.m.RunID] == s {
		delete(w.sessions, s.m.RunID)
		w.rouse()
	}
}

// setIncompatible notes why run id is not served, and logs it once. The caller holds
// w.mu.
func (w *Worker) setIncompatible(id run.ID, why string) {
	if w.incompatible[id].text != why {
		w.incompatible[id] = incompatible{text: why}
		w.log.Error("run not served", "run_id", id, "error", why)
	}
}

// changed gives back the chunk of an attempt whose engine has changed. The
// record contains what has changed; bars that earlier records hold were replayed
// before that was seen.
func (a *attempt) changed(ctx context.Context, out outcome) {
	a.log.Warn("chunk released: the worker's command or files have changed", "error", out.err)
	a.w.endIncompatible(a.s, out.err)
	next := a.rec.Released(nil)
	next.Error = out.err.Error()
	if a.finalReport(ctx, next) {
		a.nak(deferFor)
	}
}

// commandFor is how long what is known of a command's files is taken for what
// they are, where no attempt depends on it: all runs of one reading share it.
const commandFor = 200 * time.Millisecond

// commandNow is a worker's command with the digests of its files.
type commandNow struct {
	mu   sync.Mutex
	at   time.Time
	made run.Command
	err  error
}

// command is this worker's command with its files as they were at most age ago.
// Files whose size and times have not moved are not read again.
func (e *Exec) command(age time.Duration) (run.Command, error) {
	n := &e.now
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.at.IsZero() && time.Since(n.at) < age {
		return n.made, n.err
	}
	n.made = e.Engine.Spec.Command
	if len(n.made.Argv) > 0 && n.made.Digests != nil {
		n.made.Digests, n.err = e.Engine.Identify(e.checked.sum)
	}
	if n.err != nil {
		n.err = fmt.Errorf("the files of this worker's command cannot be read: %w", n.err)
	}
	n.at = time.Now()
	return n.made, n.err
}

// naming is c without the files that were none of this worker's command when it
// started, nor are of theirs: what a command writes to the place of an argument
// is its output.
func (e *Exec) naming(c, theirs run.Command) run.Command {
	c.Digests = maps.Clone(c.Digests)
	maps.DeleteFunc(c.Digests, func(name, _ string) bool {
		_, first := e.Engine.Spec.Command.Digests[name]
		_, run := theirs.Digests[name]
		return !first && !run
	})
	return c
}

// unchanged returns in what the command's files differ from the run's, read now.
func (e *Exec) unchanged(m run.Manifest) error {
	if err := e.fits(m, 0); err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return nil
}
