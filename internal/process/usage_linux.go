package process

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxRSS is the peak resident set in bytes. The kernel's rusage keeps the peak
// before exec, for a worker its coordinator's, so the status file comes first.
func maxRSS(usage unix.Rusage) int64 {
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		if kib, ok := parseVmHWM(b); ok {
			return kib << 10
		}
	}
	return int64(usage.Maxrss) << 10
}

// parseVmHWM finds the peak resident set of /proc/<pid>/status, in KiB.
func parseVmHWM(status []byte) (kib int64, ok bool) {
	for line := range bytes.Lines(status) {
		rest, found := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !found {
			continue
		}
		number, found := bytes.CutSuffix(bytes.TrimSpace(rest), []byte(" kB"))
		if !found {
			return 0, false
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSpace(number)), 10, 64)
		return kib, err == nil && kib >= 0 && kib < 1<<50
	}
	return 0, false
}
