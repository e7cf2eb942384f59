package worker

import (
	"context"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/run"
)

// NoteEvery is how often a worker says again on the bus that it does not serve
// a run: whoever reads an older note takes the worker for gone.
const NoteEvery = 5 * time.Second

// unfit is why a run is not served, as it was said last.
type unfit struct {
	text  string
	noted time.Time // on the bus
}

// noteUnfit leaves notes on the runs that this worker does not serve, where
// `status` finds them. A note that is not stored is tried again with the next
// reading of the runs.
func (w *Worker) noteUnfit(ctx context.Context) {
	notes := map[run.ID]string{}
	w.mu.Lock()
	for id, u := range w.unfit {
		if time.Since(u.noted) >= NoteEvery {
			notes[id] = u.text
		}
	}
	w.mu.Unlock()
	for id, text := range notes {
		err := w.cfg.Bus.StoreUnfit(ctx, id, bus.Unfit{
			WorkerID: w.cfg.ID, Host: w.cfg.Host, Identity: w.cfg.Engine.Identity(), Why: text,
		})
		if err != nil {
			if ctx.Err() == nil {
				w.log.Debug("storing a note on a run that is not served failed", "run_id", id, "error", err)
			}
			continue
		}
		w.mu.Lock()
		if w.unfit[id].text == text {
			w.unfit[id] = unfit{text, time.Now()}
		}
		w.mu.Unlock()
	}
}
