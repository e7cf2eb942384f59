//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// proc is a server or a worker. It ends with this process at the latest.
type proc struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{} // closed when it was reaped
}

// startProc starts argv, which adds to a log. The environment is env.
func startProc(log string, env, argv []string) (*proc, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", argv[0], err)
	}
	defer f.Close()
	p := &proc{cmd: exec.Command(argv[0], argv[1:]...), log: log, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = f, f, env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// Pdeathsig counts from the thread that has started a process, and
		// threads that have entered a namespace end: this one shall stay, and be
		// nobody else's.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // its state says it
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return p, nil
}

// signal sends sig. A process that has ended is no error.
func (p *proc) signal(sig syscall.Signal) error {
	select {
	case <-p.exited: // reaped: the number may be somebody else's
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v: %w", sig, err)
	}
	return nil
}

// kill kills the process and returns when it is gone.
func (p *proc) kill() error {
	err := p.signal(syscall.SIGKILL)
	if err == nil {
		<-p.exited
	}
	return err
}

// ended waits for the process's end, and returns its state.
func (p *proc) ended(ctx context.Context) (*os.ProcessState, error) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the end of process %d: %w", p.cmd.Process.Pid, context.Cause(ctx))
	}
}

// said reports whether the process has logged text.
func (p *proc) said(text string) bool {
	b, err := os.ReadFile(p.log)
	return err == nil && strings.Contains(string(b), text)
}

// start starts a program on a host, and keeps it under its name.
func (s *Site) start(host int, name string, env []string, argv ...string) error {
	p, err := startProc(filepath.Join(s.dir, name+".log"), append(os.Environ(), env...), s.Wire.Hosts[host].Argv(argv...))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.procs[name] = p
	return nil
}
