package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What keeps a command from starting, with what a shell reports of it.
var (
	ErrNotFound      = errors.New("command not found")      // 127
	ErrNotExecutable = errors.New("command not executable") // 126
)

const (
	// guardStartWait bounds the wait for a guard's first message, which mostly
	// comes within 50 ms. Overload must not fail it.
	guardStartWait = time.Minute
	// killedWait bounds the wait for killed processes to be gone. They die at
	// once unless they sit in an uninterruptible system call.
	killedWait = time.Second
	// guardKillWait is a guard's time for Kill, with a reserve for overload. A
	// guard that does not answer, because it was stopped, is killed then.
	guardKillWait = endWait + killedWait + 4*time.Second
	// guardAskWait bounds the writing of a byte to the guard: a pipe that is
	// full has no reader.
	guardAskWait = time.Second
)

// Command is a command that runs under a guard.
type Command struct {
	Path      string   // a relative one is taken from Dir; PATH is not searched, see LookPath
	Args      []string // with the program's name first; empty: Path alone
	Env       []string // the whole environment, as "NAME=value", passed as it is
	Dir       string   // working directory; empty: this process's own
	Stdin     bool     // a pipe on standard input; else it reads the null device
	MemoryMax int64    // bytes; 0: no limit
}

// Exit is how a command ended.
type Exit struct {
	Code   int            // -1 for a signal
	Signal syscall.Signal // 0 without one
	Killed bool           // by our SIGKILL; a command that ended before it came is not

	// CPU seconds of all its processes that were waited for, and the peak of the
	// largest. The kernel counts what a process was before exec, so it is at least
	// the guard's own few MB.
	UserSec     float64
	SysSec      float64
	MaxRSSBytes int64

	// Left were still there when the command's leader had ended by itself, and were
	// killed then. Alive do not die of SIGKILL within a second.
	Left  int
	Alive int

	// Lost: the guard died first, so the exit is unknown. Code is -1, Signal the
	// SIGKILL that the guard's death sends.
	Lost bool
}

func (e Exit) String() string {
	switch {
	case e.Lost:
		return "signal: killed (its guard was killed)"
	case e.Signal != 0:
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Guarded is a command under its guard. Several goroutines may call all methods at
// any time and again.
type Guarded struct {
	guard                 *os.Process
	control, status       *os.File
	stdin, stdout, stderr *os.File
	pid                   int
	memory                string
	cgroup                string // its directory, if it has one
	killed                atomic.Bool
	killWait              time.Duration
	killOnce, closeOnce   sync.Once
	done                  chan struct{}
	exit                  Exit // valid once done is closed
}

// StartGuarded starts guard, which is this executable with its hidden verb,
// and under it cmd. It returns when cmd runs. The error of a command that
// cannot be started contains its path and wraps ErrNotFound or ErrNotExecutable;
// other errors mean that trying again may help.
//
// Guard and command lead a process group each. When this process ends, however
// it ends, the guard kills the command's group and, on Linux, every descendant,
// those that left the group too. When the guard itself is killed, the command's
// leader dies with it and its group is killed from here; descendants that left
// the group are then found only where there is a cgroup.
//
// Of guard, Path, Args and Dir count, and Env, which if nil holds nothing of
// this process's own environment.
func StartGuarded(guard Spec, cmd Command) (*Guarded, error) {
	return startUnder(guard, cmd, guardStartWait)
}

// startUnder is StartGuarded with a bound for the wait for the guard's message.
func startUnder(guard Spec, cmd Command, wait time.Duration) (g *Guarded, err error) {
	order, err := cmd.order()
	if err != nil {
		return nil, err
	}
	var pipes pipes
	defer func() { pipes.close(err != nil) }()
	g = &Guarded{killWait: guardKillWait, done: make(chan struct{})}
	// One thread at a time is enough for a guard, and starts fastest.
	start := guard.cmd(append(slices.Clip(guard.Env), "GOMAXPROCS=1"))
	var control, status, stdin, stdout, stderr *os.File
	control, g.control = pipes.toIt()
	status, g.status = pipes.fromIt()
	start.ExtraFiles = []*os.File{control, status} // controlFD, statusFD
	stdout, g.stdout = pipes.fromIt()
	stderr, g.stderr = pipes.fromIt()
	start.Stdout, start.Stderr = stdout, stderr
	if cmd.Stdin {
		stdin, g.stdin = pipes.toIt()
		start.Stdin = stdin
	}
	if pipes.err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, pipes.err)
	}
	if err := start.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard of %s: %w", cmd.Path, err)
	}
	g.guard = start.Process
	// Its ends are closed before the wait, so that a guard's death ends its status.
	pipes.close(false)
	if err := g.begin(order, wait); err != nil {
		g.abandon()
		return nil, commandError(cmd, err)
	}
	go g.watch()
	return g, nil
}

