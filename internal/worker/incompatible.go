package worker

import (
	"context"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// NoteEvery is how often a worker repeats on the bus that it does not serve
// a run. A reader of an older note takes the worker for gone.
const NoteEvery = 5 * time.Second

// incompatible is why a run is not served, as it was reported last.
type incompatible struct {
	text  string
	noted time.Time // on the bus
}

// storeIncompatible leaves notes on the runs that this worker does not serve, where
// `status` finds them. A note that is not stored is tried again with the next
// reading of the runs.
func (w *Worker) storeIncompatible(ctx context.Context) {
	notes := map[run.ID]string{}
	w.mu.Lock()
	for id, u := range w.incompatible {
		if time.Since(u.noted) >= NoteEvery {
			notes[id] = u.text
		}
	}
	w.mu.Unlock()
	for id, text := range notes {
		err := w.cfg.Bus.StoreIncompatible(ctx, id, bus.Incompatible{
			WorkerID: w.cfg.ID, Host: w.cfg.Host, Identity: w.cfg.Engine.Identity(), Why: text,
		})
		if err != nil {
			if ctx.Err() == nil {
				w.log.Debug("storing a note on a run that is not served failed", "run_id", id, "error", err)
			}
			continue
		}
		w.mu.Lock()
		if w.incompatible[id].text == text {
			w.incompatible[id] = incompatible{text, time.Now()}
		}
		w.mu.Unlock()
	}
}
