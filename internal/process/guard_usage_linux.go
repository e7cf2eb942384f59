package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// clockTicks a second are what /proc counts CPU time in, whatever the kernel's
// own clock does.
const clockTicks = 100

// procTimes is what a process has used (proc_pid_stat(5)), in clock ticks, and
// its resident pages. Those with a c are of children that were waited for.
type procTimes struct {
	utime, stime, cutime, cstime int64
	rss                          int64
}

func readTimes(pid int) (procTimes, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procTimes{}, err
	}
	return parseTimes(b)
}

func parseTimes(b []byte) (t procTimes, err error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return t, fmt.Errorf("stat line %.40q has no command in parentheses", b)
	}
	fields := bytes.Fields(b[i+1:])
	// Field 3 of the manual, the state, is fields[0] here.
	for _, f := range []struct {
		manual int
		name   string
		value  *int64
	}{
		{14, "utime", &t.utime}, {15, "stime", &t.stime}, {16, "cutime", &t.cutime}, {17, "cstime", &t.cstime},
		{24, "rss", &t.rss},
	} {
		if f.manual-3 >= len(fields) {
			return procTimes{}, fmt.Errorf("stat line has %d fields after the command (want %d or more)", len(fields), f.manual-2)
		}
		n, err := strconv.ParseInt(string(fields[f.manual-3]), 10, 64)
		if err != nil || n < 0 || n >= 1<<50 {
			return procTimes{}, fmt.Errorf("stat line: %s %.40q (want a number of 0 or more)", f.name, fields[f.manual-3])
		}
		*f.value = n
	}
	return t, nil
}
