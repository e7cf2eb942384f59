//go:build linux

package ends

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
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

// everyday are the ways that run in everybody's `go test`.
var everyday = []string{"`kill PID`", "Ctrl-C in a terminal, in tmux, over `ssh -t`", "`coordinator stop RUN_ID`", "`kill -9 PID`, out of memory", "`nohup`, and its terminal is closed"}

// each runs a test for each way, with each engine that the way is for.
func each(t *testing.T, ways []Way, test func(t *testing.T, v *trial, w Way)) {
	for i, w := range ways {
		t.Run(w.Name, func(t *testing.T) {
			if !slices.Contains(everyday, w.Name) {
				testsize.All(t)
			}
			engines(t, func(t *testing.T, p Plan) {
				asked := p.Exec
				p.RunID = fmt.Sprintf("row_%d_%v", i, p.Exec)
				if w.Start != nil {
					w.Start(&p)
				}
				if p.Exec != asked {
					return // not with this engine
				}
				if err := p.Possible(); err != nil {
					t.Skip(err)
				}
				test(t, begin(t, p), w)
			})
		})
	}
}

// Each row of the tables "Stops" and "Kills" of docs/ends.md.
func TestWays(t *testing.T) {
	each(t, Ways(), func(t *testing.T, v *trial, w Way) {
		v.must(w.End(v.ctx, v.Run))
		v.ends(w.Code)
		v.must(v.Gone(v.ctx))
		if w.NoFile {
			v.none()
			return
		}
		o := check.Options{Stop: w.Sources(), Mode: []string{w.Mode}, Outcome: "stopped"}
		if w.Hasty {
			o.MaxUnreported, o.Early = -1, true
		}
		rep := v.judge(o)
		if !w.Hasty {
			v.inOrder(rep)
		}
	})
}

// none says that no file is there, and that a later process makes it.
func (v *trial) none() {
	t := v.t
	t.Helper()
	if _, err := os.Stat(v.Perf()); err == nil {
		t.Fatal("there is a file (expected none)")
	}
	said, err := v.Command(v.ctx, "export", v.RunID, "--output-dir", v.Out)
	if err != nil || said.Code != 0 {
		t.Fatalf("coordinator export exits %d, %v: %s", said.Code, err, said.Stderr)
	}
	v.judge(check.Options{Mode: []string{recovered}, Outcome: "stopped", MaxUnreported: -1, Early: true})
}

// Each row of the table "What ends nothing": bars move, and the run can be
// stopped as ever.
func TestHarmless(t *testing.T) {
	each(t, Harmless(), func(t *testing.T, v *trial, w Way) {
		v.must(w.End(v.ctx, v.Run))
		v.moves(60)
		v.must(v.Signal(syscall.SIGTERM))
		v.ends(w.Code)
		v.must(v.Gone(v.ctx))
		v.inOrder(v.judge(check.Options{Stop: []string{"sigterm"}, Mode: []string{watchdog}, Outcome: "stopped", MaxUnreported: 0}))
	})
}

// Commands that are the first to hear of the end, and have ended up to a second
// before their workers hear of the stop, are stopped and have not failed. What a
// busy machine did not do within that second shows nothing, and is done again.
func TestCommandsHearOfItFirst(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	const behind, soon = 250 * time.Millisecond, 800 * time.Millisecond
	for range 5 {
		p := plan(t)
		p.Exec, p.Flush = true, 0
		v := begin(t, p)
		commands := slices.DeleteFunc(v.Alive(), func(q drive.Process) bool {
			return len(q.Args) < 2 || q.Args[0] != v.Binary || q.Args[1] != "command"
		})
		if len(commands) == 0 {
			t.Fatalf("no command is at work: %v", v.Alive())
		}
		began := time.Now()
		v.must(signalEach(commands, []syscall.Signal{syscall.SIGTERM}))
		pause(v.ctx, behind) // as a system that has many to signal
		v.must(v.Signal(syscall.SIGTERM))
		v.until("the stop is heard", func() bool {
			b, err := os.ReadFile(v.Log())
			return err == nil && strings.Contains(string(b), "stop received")
		})
		if time.Since(began) < soon {
			v.inOrder(v.stopped("sigterm"))
			return
		}
		v.must(v.Close())
	}
	t.Skip("this machine is too busy")
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
	testsize.All(t)
	engines(t, func(t *testing.T, p Plan) {
		p.Bars = 1600 // enough for a machine that is busy when the workers are to be ended
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
