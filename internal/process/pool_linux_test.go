package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPoolRestartsOneThatIsKilled(t *testing.T) {
	b := newBench(t, Config{N: 2, Command: all("wait"), MinBackoff: time.Millisecond})
	first, second := b.next(Started), b.next(Started)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone := b.next(Exited)
	if gone.PID != first.PID || gone.Slot != first.Slot || gone.Exit != "signal: killed" || gone.Code != -1 || gone.SetUpWrongly {
		t.Errorf("exit is %+v (want pid %d, slot %d, signal: killed)", gone, first.PID, first.Slot)
	}
	again := b.next(Started)
	if again.Slot != first.Slot || again.PID == first.PID || again.Restarts != 1 {
		t.Errorf("restart is %+v (want slot %d, another pid, restarts 1)", again, first.Slot)
	}
	st := b.pool.Status()
	if s := st[first.Slot]; s.PID != again.PID || s.Starts != 2 || s.Restarts != 1 || s.LastExit != "signal: killed" || s.GaveUp {
		t.Errorf("status of the slot is %+v", s)
	}
	if s := st[second.Slot]; s.PID != second.PID || s.Starts != 1 || s.Restarts != 0 || s.LastExit != "" {
		t.Errorf("status of the other slot is %+v", s)
	}
	if err := b.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s := b.pool.Status()[0]; s.PID != 0 {
		t.Errorf("status after the end is %+v (want pid 0)", s)
	}
}

