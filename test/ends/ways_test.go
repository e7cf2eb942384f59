//go:build linux

package ends

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// engines runs a test with each engine. That of the command needs its grace.
func engines(t *testing.T, test func(t *testing.T, p Plan)) {
	t.Parallel()
	for _, name := range []string{"builtin", "exec"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t)
			p.Exec = name == "exec"
			test(t, p)
		})
	}
}

// inOrder says that the attempts that were under way ended in order.
func (v *trial) inOrder(rep *check.Report) {
	t := v.t
	t.Helper()
	if cut := v.Cut(); len(cut) > 0 {
		t.Errorf("commands that had no time to end: %v", cut)
	}
	if rep.Failures > 0 || rep.Statuses["unresponsive"]+rep.Statuses["failed"] > 0 {
		t.Errorf("%d failures, %v (expected none)", rep.Failures, rep.Statuses)
	}
}

// A signal to everybody, as systemd's default KillMode, scancel and the end of a
// login session send it: the command has its whole grace, and its last bars are
// in the file.
func TestASignalToEverybody(t *testing.T) {
	for name, signals := range map[string][]syscall.Signal{
		"service":       {syscall.SIGTERM},
		"login session": {syscall.SIGTERM, syscall.SIGHUP},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, p Plan) {
				p.Flush = 3 * time.Second
				v := begin(t, p)
				v.must(v.SignalAll(signals...))
				v.ends(0)
				v.inOrder(v.judge(check.Options{Stop: []string{"sigterm", "sighup"}, Outcome: "stopped", MaxUnreported: 0}))
			})
		})
	}
}

// The workers and commands first, the coordinator a moment later: who was
// signalled first must not have failed.
func TestASignalToEverybodyTheCoordinatorLast(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		v := begin(t, p)
		coordinator := v.Coordinator()
		for _, q := range slices.Backward(v.Alive()) {
			if q.PID != coordinator {
				v.must(kill(q.PID, syscall.SIGTERM))
			}
		}
		v.must(kill(coordinator, syscall.SIGTERM))
		v.inOrder(v.stopped("sigterm"))
	})
}

// A shell that says kill 0, or a supervisor that signals a process group.
func TestASignalToTheGroup(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		p.Before = []string{"sh", "-c", `trap : TERM; "$@"; exit $?`, "sh"}
		v := begin(t, p)
		v.must(v.SignalGroup(syscall.SIGTERM))
		v.inOrder(v.stopped("sigterm"))
	})
}

// A terminal that is closed: its window, an ssh connection with a terminal, a
// tmux session.
func TestAClosedTerminal(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		p.Terminal = true
		v := begin(t, p)
		v.Deaf()
		v.inOrder(v.stopped("sighup"))
	})
}

// Keys of a terminal reach its foreground group.
func TestKeysOfATerminal(t *testing.T) {
	for key, source := range map[string]string{"\x03": "sigint", "\x1c": "sigquit"} {
		t.Run(source, func(t *testing.T) {
			engines(t, func(t *testing.T, p Plan) {
				p.Terminal = true
				v := begin(t, p)
				v.must(v.Type(key))
				v.inOrder(v.stopped(source))
			})
		})
	}
}

// SIGQUIT shows what every goroutine does, and stops the run.
func TestQuitDumpsAndExports(t *testing.T) {
	t.Parallel()
	v := begin(t, plan(t))
	v.must(v.Signal(syscall.SIGQUIT))
	v.inOrder(v.stopped("sigquit"))
	for _, in := range []string{v.Said(), drive.Tail(v.Log(), 1<<20)} {
		if !strings.Contains(in, "goroutine 1 [") || !strings.Contains(in, "export.(*Watchdog).Run") {
			t.Errorf("there is no dump in:\n%.2000s", in)
		}
	}
}

// nohup has SIGHUP ignored, and so it stays.
func TestNohup(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		p.Before = []string{"nohup"}
		v := begin(t, p)
		for range 3 {
			v.must(kill(v.Coordinator(), syscall.SIGHUP))
			v.moves(20)
		}
		v.must(v.Signal(syscall.SIGTERM))
		v.inOrder(v.stopped("sigterm"))
	})
}

// SIGUSR1 and SIGUSR2, as Slurm sends before the end of the time, do nothing.
func TestUserSignalsAreIgnored(t *testing.T) {
	t.Parallel()
	v := begin(t, plan(t))
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		v.must(v.SignalAll(sig))
		v.moves(20)
	}
	v.must(v.Signal(syscall.SIGTERM))
	v.inOrder(v.stopped("sigterm"))
}

// A reader that goes away, such as head, or tee at a Ctrl-C, ends nothing.
func TestAReaderThatGoesAway(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		v := begin(t, p)
		v.Deaf()
		v.moves(20)
		v.must(v.Signal(syscall.SIGTERM))
		v.inOrder(v.stopped("sigterm"))
	})
}

// With nobody to read from the start, to the end of a complete run: the exit
// code, the file and the log are as ever.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.Bars, p.Bar, p.Args = 400, time.Millisecond, []string{"--no-guardian"}
	r, err := Start(p)
	if err != nil {
		t.Fatal(err)
	}
	r.Deaf()
	v := watch(t, r)
	v.ends(0)
	v.judge(check.Options{Outcome: "complete"})
	if _, err := os.Stat(v.Log()); err != nil {
		t.Error(err)
	}
}

// A local worker that somebody ends gives its chunk back, with the command's
// whole grace, and the run goes to its end.
func TestLocalWorkersThatAreEnded(t *testing.T) {
	engines(t, func(t *testing.T, p Plan) {
		p.Bars = 600
		v := begin(t, p)
		for _, w := range v.Workers() {
			v.must(kill(w.PID, syscall.SIGTERM))
		}
		v.ends(0)
		rep := v.judge(check.Options{Outcome: "complete"})
		if rep.Releases == 0 {
			t.Error("no chunk was released")
		}
		v.inOrder(rep)
	})
}

// What has no test of its own above.
func TestOtherWays(t *testing.T) {
	for _, way := range Ways() {
		if !way.Killed && !strings.HasPrefix(way.Name, "parallel") && !strings.HasPrefix(way.Name, "Slurm") {
			continue
		}
		t.Run(way.Name, func(t *testing.T) {
			engines(t, func(t *testing.T, p Plan) {
				p.RunID = "other"
				v := begin(t, p)
				v.must(way.End(v.Run))
				if !way.Killed {
					v.inOrder(v.stopped(way.Sources[0]))
					return
				}
				v.ends(128 + int(syscall.SIGKILL))
				v.must(v.Gone(v.ctx))
				v.judge(check.Options{Mode: []string{"recovered"}, MaxUnreported: -1, Early: true})
			})
		})
	}
}

// As process 1 of a PID namespace, as in a container without an init.
func TestAsProcessOne(t *testing.T) {
	before := []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if err := exec.Command(before[0], append(before[1:], "true")...).Run(); err != nil {
		t.Skipf("no PID namespace can be made: %v", err)
	}
	engines(t, func(t *testing.T, p Plan) {
		p.Before = before
		v := begin(t, p)
		v.must(v.Signal(syscall.SIGUSR1))
		v.moves(20)
		v.must(v.Signal(syscall.SIGTERM))
		v.inOrder(v.stopped("sigterm"))
	})
}
