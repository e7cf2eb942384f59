package process

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxrssUnit is what an rusage counts memory in, in bytes.
const maxrssUnit = 1 << 10

// adoptOrphans makes orphaned descendants children of this process.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("becoming the reaper of the command's orphans: %w", err)
	}
	return nil
}

// keepFromCommand closes fd and all above it on exec.
func keepFromCommand(fd int) {
	if unix.CloseRange(uint(fd), 1<<31-1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for i := fd; i < 1<<10; i++ { // before Linux 5.11
		unix.CloseOnExec(i)
	}
}

func replaceFD(with, fd int) error { return unix.Dup3(with, fd, 0) }

// startCommand starts the command with its limit of memory, in a cgroup of its own
// if the system allows it, else without.
func (g *guard) startCommand() (err error) {
	limit := g.order.MemoryMax
	var why error
	g.cgroup, why = newCgroup(limit)
	limited := g.cgroup != nil && g.cgroup.memory
	attr := &syscall.SysProcAttr{
		Pdeathsig: sigKill,
		// A traced process stops after exec, so it has its limit first.
		Ptrace: limit > 0 && !limited,
	}
	if g.cgroup != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, g.cgroup.fd
	}
	if g.pid, err = g.forkExec(attr); err != nil {
		// The reason may be the command or what was wished for it.
		if g.cgroup == nil && !attr.Ptrace {
			return err
		}
		if limited {
			why = fmt.Errorf("starting it in a cgroup: %w", err)
		}
		g.cgroup.remove()
		g.cgroup, limited = nil, false
		attr = &syscall.SysProcAttr{Pdeathsig: sigKill}
		if g.pid, err = g.forkExec(attr); err != nil {
			return err
		}
	}
	switch {
	case limit <= 0:
		return nil
	case limited:
		g.memory = "cgroup"
		return nil
	case attr.Ptrace:
		awaitStop(g.pid)
	}
	// Untraced it runs by now. What it has mapped counts, what it started
	// within this moment has no limit.
	if err := limitMemory(g.pid, limit); err != nil {
		g.memory = fmt.Sprintf("no limit: %v; %v", why, err)
	} else {
		g.memory = "rlimit"
	}
	if attr.Ptrace {
		if err := syscall.PtraceDetach(g.pid); err != nil && err != syscall.ESRCH {
			_ = syscall.Kill(-g.pid, sigKill)
			return fmt.Errorf("letting go of the traced command: %w", err)
		}
	}
	return nil
}

// awaitStop waits until the traced child pid has stopped or ended, and leaves it
// unreaped.
func awaitStop(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// limitMemory bounds the address space of the process and of those that it starts
// later.
func limitMemory(pid int, limit int64) error {
	var had unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_AS, nil, &had); err != nil {
		return fmt.Errorf("asking for its RLIMIT_AS: %w", err)
	}
	most := min(uint64(limit), had.Max)
	if err := unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
		return fmt.Errorf("setting its RLIMIT_AS: %w", err)
	}
	return nil
}

// awaitLeader waits for the leader's end and leaves it unreaped. It reaps orphans
// meanwhile, and returns what they used.
func awaitLeader(leader int) (used usage) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return used // ECHILD: another thread reaped it
		}
		pid := siginfoPID(&info)
		if pid == leader {
			return used
		}
		var ru syscall.Rusage
		if _, err := wait4(pid, nil, syscall.WNOHANG, &ru); err == nil {
			used.add(usageOf(ru))
		}
	}
}

// siginfoPID is si_pid of waitid(2). It begins the union behind three ints,
// which is aligned as a pointer is.
func siginfoPID(info *unix.Siginfo) int {
	field := 3
	if bits.UintSize == 64 {
		field = 4
	}
	return int((*[8]int32)(unsafe.Pointer(info))[field])
}

type kin struct {
	pid   int
	start uint64 // with pid, distinguishes it from every other
}

