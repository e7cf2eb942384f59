package process

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	sigTerm = syscall.SIGTERM
	sigKill = syscall.SIGKILL
)

// outputWait bounds the wait for the end of a dead worker's output. All that
// it wrote is in the pipe already; only a process that left the group can
// keep the pipe open longer.
const outputWait = 500 * time.Millisecond

// group is the process group that may be signalled now, if there is one. Its
// lock is held across kill(2), which does not block, and nothing else. It
// closes the gap between reading the number and signalling it, in which the
// leader could be reaped and its number given to another process.
type group struct {
	mu   sync.Mutex
	pgid int // 0: none
}

// adopt makes pgid the group to signal.
func (g *group) adopt(pgid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pgid = pgid
}

// release ends all signalling. The leader may be reaped afterwards, not
// before.
func (g *group) release() { g.adopt(0) }

// signal sends sig to the whole group, if there is one. An error means that
// no process is left, or the kernel refuses; no caller can do more.
func (g *group) signal(sig syscall.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pgid == 0 {
		return nil
	}
	return syscall.Kill(-g.pgid, sig)
}

// child is one process with its lifeline and its output.
type child struct {
	proc     *os.Process
	lifeline *os.File      // our end; the worker sees by its closing that we are gone
	out      *os.File      // our end of its output; nil if discarded
	copied   chan struct{} // closed when out has ended
}

// start starts spec in a process group of its own.
func start(spec Spec, out *sink) (c *child, err error) {
	// Everything but what the child keeps is closed here, on every way out.
	var theirs, ours []*os.File
	defer func() {
		closeAll(theirs)
		if err != nil {
			closeAll(ours)
		}
	}()
	pipe := func() (r, w *os.File, err error) {
		r, w, err = os.Pipe()
		if err != nil {
			return nil, nil, fmt.Errorf("starting %s: %w", spec.Path, err)
		}
		return r, w, nil
	}

	if spec.Dir != "" {
		// The error of the start itself would name the program.
		if _, err := os.Stat(spec.Dir); err != nil {
			return nil, fmt.Errorf("starting %s in its working directory: %w", spec.Path, err)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Path, err)
	}
	theirs = append(theirs, null)

	// One lifeline each: the two ends of a pipe are blocking or not for all
	// who share them, and the worker wants its own way.
	life, lifeline, err := pipe()
	if err != nil {
		return nil, err
	}
	theirs, ours = append(theirs, life), append(ours, lifeline)

	c = &child{lifeline: lifeline, copied: make(chan struct{})}
	stdout := null
	if out != nil {
		r, w, err := pipe()
		if err != nil {
			return nil, err
		}
		theirs, ours = append(theirs, w), append(ours, r)
		c.out, stdout = r, w
	}

	args := spec.Args
	if len(args) == 0 {
		args = []string{spec.Path}
	}
	c.proc, err = os.StartProcess(spec.Path, args, &os.ProcAttr{
		Dir:   spec.Dir,
		Env:   childEnv(spec.Env),
		Files: append([]*os.File{null, stdout, stdout, life}, spec.ExtraFiles...),
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	go c.copyOutput(out)
	return c, nil
}

// tell reports over the lifeline that this process ends the child. A child that
// does not listen, or that is gone, does not matter.
func (c *child) tell() { _, _ = c.lifeline.Write([]byte{1}) }

// childEnv is env, or this process's own, with the lifeline's descriptor. Of a
// name that is there twice the last one counts, as with exec.Cmd: a program
// would see the first, and append(os.Environ(), …) would change nothing.
func childEnv(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	env = append(slices.Clip(env), fmt.Sprintf("%s=%d", LifelineEnv, lifelineFD))
	seen := make(map[string]bool, len(env))
	set := make([]string, 0, len(env))
	for _, kv := range slices.Backward(env) {
		name, _, _ := strings.Cut(kv, "=")
		if !seen[name] {
			seen[name] = true
			set = append(set, kv)
		}
	}
	slices.Reverse(set)
	return set
}

func (c *child) pid() int { return c.proc.Pid }

// reap takes the dead leader's exit from the kernel.
func (c *child) reap() (code int, text string) {
	state, err := c.proc.Wait()
	c.lifeline.Close()
	if err != nil {
		return -1, err.Error()
	}
	return state.ExitCode(), state.String()
}

// finish waits for the end of the output and closes it. It reports false if
// it had to be cut off.
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

// sink takes the output of a slot's processes. The lock matters only when an
// earlier copy was cut off in the middle of a write that blocks.
type sink struct {
	mu     sync.Mutex
	w      io.Writer
	log    *slog.Logger
	failed bool
}

// write hands p on. An error is logged once and otherwise swallowed: a full
// disk must not end a worker by a broken pipe.
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

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
