package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guardSpec is the guard of these tests.
func guardSpec() Spec {
	return Spec{Path: os.Args[0], Args: []string{os.Args[0], guardVerb}}
}

// shell is a command of sh.
func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

// role is a helper process as a command.
func role(name string) Command { return Command{Path: os.Args[0], Env: roleEnviron(name)} }

// guarded is a command under test with what it writes.
type guarded struct {
	*Guarded
	t     *testing.T
	out   *bufio.Reader
	guard kin
}

// startGuarded starts cmd and checks in the end that guard and leader are gone.
func startGuarded(t *testing.T, cmd Command) *guarded {
	t.Helper()
	g, err := StartGuarded(guardSpec(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	own := &guarded{Guarded: g, t: t, out: bufio.NewReader(g.Stdout()), guard: kinOf(t, g.guard.Pid)}
	t.Cleanup(func() {
		g.Close()
		own.gone("guard", own.guard)
		// One whose guard died is init's to reap.
		if st, err := readStat(g.PID()); err == nil && st.pgrp == g.PID() && !st.dead() {
			t.Errorf("leader %d is there after Close: %+v", g.PID(), st)
		}
	})
	return own
}

func kinOf(t *testing.T, pid int) kin {
	t.Helper()
	st, err := readStat(pid)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	return kin{pid, st.start}
}

func (g *guarded) gone(what string, k kin) {
	g.t.Helper()
	if st, err := readStat(k.pid); err == nil && st.start == k.start {
		g.t.Errorf("%s %d is there still: %+v", what, k.pid, st)
	}
}

// line reads a line of its output that begins with prefix and returns the rest.
func (g *guarded) line(prefix string) string {
	g.t.Helper()
	_ = g.Stdout().SetReadDeadline(time.Now().Add(deadline))
	text, err := g.out.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), prefix)
	if !ok || err != nil {
		g.t.Fatalf("output %q, error %v (want a line that begins with %q)", text, err, prefix)
	}
	return strings.TrimSpace(rest)
}

// number reads a process's number from such a line.
func (g *guarded) number(prefix string) kin {
	g.t.Helper()
	return kinOf(g.t, atoi(g.t, g.line(prefix)))
}

// end waits for Done.
func (g *guarded) end() Exit {
	g.t.Helper()
	select {
	case <-g.Done():
	case <-time.After(deadline):
		g.t.Fatal("Done is not closed")
	}
	return g.Exit()
}

func (g *guarded) rest() string {
	g.t.Helper()
	_ = g.Stdout().SetReadDeadline(time.Now().Add(deadline))
	b, err := io.ReadAll(g.out)
	if err != nil {
		g.t.Fatalf("the end of the output: %v", err)
	}
	return string(b)
}

func TestGuardedExit(t *testing.T) {
	for _, tc := range []struct {
		script string
		want   Exit
		text   string
	}{
		{"exit 0", Exit{}, "exit status 0"},
		{"exit 3", Exit{Code: 3}, "exit status 3"},
		{"exit 255", Exit{Code: 255}, "exit status 255"},
		{"kill -TERM $$", Exit{Code: -1, Signal: syscall.SIGTERM}, "signal: terminated"},
		{"kill -INT $$", Exit{Code: -1, Signal: syscall.SIGINT}, "signal: interrupt"},
		// A SIGKILL that is not ours, as the kernel sends it for want of memory.
		{"kill -KILL $$", Exit{Code: -1, Signal: syscall.SIGKILL}, "signal: killed"},
		{"sleep 1000 & exit 4", Exit{Code: 4, Left: 1}, "exit status 4"},
	} {
		exit := startGuarded(t, shell(tc.script)).end()
		if exit.UserSec < 0 || exit.UserSec+exit.SysSec <= 0 || exit.UserSec+exit.SysSec > 60 || exit.MaxRSSBytes < 1<<16 || exit.MaxRSSBytes > 1<<34 {
			t.Errorf("%s: usage %+v", tc.script, exit)
		}
		exit.UserSec, exit.SysSec, exit.MaxRSSBytes = 0, 0, 0
		if exit != tc.want || exit.String() != tc.text {
			t.Errorf("%s: %+v, %q (want %+v, %q)", tc.script, exit, exit, tc.want, tc.text)
		}
	}
	if s := (Exit{Code: -1, Signal: sigKill, Lost: true}).String(); !strings.Contains(s, "guard") {
		t.Errorf("%q does not say that the guard was killed", s)
	}
}

