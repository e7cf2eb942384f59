package process

import (
	"io"
	"log/slog"
	"os"
	"time"
)

// Companion is a process that outlives its parent, whose death it sees by the end
// of its lifeline. It leads a process group.
type Companion struct {
	c      *child
	group  group
	exited chan error
	log    *slog.Logger
}

// StartCompanion starts one; nil out discards its output.
func StartCompanion(spec Spec, out io.Writer, log *slog.Logger) (*Companion, error) {
	var k *sink
	if out != nil {
		k = &sink{w: out, log: log}
	}
	c, err := start(spec, k)
	if err != nil {
		return nil, err
	}
	p := &Companion{c: c, exited: make(chan error, 1), log: log}
	p.group.adopt(c.pid())
	go func() { p.exited <- waitExited(c.pid()) }()
	return p, nil
}

// Pipe is the writing end of its lifeline.
func (p *Companion) Pipe() *os.File { return p.c.lifeline }

// End closes the pipe and waits for the process, which is killed after grace. Call
// it once.
func (p *Companion) End(grace time.Duration) {
	_ = p.c.lifeline.Close()
	t := time.NewTimer(grace)
	defer t.Stop()
	var err error
	select {
	case err = <-p.exited:
	case <-t.C:
		p.log.Warn("a companion process did not end in time and is killed", "pid", p.c.pid())
		_ = p.group.signal(sigKill)
		err = <-p.exited
	}
	if err != nil {
		p.log.Error("cannot watch a companion process", "pid", p.c.pid(), "error", err)
	}
	p.group.release()
	p.c.reap()
	p.c.finish()
}
