package execengine

import (
	"errors"
	"syscall"
	"testing"

	"gx1replay/internal/process"
)

// A command that was ended by a signal, as everybody is whose service ends, may
// be the first to hear of a stop. With the stop it is stopped, without it has
// failed; a kill -9 is never a stop.
func TestEndedBySomebodysSignal(t *testing.T) {
	stop := errors.New("a stop")
	for name, c := range map[string]struct {
		end  ending
		want bool
	}{
		"SIGTERM":               {ending{exit: process.Exit{Code: -1, Signal: syscall.SIGTERM}}, true},
		"SIGHUP":                {ending{exit: process.Exit{Code: -1, Signal: syscall.SIGHUP}}, true},
		"SIGINT":                {ending{exit: process.Exit{Code: -1, Signal: syscall.SIGINT}}, true},
		"a shell's 143":         {ending{exit: process.Exit{Code: 143}}, true},
		"says that it stopped":  {ending{footer: &Report{Status: "stopped"}}, true},
		"SIGKILL":               {ending{exit: process.Exit{Code: -1, Signal: syscall.SIGKILL}}, false},
		"SIGSEGV":               {ending{exit: process.Exit{Code: -1, Signal: syscall.SIGSEGV}}, false},
		"exit code 1":           {ending{exit: process.Exit{Code: 1}}, false},
		"ok, whatever its code": {ending{exit: process.Exit{Code: 143}, footer: &Report{Status: "ok"}}, false},
		"not started":           {ending{started: errors.New("no such file")}, false},
	} {
		if got := c.end.signalled(); got != c.want {
			t.Errorf("%s: signalled %v (want %v)", name, got, c.want)
		}
		if !c.want {
			continue
		}
		if err := c.end.verdict(); err == nil || errors.Is(err, stop) {
			t.Errorf("%s, without a stop: %v (want a failure)", name, err)
		}
		c.end.stop = stop
		if err := c.end.verdict(); !errors.Is(err, stop) {
			t.Errorf("%s, with a stop: %v (want the stop)", name, err)
		}
	}
}
