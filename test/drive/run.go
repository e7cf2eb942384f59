//go:build linux

package drive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config says how to start a run.
type Config struct {
	Binary string // gx1test
	// Dir is the run's own directory, made if need be: output, bar logs, the
	// program's output, runtime files. It is kept, and taken by one run only,
	// with all its sessions.
	Dir    string
	RunID  string
	Policy string
	Bars   int
	Args   []string // further flags of `run`
	Env    []string // further variables
	// Out is the output directory; empty: Dir/out.
	Out string
	// Runtime is the directory of the register; empty: Dir/runtime.
	Runtime string
}

// Run is a coordinator that was started. It leads a session of its own, so
// that all that it started can be found.
type Run struct {
	Config
	N       int // 1, 2, … of the coordinators started in Dir
	PID     int
	Started time.Time

	before    *Run          // started in Dir before this one; nil: the first
	announced chan struct{} // closed when the run_id was printed
	ready     chan struct{} // closed when the stop command was printed
	url       string        // of the bus; read it after ready
	exited    chan struct{} // closed when the process was reaped
	state     *os.ProcessState
	ended     time.Time
}

// Start starts a run and returns at once.
func Start(c Config) (*Run, error) {
	r, err := Prepare(c)
	if err != nil {
		return nil, err
	}
	return r, r.start()
}

// Prepare makes the directories of a run that somebody else starts, with
// CommandLine and Environ. What waits for the program's output or end is of no
// use with it.
func Prepare(c Config) (*Run, error) {
	if c.Out == "" {
		c.Out = filepath.Join(c.Dir, "out")
	}
	if c.Runtime == "" {
		c.Runtime = filepath.Join(c.Dir, "runtime")
	}
	r := &Run{Config: c, N: 1}
	for _, dir := range []string{c.Dir, r.Out, r.Runtime, r.Fallback()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("starting run %s: %w", c.RunID, err)
		}
	}
	if err := os.Mkdir(r.BarLog(), 0o700); err != nil { // what another run left would be judged with this one
		return nil, fmt.Errorf("starting run %s: %w", c.RunID, err)
	}
	return r, nil
}

// CommandLine is what starts the coordinator.
func (r *Run) CommandLine() []string {
	return append([]string{r.Binary, "run", "--run-id", r.RunID, "--policy", r.Policy, "--data", "synthetic:" + strconv.Itoa(r.Config.Bars),
		"--output-dir", r.Out, "--fallback-dir", r.Fallback()}, r.Args...)
}

// start starts the coordinator.
func (r *Run) start() error {
	r.announced, r.ready, r.exited = make(chan struct{}), make(chan struct{}), make(chan struct{})
	c := r.Config
	stdout, err := os.Create(r.Stdout())
	if err != nil {
		return fmt.Errorf("starting run %s: %w", c.RunID, err)
	}
	defer stdout.Close()
	stderr, err := os.Create(r.Stderr())
	if err != nil {
		return fmt.Errorf("starting run %s: %w", c.RunID, err)
	}
	line := r.CommandLine()
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout = stdout
	cmd.Env = r.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 2 * time.Second // a process that holds its standard error open must not hold us
	lines, w := io.Pipe()
	cmd.Stderr = w
	r.Started = time.Now()
	if err := cmd.Start(); err != nil {
		stderr.Close()
		return fmt.Errorf("starting run %s: %w", c.RunID, err)
	}
	r.PID = cmd.Process.Pid
	var copied sync.WaitGroup
	copied.Go(func() {
		defer stderr.Close()
		r.listen(lines, stderr)
	})
	go func() {
		_ = cmd.Wait() // the state says it all
		r.state, r.ended = cmd.ProcessState, time.Now()
		w.Close()
		copied.Wait()
		close(r.exited)
	}()
	return nil
}

// Environ is this process's environment without what would steer the program,
// and with the run's own.
func (r *Run) Environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GX1") && !strings.HasPrefix(kv, "NATS_") {
			env = append(env, kv)
		}
	}
	env = append(env, "XDG_RUNTIME_DIR="+r.Runtime, "GX1TEST_BARLOG="+r.BarLog(), r.mark())
	return append(env, r.Env...)
}

// marker begins the variable by which a run's processes are known.
const marker = "GX1TEST_RUN="

// mark names the directory too: another may have a run of the same name.
func (r *Run) mark() string { return marker + r.RunID + "@" + r.Dir }

// listen copies the program's standard error and learns from it.
func (r *Run) listen(lines io.Reader, to io.Writer) {
	s := bufio.NewScanner(lines)
	s.Buffer(nil, 64<<20) // the stub is one write, not one line, but may be long
	said, told := false, false
	for s.Scan() {
		fmt.Fprintln(to, s.Text())
		line := strings.Fields(s.Text())
		if len(line) == 2 && line[0] == "run_id" && line[1] == r.RunID && !said {
			said = true
			close(r.announced)
		}
		if len(line) >= 4 && line[0] == "nats" && !told {
			told = true
			r.url = "nats://127.0.0.1:4222" // the stock client's own
			if line[1] == "--server" {
				r.url = line[2]
			}
			close(r.ready)
		}
	}
	_, _ = io.Copy(to, lines)
}

