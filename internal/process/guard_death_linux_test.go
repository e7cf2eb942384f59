package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func sameKin(a, b []kin) bool {
	order := func(x, y kin) int { return x.pid - y.pid }
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}

func TestGuardedTerminateReachesTheGroup(t *testing.T) {
	g := startGuarded(t, shell(`sh -c 'sleep 1000 & echo $!; wait' & wait`))
	grandchild := g.number("")
	g.Terminate()
	if exit := g.end(); exit.Signal != syscall.SIGTERM || exit.Killed {
		t.Errorf("%+v", exit)
	}
	g.gone("grandchild", grandchild)
	g.Terminate()
	g.Kill()
	if exit := g.Exit(); exit.Killed {
		t.Errorf("after a Kill that came too late: %+v", exit)
	}
}

func TestGuardedKill(t *testing.T) {
	for name, script := range map[string]string{
		"stubborn": `trap '' TERM INT HUP; echo ready; while :; do sleep 0.01; done`,
		"stopped":  `echo ready; kill -STOP $$`,
		"group":    `sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & echo ready; wait`,
	} {
		g := startGuarded(t, shell(script))
		g.line("ready")
		if name == "stopped" {
			until(t, "it has stopped", func() bool { st, err := readStat(g.PID()); return err == nil && st.state == 'T' })
		}
		if name != "group" { // which it would end
			g.Terminate()
		}
		g.Kill()
		if exit := g.end(); !exit.Killed || exit.Signal != sigKill || exit.Code != -1 || exit.Alive != 0 || exit.Left != 0 {
			t.Errorf("%s: %+v", name, exit)
		}
		g.rest()
	}
}

func TestInvariant6_DaemonsAreGoneAfterDone(t *testing.T) {
	t.Run("the leader ends", func(t *testing.T) {
		g := startGuarded(t, role("daemon 5"))
		daemon := atoi(t, g.line("daemon"))
		if exit := g.end(); exit.Code != 5 || exit.Left != 1 || exit.Alive != 0 {
			t.Errorf("%+v (want exit status 5 and one process left)", exit)
		}
		if st, err := readStat(daemon); err == nil {
			t.Errorf("the daemon is there: %+v", st)
		}
	})
	t.Run("it is killed", func(t *testing.T) {
		g := startGuarded(t, role("daemon-wait"))
		daemon := g.number("daemon")
		st, err := readStat(daemon.pid)
		if err != nil || st.pgrp == g.PID() || st.ppid != g.guard.pid {
			t.Fatalf("the daemon is %+v, %v (want another group, and the guard as parent)", st, err)
		}
		// Both ways of looking see the same.
		want := []kin{kinOf(t, g.PID()), daemon}
		for _, children := range []func(int) ([]int, bool){childrenOf, everybodysChildren()} {
			if got := treeBelow(g.guard.pid, children); !sameKin(got, want) {
				t.Errorf("below the guard are %v (want %v)", got, want)
			}
		}
		g.Kill()
		if exit := g.end(); !exit.Killed || exit.Alive != 0 {
			t.Errorf("%+v", exit)
		}
		g.gone("daemon", daemon)
	})
}

// Orphans that end are reaped while the command runs.
func TestGuardReapsOrphans(t *testing.T) {
	g := startGuarded(t, shell(`for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'exit 0' &); done; echo ready; exec sleep 1000`))
	g.line("ready")
	until(t, "orphans are reaped", func() bool {
		for pid, st := range processes() {
			if st.ppid == g.guard.pid && pid != g.PID() {
				return false
			}
		}
		return true
	})
	if st, err := readStat(g.PID()); err != nil || st.dead() {
		t.Errorf("the leader is %+v, %v", st, err)
	}
}

// playHolder holds a guarded command until it is killed.
func playHolder() int {
	g, err := StartGuarded(guardSpec(), Command{Path: os.Args[0], Env: roleEnviron("daemon-wait")})
	if err != nil {
		fmt.Println(err)
		return 99
	}
	var daemon int
	if _, err := fmt.Fscanf(g.Stdout(), "daemon %d\n", &daemon); err != nil {
		return 98
	}
	fmt.Println(g.guard.Pid, g.PID(), daemon)
	<-g.Done()
	return 97
}

// startHolder starts a worker in a process group of its own, and returns what
// it holds.
func startHolder(t *testing.T) (worker *exec.Cmd, guard, leader, daemon kin) {
	t.Helper()
	worker = exec.Command(os.Args[0])
	worker.Env = roleEnviron("holder")
	worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	var pids [3]int
	if _, err := fmt.Fscan(out, &pids[0], &pids[1], &pids[2]); err != nil {
		t.Fatal(err)
	}
	return worker, kinOf(t, pids[0]), kinOf(t, pids[1]), kinOf(t, pids[2])
}

// untilDead waits; whoever inherited k may take its time to reap it.
func untilDead(t *testing.T, what string, k kin) {
	t.Helper()
	until(t, what+" is gone", func() bool {
		st, err := readStat(k.pid)
		return err != nil || st.start != k.start || st.dead()
	})
}

