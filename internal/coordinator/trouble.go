package coordinator

import (
	"context"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

// Trouble is an attempt that went wrong while the run goes on.
type Trouble struct {
	ChunkIdx int
	Attempt  int
	WorkerID string
	Error    string
	Trace    string // its end says what went wrong
	Final    bool   // the chunk is given up
}

// troubleOf is what the record r, which follows old, tells of its attempt: a
// failure, or a worker that gave the chunk back because it is set up wrongly.
func troubleOf(r, old *lease.Record) (Trouble, bool) {
	switch r.State {
	case lease.StateFailed, lease.StateExhausted:
	case lease.StateReleased:
		if r.Error == "" || old != nil && old.Error == r.Error {
			return Trouble{}, false
		}
	default:
		return Trouble{}, false
	}
	if old != nil && old.State == r.State && old.Attempt == r.Attempt {
		return Trouble{}, false // it was told
	}
	return Trouble{
		ChunkIdx: r.ChunkIdx, Attempt: r.Attempt, WorkerID: r.Holder.WorkerID, Error: r.Error, Trace: r.Traceback,
		Final: r.State == lease.StateExhausted,
	}, true
}

// adoptIdentity makes the command of the first claim the run's, if nobody has
// said which it is.
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