// The places of a run.
func (r *Run) BarLog() string   { return filepath.Join(r.Dir, "barlog") }
func (r *Run) Fallback() string { return filepath.Join(r.Dir, "fallback") }
func (r *Run) Perf() string     { return filepath.Join(r.Out, "perf_"+r.RunID+".json") }
func (r *Run) Stub() string     { return filepath.Join(r.Out, "perf_"+r.RunID+"_FAILED_EXPORT.json") }
func (r *Run) Log() string      { return filepath.Join(r.Out, r.RunID, "run.log") }
func (r *Run) Stdout() string   { return filepath.Join(r.Dir, r.numbered("stdout")) }
func (r *Run) Stderr() string   { return filepath.Join(r.Dir, r.numbered("stderr")) }
func (r *Run) State() string    { return filepath.Join(r.Out, ".gx1", r.RunID) }

// numbered is name for the first coordinator, and with its number for those
// after it.
func (r *Run) numbered(name string) string {
	if r.N == 1 {
		return name
	}
	return name + "." + strconv.Itoa(r.N)
}

// FallbackPerf and FallbackStub are where both go if Out does not take them.
func (r *Run) FallbackPerf() string { return filepath.Join(r.Fallback(), "perf_"+r.RunID+".json") }

// FallbackStub: see FallbackPerf.
func (r *Run) FallbackStub() string {
	return filepath.Join(r.Fallback(), "perf_"+r.RunID+"_FAILED_EXPORT.json")
}

// Entry is the run's file in the register.
func (r *Run) Entry() string {
	return filepath.Join(r.Runtime, "gx1-replay", "runs", r.RunID+".json")
}

// Exited is closed when the program has ended.
func (r *Run) Exited() <-chan struct{} { return r.exited }

// ErrExited: the program ended before what was waited for.
var ErrExited = errors.New("the program has ended")

// Announced waits for the printed run_id.
func (r *Run) Announced(ctx context.Context) error { return r.wait(ctx, r.announced, "its run_id") }

// URL waits for the printed stop command and returns the bus's address.
func (r *Run) URL(ctx context.Context) (string, error) {
	if err := r.wait(ctx, r.ready, "its stop command"); err != nil {
		return "", err
	}
	return r.url, nil
}

func (r *Run) wait(ctx context.Context, event <-chan struct{}, what string) error {
	select {
	case <-event:
		return nil
	case <-r.exited:
		select {
		case <-event: // printed, and ended at once
			return nil
		default:
		}
		return fmt.Errorf("run %s: waiting for %s: %w", r.RunID, what, ErrExited)
	case <-ctx.Done():
		return fmt.Errorf("run %s: waiting for %s: %w", r.RunID, what, context.Cause(ctx))
	}
}

// Until waits until cond holds; it looks again every few milliseconds, and
// when the program has ended, once more.
func (r *Run) Until(ctx context.Context, what string, cond func() bool) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		over := false
		select {
		case <-r.exited:
			over = true
		default:
		}
		if cond() {
			return nil
		}
		if over {
			return fmt.Errorf("run %s: waiting until %s: %w", r.RunID, what, ErrExited)
		}
		select {
		case <-t.C:
		case <-r.exited:
		case <-ctx.Done():
			return fmt.Errorf("run %s: waiting until %s: %w", r.RunID, what, context.Cause(ctx))
		}
	}
}

// Bars is the number of bars that all attempts have logged so far.
func (r *Run) Bars() int {
	files, err := filepath.Glob(filepath.Join(r.BarLog(), "*.log"))
	if err != nil {
		return 0
	}
	n := 0
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err == nil {
			n += bytes.Count(b, []byte("\n"))
		}
	}
	return n
}

// Signal sends sig to the coordinator alone. One that has ended is no error.
func (r *Run) Signal(sig syscall.Signal) error {
	select {
	case <-r.exited: // reaped: the number may be somebody else's
		return nil
	default:
	}
	// Reaped between the two is possible only if it died within this moment,
	// and numbers are not given again that soon.
	if err := syscall.Kill(r.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %v to run %s: %w", sig, r.RunID, err)
	}
	return nil
}

// Wait waits for the program's end and returns its exit code, or a text in
// place of it if a signal ended it.
func (r *Run) Wait(ctx context.Context) (code int, err error) {
	select {
	case <-r.exited:
	case <-ctx.Done():
		return -1, fmt.Errorf("run %s has not ended: %w", r.RunID, context.Cause(ctx))
	}
	if r.state == nil || !r.state.Exited() {
		return -1, fmt.Errorf("run %s ended by %v", r.RunID, r.state)
	}
	return r.state.ExitCode(), nil
}

// Reaped waits for the program's end, however it comes.
func (r *Run) Reaped(ctx context.Context) error {
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("run %s has not ended: %w", r.RunID, context.Cause(ctx))
	}
}

// Lived is how long the program lived; call it after Wait.
func (r *Run) Lived() time.Duration { return r.ended.Sub(r.Started) }
