package process

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// LifelineEnv names the environment variable by which a Pool passes a worker
// the descriptor of its lifeline.
const LifelineEnv = "GX1R_LIFELINE_FD"

// lifelineFD is the descriptor itself: the first after the standard three.
const lifelineFD = 3

// InheritedLifeline returns the lifeline that a Pool gave to this process;
// env is os.Getenv. It reports false when there is none: the variable is not
// set, or names no open pipe, as when it leaked into a shell. Call it once,
// before anything else opens files. The lifeline does not pass to processes
// that the worker starts.
func InheritedLifeline(env func(string) string) (*os.File, bool) {
	fd, err := strconv.Atoi(env(LifelineEnv))
	if err != nil || fd < lifelineFD {
		return nil, false
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return nil, false
	}
	unix.CloseOnExec(fd)
	// Non-blocking, so that closing the file ends a read of it.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, false
	}
	return os.NewFile(uintptr(fd), "lifeline"), true
}

// Line is a worker's end of its lifeline.
type Line struct {
	// Told is closed when the coordinator has reported that it ends the worker: by
	// that a worker distinguishes the coordinator's own SIGTERM from another process's.
	Told <-chan struct{}
	// Gone is closed when the coordinator is gone, killed or not.
	Gone <-chan struct{}
}

// Lifeline listens on f. Its goroutine ends when the coordinator is gone, or f
// was closed.
//
// A worker that is stopped (SIGSTOP) at that moment cannot look. Linux then
// sends SIGHUP and SIGCONT to its group, which is orphaned, provided that
// the process that inherits it belongs to another session; in a container whose init
// does not, it stays stopped until a user ends it.
func Lifeline(f *os.File) *Line {
	told, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		buf := make([]byte, 64)
		for said := false; ; {
			n, err := f.Read(buf)
			if n > 0 && !said {
				said = true
				close(told)
			}
			if err != nil {
				return
			}
		}
	}()
	return &Line{told, gone}
}
