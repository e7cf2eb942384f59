//go:build linux

package ends

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/execrun"
)

// Plan is how a run is made.
type Plan struct {
	Binary, Dir, RunID string
	Exec               bool // by a command that needs its grace; else by the built-in engine
	Workers, Chunks    int
	Bars               int
	Bar                time.Duration // what a bar takes a worker
	Flush              time.Duration // what the command needs to end
	Args               []string      // further flags
	Before             []string      // what the command line begins with, such as timeout 5
	Terminal           bool          // of its own; else its output goes into pipes
}

// Run is a run that was started by somebody: a shell, timeout, a terminal.
type Run struct {
	*drive.Run
	plan    Plan
	cmd     *exec.Cmd
	master  *os.File // of its terminal
	readers []*os.File
	copied  sync.WaitGroup
	exited  chan struct{}

	mu   sync.Mutex
	said strings.Builder
}

// config is the run in the words of drive.
func (p Plan) config() (drive.Config, error) {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return drive.Config{}, fmt.Errorf("making the run's directory: %w", err)
	}
	c := drive.Config{
		Binary: p.Binary, Dir: filepath.Join(p.Dir, "run"), RunID: p.RunID, Bars: p.Bars,
		Args: append([]string{
			"--listen", "127.0.0.1:0", "--workers", strconv.Itoa(p.Workers), "--chunks", strconv.Itoa(p.Chunks), "--lease-duration", "2s",
			"--timeout", "5m", // a run whose test was killed does not wait for ever
		}, p.Args...),
	}
	if p.Exec {
		root, err := drive.Root()
		if err != nil {
			return c, err
		}
		c.Policy = filepath.Join(root, "examples", "python", "policy.yaml")
		c.Args = append(c.Args, "--engine", "exec", "--exec-env", "GX1TEST_*", "--slice-format", "csv", "--",
			p.Binary, "command", "--bar", p.Bar.String(), "--flush", p.Flush.String())
		return c, nil
	}
	c.Policy = filepath.Join(p.Dir, "policy.yaml")
	c.Env = []string{"GX1TEST_BAR_SLEEP=" + p.Bar.String()}
	return c, drive.WritePolicy(c.Policy, 0)
}

// Start starts a run.
func Start(p Plan) (*Run, error) {
	c, err := p.config()
	if err != nil {
		return nil, err
	}
	d, err := drive.Prepare(c)
	if err != nil {
		return nil, err
	}
	r := &Run{Run: d, plan: p}
	return r, r.start()
}

// Again starts the same command line again, when the one before has ended, as
// somebody would who resumes the run.
func (r *Run) Again(p Plan) (*Run, error) {
	next := &Run{Run: r.Run, plan: p}
	return next, next.start()
}

func (r *Run) start() error {
	line := append(append([]string(nil), r.plan.Before...), r.CommandLine()...)
	r.cmd, r.exited = exec.Command(line[0], line[1:]...), make(chan struct{})
	r.cmd.Env = r.Environ()
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	if r.plan.Terminal {
		master, slave, err := openTerminal()
		if err != nil {
			return err
		}
		theirs = append(theirs, slave)
		r.master, r.readers = master, []*os.File{master}
		r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = slave, slave, slave
		r.cmd.SysProcAttr.Setctty = true // of descriptor 0
	} else {
		var ends [2]*os.File
		for i := range ends {
			reader, writer, err := os.Pipe()
			if err != nil {
				return fmt.Errorf("starting run %s: %w", r.RunID, err)
			}
			theirs, ends[i] = append(theirs, writer), writer
			r.readers = append(r.readers, reader)
		}
		r.cmd.Stdout, r.cmd.Stderr = ends[0], ends[1]
	}
	r.Started = time.Now()
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("starting run %s: %w", r.RunID, err)
	}
	r.PID = r.cmd.Process.Pid
	for _, from := range r.readers {
		r.copied.Go(func() { r.listen(from) })
	}
	go func() {
		_ = r.cmd.Wait() // the state says it all
		close(r.exited)
	}()
	return nil
}

// listen keeps what the run prints, until the reader is closed.
func (r *Run) listen(from *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		r.said.Write(buf[:n])
		r.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Said is what the run has printed so far.
func (r *Run) Said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// Deaf closes whatever reads the run's output: pipes lose their reader, and a
// terminal hangs up.
func (r *Run) Deaf() {
	for _, f := range r.readers {
		_ = f.Close()
	}
}

// Type types into the run's terminal.
func (r *Run) Type(text string) error {
	_, err := r.master.WriteString(text)
	return err
}

// Coordinator is the process number of the coordinator, which is not the
// process that was started where that is timeout or a shell; 0: none lives.
func (r *Run) Coordinator() int {
	for _, p := range r.Alive() {
		if len(p.Args) > 1 && p.Args[0] == r.Binary && p.Args[1] == "run" {
			return p.PID
		}
	}
	return 0
}

// Signal signals the coordinator alone.
func (r *Run) Signal(sig syscall.Signal) error { return kill(r.Coordinator(), sig) }

// SignalAll signals every process of the run, as the end of a unit of systemd
// or of a Slurm job does.
func (r *Run) SignalAll(signals ...syscall.Signal) error {
	var errs []error
	for _, sig := range signals {
		for _, p := range r.Alive() {
			errs = append(errs, kill(p.PID, sig))
		}
	}
	return errors.Join(errs...)
}

// SignalGroup signals the group of the process that was started.
func (r *Run) SignalGroup(sig syscall.Signal) error { return kill(-r.PID, sig) }

// kill takes a process that is gone already for no error.
func kill(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %v to %d: %w", sig, pid, err)
	}
	return nil
}

// Ended waits for the end of what was started and returns its exit code, or
// 128 and the signal that ended it, as a shell does.
func (r *Run) Ended(ctx context.Context) (int, error) {
	select {
	case <-r.exited:
	case <-ctx.Done():
		return -1, fmt.Errorf("run %s has not ended: %w", r.RunID, context.Cause(ctx))
	}
	if st, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal()), nil
	}
	return r.cmd.ProcessState.ExitCode(), nil
}

// Over reports whether what was started has ended.
func (r *Run) Over() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// Judge judges the run's file, the bars that its workers or commands logged,
// and what is left.
func (r *Run) Judge(ctx context.Context, o check.Options) (*check.Report, []string) {
	var wrong []string
	if err := r.Gone(ctx); err != nil {
		wrong = append(wrong, err.Error())
	}
	o.Bars = int64(r.Config.Bars)
	rep, bad := execrun.JudgeFile(r.Run, o)
	if left := r.Leftovers(); len(left) > 0 {
		bad = append(bad, fmt.Sprintf("files are left: %v", left))
	}
	return rep, append(wrong, bad...)
}

// Close ends all that is left of the run.
func (r *Run) Close() error {
	r.End()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := r.Ended(ctx)
	err = errors.Join(err, r.Gone(ctx))
	r.Deaf()
	r.copied.Wait()
	return err
}

// url is the address of the bus that the run printed, empty before that.
func (r *Run) url() string {
	if _, rest, ok := strings.Cut(r.Said(), "nats --server "); ok {
		if url, _, ok := strings.Cut(rest, " "); ok {
			return url
		}
	}
	return ""
}
