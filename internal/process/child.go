package process

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	sigTerm = syscall.SIGTERM
	sigKill = syscall.SIGKILL
)

// outputWait bounds the wait for the end of a dead worker's output. All of it is in
// the pipe already; only a process that left the group holds the pipe longer.
const outputWait = 500 * time.Millisecond

// group is a process group that may be signalled. Its lock is held across kill(2),
// which does not block, so that the leader is not reaped between the reading of its
// number and the signal.
type group struct {
	mu   sync.Mutex
	pgid int // 0: none
}

func (g *group) adopt(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pgid = pgid
}

// release ends all signalling. The leader may be reaped only afterwards.
func (g *group) release() { g.adopt(0) }

// signal sends sig to the whole group. No caller can do anything about an error.
func (g *group) signal(sig syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pgid == 0 {
		return nil
	}
	return syscall.Kill(-g.pgid, sig)
}

type child struct {
	proc     *os.Process
	lifeline *os.File      // our end; the worker sees by its closing that we are gone
	out      *os.File      // our end of its output; nil if discarded
	copied   chan struct{} // closed when out has ended
}

func start(spec Spec, out *sink) (c *child, err error) {
	var pipes pipes
	defer func() { pipes.close(err != nil) }()
	if spec.Dir != "" {
		// The error of the start itself would name the program.
		if _, err := os.Stat(spec.Dir); err != nil {
			return nil, fmt.Errorf("starting %s in its working directory: %w", spec.Path, err)
		}
	}
	env := spec.Env
	if env == nil {
		env = os.Environ()
	}
	cmd := spec.cmd(append(slices.Clip(env), fmt.Sprintf("%s=%d", LifelineEnv, lifelineFD)))
	c = &child{copied: make(chan struct{})}
	// One lifeline each: the two ends of a pipe are blocking or not for all
	// who share them, and the worker wants its own way.
	var life *os.File
	life, c.lifeline = pipes.toIt()
	cmd.ExtraFiles = append([]*os.File{life}, spec.ExtraFiles...)
	if out != nil {
		var w *os.File
		w, c.out = pipes.fromIt()
		cmd.Stdout, cmd.Stderr = w, w
	}
	if pipes.err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Path, pipes.err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	c.proc = cmd.Process
	go c.copyOutput(out)
	return c, nil
}

// notify reports over the lifeline that this process ends the child, which may be
// gone.
func (c *child) notify() { _, _ = c.lifeline.Write([]byte{1}) }

func (s Spec) cmd(env []string) *exec.Cmd {
	return &exec.Cmd{Path: s.Path, Args: s.Args, Dir: s.Dir, Env: env, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
}

// pipes are those of a process to be started.
type pipes struct {
	its, ours []*os.File
	err       error // of the first that could not be made
}

func (p *pipes) pipe() (r, w *os.File) {
	if p.err == nil {
		r, w, p.err = os.Pipe()
	}
	return r, w
}

func (p *pipes) toIt() (its, our *os.File) {
	r, w := p.pipe()
	p.its, p.ours = append(p.its, r), append(p.ours, w)
	return r, w
}

func (p *pipes) fromIt() (its, our *os.File) {
	r, w := p.pipe()
	p.its, p.ours = append(p.its, w), append(p.ours, r)
	return w, r
}

// close closes the process's ends, which it has itself once started, and with all
// ours too. It may be called again.
func (p *pipes) close(all bool) {
	for _, f := range p.its {
		f.Close()
	}
	if p.its = nil; !all {
		return
	}
	for _, f := range p.ours {
		f.Close()
	}
}

func (c *child) pid() int { return c.proc.Pid }

func (c *child) reap() (code int, text string) {
	state, err := c.proc.Wait()
	c.lifeline.Close()
	if err != nil {
		return -1, err.Error()
	}
	return state.ExitCode(), state.String()
}

// finish waits for the end of the output. It reports false if it had to be cut off.
func (c *child) finish() bool {
	if c.out == nil {
		<-c.copied
		return true
	}
	defer c.out.Close()
	_ = c.out.SetReadDeadline(time.Now().Add(outputWait))
	// The deadline ends a read; a sink that blocks needs a bound of its own.
	timer := time.NewTimer(outputWait)
	defer timer.Stop()
	select {
	case <-c.copied:
		return true
	case <-timer.C:
		return false
	}
}

func (c *child) copyOutput(out *sink) {
	defer close(c.copied)
	if c.out == nil {
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := c.out.Read(buf)
		out.write(buf[:n])
		if err != nil {
			return
		}
	}
}

// sink takes the output of a slot's processes. The lock matters if an earlier copy
// was cut off in a blocking write.
type sink struct {
	mu     sync.Mutex
	w      io.Writer
	log    *slog.Logger
	failed bool
}

// write logs an error once and drops the rest: a full disk must not end a worker by
// a broken pipe.
func (k *sink) write(p []byte) {
	if len(p) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, err := k.w.Write(p)
	if err != nil && !k.failed {
		k.log.Warn("the worker's output is being lost", "error", err)
	}
	k.failed = err != nil
}