func TestGuardedOutputArrivesWhole(t *testing.T) {
	const n = 1 << 20
	g := startGuarded(t, shell(fmt.Sprintf("head -c %d /dev/zero; head -c %d /dev/zero >&2; echo end", n, n)))
	stderr := make(chan int)
	go func(r io.Reader) {
		b, _ := io.ReadAll(r)
		stderr <- len(b)
	}(g.Stderr())
	out := g.rest()
	if len(out) != n+len("end\n") || !strings.HasSuffix(out, "\x00end\n") {
		t.Errorf("standard output has %d bytes (want %d)", len(out), n+4)
	}
	if got := <-stderr; got != n {
		t.Errorf("standard error has %d bytes (want %d)", got, n)
	}
	g.end()

	// What the pipe holds is there after Done; what the command closes has
	// ended, although it runs.
	g = startGuarded(t, shell("echo last; exec >&- 2>&-; exec sleep 1000"))
	if out := g.rest(); out != "last\n" {
		t.Errorf("output %q", out)
	}
	if b, err := io.ReadAll(g.Stderr()); len(b) > 0 || err != nil {
		t.Errorf("standard error %q, %v", b, err)
	}
	select {
	case <-g.Done():
		t.Errorf("it ended: %v", g.Exit())
	default:
	}
	g = startGuarded(t, shell("echo last"))
	g.end()
	if out := g.rest(); out != "last\n" {
		t.Errorf("output after Done %q", out)
	}
}

func TestGuardedCommandGetsWhatWasGivenAndNoMore(t *testing.T) {
	cat, err := LookPath("cat", os.Getenv("PATH"), "")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv("GX1_NOT_GIVEN", "leaks")
	held, err := os.Open(os.DevNull) // without close-on-exec, as a shell may leave one
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, _, e := syscall.Syscall(syscall.SYS_FCNTL, held.Fd(), syscall.F_SETFD, 0); e != 0 {
		t.Fatal(e)
	}

	env := []string{"A=1", "EMPTY=", "B=two words\nand a line", "A=again", "LATIN=\xe9", "noequals"}
	args := []string{"any name", "/proc/self/environ", "/proc/self/cmdline"}
	g := startGuarded(t, Command{Path: cat, Args: args, Env: env, Dir: dir})
	zeros := func(list []string) string { return strings.Join(list, "\x00") + "\x00" }
	// But for the mark by which a sweep finds its guard.
	mark := regexp.MustCompile(`\x00` + GuardEnv + `=\d+\.\d+\.\d+\x00`)
	if out := mark.ReplaceAllLiteralString(g.rest(), "\x00"); out != zeros(env)+zeros(args) {
		t.Errorf("environment and arguments are %q (want %q and the guard's mark)", out, zeros(env)+zeros(args))
	}

	// A shell blocks signals while it starts a program, so it reads its own masks.
	cmd := shell(`pwd -P; readlink /proc/self/fd/0; ls -m /proc/$$/fd; ` +
		`grep -h flags: /proc/$$/fdinfo/1 /proc/$$/fdinfo/2; ` +
		`while read -r line; do case $line in SigBlk:*|SigIgn:*) echo "$line";; esac; done </proc/$$/status; ` +
		`cut -d' ' -f5,6,8 /proc/$$/stat; echo $$`)
	cmd.Dir = dir
	g = startGuarded(t, cmd)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{real, os.DevNull, "0, 1, 2"} {
		if line := g.line(""); line != want {
			t.Errorf("%q (want %q)", line, want)
		}
	}
	for range 2 { // programs know nothing of outputs that do not block
		text := g.line("flags:")
		if flags, err := strconv.ParseInt(text, 8, 32); err != nil || flags&syscall.O_NONBLOCK != 0 {
			t.Errorf("an output has flags %s, %v (want one that blocks)", text, err)
		}
	}
	for _, name := range []string{"SigBlk:", "SigIgn:"} {
		if mask := g.line(name); strings.Trim(mask, "0") != "" {
			t.Errorf("%s %s (want no signal)", name, mask)
		}
	}
	pgrp, _, _ := strings.Cut(g.line(""), " ")
	if pid := g.line(""); pid != pgrp || pid != fmt.Sprint(g.PID()) {
		t.Errorf("command %s in group %s; PID is %d (want one number)", pid, pgrp, g.PID())
	}
}

