package coordinator

import (
	"context"

	"gx1replay/internal/footer"
)

// adoptIdentity makes the command of the first claim the run's, if the user has not
// set it.
func (l *Life) adoptIdentity(ctx context.Context) {
	first := l.board.identity.Load()
	if l.Manifest.Engine != footer.EngineExec || l.Manifest.Identity != "" || first == nil {
		return
	}
	m := l.Manifest
	m.Identity = *first
	if err := l.write(ctx, m); err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("storing the run's command failed", "error", err)
		}
		return
	}
	l.Manifest.Identity = m.Identity
	l.Logger.Info("the run has the command of its first claim", "identity", m.Identity)
}
