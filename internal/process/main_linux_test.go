package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gx1replay/test/selfexec"
)

// roleEnv makes the test binary play a worker, or an owner of workers, in a
// process of its own.
const (
	roleEnv  = "PROCESS_TEST_ROLE"
	depthEnv = "PROCESS_TEST_DEPTH" // helpers above this one
)

// guardVerb makes it a guard, which is told nothing by its environment.
const guardVerb = "process-test-guard"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == guardVerb {
		time.AfterFunc(2*deadline, func() { os.Exit(97) })
		selfexec.Exit(GuardMain(os.Args[2:]))
	}
	if role := os.Getenv(roleEnv); role != "" {
		selfexec.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// play is the life of a helper process. What it prints ends up with the test.
func play(role string) int {
	// A mistake in a role must not fill the machine: nobody lives long, and
	// nobody nests deep.
	time.AfterFunc(2*deadline, func() { os.Exit(97) })
	depth, _ := strconv.Atoi(os.Getenv(depthEnv))
	if depth > 3 {
		return 96
	}
	os.Setenv(depthEnv, strconv.Itoa(depth+1))

	name, arg, _ := strings.Cut(role, " ")
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	f, ok := InheritedLifeline(os.Getenv)
	var gone <-chan struct{}
	if ok {
		gone = Lifeline(f).Gone
	}
	switch name {
	case "exit": // with the given code, at once
		code, err := strconv.Atoi(arg)
		if err != nil {
			return 99
		}
		return code
	case "wait": // for SIGTERM or the end of the lifeline
		fmt.Println("ready", os.Getpid(), ok)
		select {
		case <-term:
			fmt.Println("told to go")
			if ok { // a worker that wants no watcher left
				f.Close()
				<-gone
			}
			return 0
		case <-gone:
			return 7
		}
	case "stubborn": // SIGTERM does nothing
		fmt.Println("ready", os.Getpid(), ok)
		<-gone // never, in these tests
		return 7
	case "stop": // stops itself
		fmt.Println("stopping", os.Getpid(), ok)
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-term
		return 0
	case "parent": // of a stubborn one in the same group; then waits for SIGTERM
		fmt.Println("child", sprout("forever"))
		<-term
		return 0
	case "orphan": // leaves a process in its group and exits
		fmt.Println("child", sprout("forever"))
		return 3
	case "forever":
		<-make(chan int)
		return 99
	case "escape": // leaves a process outside the group, which holds the output
		self := os.NewFile(4, "release")
		attr := &os.ProcAttr{
			Env:   roleEnviron("until-release"),
			Files: []*os.File{nil, os.Stdout, os.Stderr, nil, self},
			Sys:   &syscall.SysProcAttr{Setsid: true},
		}
		if _, err := os.StartProcess(os.Args[0], os.Args[:1], attr); err != nil {
			fmt.Println(err)
			return 99
		}
		return 3
	case "until-release":
		io.Copy(io.Discard, os.NewFile(4, "release"))
		return 0
	case "talk": // on both outputs, then n bytes
		n, _ := strconv.Atoi(arg)
		fmt.Fprintln(os.Stdout, "one")
		fmt.Fprintln(os.Stderr, "two")
		fmt.Fprintln(os.Stdout, "three")
		if _, err := os.Stdout.Write(bytes.Repeat([]byte("x"), n)); err != nil {
			return 98
		}
		return 3
	case "env":
		fmt.Println(os.Getenv("GIVEN"), os.Getenv(LifelineEnv), strings.Join(os.Args[1:], " "))
		wd, _ := os.Getwd()
		fmt.Println(wd)
		return 3
	case "owner": // of one worker, until it is killed
		p, err := New(Config{
			N: 1,
			Command: func(int) Spec {
				spec := helper("wait")
				spec.ExtraFiles = []*os.File{os.NewFile(4, "held")}
				return spec
			},
			LogWriter: func(int) io.Writer { return os.Stdout },
		})
		if err != nil {
			return 99
		}
		fmt.Println(p.Run(context.Background()))
		return 0
	case "subreaper":
		return playSubreaper()
	case "daemon": // leaves a process that is no child and in no group of its own, and exits
		fmt.Println("daemon", sproutDaemon())
		code, _ := strconv.Atoi(arg)
		return code
	case "daemon-parent": // between the two
		fmt.Println(sprout("forever"))
		return 0
	case "daemon-wait": // the same, and waits
		fmt.Println("daemon", sproutDaemon())
		<-make(chan int)
		return 99
	case "mute-guard": // a guard whose words nobody hears
		return playMuteGuard()
	case "holder": // of a guarded command, until it is killed
		return playHolder()
	}
	fmt.Println("unknown role", role)
	return 99
}

// roleEnviron is this process's environment with another role. The variable
// stands there once: of two, a program sees the first.
func roleEnviron(role string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, roleEnv+"=") })
	// With -race each process would sleep for a second when it exits.
	return append(env, roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
}

