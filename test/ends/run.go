//go:build linux

package ends

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	Env                []string      // further variables
	Before             []string      // what the command line begins with, such as timeout 5
	Terminal           bool          // of its own; else its output goes into pipes
	Container          bool          // a PID namespace, in which what is started is process 1
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
		}, p.Args...),
		// A run whose test was killed does not wait for ever.
		Env: append([]string{"GX1_MASTER_WAIT_TIMEOUT_SEC=300", "GX1TEST_BAR_SLEEP=" + p.Bar.String()}, p.Env...),
	}
	if p.Exec {
		root, err := drive.Root()
		if err != nil {
			return c, err
		}
		c.Policy = filepath.Join(root, "examples", "python", "policy.yaml")
		c.Args = append(append(c.Args, "--engine", "exec", "--exec-env", "GX1TEST_*", "--slice-format", "csv", "--"), p.command()...)
		return c, nil
	}
	c.Policy = filepath.Join(p.Dir, "policy.yaml")
	return c, drive.WritePolicy(c.Policy, 0)
}

// command is the command of the engine exec.
func (p Plan) command() []string {
	return []string{p.Binary, "command", "--bar", p.Bar.String(), "--flush", p.Flush.String()}
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
	if r.plan.Container {
		r.cmd = inContainer(line...)
	} else {
		r.cmd = exec.Command(line[0], line[1:]...)
		r.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	r.exited = make(chan struct{})
	r.cmd.Env, r.cmd.Dir, r.cmd.SysProcAttr.Setsid = r.Environ(), r.Dir, true
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

// inContainer makes a command in a PID namespace, with a /proc of its own.
func inContainer(line ...string) *exec.Cmd {
	const enter = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", enter, "sh"}, line...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return cmd
}

// Possible says why a run cannot be started as p says on this machine; nil: it
// can.
func (p Plan) Possible() error {
	if p.Container {
		if out, err := inContainer("true").CombinedOutput(); err != nil {
			return fmt.Errorf("making a PID namespace, which takes root: %w: %s", err, out)
		}
	}
	if len(p.Before) > 0 {
		if _, err := exec.LookPath(p.Before[0]); err != nil {
			return fmt.Errorf("starting a run: %w", err)
		}
	}
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

// Said is what the run has printed so far, to its readers or under nohup.
func (r *Run) Said() string {
	aside, _ := os.ReadFile(filepath.Join(r.Dir, "nohup.out")) // mostly it is not there
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String() + string(aside)
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
func (r *Run) Coordinator() int { return r.coordinator().PID }

func (r *Run) coordinator() drive.Process {
	for _, p := range r.Alive() {
		if len(p.Args) > 1 && p.Args[0] == r.Binary && p.Args[1] == "run" {
			return p
		}
	}
	return drive.Process{}
}

// Suspended reports whether the coordinator is, as by Ctrl-Z.
func (r *Run) Suspended() bool { return r.coordinator().State == "T" }

// Signal signals the coordinator alone.
func (r *Run) Signal(sig syscall.Signal) error { return kill(r.Coordinator(), sig) }

// SignalAll sends the signals, one after the other, to each process of the run,
// as the end of a unit of systemd does.
func (r *Run) SignalAll(signals ...syscall.Signal) error { return signalEach(r.Alive(), signals) }

// SignalAllCoordinatorLast is SignalAll in another order: the system has none.
func (r *Run) SignalAllCoordinatorLast(signals ...syscall.Signal) error {
	coordinator := r.Coordinator()
	list := r.Alive()
	slices.SortStableFunc(list, func(p, q drive.Process) int {
		switch coordinator {
		case p.PID:
			return 1
		case q.PID:
			return -1
		}
		return q.PID - p.PID
	})
	return signalEach(list, signals)
}

func signalEach(list []drive.Process, signals []syscall.Signal) error {
	var errs []error
	for _, p := range list {
		for _, sig := range signals {
			errs = append(errs, kill(p.PID, sig))
		}
	}
	return errors.Join(errs...)
}

// SignalGroup signals the group of the process that was started.
func (r *Run) SignalGroup(sig syscall.Signal) error { return kill(-r.PID, sig) }

// termSeq does to the process group what GNU parallel does by its --termseq:
// SIGTERM and a wait, as often as there are waits, and then SIGKILL, as long as
// somebody of the group lives.
func (r *Run) termSeq(ctx context.Context, waits ...time.Duration) error {
	for _, wait := range waits {
		if err := r.SignalGroup(syscall.SIGTERM); err != nil {
			return err
		}
		patient, cancel := context.WithTimeout(ctx, wait)
		_, err := r.Ended(patient)
		cancel()
		if err == nil {
			return nil
		}
	}
	return r.SignalGroup(syscall.SIGKILL)
}

// exported waits until a file stands that says why the run was stopped.
func (r *Run) exported(ctx context.Context) error {
	return r.Until(ctx, "the file is there", func() bool {
		_, err := os.Stat(r.Perf())
		return err == nil || r.Over()
	})
}

// pause waits, as the system that ends the run does.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

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

// Over reports whether what was started has ended, and with it the
// coordinator, which outlives the shell of a terminal that is closed.
func (r *Run) Over() bool {
	select {
	case <-r.exited:
		return r.Coordinator() == 0
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
	// A coordinator that was killed is still in the register, until somebody looks.
	if left := r.Leftovers(); len(left) > 0 && !o.Early {
		bad = append(bad, fmt.Sprintf("files are left: %v", left))
	}
	return rep, append(wrong, bad...)
}

// Cut lists the commands that were ended before they had ended in order, by the
// names of their logs.
func (r *Run) Cut() (list []string) {
	if !r.plan.Exec {
		return nil
	}
	logs, err := filepath.Glob(filepath.Join(r.BarLog(), "*.log"))
	if err != nil {
		return []string{err.Error()}
	}
	for _, path := range logs {
		if st, err := os.Stat(path); err == nil && st.Size() == 0 {
			continue // of a process that replays nothing
		}
		if _, err := os.Stat(strings.TrimSuffix(path, ".log") + ".ended"); err != nil {
			list = append(list, filepath.Base(path))
		}
	}
	return list
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
