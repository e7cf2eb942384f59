//go:build darwin

package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// waitExited blocks until the child pid has ended and leaves it unreaped.
// waitid returns for stopped children too here, so a kqueue is asked.
func waitExited(pid int) error {
	kq, err := unix.Kqueue()
	if err != nil {
		return os.NewSyscallError("kqueue", err)
	}
	defer unix.Close(kq)
	change := []unix.Kevent_t{{
		Ident:  uint64(pid),
		Filter: unix.EVFILT_PROC,
		Flags:  unix.EV_ADD | unix.EV_ONESHOT,
		Fflags: unix.NOTE_EXIT,
	}}
	events := make([]unix.Kevent_t, 1)
	for {
		n, err := unix.Kevent(kq, change, events, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ESRCH:
			return nil // ended before it could be watched; we have not reaped it
		case err != nil:
			return os.NewSyscallError("kevent", err)
		case n == 1 && events[0].Flags&unix.EV_ERROR != 0 && events[0].Data != int64(unix.ESRCH):
			return os.NewSyscallError("kevent", unix.Errno(events[0].Data))
		case n == 1:
			return nil
		}
	}
}

// settle has nothing to do: init reaps what SIGKILL left of the group.
func settle(int) (left int) { return 0 }

// StartTime returns a text that distinguishes the process pid from every other that
// has had or will have its number on this machine.
func StartTime(pid int) (string, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", fmt.Errorf("reading the start time of process %d: %w", pid, err)
	}
	const zombie = 5 // SZOMB of <sys/proc.h>
	if info.Proc.P_stat == zombie {
		return "", fmt.Errorf("reading the start time of process %d: it has ended", pid)
	}
	t := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

// maxRSS returns the peak resident set in bytes.
func maxRSS(usage unix.Rusage) int64 { return usage.Maxrss }