// sprout starts a helper in the same process group and returns its pid.
func sprout(role string) int {
	p, err := os.StartProcess(os.Args[0], os.Args[:1], &os.ProcAttr{
		Env:   roleEnviron(role),
		Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return -1
	}
	return p.Pid
}

// sproutDaemon starts a process as daemons start themselves: a session of its
// own, and the process between is gone.
func sproutDaemon() int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = roleEnviron("daemon-parent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return -1
	}
	if err := cmd.Start(); err != nil {
		return -1
	}
	pid := -1
	_, _ = fmt.Fscan(out, &pid)
	_ = cmd.Wait()
	return pid
}

// helper is the Spec of a process that plays role.
func helper(role string) Spec {
	return Spec{Path: os.Args[0], Env: roleEnviron(role)}
}

func all(role string) func(int) Spec { return func(int) Spec { return helper(role) } }

// deadline is generous: it is reached only when something is broken.
const deadline = 30 * time.Second

// bench is a pool under test with all that it announced.
type bench struct {
	t      *testing.T
	pool   *Pool
	cancel context.CancelFunc
	events chan Event
	lines  chan string
	result chan error
	pids   map[int]bool // of every process that was started
}

// newBench starts a pool; its processes are checked to be gone when it has
// ended.
func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{
		t: t, events: make(chan Event, 1<<16), lines: make(chan string, 1<<10),
		result: make(chan error, 1), pids: map[int]bool{},
	}
	cfg.Notify = func(e Event) { b.events <- e }
	if cfg.LogWriter == nil {
		cfg.LogWriter = func(int) io.Writer { return &lineWriter{to: b.lines} }
	}
	pool, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.pool = pool
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	t.Cleanup(func() { pool.Kill(); cancel() })
	go func() { b.result <- pool.Run(ctx) }()
	return b
}

// next waits for the next event of the kind; others are taken note of and
// passed over.
func (b *bench) next(kind EventKind) Event {
	b.t.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case e := <-b.events:
			b.note(e)
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			b.t.Fatalf("no event %q", kind)
		}
	}
}

func (b *bench) note(e Event) {
	if e.PID != 0 {
		b.pids[e.PID] = true
	}
}

// line waits for a line of output that begins with prefix and returns the
// rest.
func (b *bench) line(prefix string) string {
	b.t.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case l := <-b.lines:
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				return strings.TrimSpace(rest)
			}
		case <-timeout:
			b.t.Fatalf("no line of output begins with %q", prefix)
		}
	}
}

// wait waits for the end of Run, checks invariant 1 and returns Run's error.
func (b *bench) wait() error {
	b.t.Helper()
	var err error
	select {
	case err = <-b.result:
	case <-time.After(deadline):
		b.t.Fatal("Run does not return")
	}
	for {
		select {
		case e := <-b.events:
			b.note(e)
			continue
		default:
		}
		break
	}
	for pid := range b.pids {
		if st, err := readStat(pid); err == nil && st.ppid == os.Getpid() {
			b.t.Errorf("worker %d is there after Run: %+v", pid, st)
		}
		// Dead members whose reaper takes its time are none of ours.
		if live, zombies := members(pid); live > 0 {
			b.t.Errorf("group %d after Run has %d processes", pid, live)
		} else if err := syscall.Kill(-pid, 0); zombies == 0 && err != syscall.ESRCH {
			b.t.Errorf("group %d after Run: %v (want no such process)", pid, err)
		}
	}
	if z := zombies(b.t); len(z) > 0 {
		b.t.Errorf("children left unreaped: %v", z)
	}
	return err
}

// stop ends the pool by its context.
func (b *bench) stop() error {
	b.t.Helper()
	b.cancel()
	return b.wait()
}

// zombies returns the dead children of this process that nobody reaped.
func zombies(t *testing.T) (pids []int) {
	t.Helper()
	dir, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dir {
		pid, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && st.ppid == os.Getpid() && st.dead() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// lineWriter hands on whole lines.
type lineWriter struct {
	to   chan<- string
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.to <- string(line)
		w.rest = rest
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