func TestPoolGivesEachWorkerItsOwnGroup(t *testing.T) {
	b := newBench(t, Config{N: 2, Command: all("wait")})
	for range 2 {
		e := b.next(Started)
		pgid, err := syscall.Getpgid(e.PID)
		if err != nil || pgid != e.PID {
			t.Errorf("worker %d is in group %d, %v (want its own)", e.PID, pgid, err)
		}
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestPoolSlowsACrashLoop(t *testing.T) {
	const step = 20 * time.Millisecond
	var mu sync.Mutex
	var starts []time.Time
	b := newBench(t, Config{
		N: 1, MinBackoff: step, MaxBackoff: 3 * step, StableAfter: time.Hour,
		Command: func(int) Spec {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Now())
			return helper("exit 1")
		},
	})
	for range 5 {
		b.next(Exited)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	for i, want := range []time.Duration{step, 2 * step, 3 * step, 3 * step} {
		if gap := starts[i+1].Sub(starts[i]); gap < want {
			t.Errorf("restart %d came after %v (want at least %v)", i+1, gap, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	cfg := Config{MinBackoff: 100 * time.Millisecond, MaxBackoff: 10 * time.Second, StableAfter: 30 * time.Second}
	const short, long = time.Second, 30 * time.Second
	steps := []struct {
		lived time.Duration
		want  time.Duration
	}{
		{short, 100 * time.Millisecond},
		{short, 200 * time.Millisecond},
		{short, 400 * time.Millisecond},
		{long - 1, 800 * time.Millisecond},
		{long, 100 * time.Millisecond},
		{short, 200 * time.Millisecond},
		{short, 400 * time.Millisecond},
		{short, 800 * time.Millisecond},
		{short, 1600 * time.Millisecond},
		{short, 3200 * time.Millisecond},
		{short, 6400 * time.Millisecond},
		{short, 10 * time.Second},
		{short, 10 * time.Second},
	}
	var b backoff
	for i, s := range steps {
		if got := b.next(s.lived, cfg); got != s.want {
			t.Errorf("death %d after %v: wait %v (want %v)", i+1, s.lived, got, s.want)
		}
	}
}

func TestPoolGivesUpOneThatIsSetUpWrongly(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(notExecutable, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		spec Spec
		code int
		pid  bool
	}{
		{"usage", helper("exit 64"), 64, true},
		{"configuration", helper("exit 78"), 78, true},
		{"cannot run", helper("exit 126"), 126, true},
		{"not found", helper("exit 127"), 127, true},
		{"program missing", Spec{Path: notExecutable + ".missing"}, 127, false},
		{"program not executable", Spec{Path: notExecutable}, 126, false},
		{"directory missing", Spec{Path: os.Args[0], Dir: notExecutable + ".missing"}, 127, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, Config{N: 1, MinBackoff: time.Millisecond, Command: func(int) Spec { return tc.spec }})
			for i := range 4 {
				e := b.next(Exited)
				if e.Code != tc.code || !e.SetUpWrongly || e.Restarts != i || (e.PID != 0) != tc.pid || e.Exit == "" {
					t.Errorf("exit %d is %+v (want code %d)", i, e, tc.code)
				}
			}
			if e := b.next(GaveUp); e.Code != tc.code {
				t.Errorf("gave up with %+v", e)
			}
			err := b.wait()
			if !errors.Is(err, ErrSetUp) {
				t.Errorf("Run: %v (want ErrSetUp)", err)
			}
			if s := b.pool.Status()[0]; !s.GaveUp || s.Restarts != 3 {
				t.Errorf("status is %+v (want given up after 3 restarts)", s)
			}
		})
	}
}

func TestPoolGoesOnWithTheOtherSlots(t *testing.T) {
	b := newBench(t, Config{N: 2, MinBackoff: time.Millisecond, Command: func(slot int) Spec {
		if slot == 0 {
			return helper("exit 78")
		}
		return helper("wait")
	}})
	if e := b.next(GaveUp); e.Slot != 0 {
		t.Errorf("gave up slot %d (want 0)", e.Slot)
	}
	b.line("ready")
	if err := b.stop(); err != nil {
		t.Errorf("Run: %v (want nil: one slot worked)", err)
	}
}

func TestPoolCountsOnlySetUpExitsInARow(t *testing.T) {
	var n atomic.Int64
	b := newBench(t, Config{N: 1, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Command: func(int) Spec {
		if n.Add(1)%4 == 0 {
			return helper("exit 1")
		}
		return helper("exit 64")
	}})
	for range 9 {
		if e := b.next(Exited); e.Kind == GaveUp {
			t.Fatal("gave up")
		}
	}
	if err := b.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestPoolStopsInOrder(t *testing.T) {
	b := newBench(t, Config{N: 2, Command: all("wait"), Grace: time.Hour})
	b.line("ready")
	b.line("ready")
	b.cancel()
	for range 2 {
		if e := b.next(Exited); e.Code != 0 {
			t.Errorf("exit is %+v (want code 0)", e)
		}
		b.line("told to go")
	}
	if err := b.wait(); err != nil {
		t.Error(err)
	}
}

func TestInvariant1_PoolLeavesNothing(t *testing.T) {
	for _, tc := range []struct {
		role  string
		ready string // the line to wait for; its first word is a pid in the group
		grace time.Duration
		exit  string
	}{
		{"stubborn", "ready", 50 * time.Millisecond, "signal: killed"},
		{"stop", "stopping", 50 * time.Millisecond, "signal: killed"},
		// Its leader goes when told; what it leaves has no grace to wait for.
		{"parent", "child", time.Hour, "exit status 0"},
	} {
		t.Run(tc.role, func(t *testing.T) {
			b := newBench(t, Config{N: 1, Command: all(tc.role), Grace: tc.grace})
			leader := b.next(Started).PID
			pid, _, _ := strings.Cut(b.line(tc.ready), " ")
			member := atoi(t, pid)
			if tc.role == "stop" {
				until(t, "the worker has stopped", func() bool {
					st, err := readStat(leader)
					return err == nil && st.state == 'T'
				})
			}
			begin := time.Now()
			b.cancel()
			end := b.next(Exited)
			took := time.Since(begin)
			if end.Exit != tc.exit {
				t.Errorf("ended by %q (want %q)", end.Exit, tc.exit)
			}
			if tc.exit == "signal: killed" && took < tc.grace {
				t.Errorf("killed after %v (want %v at least)", took, tc.grace)
			}
			if err := b.wait(); err != nil {
				t.Error(err)
			}
			if st, err := readStat(member); err == nil && !st.dead() {
				t.Errorf("process %d of the group lives: %+v", member, st)
			}
		})
	}
}

func TestInvariant1_WhatADeadLeaderLeavesIsKilled(t *testing.T) {
	b := newBench(t, Config{N: 1, Command: all("orphan"), MinBackoff: time.Hour})
	member := atoi(t, b.line("child"))
	if e := b.next(Exited); e.Code != 3 {
		t.Errorf("exit is %+v", e)
	}
	if st, err := readStat(member); err == nil && !st.dead() {
		t.Errorf("process %d of the group lives when the exit is announced: %+v", member, st)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestPoolReapsWhatIsGivenToIt(t *testing.T) {
	b := newBench(t, Config{N: 1, Command: all("subreaper"), MinBackoff: time.Hour})
	if got := b.line("unreaped"); got != "0" {
		t.Errorf("%s children were left unreaped by a pool that is an init", got)
	}
	if e := b.next(Exited); e.Code != 0 {
		t.Errorf("exit is %+v", e)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

// playSubreaper runs a pool in a process to which orphans are given, as the
// init of a container is.
func playSubreaper() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Println(err)
		return 99
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := New(Config{N: 1, Command: all("orphan"), MinBackoff: time.Hour, Notify: func(e Event) {
		if e.Kind == Exited {
			cancel()
		}
	}})
	if err != nil {
		return 99
	}
	if err := p.Run(ctx); err != nil {
		fmt.Println(err)
		return 99
	}
	n := 0
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err != nil || pid == 0 {
			break
		}
		n++
	}
	fmt.Println("unreaped", n)
	return 0
}

func TestPoolHandsOverTheSpec(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(LifelineEnv, "77") // as in a worker that runs a pool itself
	b := newBench(t, Config{N: 1, MinBackoff: time.Hour, Command: func(int) Spec {
		return Spec{
			Path: exe, Args: []string{"name", "a", "b c"}, Dir: dir,
			Env: append(roleEnviron("env"), "GIVEN=no", "GIVEN=yes"),
		}
	}})
	if got := b.line("yes "); got != "3 a b c" {
		t.Errorf("the worker saw %q (want descriptor 3 and its arguments)", got)
	}
	if got := b.line(""); got != dir {
		t.Errorf("the worker ran in %q (want %q)", got, dir)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestPoolLeaksNoDescriptors(t *testing.T) {
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	once := func() {
		b := newBench(t, Config{N: 2, MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond, Command: func(slot int) Spec {
			if slot == 0 {
				return Spec{Path: "/nowhere/nothing"}
			}
			return helper("exit 1")
		}})
		b.next(GaveUp)
		for range 3 {
			b.next(Exited)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	}
	once() // what the runtime opens for good
	before := count()
	once()
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{
		{N: -1, Command: all("wait")},
		{N: 1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("New(%+v) is no error", cfg)
		}
	}
	p, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Errorf("a pool of nobody: %v", err)
	}
}

func TestWaitExitedOfAStranger(t *testing.T) {
	if err := waitExited(os.Getppid()); err == nil {
		t.Error("no error for a process that is not our child")
	}
}

// until waits for a condition that nothing announces.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(deadline)
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
