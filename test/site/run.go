//go:build linux

package site

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// Plan is the run that a site does.
type Plan struct {
	RunID   string
	Bars    int
	Chunks  int
	Latency time.Duration // of the model
	Timeout time.Duration // the time-box: what hangs is ended by it
	Args    []string      // further flags
}

// Slots is how many chunks a worker replays at a time.
const Slots = 2

// Lead starts the run's coordinator on the first host.
func (s *Site) Lead(p Plan) (err error) {
	policy := filepath.Join(s.dir, "policy.yaml")
	if err := drive.WritePolicy(policy, p.Latency); err != nil {
		return err
	}
	binary := filepath.Join(s.dir, "coordinator.sh")
	script := fmt.Appendf(nil, "#!/bin/sh\nexec ip netns exec %s %s \"$@\"\n", s.Wire.Hosts[0].Name, s.programs.GX1)
	if err := os.WriteFile(binary, script, 0o700); err != nil {
		return fmt.Errorf("writing what starts the coordinator: %w", err)
	}
	s.Options.Bars = int64(p.Bars)
	s.Run, err = drive.Start(drive.Config{
		Binary: binary, Dir: s.dir, RunID: p.RunID, Policy: policy, Bars: p.Bars,
		Args: append([]string{"--nats", s.urls(), "--workers", "0", "--chunks", strconv.Itoa(p.Chunks), "--timeout", p.Timeout.String()}, p.Args...),
	})
	return err
}

// WorkerName is the name of a host's worker.
func (s *Site) WorkerName(host int) string { return "worker" + strconv.Itoa(host+1) }

// Worker starts a worker on a host, which connects to the server there first.
// It comes after Lead.
func (s *Site) Worker(host int, env ...string) error {
	name := s.WorkerName(host)
	env = append(append(s.Run.Environ(), "XDG_CACHE_HOME="+filepath.Join(s.dir, name+"-cache")), env...)
	return s.start(host, name, env, s.programs.GX1, "worker", "--nats", s.url(host)+","+s.urls(),
		"--work-dir", filepath.Join(s.dir, name+"-work"), "--concurrency", strconv.Itoa(Slots))
}

// SignalWorker sends a signal to a host's worker.
func (s *Site) SignalWorker(host int, sig syscall.Signal) error {
	name := s.WorkerName(host)
	if err := s.procs[name].signal(sig); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// WorkerEnded waits for the end of a host's worker.
func (s *Site) WorkerEnded(ctx context.Context, host int) (*os.ProcessState, error) {
	name := s.WorkerName(host)
	state, err := s.procs[name].ended(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return state, nil
}

// Done waits until the workers have stepped over so many bars.
func (s *Site) Done(ctx context.Context, bars int) error {
	return s.Until(ctx, fmt.Sprintf("%d bars are done", bars), func() bool { return s.Bars() >= bars })
}

// fromPatience is above what a stop may take, which is tried for 30 s.
const fromPatience = 40 * time.Second

// From runs a command of the coordinator's program on a host, on the bus as it
// is seen from there, and returns what it printed.
func (s *Site) From(ctx context.Context, host int, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fromPatience)
	defer cancel()
	line := s.Wire.Hosts[host].Argv(append([]string{s.programs.GX1}, args...)...)
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, line[0], append(line[1:], "--nats", s.url(host))...)
	cmd.Stderr = &stderr // warnings are not what was asked for
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%v on host %d: %w: %s%s", args, host+1, err, out, stderr.String())
	}
	return string(out), nil
}

// Running is how many chunks are claimed, as a host sees it; -1: it cannot see,
// as while the cluster elects a leader.
func (s *Site) Running(ctx context.Context, host int) int {
	out, err := s.From(ctx, host, "status", s.RunID, "--json")
	var runs []struct {
		Standing *struct {
			Running int `json:"chunks_running"`
		} `json:"standing"`
	}
	if err != nil || json.Unmarshal([]byte(out), &runs) != nil || len(runs) != 1 || runs[0].Standing == nil {
		return -1
	}
	return runs[0].Standing.Running
}

// Again starts the coordinator again, by the same command.
func (s *Site) Again() error {
	next, err := s.Run.Again(s.Run.Config)
	if err == nil {
		s.Run = next
	}
	return err
}

// codeOf is the exit code that goes with an outcome.
func codeOf(outcome string) int {
	if outcome == "failed" {
		return 3
	}
	return 0
}

// Ends waits for the coordinator's end and has the checker judge the run's
// file, whose outcome has to be this; empty: any but failed. What is wrong with
// the file are the report's violations.
func (s *Site) Ends(ctx context.Context, outcome string) (*check.Report, error) {
	code, err := s.Wait(ctx)
	if err != nil {
		return nil, err
	}
	if want := codeOf(outcome); code != want {
		return nil, fmt.Errorf("the coordinator ended with code %d (expected %d)", code, want)
	}
	o := s.Options
	o.BarLog, o.RunID, o.Lives, o.Outcome = s.BarLog(), s.RunID, s.Lives(), outcome
	return check.File(s.Perf(), o)
}