// descendants are the living processes below root. One that starts or gets another
// parent meanwhile may be missing: who must miss none asks again until root has no
// children.
func descendants(root int) (live []kin) {
	if _, ok := childrenOf(root); ok {
		return treeBelow(root, childrenOf)
	}
	return treeBelow(root, everybodysChildren())
}

func treeBelow(root int, children func(int) ([]int, bool)) (live []kin) {
	seen := map[int]bool{root: true}
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		below, _ := children(queue[0])
		for _, pid := range below {
			if seen[pid] {
				continue // numbers changed hands while /proc was read
			}
			seen[pid] = true
			queue = append(queue, pid)
			// A dead process's number is its own only until it is reaped; its
			// children have another parent by then.
			if st, err := readStat(pid); err == nil && !st.dead() {
				live = append(live, kin{pid, st.start})
			}
		}
	}
	return live
}

// childrenOf returns all children, dead ones too, and false if the system does not
// list them.
func childrenOf(pid int) (pids []int, ok bool) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, false
	}
	for _, t := range threads { // each has its own
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue // it has ended, or there are no lists
		}
		ok = true
		for _, f := range bytes.Fields(b) {
			if child, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids, ok
}

// everybodysChildren reads all processes of the machine, for a kernel without those
// lists.
func everybodysChildren() func(int) ([]int, bool) {
	lists := map[int][]int{}
	for pid, st := range processes() {
		lists[st.ppid] = append(lists[st.ppid], pid)
	}
	return func(pid int) ([]int, bool) { return lists[pid], true }
}

func processes() func(yield func(int, procStat) bool) {
	return func(yield func(int, procStat) bool) {
		dir, err := os.Open("/proc")
		if err != nil {
			return
		}
		defer dir.Close()
		names, err := dir.Readdirnames(-1)
		if err != nil {
			return
		}
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if st, err := readStat(pid); err == nil && !yield(pid, st) {
				return
			}
		}
	}
}

func (k kin) kill() { k.signal(sigKill) }

// signal sends sig to this process and to no other with its number.
func (k kin) signal(sig syscall.Signal) {
	fd, err := unix.PidfdOpen(k.pid, 0)
	if err != nil {
		// Before Linux 5.3 the moment between look and signal stays open.
		if errors.Is(err, unix.ENOSYS) && k.is() {
			_ = syscall.Kill(k.pid, sig)
		}
		return
	}
	defer unix.Close(fd)
	if k.is() {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

func (k kin) inGroup(pgid int) bool {
	st, err := readStat(k.pid)
	return err == nil && st.pgrp == pgid
}

func (k kin) is() bool {
	st, err := readStat(k.pid)
	return err == nil && st.start == k.start
}

// killStrays kills the processes left in the group of a leader that is no child
// here, and returns how many live after a bounded wait. The group keeps its number
// while there are any, and its guard died a moment ago.
func killStrays(pgid int) (left int) {
	until := time.Now().Add(killedWait)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left = 0
		for pid, st := range processes() {
			if (st.pgrp == pgid || pid == pgid) && !st.dead() {
				left++
				kin{pid, st.start}.kill()
			}
		}
		if left == 0 || time.Now().After(until) {
			return left
		}
		time.Sleep(pause)
	}
}

// treeUsage is Usage of the guard root. Its own CPU time is not counted, that of
// the children that it reaped is.
func treeUsage(root int) (userSec, sysSec float64, rssBytes int64) {
	own, err := readTimes(root)
	if err != nil {
		return 0, 0, 0
	}
	user, sys, pages := own.cutime, own.cstime, int64(0)
	for _, k := range descendants(root) {
		if t, err := readTimes(k.pid); err == nil {
			user += t.utime + t.cutime
			sys += t.stime + t.cstime
			pages += t.rss
		}
	}
	return float64(user) / clockTicks, float64(sys) / clockTicks, pages * int64(os.Getpagesize())
}
