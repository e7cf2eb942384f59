package process

import (
	"io"
	"log/slog"
	"os"
	"time"
)

// Companion is a process that outlives its parent if that vanishes: it sees
// the end of the pipe that it was given as its lifeline. It leads a process
// group of its own.
type Companion struct {
	c      *child
	group  group
	exited chan error
	log    *slog.Logger
}

// StartCompanion starts one; its output goes to out, discarded if nil.
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

// Pipe is the writing end of its lifeline, to which more may be written.
func (p *Companion) Pipe() *os.File { return p.c.lifeline }

// PID is its process number.
func (p *Companion) PID() int { return p.c.pid() }

// End closes the pipe, waits for the process's end, for at most grace, and
// kills it after that. It is called once.
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
