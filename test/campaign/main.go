//go:build linux

// Command campaign stops, kills and times real runs many times over, at
// random moments, and judges from outside what they leave.
//
//	campaign stop    --runs 200 --seed 1    stopped by each of the five ways
//	campaign kill    --runs 30 --seed 1     SIGKILL 5, 50 and 500 ms after SIGTERM
//	campaign latency --runs 50,50,10        from the signal to the first visible file
//	campaign crash   --runs 100 --seed 1    SIGKILL to the coordinator; what its guardian leaves; the same run again
//	campaign multi   --runs 20 --seed 1     kills and stops, one after the other, in one run until it is complete
//	campaign server  --kills 20             SIGKILL to an external server, time and again, in one run
//	campaign hosts   --runs 14 --seed 1     on three hosts (as root): servers and workers killed, links cut, a bad network
//	campaign exec    --runs 30 --seed 1     each example of the engine exec: stopped, its worker or coordinator killed, Ctrl-C
//	campaign ends    --runs 300 --seed 1    ended as systemd, Slurm, timeout, terminals and readers that go away end runs
//	campaign fleet   --workers 200 --seed 1 many workers beside many runs: how soon chunks are claimed, what idle workers cost
//	campaign exec-overhead                  the engine exec against the bare command; what serve mode saves
//	campaign fair [--waiting]               a small run beside a large one; how soon a stopped run's tasks are gone
//	campaign cuts                           one run cut and done in 84 ways, killed too (--kill): the same trades
//
// It exits 0 if nothing was wrong, 1 if something was, 2 if it could not run.
// What a failing run left stays in --dir.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gx1replay/test/drive"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// errWrong: the campaign ran to its end and something was wrong.
var errWrong = errors.New("something was wrong")

// campaign is what all campaigns share.
type campaign struct {
	out    io.Writer
	binary string
	dir    string
	keep   bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	verbs := map[string]func(context.Context, *flag.FlagSet, []string, *campaign) error{
		"stop": runStops, "kill": runKills, "latency": runLatency,
		"crash": runCrashes, "multi": runMulti, "server": runServer, "hosts": runHosts, "cuts": runCuts,
		"exec": runExec, "ends": runEnds, "exec-overhead": runExecOverhead, "fair": runFair, "fleet": runFleet,
	}
	if len(args) == 0 || verbs[args[0]] == nil {
		fmt.Fprintln(stderr, "campaign: which one? stop, kill, latency, crash, multi, server, hosts, cuts, exec, ends, fleet, exec-overhead or fair")
		return 2
	}
	c := &campaign{out: stdout}
	fs := flag.NewFlagSet("campaign "+args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&c.dir, "dir", "", "where runs and what they leave are kept (default: a new temporary directory)")
	fs.BoolVar(&c.keep, "keep", false, "keep what good runs leave, too")
	err := verbs[args[0]](ctx, fs, args[1:], c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errWrong):
		return 1
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintf(stderr, "campaign: %v\n", err)
	return 2
}

// prepare makes the directory and builds the program; call it once the flags
// are known. done takes the directory away if nothing is left in it.
func (c *campaign) prepare(ctx context.Context) (done func(), err error) {
	if done, err = c.makeDir(); err != nil {
		return nil, err
	}
	c.binary, err = drive.Build(ctx, c.bin())
	return done, err
}

// bin is the directory of built programs.
func (c *campaign) bin() string { return filepath.Join(c.dir, "bin") }

// makeDir is prepare without the program.
func (c *campaign) makeDir() (done func(), err error) {
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "gx1-campaign-"); err != nil {
			return nil, fmt.Errorf("making the campaign's directory: %w", err)
		}
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return nil, fmt.Errorf("the campaign's directory: %w", err)
	}
	if err := os.MkdirAll(c.bin(), 0o700); err != nil {
		return nil, fmt.Errorf("making the campaign's directory: %w", err)
	}
	return func() {
		if !c.keep {
			_ = os.RemoveAll(c.bin())
			_ = os.Remove(c.dir) // not if a run was kept
		}
	}, nil
}

// clean removes what a good run left.
func (c *campaign) clean(dir string) {
	if !c.keep {
		_ = os.RemoveAll(dir)
	}
}