func TestGuardedStdin(t *testing.T) {
	cmd := shell("exec cat")
	cmd.Stdin = true
	g := startGuarded(t, cmd)
	text := strings.Repeat("what goes in comes out\n", 1<<15)
	go func(in io.WriteCloser) {
		_, _ = io.WriteString(in, text)
		in.Close()
	}(g.Stdin())
	if out := g.rest(); out != text {
		t.Errorf("%d bytes came back of %d", len(out), len(text))
	}
	if exit := g.end(); exit.Code != 0 {
		t.Errorf("%v", exit)
	}
	if g := startGuarded(t, shell("cat")); g.Stdin() != nil || g.end().Code != 0 {
		t.Error("a command without a pipe does not read the null device")
	}

	// The guard holds no end: a command that closes its input breaks the pipe.
	cmd = shell("exec <&-; echo closed; exec sleep 1000")
	cmd.Stdin = true
	g = startGuarded(t, cmd)
	g.line("closed")
	if _, err := g.Stdin().Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing to what is closed: %v", err)
	}
}

func TestGuardedTerminateLetsItSayTheLastWord(t *testing.T) {
	g := startGuarded(t, shell(`trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done`))
	g.line("ready")
	g.Terminate()
	if exit := g.end(); exit.Code != 7 || exit.Signal != 0 {
		t.Errorf("%+v", exit)
	}
	if out := g.rest(); out != "bye\n" {
		t.Errorf("last output %q", out)
	}
}

func TestGuardedMemoryLimit(t *testing.T) {
	const limit = 64 << 20
	allocate := func(max int64) (*guarded, Exit) {
		// dd has one buffer of a block, in which it reads.
		cmd := shell("ulimit -v; dd if=/dev/zero of=/dev/null bs=128M count=1")
		cmd.MemoryMax = max
		g := startGuarded(t, cmd)
		return g, g.end()
	}
	g, exit := allocate(0)
	if exit.Code != 0 || g.MemoryLimit() != "" {
		b, _ := io.ReadAll(g.Stderr())
		t.Skipf("dd cannot be used here: %v, limit %q\n%s", exit, g.MemoryLimit(), b)
	}
	g, exit = allocate(limit)
	switch g.MemoryLimit() {
	case "rlimit":
		// The shell's first act sees it: nothing ran without.
		if v := g.line(""); v != fmt.Sprint(limit>>10) || exit.Code <= 0 {
			t.Errorf("ulimit -v is %s KiB; %v (want %d, and an error)", v, exit, limit>>10)
		}
	case "cgroup":
		if exit.Signal != sigKill || exit.Killed {
			t.Errorf("%+v (want a command that the kernel killed)", exit)
		}
	default:
		t.Errorf("the limit is kept by %q", g.MemoryLimit())
	}
	if exit := startGuarded(t, Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}, MemoryMax: 1 << 30}).end(); exit.Code != 3 {
		t.Errorf("within its limit: %v", exit)
	}
}

