package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// SelfCPU returns the CPU seconds of this process in user and system mode, and its
// peak resident memory. Zeros if the system does not report it.
func SelfCPU() (user, sys float64, maxRSSBytes int64) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, 0
	}
	return seconds(usage.Utime), seconds(usage.Stime), maxRSS(usage)
}

func seconds(t unix.Timeval) float64 {
	return time.Duration(unix.TimevalToNsec(t)).Seconds()
}
