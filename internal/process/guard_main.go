package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// strayWait is how long a guard whose worker is gone continues killing.
const strayWait = 30 * time.Second

// endWait is the least time between SIGTERM and SIGKILL for the descendants of a
// command, which may have to remove shared memory or a lock.
const endWait = time.Second

// GuardName is what ps and killall show: a killall of this program's name must not
// end a guard before its command.
const GuardName = "gx1r-guard"

// GuardEnv marks a command's processes with the name of their guard: number, start
// time, and namespace of the number.
const GuardEnv = "GX1R_GUARD"

// GuardMain is the guard's own main, for the program's hidden verb, and
// returns its exit code. It takes no arguments: what to start comes through a
// pipe. Nothing should have been done before that a command could inherit.
//
// It starts the command in a process group of its own, passes on what it is
// asked for, and kills all that is left of the command when its leader has
// ended, when it is asked to, and when its worker is gone.
func GuardMain(args []string) int {
	// PR_SET_PDEATHSIG is tied to the thread that forked: this one stays.
	runtime.LockOSThread()
	if len(args) > 0 || !isPipe(controlFD) || !isPipe(statusFD) {
		fmt.Fprintln(os.Stderr, "this verb is for the program itself: it guards a worker's command")
		return 64
	}
	// A Ctrl-C and a kill of the worker's group must not end the guard first.
	// Caught, not ignored: the command would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	keepFromCommand(controlFD)
	takeName(GuardName)

	control, status := os.NewFile(controlFD, "control"), os.NewFile(statusFD, "status")
	var o order
	if err := readFrame(control, maxOrder, &o); err != nil {
		return 1 // no worker is left to receive it
	}
	g := &guard{order: o, control: control}
	if err := g.start(); err != nil {
		f := &failed{Text: err.Error()}
		_ = errors.As(err, &f.Errno)
		_ = writeFrame(status, word{Failed: f})
		return 1
	}
	_ = writeFrame(status, word{Started: &started{PID: g.pid, Memory: g.memory, Cgroup: g.cgroup.path()}})
	exit := g.run()
	g.cgroup.remove()
	_ = writeFrame(status, word{Ended: &exit})
	return 0
}

type guard struct {
	order   order
	control *os.File
	pid     int     // the command's leader
	cgroup  *cgroup // nil: none
	memory  string  // as MemoryLimit
	used    usage   // by processes that were reaped
}

// start starts the command and closes its standard descriptors here.
func (g *guard) start() error {
	if err := adoptOrphans(); err != nil {
		return err
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	defer syscall.Close(null)
	if err := g.startCommand(); err != nil {
		return err
	}
	for fd := range 3 {
		if err := replaceFD(null, fd); err != nil {
			_ = syscall.Kill(-g.pid, sigKill)
			return fmt.Errorf("closing descriptor %d: %w", fd, err)
		}
	}
	// It waits from now on.
	ReleaseProgram()
	return nil
}

func (g *guard) forkExec(attr *syscall.SysProcAttr) (pid int, err error) {
	attr.Setpgid = true
	return syscall.ForkExec(string(g.order.Path), texts(g.order.Args), &syscall.ProcAttr{
		Dir:   string(g.order.Dir),
		Env:   append(texts(g.order.Env), guardMark()...),
		Files: []uintptr{0, 1, 2},
		Sys:   attr,
	})
}

// run waits for the command's end, causes it if asked to, and kills what is left.
// The leader stays unreaped until its group has been killed, so that no other
// process gets its number.
func (g *guard) run() Exit {
	ended := make(chan usage, 1)
	go func() { ended <- awaitLeader(g.pid) }()
	asked := make(chan byte)
	go listen(g.control, asked)

	terminated := false
	for {
		select {
		case used := <-ended:
			g.used.add(used)
			left := len(descendants(os.Getpid()))
			g.bidEnd(terminated, asked)
			exit := g.finish(time.Now().Add(killedWait))
			exit.Left = left
			return exit
		case b, ok := <-asked:
			if ok && b == askTerminate {
				terminated = true
				_ = syscall.Kill(-g.pid, sigTerm)
				continue
			}
			if ok && b != askKill {
				continue
			}
			patience := killedWait
			if !ok {
				patience = strayWait
			}
			return g.kill(ended, terminated, patience)
		}
	}
}

// bidEnd sends SIGTERM to what is left of a command whose leader has ended or dies
// now, and waits until nothing is left: for endWait or, after a stop, the rest of
// the command's grace, until the worker asks for the kill or is gone. asked is nil
// if the grace is over. The group of a terminated command has had its SIGTERM: a
// second one could mean something else.
func (g *guard) bidEnd(terminated bool, asked <-chan byte) {
	told := map[kin]bool{}
	least := time.Now().Add(endWait)
	over := !terminated || asked == nil
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		g.reapOrphans()
		left := 0
		for _, p := range descendants(os.Getpid()) {
			if p.pid == g.pid {
				continue
			}
			left++
			if !told[p] {
				told[p] = true
				if !terminated || !p.inGroup(g.pid) {
					p.signal(sigTerm)
				}
			}
		}
		if left == 0 || over && time.Now().After(least) {
			return
		}
		select {
		case b, ok := <-asked:
			if over = over || !ok || b == askKill; !ok {
				asked = nil
			}
		case <-time.After(pause):
		}
	}
}

