//go:build race

package selfexec

import (
	"runtime"
	"syscall"
)

// raceCode is what the race detector has a process exit with that had a race.
const raceCode = 66

// Exit ends the process as os.Exit does, without the detector's wait.
func Exit(code int) {
	if code == 0 && runtime.RaceErrors() > 0 {
		code = raceCode
	}
	syscall.Exit(code)
}
