package coordinator

import (
	"io"

	"gx1replay/internal/footer"
	"gx1replay/internal/process"
)

// newPool makes the pool of local workers.
func (s *Session) newPool(t *transport) (*process.Pool, error) {
	grace := workerGrace
	if s.cfg.Engine == footer.EngineExec {
		grace = commandGrace
	}
	local := LocalWorker{RunID: s.cfg.RunID, URL: t.url, KeyFile: t.keyFile, WorkDir: s.target.WorkDir()}
	return process.New(process.Config{
		N:         s.cfg.Workers,
		Command:   func(slot int) process.Spec { return s.cfg.WorkerCommand(slot, local) },
		Grace:     grace,
		LogWriter: func(int) io.Writer { return s.cfg.WorkerLog },
		Logger:    s.cfg.Logger,
		Notify: func(e process.Event) {
			if e.Kind == process.Started {
				s.guardian.worker(e.PID)
			}
		},
	})
}
