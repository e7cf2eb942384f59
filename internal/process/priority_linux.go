package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowerPriority raises the nice value of every thread: on Linux it is a thread's,
// and new threads inherit it. The second pass finds threads made during the first.
func lowerPriority(by int) error {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 less the nice value
	if err != nil {
		return fmt.Errorf("asking for this process's priority: %w", err)
	}
	nice := min(20-raw+by, 19)
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("listing this process's threads: %w", err)
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("setting the priority of thread %d: %w", tid, err)
			}
		}
	}
	return nil
}
