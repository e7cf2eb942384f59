//go:build linux

package execrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"gx1replay/test/drive"
)

// Terminal is a run in a terminal that tmux keeps, so that keys reach it as
// they reach a user's. Of the run, what waits for its output or its end is of
// no use.
type Terminal struct {
	*drive.Run
	socket string
}

// The files of a terminal, in the run's directory.
const (
	termScript = "start.sh"
	termPID    = "terminal.pid"
	termCode   = "terminal.code"
)

// InTerminal starts a run in a terminal of its own. Close it in the end.
func InTerminal(ctx context.Context, c drive.Config) (*Terminal, error) {
	r, err := drive.Prepare(c)
	if err != nil {
		return nil, err
	}
	// A socket's path must be short, and a run's directory need not be.
	dir, err := os.MkdirTemp("", "gx1-tmux-")
	if err != nil {
		return nil, fmt.Errorf("making a terminal: %w", err)
	}
	t := &Terminal{Run: r, socket: filepath.Join(dir, "s")}
	at := func(name string) string { return filepath.Join(r.Dir, name) }
	// The shell survives the Ctrl-C, to tell of the run's end.
	script := fmt.Sprintf("echo $$ > %s\ntrap : INT\nenv -i TERM=\"$TERM\" %s %s\necho $? > %s.tmp\nmv %s.tmp %s\n",
		quote(at(termPID)), quoted(r.Environ()), quoted(r.CommandLine()), quote(at(termCode)), quote(at(termCode)), quote(at(termCode)))
	conf := "set -g remain-on-exit on\n" // what stands on the screen can be read in the end
	for name, text := range map[string]string{at(termScript): script, filepath.Join(dir, "conf"): conf} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("making a terminal: %w", err), os.RemoveAll(dir))
		}
	}
	if _, err := t.tmux(ctx, "-f", filepath.Join(dir, "conf"), "new-session", "-d", "-x", "160", "-y", "50", "sh "+quote(at(termScript))); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	err = t.until(ctx, func() (bool, error) {
		b, err := os.ReadFile(at(termPID))
		if err == nil && strings.HasSuffix(string(b), "\n") {
			r.PID, err = strconv.Atoi(strings.TrimSpace(string(b))) // it leads the session
			return true, err
		}
		return false, nil
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// tmux tells the terminal's own tmux something and returns its answer. It
// knows nothing of the run, whose mark it must not carry.
func (t *Terminal) tmux(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", t.socket}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "SHELL=/bin/sh"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// Press presses a key, in tmux's words.
func (t *Terminal) Press(ctx context.Context, key string) error {
	_, err := t.tmux(ctx, "send-keys", key)
	return err
}

// Screen is what can be read on the screen now, what has scrolled off it
// included.
func (t *Terminal) Screen(ctx context.Context) (string, error) {
	return t.tmux(ctx, "capture-pane", "-p", "-J", "-S", "-")
}

// Wait waits for the run's end and returns its exit code.
func (t *Terminal) Wait(ctx context.Context) (code int, err error) {
	err = t.until(ctx, func() (bool, error) {
		b, err := os.ReadFile(filepath.Join(t.Dir, termCode))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		}
		code, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return true, err
	})
	return code, err
}

// Reaches waits until so many bars are logged, or the run has ended.
func (t *Terminal) Reaches(ctx context.Context, bars int) error {
	return t.until(ctx, func() (bool, error) {
		_, err := os.Stat(filepath.Join(t.Dir, termCode))
		return err == nil || t.Bars() >= bars, nil
	})
}

func (t *Terminal) until(ctx context.Context, cond func() (bool, error)) error {
	for {
		ok, err := cond()
		switch {
		case err != nil:
			return fmt.Errorf("run %s in a terminal: %w", t.RunID, err)
		case ok:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("run %s in a terminal: %w", t.RunID, context.Cause(ctx))
		}
		pause(ctx, lookEvery)
	}
}

// Close ends the terminal and what is left of the run in it.
func (t *Terminal) Close() error {
	t.End()
	_, err := t.tmux(context.Background(), "kill-server")
	return errors.Join(err, os.RemoveAll(filepath.Dir(t.socket)))
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func quoted(list []string) string {
	var out []string
	for _, text := range list {
		out = append(out, quote(text))
	}
	return strings.Join(out, " ")
}
