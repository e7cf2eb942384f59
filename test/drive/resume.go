//go:build linux

package drive

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"gx1replay/test/check"
)

// Again starts a further coordinator on the run, in the same directories, with
// c in place of r's configuration: change flags and variables, nothing else.
// Its bars are logged beside those of the coordinators before it. These may
// still live: two of one run are a case as well.
func (r *Run) Again(c Config) (*Run, error) {
	if c.Dir != r.Dir || c.Out != r.Out || c.RunID != r.RunID || c.Runtime != r.Runtime {
		return nil, fmt.Errorf("going on with run %s: its directories or its name were changed", r.RunID)
	}
	next := &Run{Config: c, N: r.N + 1, before: r}
	return next, next.start()
}

// Lives are the lives of all coordinators up to this one, for the checker.
// Call it once they have all ended.
func (r *Run) Lives() []check.Life {
	var list []check.Life
	for ; r != nil; r = r.before {
		<-r.exited
		list = append(list, check.Life{Began: r.Started, Ended: r.ended, Killed: r.state == nil || !r.state.Exited()})
	}
	slices.Reverse(list)
	return list
}

// Guardians lists the run's guardians that live.
func (r *Run) Guardians() []Process { return r.verb("guardian") }

// Workers lists the run's local workers that live.
func (r *Run) Workers() []Process { return r.verb("worker") }

func (r *Run) verb(name string) []Process {
	return slices.DeleteFunc(r.Alive(), func(p Process) bool {
		return p.PID == r.PID || len(p.Args) < 2 || p.Args[1] != name
	})
}

// Kill kills the coordinator alone.
func (r *Run) Kill() error { return r.Signal(syscall.SIGKILL) }

// KillGuardians kills the run's guardians alone and returns how many there
// were.
func (r *Run) KillGuardians() (int, error) {
	list := r.Guardians()
	for _, p := range list {
		if err := kill(p.PID, syscall.SIGKILL); err != nil {
			return 0, fmt.Errorf("killing the guardian of run %s: %w", r.RunID, err)
		}
	}
	return len(list), nil
}

// KillBoth kills the coordinator and its guardian in the same instant: the
// guardian is held before the coordinator dies, so it sees nothing of it.
func (r *Run) KillBoth() error {
	list := r.Guardians()
	var errs []error
	for _, p := range list {
		errs = append(errs, kill(p.PID, syscall.SIGSTOP))
	}
	errs = append(errs, r.Kill())
	for _, p := range list {
		errs = append(errs, kill(p.PID, syscall.SIGKILL))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("killing the coordinator and the guardian of run %s: %w", r.RunID, err)
	}
	return nil
}

// kill takes a process that is gone already for no error.
func kill(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
