//go:build linux

package execrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// What a command has started gets SIGTERM and time to clean up, whether or not
// it is in the command's group and however the command itself ends.
func TestDescendantsCleanUp(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/shm.py")
	if err != nil {
		t.Fatal(err)
	}
	for name, heeds := range map[string]bool{"stop": true, "killed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := fmt.Sprintf("gx1rtest_%d_%s", os.Getpid(), name)
			shared := func() []string {
				list, err := filepath.Glob("/dev/shm/" + prefix + "-*")
				if err != nil {
					t.Fatal(err)
				}
				return list
			}
			t.Cleanup(func() {
				for _, path := range shared() {
					_ = os.Remove(path) // what a failure has left
				}
			})
			p := small(t)
			p.Chunks = 2
			argv := []string{built.python, script, prefix}
			if !heeds {
				// The leader is deaf, and dies of SIGKILL after its grace.
				p = p.with("--grace", "200ms")
				argv = []string{"sh", "-c", `trap : TERM; "$@" & while :; do sleep 0.1; done`, "sh", built.python, script, prefix}
			}
			v := command(t, p, argv...)
			v.must(v.Until(v.ctx, "both commands have shared memory", func() bool { return len(shared()) >= 4 }))
			v.must(v.Signal(syscall.SIGTERM))
			v.ends(0)
			v.judge(func(o *check.Options) { o.BarLog, o.Stop = NoLog, []string{"sigterm"} })
			if left := shared(); len(left) > 0 {
				t.Errorf("the commands' shared memory is left: %v", left)
			}
		})
	}
}

// A kill of all processes with the program's name leaves the guards, which end
// all that their commands have started.
func TestKillallLeavesNoDescendants(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	v := start(t, "protocol", plan(t))
	v.done(v.Config.Bars / 4)
	name := filepath.Base(v.Binary)
	killed := 0
	for range 20 { // as killall: by the name that ps shows, until none is left
		n := 0
		for _, p := range v.Alive() {
			if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID)); err == nil && strings.TrimSpace(string(comm)) == name {
				if syscall.Kill(p.PID, syscall.SIGKILL) == nil {
					n++
				}
			}
		}
		if killed += n; n == 0 {
			break
		}
	}
	if killed < 3 {
		t.Errorf("%d processes are called %s (want coordinator and workers)", killed, name)
	}
	v.must(v.Reaped(v.ctx))
	if err := v.Gone(v.ctx); err != nil {
		t.Error(err)
	}
}

// Where the guards were killed, too, the resume ends what the earlier session's
// commands have left.
func TestResumeSweeps(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	p := plan(t)
	v := start(t, "protocol", p)
	v.done(p.Bars / 4)
	commands := Commands(v.Run)
	// The guards first: one that lives would end its command.
	for pass := range 2 {
		for _, proc := range v.Alive() {
			guard := slices.Contains(proc.Args, "exec-guard")
			if guard == (pass == 0) && !slices.ContainsFunc(commands, func(c drive.Process) bool { return c.PID == proc.PID }) {
				_ = syscall.Kill(proc.PID, syscall.SIGKILL) // it may have ended
			}
		}
	}
	v.must(v.Reaped(v.ctx))
	left := StillThere(v.Run, commands)
	if len(left) == 0 {
		t.Fatal("nothing is left that a resume could end")
	}
	v.again()
	v.ends(0)
	v.judge(func(o *check.Options) { o.Outcome, o.Lives = "complete", nil })
	if left := StillThere(v.Run, left); len(left) > 0 {
		t.Errorf("the resume has left %v", left)
	}
}
