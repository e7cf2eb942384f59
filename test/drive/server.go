//go:build linux

package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Server is a plain nats-server with JetStream on a port of the loopback,
// which may be killed and started again. It is used from one goroutine.
type Server struct {
	binary, dir string
	args        []string
	port        int

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process was reaped
}

// StartServer starts the server that BuildServer built, with its files in
// dir and further arguments, and returns when it takes connections.
func StartServer(ctx context.Context, binary, dir string, args ...string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("finding a free port for a server: %w", err)
	}
	s := &Server{binary: binary, dir: dir, args: args, port: l.Addr().(*net.TCPAddr).Port}
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("finding a free port for a server: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	return s, s.Restart(ctx)
}

// URL is the server's address; it stays.
func (s *Server) URL() string { return "nats://" + s.Address() }

// Address is the same as HOST:PORT.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Restart starts the server again, on the same port and files, and returns
// when it takes connections.
func (s *Server) Restart(ctx context.Context) error {
	log, err := os.OpenFile(s.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting a server: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.binary, append([]string{"-a", "127.0.0.1", "-p", strconv.Itoa(s.port), "-js", "-sd", filepath.Join(s.dir, "store")}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A Ctrl-C is for whoever started it, and it ends by Kill.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting a server: %w", err)
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() {
		_ = cmd.Wait() // a kill is its usual end
		close(exited)
	}()
	for {
		conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return fmt.Errorf("the server ended by itself: %s", Tail(s.Log(), 5))
		default:
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("waiting for the server: %w", context.Cause(ctx)), s.Kill())
		}
		pause(ctx)
	}
}

// Log is what the server said.
func (s *Server) Log() string { return filepath.Join(s.dir, "log") }

// Kill kills the server and returns when it is gone; its files stay.
func (s *Server) Kill() error {
	select {
	case <-s.exited:
		return nil
	default:
	}
	if err := kill(s.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing a server: %w", err)
	}
	<-s.exited
	return nil
}
