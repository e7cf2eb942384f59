package coordinator

import (
	"context"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
)

// sweepCommands ends what commands of the run's earlier sessions have left on
// this host, where their guards were killed as well. A command of a worker that
// lives has its guard and is left alone.
func (s *Session) sweepCommands(ctx context.Context, m run.Manifest) {
	if m.Engine != footer.EngineExec {
		return
	}
	found, alive := process.SweepCommands(ctx, execengine.RunMark(m.RunID))
	if found > 0 {
		s.cfg.Logger.Warn("leftover processes of an earlier epoch's commands ended", "run_id", m.RunID, "found", found, "alive", alive)
	}
}
