package process

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settleWait bounds the wait for killed processes to be gone. They die
	// at once unless they sit in an uninterruptible system call.
	settleWait = time.Second
	// zombieWait bounds the wait for another process to reap them, so that the
	// group's number is free; some containers' init never does.
	zombieWait = 100 * time.Millisecond
)

// waitExited blocks until the child pid has ended and leaves it unreaped. An
// error means that it is not our child (any more).
func waitExited(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// settle waits, bounded, until only the dead, unreaped leader is in the
// group of pgid, all of which was sent SIGKILL. It reaps those that the
// kernel gave to us when their parent died: that is so where this process is
// the init of a container. It returns how many still live.
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
		case waited > settleWait:
			return live
		}
		<-pause.C
	}
}

// members counts the processes of the group other than its leader, after it
// has reaped those that are ours to reap. The unreaped leader pins the
// group's number, so a member can be of no other group. Without /proc it sees
// nobody.
func members(pgid int) (live, zombies int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return 0, 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == pgid {
			continue
		}
		st, err := readStat(pid)
		if err != nil || st.pgrp != pgid {
			continue
		}
		switch {
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
