//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// crew is a number of worker processes.
type crew struct {
	binary, dir, url, key string
	made                  int // so far
	procs                 map[int]*exec.Cmd
}

// start starts a process with so many slots and returns its process id.
func (c *crew) start(slots int) (pid int, err error) {
	dir := filepath.Join(c.dir, fmt.Sprintf("worker-%d", c.made))
	c.made++
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("making a worker's directory: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, fmt.Errorf("starting a worker: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(c.binary, "--nats", c.url, "--nkey", c.key, "--concurrency", strconv.Itoa(slots),
		"--work-dir", filepath.Join(dir, "work"), "--cache-dir", filepath.Join(dir, "cache"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting a worker: %w", err)
	}
	if c.procs == nil {
		c.procs = map[int]*exec.Cmd{}
	}
	c.procs[cmd.Process.Pid] = cmd
	return cmd.Process.Pid, nil
}

// kill kills the process pid, which is one of the crew's, and reaps it.
func (c *crew) kill(pid int) error {
	cmd := c.procs[pid]
	if cmd == nil {
		return fmt.Errorf("process %d is none of this fleet's workers", pid)
	}
	delete(c.procs, pid)
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("killing worker %d: %w", pid, err)
	}
	_ = cmd.Wait() // it was killed
	return nil
}

// end kills what is left.
func (c *crew) end() {
	for pid := range c.procs {
		_ = c.kill(pid) // the campaign is over
	}
}

// idleCost is what processes without a chunk sent and used in a while.
type idleCost struct {
	processes int
	requests  int64
	cpu       time.Duration
	over      time.Duration
}

// perProcess is requests per process and minute.
func (i idleCost) perProcess() float64 {
	return float64(i.requests) / math.Max(float64(i.processes), 1) / i.over.Minutes()
}

// perThousand is what so many processes would send a minute.
func (i idleCost) perThousand() float64 { return 1000 * i.perProcess() }

func (i idleCost) String() string {
	return fmt.Sprintf("%d requests of %d processes in %v: %.1f per second and process, %.0f per minute from 1,000 processes; CPU %.2f %% of a core per process",
		i.requests, i.processes, i.over.Round(time.Second), i.perProcess()/60, i.perThousand(),
		100*i.cpu.Seconds()/math.Max(float64(i.processes), 1)/i.over.Seconds())
}

// watchIdle measures what the processes send and use in the time over.
func (c *crew) watchIdle(ctx context.Context, b *fleetBus, over time.Duration) (idleCost, error) {
	cost := idleCost{processes: len(c.procs)}
	sent := func() (n int64, cpu time.Duration, err error) {
		by, err := b.sent(ctx)
		if err != nil {
			return 0, 0, err
		}
		for pid := range c.procs {
			got, connected := by[pid]
			if !connected {
				return 0, 0, fmt.Errorf("worker %d is not connected", pid)
			}
			used, err := cpuOf(pid)
			if err != nil {
				return 0, 0, err
			}
			n, cpu = n+got, cpu+used
		}
		return n, cpu, nil
	}
	begun := time.Now()
	n, cpu, err := sent()
	if err != nil {
		return cost, err
	}
	pauseFor(ctx, over)
	if ctx.Err() != nil {
		return cost, context.Cause(ctx)
	}
	cost.over = time.Since(begun)
	after, used, err := sent()
	cost.requests, cost.cpu = after-n, used-cpu
	return cost, err
}

// connected waits until all processes of the crew are connected.
func (c *crew) connected(ctx context.Context, b *fleetBus) error {
	for {
		by, err := b.sent(ctx)
		if err != nil {
			return err
		}
		missing := 0
		for pid := range c.procs {
			if _, there := by[pid]; !there {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		if pauseFor(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("waiting for %d workers to connect: %w", missing, context.Cause(ctx))
		}
	}
}

// clockTick is the unit in which /proc counts processor time, on every Linux.
const clockTick = 10 * time.Millisecond

// cpuOf is the processor time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	path := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading what worker %d has used: %w", pid, err)
	}
	// Fields count from the end of the name, which is in parentheses.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("%s has %d fields after the name (want 13 or more)", path, len(f))
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}
