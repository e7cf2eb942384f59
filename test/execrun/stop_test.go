//go:build linux

package execrun

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// Each example is stopped somewhere in its bars. What the file says of them is
// what the processes logged, and nothing of them is left.
func TestStopped(t *testing.T) {
	t.Parallel()
	for i, e := range Examples() {
		t.Run(e.Name, func(t *testing.T) {
			if i > 1 {
				testsize.All(t)
			}
			t.Parallel()
			p := plan(t)
			v := start(t, e.Name, p)
			rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
			v.done(1 + rng.IntN(p.Bars*2/3))
			source := "sigterm"
			if i%2 == 0 {
				source = "subject"
				said, err := v.Command(v.ctx, "stop", v.RunID, "--reason", "a test")
				if err != nil || said.Code != 0 {
					t.Fatalf("stop: code %d, error %v: %s", said.Code, err, said.Stderr)
				}
			} else {
				v.must(v.Signal(syscall.SIGTERM))
			}
			v.ends(0)
			rep := v.judge(func(o *check.Options) { o.Stop, o.MaxUnreported = []string{source}, 0 })
			v.smooth()
			if rep.Outcome == "stopped" && rep.Logged == 0 || rep.Statuses["failed"]+rep.Statuses["unresponsive"] > 0 {
				t.Errorf("%d bars logged, %v", rep.Logged, rep.Statuses)
			}
			t.Logf("stopped by %s: %d of %d bars, %d logged, %v", source, rep.Replayed, rep.Planned, rep.Logged, rep.Statuses)
		})
	}
}

// One of seven workers is killed with its command under way: all of that is
// gone at once, the chunk is tried again, and no bar is counted twice.
func TestWorkerKilled(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	p := plan(t)
	p.Workers, p.Chunks, p.BarMS = 7, 8, 20 // long enough to be killed on a busy machine
	v := start(t, "protocol", p)
	k, err := KillWorker(v.ctx, v.Run)
	v.must(err)
	if k.Gone > goneLimit {
		t.Errorf("what the worker had started lived for %v after it (at most %v)", k.Gone, goneLimit)
	}
	v.ends(0)
	rep := v.judge(func(o *check.Options) { o.Outcome = "complete" })
	if rep.Failures < 1 || rep.Redeliveries < 1 {
		t.Errorf("%d failures, %d redeliveries (expected 1 or more)", rep.Failures, rep.Redeliveries)
	}
	t.Logf("the worker's %d processes were gone after %v", len(k.Below), k.Gone)
}

// goneLimit is how long what a killed worker had started may live, on a
// machine that does other things too.
const goneLimit = 5e9 // ns

// The coordinator is killed, and what its workers had started goes with them.
// The same command again completes the run, each bar once.
func TestCoordinatorKilled(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for _, name := range []string{"protocol", "serve"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t)
			v := start(t, name, p)
			v.done(p.Bars / 3)
			v.must(v.Kill())
			v.must(v.Reaped(v.ctx))
			v.must(v.Gone(v.ctx))
			o := v.o
			o.Mode = []string{"recovered", "normal"}
			_, wrong := JudgeFile(v.Run, o)
			for _, text := range wrong {
				t.Error(text)
			}
			kept, err := os.ReadFile(v.Perf())
			v.must(err)
			path := filepath.Join(v.Dir, "killed.json")
			v.must(os.WriteFile(path, kept, 0o644))
			v.o.Earlier = []string{path}
			v.again()
			v.ends(0)
			// How long a killed coordinator's workers may take is for campaigns.
			rep := v.judge(func(o *check.Options) { o.Outcome, o.Lives = "complete", nil })
			if rep.Sessions != 2 {
				t.Errorf("%d sessions (expected 2)", rep.Sessions)
			}
			if left := v.Uncleaned(); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

// A second signal exports at once. A command that is deaf to the first goes
// with its worker, before the coordinator ends.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/hang.sh")
	if err != nil {
		t.Fatal(err)
	}
	v := command(t, small(t), "sh", script, "replay", "{chunk_idx}")
	asleep := func(p drive.Process) bool { return len(p.Args) > 0 && p.Args[0] == "sleep" }
	v.must(v.Until(v.ctx, "the deaf command is under way", func() bool { return slices.ContainsFunc(v.Alive(), asleep) }))
	v.must(v.Signal(syscall.SIGINT))
	v.must(v.Until(v.ctx, "the stop is heard", func() bool {
		b, err := os.ReadFile(v.Log())
		return err == nil && strings.Contains(string(b), "stop received")
	}))
	// Those within a second of the first are the same stop.
	v.must(v.Until(v.ctx, "it has ended", func() bool {
		select {
		case <-v.Exited():
			return true
		default:
			return v.Signal(syscall.SIGINT) != nil
		}
	}))
	v.ends(0)
	v.judge(func(o *check.Options) { o.BarLog, o.Stop = NoLog, []string{"sigint"} })
}

