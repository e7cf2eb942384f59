package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxrssUnit is what an rusage counts memory in, in bytes.
const maxrssUnit = 1

// What this system has no means for: orphans are launchd's, and a process that left the
// command's group is out of reach.

func adoptOrphans() error { return nil }

// kin is never found here.
type kin struct{ pid int }

func (kin) kill() {}

func (kin) signal(syscall.Signal) {}

func (kin) inGroup(int) bool { return false }

func childrenOf(int) (pids []int, ok bool) { return nil, false }

func descendants(int) []kin { return nil }

func treeUsage(int) (userSec, sysSec float64, rssBytes int64) { return 0, 0, 0 }

// cgroup is never there.
type cgroup struct{}

func (*cgroup) path() string { return "" }
func (*cgroup) kill()        {}
func (*cgroup) remove()      {}

func killCgroup(string)   {}
func removeCgroup(string) {}

// killStrays kills the group whose guard died a moment ago. Its leader does not
// die of that here, so the number is still its own.
func killStrays(pgid int) (left int) {
	_ = syscall.Kill(-pgid, sigKill)
	return 0
}

// keepFromCommand closes fd and all above it for what is executed.
func keepFromCommand(fd int) {
	for i := fd; i < 1<<10; i++ {
		unix.CloseOnExec(i)
	}
}

func replaceFD(with, fd int) error { return unix.Dup2(with, fd) }

// startCommand starts the command.
func (g *guard) startCommand() (err error) {
	if g.order.MemoryMax > 0 {
		g.memory = "no limit: this system keeps none on a process's memory"
	}
	g.pid, err = g.forkExec(&syscall.SysProcAttr{})
	return err
}

// awaitLeader waits until the leader has ended and leaves it unreaped.
func awaitLeader(leader int) usage {
	_ = waitExited(leader)
	return usage{}
}