// reapOrphans reaps orphans that became ours, not the leader.
func (g *guard) reapOrphans() {
	pids, _ := childrenOf(os.Getpid())
	for _, pid := range pids {
		var ru syscall.Rusage
		if pid == g.pid {
			continue
		}
		if got, err := wait4(pid, nil, syscall.WNOHANG, &ru); err == nil && got == pid {
			g.used.add(usageOf(ru))
		}
	}
}

// kill kills the leader of a command at once, and its descendants after their time.
func (g *guard) kill(ended <-chan usage, terminated bool, patience time.Duration) Exit {
	_ = syscall.Kill(g.pid, sigKill)
	g.bidEnd(terminated, nil)
	until := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		g.killAll()
		select {
		case used := <-ended:
			g.used.add(used)
			exit := g.finish(until)
			exit.Killed = exit.Signal == sigKill
			return exit
		case <-time.After(pause):
		}
		if time.Now().After(until) {
			// In an uninterruptible system call, or not ours to kill.
			return g.used.exit(Exit{Code: -1, Signal: sigKill, Killed: true, Alive: len(descendants(os.Getpid()))})
		}
	}
}

// finish kills and reaps what the ended leader left behind.
func (g *guard) finish(until time.Time) Exit {
	g.killAll()
	exit := Exit{Code: -1, Signal: sigKill, Lost: true} // if something else has reaped it
	var ws syscall.WaitStatus
	var ru syscall.Rusage
	if _, err := wait4(g.pid, &ws, 0, &ru); err == nil {
		g.used.add(usageOf(ru))
		exit = Exit{Code: ws.ExitStatus()} // -1 after a signal
		if ws.Signaled() {
			exit.Signal = ws.Signal()
		}
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		// Orphans are given to us, so a process without children has no descendants.
		for {
			pid, err := wait4(-1, nil, syscall.WNOHANG, &ru)
			if err != nil {
				return g.used.exit(exit) // ECHILD
			}
			if pid == 0 {
				break
			}
			g.used.add(usageOf(ru))
		}
		if time.Now().After(until) {
			exit.Alive = len(descendants(os.Getpid()))
			return g.used.exit(exit)
		}
		time.Sleep(pause)
		g.killDescendants()
	}
}

// killAll kills the command's group and all descendants, while the leader is
// unreaped.
func (g *guard) killAll() {
	g.cgroup.kill()
	_ = syscall.Kill(-g.pid, sigKill)
	g.killDescendants()
}

// killDescendants also kills those that left the group. New ones are found the next
// time.
func (g *guard) killDescendants() {
	for _, p := range descendants(os.Getpid()) {
		p.kill()
	}
}

func listen(control *os.File, asked chan<- byte) {
	defer close(asked)
	b := make([]byte, 1)
	for {
		if n, err := control.Read(b); n == 0 || err != nil {
			return
		}
		asked <- b[0]
	}
}

type usage struct {
	user, sys float64 // CPU seconds
	rss       int64   // bytes; of the largest
}

func (u *usage) add(o usage) {
	u.user += o.user
	u.sys += o.sys
	u.rss = max(u.rss, o.rss)
}

func (u *usage) exit(e Exit) Exit {
	e.UserSec, e.SysSec, e.MaxRSSBytes = u.user, u.sys, u.rss
	return e
}

func usageOf(ru syscall.Rusage) usage {
	return usage{
		user: time.Duration(ru.Utime.Nano()).Seconds(),
		sys:  time.Duration(ru.Stime.Nano()).Seconds(),
		rss:  int64(ru.Maxrss) * maxrssUnit,
	}
}

func isPipe(fd int) bool {
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFIFO
}

func wait4(pid int, ws *syscall.WaitStatus, options int, ru *syscall.Rusage) (int, error) {
	for {
		got, err := syscall.Wait4(pid, ws, options, ru)
		if err != syscall.EINTR {
			return got, err
		}
	}
}

func texts(list [][]byte) []string {
	s := make([]string, len(list))
	for i, b := range list {
		s[i] = string(b)
	}
	return s
}
