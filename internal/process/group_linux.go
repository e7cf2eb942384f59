package process

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// zombieWait bounds the wait for another process to reap them; some containers'
// init never does.
const zombieWait = 100 * time.Millisecond

// waitExited blocks until the child pid has ended, and leaves it unreaped. An error
// means that it is not our child.
func waitExited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// settle waits until only the dead, unreaped leader is in the group, all of which
// was sent SIGKILL. It reaps orphans that are ours, as in the init of a container.
// It returns how many still live.
func settle(pgid int) (left int) {
	start := time.Now()
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		live, zombies := members(pgid)
		waited := time.Since(start)
		switch {
		case live == 0 && zombies == 0:
			return 0
		case live == 0 && waited > zombieWait:
			return 0
		case waited > killedWait:
			return live
		}
		<-pause.C
	}
}

// members counts the processes of the group other than its leader, and reaps those
// that are ours. The unreaped leader keeps the group's number from others. Without
// /proc there are none.
func members(pgid int) (live, zombies int) {
	for pid, st := range processes() {
		switch {
		case pid == pgid || st.pgrp != pgid:
		case !st.dead():
			live++
		case st.ppid == os.Getpid() && reapOrphan(pid):
		default:
			zombies++
		}
	}
	return live, zombies
}

func reapOrphan(pid int) bool {
	got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	return err == nil && got == pid
}