// A worker on another host that is told a second time to go goes at once, and
// so does a command that is deaf.
func TestSecondSignalToAWorker(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/hang.sh")
	if err != nil {
		t.Fatal(err)
	}
	p := small(t)
	p.Workers = 0
	v := command(t, p, "sh", script, "replay", "{chunk_idx}")
	pid, leave := v.join("")
	asleep := func() bool {
		return slices.ContainsFunc(v.Alive(), func(p drive.Process) bool { return len(p.Args) > 0 && p.Args[0] == "sleep" })
	}
	v.must(v.Until(v.ctx, "the deaf command is under way", asleep))
	v.must(syscall.Kill(pid, syscall.SIGTERM))
	v.must(v.Until(v.ctx, "the worker has the first signal", func() bool { return !pending(t, pid) }))
	if !asleep() {
		t.Error("the command had no grace")
	}
	told := time.Now()
	// Those within a second of the first are the same.
	v.must(v.Until(v.ctx, "the command is gone", func() bool {
		if asleep() {
			return syscall.Kill(pid, syscall.SIGTERM) != nil
		}
		return true
	}))
	leave()
	if took := time.Since(told); took > 4*time.Second {
		t.Errorf("it was gone %v after it was told (its grace is 10 s, and a signal after the first second means now)", took)
	}
	v.must(v.Signal(syscall.SIGTERM))
	v.ends(0)
	v.judge(func(o *check.Options) { o.BarLog, o.Stop = NoLog, []string{"sigterm"} })
}

// pending reports whether a signal to a process waits to be taken.
func pending(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if mask, ok := strings.CutPrefix(line, "ShdPnd:"); ok {
			return strings.Trim(mask, "0 \t\n") != ""
		}
	}
	t.Fatal("the system does not say which signals wait")
	return false
}

// Ctrl-C reaches the coordinator alone; the commands are stopped in order.
func TestCtrlC(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux")
	}
	for _, name := range []string{"unaware"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &trial{t: t, ctx: t.Context()}
			e, err := Find(name)
			v.must(err)
			p := plan(t)
			c, err := e.Config(p)
			v.must(err)
			term, err := InTerminal(v.ctx, c)
			v.must(err)
			t.Cleanup(func() {
				if err := term.Close(); err != nil {
					t.Error(err)
				}
			})
			v.must(term.Reaches(v.ctx, p.Bars/4))
			v.must(term.Press(v.ctx, "C-c"))
			code, err := term.Wait(v.ctx)
			v.must(err)
			screen, err := term.Screen(v.ctx)
			v.must(err)
			rep, wrong := Judge(term.Run, check.Options{Bars: int64(p.Bars), Stop: []string{"sigint"}, Behind: e.Behind})
			wrong = append(wrong, Errors(term.Run)...)
			if code != 0 {
				wrong = append(wrong, fmt.Sprintf("the exit code is %d", code))
			}
			for _, text := range wrong {
				t.Error(text)
			}
			if !strings.Contains(screen, term.Perf()) {
				t.Errorf("the screen does not say where the file is")
			}
			if t.Failed() {
				t.Logf("the screen:\n%s\nits log:\n%s", bytes.TrimSpace([]byte(screen)), drive.Tail(term.Log(), 20))
			}
			t.Logf("stopped by Ctrl-C: %d of %d bars, %v", rep.Replayed, rep.Planned, rep.Statuses)
		})
	}
}
