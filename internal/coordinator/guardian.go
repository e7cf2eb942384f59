package coordinator

import (
	"time"

	"gx1replay/internal/export"
	"gx1replay/internal/process"
)

// guardianGrace is what the guardian gets to end after the message that all is
// exported.
const guardianGrace = 500 * time.Millisecond

// guardian is this process's end of its guardian. A nil guardian is a no-op.
type guardian struct {
	proc *process.Companion
	wire *export.Wire
}

func startGuardian(cfg Config) (*guardian, error) {
	if cfg.Guardian == nil {
		return nil, nil
	}
	proc, err := process.StartCompanion(cfg.Guardian(), cfg.WorkerLog, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return &guardian{proc, export.NewWire(proc.Pipe())}, nil
}

// session sends the epoch of this coordinator on the run.
func (g *guardian) session(n int, startedAt time.Time) {
	if g != nil {
		g.wire.Session(n, startedAt)
	}
}

// worker reports a local worker, whose exit the guardian waits for.
func (g *guardian) worker(pid int) {
	if g == nil {
		return
	}
	if start, err := process.StartTime(pid); err == nil {
		g.wire.Started(pid, start)
	}
}

// done reports that nothing is left to export.
func (g *guardian) done() {
	if g != nil {
		g.wire.Done()
	}
}

// end waits for the guardian, and ends it after grace.
func (g *guardian) end(grace time.Duration) {
	if g != nil {
		g.wire.Done()
		g.proc.End(grace)
	}
}
