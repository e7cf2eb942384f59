package coordinator

import (
	"gx1replay/internal/lease"
)

// Trouble is an attempt that went wrong while the run goes on.
type Trouble struct {
	ChunkIdx int
	Attempt  int
	WorkerID string
	Error    string
	Trace    string // its end contains the cause
	Final    bool   // the chunk has no attempts left
}

// troubleOf returns what the record r, which follows old, reports of its attempt: a
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
		return Trouble{}, false // already reported
	}
	return Trouble{
		ChunkIdx: r.ChunkIdx, Attempt: r.Attempt, WorkerID: r.Holder.WorkerID, Error: r.Error, Trace: r.Traceback,
		Final: r.State == lease.StateExhausted,
	}, true
}