func TestInvariant6_NothingSurvivesTheDeathOfTheWorker(t *testing.T) {
	worker, guard, leader, daemon := startHolder(t)
	// The guard is not in the worker's group, and lets no signal end it first.
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if err := syscall.Kill(guard.pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(-worker.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	untilDead(t, "the leader", leader)
	untilDead(t, "the daemon", daemon)
	untilDead(t, "the guard", guard)
}

// A worker that cannot act, and a guard that is killed: the kernel ends the
// leader.
func TestTheLeaderDiesWithItsGuard(t *testing.T) {
	worker, guard, leader, daemon := startHolder(t)
	defer daemon.kill() // nobody else would
	if err := worker.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	guard.kill()
	untilDead(t, "the leader", leader)
}

func TestTheDeathOfTheGuardEndsTheCommand(t *testing.T) {
	g := startGuarded(t, shell(`trap '' TERM; sh -c 'sleep 1000 & echo $!; wait' & wait`))
	grandchild := g.number("")
	leader := kinOf(t, g.PID())
	if err := g.Guarded.guard.Kill(); err != nil {
		t.Fatal(err)
	}
	exit := g.end()
	if !exit.Lost || exit.Killed || exit.Code != -1 || exit.Signal != sigKill || exit.Alive != 0 {
		t.Errorf("%+v", exit)
	}
	for _, k := range []kin{leader, grandchild} {
		if st, err := readStat(k.pid); err == nil && st.start == k.start && !st.dead() {
			t.Errorf("%d is there after its guard's death: %+v", k.pid, st)
		}
	}
	g.rest()
}

// Where a cgroup is delegated, even a daemon does not survive its guard.
func TestTheDeathOfTheGuardEndsDaemonsInACgroup(t *testing.T) {
	c, err := newCgroup(0)
	if c == nil {
		t.Skip(err)
	}
	c.remove()
	g := startGuarded(t, role("daemon-wait"))
	daemon := g.number("daemon")
	if g.cgroup == "" {
		t.Fatal("the command has no cgroup")
	}
	if err := g.Guarded.guard.Kill(); err != nil {
		t.Fatal(err)
	}
	g.end()
	untilDead(t, "the daemon", daemon)
	if _, err := os.Stat(g.cgroup); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its cgroup: %v (want none)", err)
	}
}

// A guard that does not answer, here because it was stopped, holds up Kill for
// a bounded time.
func TestKillWithAGuardThatDoesNotAnswer(t *testing.T) {
	g := startGuarded(t, shell(`echo ready; exec sleep 1000`))
	g.line("ready")
	g.killWait = 50 * time.Millisecond
	if err := syscall.Kill(g.guard.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	if exit := g.end(); !exit.Lost || !exit.Killed {
		t.Errorf("%+v", exit)
	}
}

// playMuteGuard is a guard that starts its command and is not heard.
func playMuteGuard() int {
	r, w, err := os.Pipe()
	if err != nil {
		return 98
	}
	if _, err := syscall.Dup(statusFD); err != nil { // it has not ended
		return 98
	}
	if err := syscall.Dup3(int(w.Fd()), statusFD, 0); err != nil {
		return 98
	}
	go io.Copy(io.Discard, r)
	return GuardMain(nil)
}

// A command whose start was not heard of in time is not left either.
func TestInvariant6_AStartThatTakesTooLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	cmd := shell("sleep 1000 & echo $! > " + file + ".new; mv " + file + ".new " + file + "; wait")
	for wait := 50 * time.Millisecond; wait < deadline; wait *= 2 {
		g, err := startUnder(helper("mute-guard"), cmd, wait)
		if err == nil {
			g.Close()
			t.Fatal("it started")
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrNotFound) {
			t.Fatalf("%v (want a deadline that passed)", err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			continue // its guard did not come so far
		}
		if st, err := readStat(atoi(t, strings.TrimSpace(string(b)))); err == nil && !st.dead() {
			t.Errorf("the command's child is there: %+v", st)
		}
		return
	}
	t.Error("the command did not come to life")
}

func TestInvariant6_ManyInParallelLeaveNothing(t *testing.T) {
	_ = startGuarded(t, shell("exit 0")).end() // the poller has its descriptors now
	before := descriptors(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			cmd := shell(fmt.Sprintf("sleep 1000 & echo %d; exit %d", i, i))
			cmd.Stdin = i%2 == 0
			g, err := StartGuarded(guardSpec(), cmd)
			if err != nil {
				t.Error(err)
				return
			}
			if i%5 == 0 { // at any moment
				g.Kill()
			}
			out, err := io.ReadAll(g.Stdout())
			if i%5 != 0 && (err != nil || string(out) != fmt.Sprintln(i) || g.Exit().Code != i || g.Exit().Left != 1) {
				t.Errorf("command %d: output %q, error %v, %+v", i, out, err, g.Exit())
			}
			g.Close()
			g.Close()
			g.Kill()
			g.Terminate()
		})
	}
	wg.Wait()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if z := zombies(t); len(z) > 0 {
		t.Errorf("children left unreaped: %v", z)
	}
	if live := descendants(os.Getpid()); len(live) > 0 {
		t.Errorf("descendants left: %v", live)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