func (c Command) order() (order, error) {
	if c.Path == "" {
		return order{}, fmt.Errorf("%w: its path is empty", ErrNotFound)
	}
	args := c.Args
	if len(args) == 0 {
		args = []string{c.Path}
	}
	dir := c.Dir
	if dir == "" {
		dir = "."
	}
	o := order{Path: []byte(c.Path), Args: byteSlices(args), Env: byteSlices(c.Env), MemoryMax: c.MemoryMax}
	// The path is not cleaned: a directory may be a symbolic link.
	if dir[0] != '/' {
		wd, err := os.Getwd()
		if err != nil {
			return order{}, fmt.Errorf("starting %s: %w", c.Path, err)
		}
		dir = wd + "/" + dir
	}
	o.Dir = []byte(dir)
	size := 0
	for _, s := range slices.Concat([]string{c.Path, dir}, args, c.Env) {
		if size += len(s) + 1; strings.ContainsRune(s, 0) {
			return order{}, fmt.Errorf("starting %s: an argument or a variable holds a zero byte", c.Path)
		}
	}
	if size > maxCommandBytes {
		return order{}, fmt.Errorf("starting %s: arguments and environment of %d bytes (at most %d)", c.Path, size, maxCommandBytes)
	}
	if info, err := os.Stat(dir); err != nil {
		return order{}, fmt.Errorf("starting %s in its working directory: %w", c.Path, classified(err))
	} else if !info.IsDir() {
		return order{}, fmt.Errorf("starting %s in its working directory: %s is no directory: %w", c.Path, c.Dir, ErrNotExecutable)
	}
	return o, nil
}

func (g *Guarded) begin(o order, wait time.Duration) error {
	until := time.Now().Add(wait)
	_ = g.control.SetWriteDeadline(until)
	if err := writeFrame(g.control, o); err != nil {
		return fmt.Errorf("sending the command to its guard: %w", err)
	}
	_ = g.status.SetReadDeadline(until)
	var w word
	if err := readFrame(g.status, maxWord, &w); err != nil {
		return fmt.Errorf("waiting for its guard's answer: %w", err)
	}
	_ = g.status.SetReadDeadline(time.Time{})
	switch {
	case w.Failed != nil && w.Failed.Errno != 0:
		return classified(w.Failed.Errno)
	case w.Failed != nil:
		return errors.New(w.Failed.Text)
	case w.Started == nil || w.Started.PID <= 1:
		return errors.New("its guard's first message does not report the start")
	}
	g.pid, g.memory, g.cgroup = w.Started.PID, w.Started.Memory, w.Started.Cgroup
	return nil
}

// abandon ends a guard that did not report its start, and what it may have started.
func (g *Guarded) abandon() {
	_ = g.control.Close() // it kills its command and exits
	t := time.AfterFunc(g.killWait, func() { _ = g.guard.Kill() })
	defer t.Stop()
	_, _ = g.guard.Wait()
}

func (g *Guarded) watch() {
	defer close(g.done)
	var w word
	err := readFrame(g.status, maxWord, &w)
	// With its last message a guard has done all it can.
	_ = g.guard.Kill()
	_, _ = g.guard.Wait()
	if err == nil && w.Ended != nil {
		g.exit = *w.Ended
		return
	}
	g.exit = Exit{Code: -1, Signal: sigKill, Killed: g.killed.Load(), Lost: true}
	killCgroup(g.cgroup)
	g.exit.Alive = killStrays(g.pid)
	removeCgroup(g.cgroup)
}

// PID is the command's process number. It leads its process group.
func (g *Guarded) PID() int { return g.pid }

// Stdin is the pipe to the command's standard input; nil unless asked for.
func (g *Guarded) Stdin() io.WriteCloser {
	if g.stdin == nil {
		return nil
	}
	return g.stdin
}

