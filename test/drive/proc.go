//go:build linux

package drive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is one process as /proc shows it.
type Process struct {
	PID, Parent, Session int
	State                string // R, S, T, Z, …
	Args                 []string
}

func (p Process) String() string {
	return fmt.Sprintf("%d (parent %d, state %s) %s", p.PID, p.Parent, p.State, strings.Join(p.Args, " "))
}

// Processes lists what is there of the run: the processes of its session,
// dead ones that nobody has reaped too, and all that carry its run_id in
// command line or environment.
func (r *Run) Processes() []Process {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var list []Process
	for _, dir := range dirs {
		p, ok := readProcess(dir)
		if ok && (p.Session == r.PID || r.marks(dir)) {
			list = append(list, p)
		}
	}
	return list
}

func readProcess(dir string) (Process, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Process{}, false // gone meanwhile
	}
	// The name, in parentheses, may hold anything; fields count from its end.
	_, rest, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	f := strings.Fields(string(rest))
	if !ok || len(f) < 4 {
		return Process{}, false
	}
	p := Process{State: f[0]}
	for _, n := range []struct {
		to   *int
		text string
	}{{&p.PID, filepath.Base(dir)}, {&p.Parent, f[1]}, {&p.Session, f[3]}} {
		if *n.to, err = strconv.Atoi(n.text); err != nil {
			return Process{}, false
		}
	}
	args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err == nil && len(args) > 0 {
		p.Args = strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")
	}
	return p, true
}

// marks reports whether the process in dir carries the run's mark, or, if it
// carries none at all and is of the same program, the run_id as an argument.
func (r *Run) marks(dir string) bool {
	if carries(dir, "environ", func(item string) bool { return item == r.mark() }) {
		return true
	}
	return carries(dir, "cmdline", func(item string) bool { return item == r.RunID }) &&
		carries(dir, "cmdline", func(item string) bool { return item == r.Binary }) &&
		!carries(dir, "environ", func(item string) bool { return strings.HasPrefix(item, marker) })
}

// carries reports whether one of the items in the file of a process is it.
func carries(dir, file string, is func(string) bool) bool {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return false
	}
	for item := range bytes.SplitSeq(b, []byte{0}) {
		if is(string(item)) {
			return true
		}
	}
	return false
}

// Alive lists what lives of the run. A dead process that the machine's init
// has not reaped yet is not the run's fault once its coordinator was killed.
func (r *Run) Alive() []Process {
	return slices.DeleteFunc(r.Processes(), func(p Process) bool { return p.State == "Z" || p.State == "X" })
}

// Gone waits until nothing of the run lives.
func (r *Run) Gone(ctx context.Context) error {
	for {
		left := r.Alive()
		if len(left) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("run %s: processes are left: %v", r.RunID, left)
		}
		pause(ctx)
	}
}

// lookEvery is how often is looked for what announces itself to nobody: exact
// enough for a person, and of little cost to the runs beside it.
const lookEvery = 10 * time.Millisecond

// pause lets that time pass, or what is left of ctx.
func pause(ctx context.Context) {
	t := time.NewTimer(lookEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// End kills what is left of the run: its session and what it started from the
// same executable, which is this package's own doing, and nothing else.
func (r *Run) End() {
	for _, p := range r.Alive() {
		dir := filepath.Join("/proc", strconv.Itoa(p.PID))
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		ours := err == nil && exe == r.Binary && carries(dir, "environ", func(item string) bool { return item == r.mark() })
		if (p.Session == r.PID || ours) && p.PID > 1 {
			_ = kill(p.PID, syscall.SIGKILL)
		}
	}
}

// DumpStacks has the workers write their goroutines to the run's log, and the
// coordinator its own to its standard error, which ends them all.
func (r *Run) DumpStacks() {
	ctx, cancel := context.WithTimeout(context.Background(), dumpPatience)
	defer cancel()
	workers := r.Workers()
	for _, p := range workers {
		_ = kill(p.PID, syscall.SIGQUIT)
	}
	alive := func() bool {
		return slices.ContainsFunc(r.Workers(), func(p Process) bool {
			return slices.ContainsFunc(workers, func(q Process) bool { return p.PID == q.PID })
		})
	}
	for ctx.Err() == nil && alive() {
		pause(ctx)
	}
	if r.Signal(syscall.SIGQUIT) != nil {
		return
	}
	select {
	case <-r.exited:
	case <-ctx.Done():
	}
}

// dumpPatience is what writing the stacks may take.
const dumpPatience = 5 * time.Second
