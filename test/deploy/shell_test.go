//go:build linux

package deploy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// shell is a user's shell on a host, into which lines are pasted.
type shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	// pipe is what out reads; closed, it takes what nobody reads any more.
	pipe *io.PipeReader
}

func openShell(host, home, bin string) (*shell, error) {
	cmd := exec.Command("ip", "netns", "exec", host, "bash", "--noprofile", "--norc")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + home, "TMPDIR=" + home, "NO_COLOR=1"}
	// What it has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &shell{cmd, in, bufio.NewReader(r), r}, nil
}

// paste runs a line and returns what it printed and its exit code.
func (s *shell) paste(ctx context.Context, line string) (out, code string) {
	const mark = "--- the line has ended with "
	stop := context.AfterFunc(ctx, s.kill)
	defer stop()
	if _, err := fmt.Fprintf(s.in, "%s\necho '%s'$?\n", line, mark); err != nil {
		return err.Error(), "no shell"
	}
	var b strings.Builder
	for {
		text, err := s.out.ReadString('\n')
		if rest, ok := strings.CutPrefix(text, mark); ok {
			return b.String(), strings.TrimSpace(rest)
		}
		b.WriteString(text)
		if err != nil {
			return b.String(), err.Error()
		}
	}
}

func (s *shell) kill() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

func (s *shell) close() {
	s.kill()
	_ = s.in.Close()
	_ = s.pipe.Close()
	_ = s.cmd.Wait() // it was killed
}