// Stdout and Stderr are read ends. They end when no process holds the other
// end, and can be read after Done; Close closes them.
func (g *Guarded) Stdout() *os.File { return g.stdout }

// Stderr is like Stdout.
func (g *Guarded) Stderr() *os.File { return g.stderr }

// MemoryLimit returns how MemoryMax is kept: "cgroup" (the memory of all its
// processes together; one that is over it is killed), "rlimit" (the address
// space of each process; what it asks for beyond is refused), "" if none was
// asked for, else a sentence with the reason why there is none.
func (g *Guarded) MemoryLimit() string { return g.memory }

// Terminate sends SIGTERM to the command's group, and to what has left the group
// when the leader has ended. What is left has until Kill, and at least a second.
// It does not wait.
func (g *Guarded) Terminate() { g.ask(askTerminate) }

// Kill sends SIGKILL to the leader, and to the group and all descendants after
// a SIGTERM and a second in which they may end by themselves. It does not wait;
// Done is closed within some 7 s, whatever they do, and mostly at once.
func (g *Guarded) Kill() {
	g.killOnce.Do(func() {
		g.killed.Store(true)
		// Of a guard that has ended in time this does nothing.
		time.AfterFunc(g.killWait, func() { _ = g.guard.Kill() })
		g.ask(askKill)
	})
}

// ask writes a byte to the guard, which may be gone.
func (g *Guarded) ask(b byte) {
	_ = g.control.SetWriteDeadline(time.Now().Add(guardAskWait))
	_, _ = g.control.Write([]byte{b})
}

// Done is closed when the command and all its descendants are gone and reaped,
// but for Exit's Alive.
func (g *Guarded) Done() <-chan struct{} { return g.done }

// Exit returns how the command ended. It waits for Done.
func (g *Guarded) Exit() Exit {
	<-g.done
	return g.exit
}

// Usage returns what the command has used up to now, with its descendants, as
// far as the system shows it; 0 where it does not. CPU seconds are those of
// processes that live or were waited for, and memory is the sum of what is
// resident now: pages that several share count for each. After Done there is
// Exit.
func (g *Guarded) Usage() (userSec, sysSec float64, rssBytes int64) {
	select {
	case <-g.done:
		return g.exit.UserSec, g.exit.SysSec, 0
	default:
	}
	return treeUsage(g.guard.Pid)
}

// Close kills what is left, waits for Done and closes the pipes.
func (g *Guarded) Close() {
	g.closeOnce.Do(func() {
		select {
		case <-g.done:
		default:
			g.Kill()
			<-g.done
		}
		for _, f := range []*os.File{g.control, g.status, g.stdout, g.stderr, g.stdin} {
			if f != nil {
				f.Close()
			}
		}
	})
}

func classified(err error) error {
	switch startCode(err) {
	case 127:
		return fmt.Errorf("%w (%w)", ErrNotFound, err)
	case 126:
		return fmt.Errorf("%w (%w)", ErrNotExecutable, err)
	}
	return err
}

// commandError names what did not start. A script without its interpreter gives the
// same error as no script.
func commandError(cmd Command, err error) error {
	if errors.Is(err, syscall.ENOENT) {
		if by := interpreter(cmd); by != "" {
			return fmt.Errorf("starting %s: its first line names the interpreter %s: %w", cmd.Path, by, err)
		}
	}
	if errors.Is(err, syscall.ENOEXEC) {
		return fmt.Errorf("starting %s: no program of this system, and no #! in its first line: %w", cmd.Path, err)
	}
	return fmt.Errorf("starting %s: %w", cmd.Path, err)
}

func interpreter(cmd Command) string {
	path := cmd.Path
	if path[0] != '/' {
		path = cmd.Dir + "/" + path
		if cmd.Dir == "" {
			path = cmd.Path
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	first := make([]byte, 256)
	n, _ := io.ReadFull(f, first)
	line, ok := strings.CutPrefix(string(first[:n]), "#!")
	if !ok {
		return ""
	}
	line, _, _ = strings.Cut(line, "\n")
	name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return strings.TrimSpace(name)
}

func byteSlices(list []string) [][]byte {
	b := make([][]byte, len(list))
	for i, s := range list {
		b[i] = []byte(s)
	}
	return b
}
