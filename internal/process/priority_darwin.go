package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lowerPriority raises the nice value of this process.
func lowerPriority(by int) error {
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("asking for this process's priority: %w", err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, min(nice+by, 20)); err != nil {
		return fmt.Errorf("setting this process's priority: %w", err)
	}
	return nil
}