func TestGuardedUsage(t *testing.T) {
	g := startGuarded(t, shell(`sh -c 'while :; do :; done' & (setsid sleep 1000 &); echo ready; wait`))
	g.line("ready")
	until(t, "a child's CPU time counts", func() bool {
		user, sys, rss := g.Usage()
		return user+sys > 0.05 && user+sys < 3600 && rss > 1<<18 && rss < 1<<34
	})
	g.Kill()
	exit := g.end()
	user, sys, rss := g.Usage()
	if user != exit.UserSec || sys != exit.SysSec || rss != 0 || user+sys < 0.05 {
		t.Errorf("after Done %v, %v, %v; %+v", user, sys, rss, exit)
	}
}

func TestStartGuardedErrors(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := put("plain", "#!/bin/sh\n", 0o644)
	binary := put("binary", "\x00\x01\x02", 0o755)
	script := put("script", "#!/nowhere/python3 -u\n", 0o755)
	for _, tc := range []struct {
		cmd  Command
		want error
		text string
	}{
		{Command{Path: "/nowhere/cmd"}, ErrNotFound, "/nowhere/cmd"},
		{Command{Path: "./relative", Dir: dir}, ErrNotFound, "./relative"},
		{Command{}, ErrNotFound, "empty"},
		{Command{Path: plain}, ErrNotExecutable, plain},
		{Command{Path: dir}, ErrNotExecutable, dir},
		{Command{Path: plain + "/x"}, ErrNotExecutable, plain + "/x"},
		{Command{Path: binary}, ErrNotExecutable, "#!"},
		{Command{Path: script}, ErrNotFound, "interpreter /nowhere/python3"},
		{Command{Path: "./script", Dir: dir}, ErrNotFound, "interpreter /nowhere/python3"},
		{Command{Path: "/bin/sh", Dir: dir + "/none"}, ErrNotFound, dir + "/none"},
		{Command{Path: "/bin/sh", Dir: plain}, ErrNotExecutable, plain},
		{Command{Path: "/bin/sh", Env: []string{"A=\x00"}}, nil, "zero byte"},
		{Command{Path: "/bin/sh", Args: []string{"sh", strings.Repeat("x", 1<<18)}}, nil, "too long"},
		{Command{Path: "/bin/sh", Args: []string{"sh", strings.Repeat("x", 9<<20)}}, nil, "at most"},
	} {
		for _, limit := range []int64{0, 1 << 30} {
			// With a limit there is another way to start, and to fail.
			if tc.cmd.MemoryMax = limit; limit > 0 && tc.cmd.Path != binary && tc.cmd.Path != "/nowhere/cmd" {
				continue
			}
			g, err := StartGuarded(guardSpec(), tc.cmd)
			if err == nil {
				g.Close()
				t.Errorf("%.80q started", tc.cmd.Path)
				continue
			}
			if !strings.Contains(err.Error(), tc.text) || len(err.Error()) > 1000 {
				t.Errorf("%.1000v (want it to say %q)", err, tc.text)
			}
			for _, class := range []error{ErrNotFound, ErrNotExecutable} {
				if errors.Is(err, class) != (class == tc.want) {
					t.Errorf("%.1000v: is %q: %v", err, class, class != tc.want)
				}
			}
		}
	}
	if _, err := StartGuarded(Spec{Path: "/nowhere/guard"}, shell("exit 0")); err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "/nowhere/guard") {
		t.Errorf("a guard that is not there: %v", err)
	}
	for _, notGuard := range []string{"exit 0", "exit 3"} { // it says nothing
		if _, err := StartGuarded(helper(notGuard), shell("exit 0")); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("what is no guard: %v", err)
		}
	}
	if z := zombies(t); len(z) > 0 {
		t.Errorf("children left unreaped: %v", z)
	}
}

func TestGuardMainIsForTheProgramItself(t *testing.T) {
	out, err := exec.Command(os.Args[0], guardVerb).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 64 || !bytes.Contains(out, []byte("program itself")) {
		t.Errorf("%v\n%s", err, out)
	}
}
