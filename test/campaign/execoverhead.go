//go:build linux

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gx1replay/test/drive"
	"gx1replay/test/execrun"
)

// overheads is the campaign `exec-overhead`: what the engine exec costs over
// the bare command, and what serve mode saves. It wants a machine that does
// nothing else: workers, and so their commands, yield to all others.
type overheads struct {
	*stops
	python      string
	chunkSec    float64
	timed       int
	served      int
	most, least float64 // shares, in percent
}

func runExecOverhead(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &overheads{stops: newStops(c)}
	fs.Float64Var(&s.chunkSec, "chunk-sec", 10, "seconds that the command takes for a chunk")
	fs.IntVar(&s.timed, "chunks", 10, "chunks of the run that is held against the bare command; 0: leave that out")
	fs.IntVar(&s.served, "serve-chunks", 100, "chunks of the runs with and without serve mode; 0: leave that out")
	fs.Float64Var(&s.most, "at-most", 1, "percent that chunks may take more than their command")
	fs.Float64Var(&s.least, "at-least", 90, "percent of start-up and loading that serve mode has to save")
	if err := fs.Parse(args); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	if s.python, err = execrun.Python(ctx); err != nil {
		return err
	}
	wrong := false
	for _, do := range []func(context.Context) (bool, error){s.over, s.serving} {
		ok, err := do(ctx)
		if err != nil {
			return err
		}
		wrong = wrong || !ok
	}
	if wrong {
		return errWrong
	}
	return nil
}

// over holds the chunks of a run with one worker against their command: what a
// chunk took beyond what its command says that it took itself, and beyond the
// start and the end of the bare command. Both come from one execution, since a
// machine's speed may differ more between two of them than what is asked for.
func (s *overheads) over(ctx context.Context) (ok bool, err error) {
	if s.timed == 0 {
		return true, nil
	}
	good := true
	for _, work := range []struct{ name, code string }{
		{"sleeps", fmt.Sprintf("time.sleep(%g)", s.chunkSec)},
		{"works", fmt.Sprintf("\nwhile time.monotonic() < begun + %g: sum(range(100_000))", s.chunkSec)},
	} {
		said := filepath.Join(s.dir, "said_"+work.name)
		argv := func(code string) []string {
			return []string{s.python, "-c", "import time; begun = time.monotonic(); " + code + `
print(time.monotonic() - begun, time.process_time(), file=open("` + said + `", "a"))`}
		}
		// Start and end of the bare command.
		const bareTimes = 10
		bare, err := timeBare(ctx, argv("pass"), bareTimes)
		if err != nil {
			return false, err
		}
		if err := os.Remove(said); err != nil {
			return false, fmt.Errorf("beginning anew: %w", err)
		}
		t, err := s.run(ctx, "over_"+work.name, s.timed, argv(work.code), "--exec-footer", "none")
		if err != nil {
			return false, err
		}
		own, cpu, err := readSaid(said, s.timed)
		if err != nil {
			return false, err
		}
		alone := own + bare/bareTimes*time.Duration(s.timed)
		share := 100 * (t.chunks.Seconds()/alone.Seconds() - 1)
		whole := 100 * (t.lived.Seconds()/alone.Seconds() - 1)
		fmt.Fprintf(s.out, "a command that %s: %d times %v by itself (%.1f %% of it on a processor), as chunks %v: %+.2f %% (at most %v %%), %v a chunk; the whole run, its start and end included, %v: %+.2f %%\n",
			work.name, s.timed, ms(alone), 100*cpu.Seconds()/own.Seconds(), ms(t.chunks), share, s.most, ms((t.chunks-alone)/time.Duration(s.timed)), ms(t.lived), whole)
		good = good && share <= s.most
	}
	return good, nil
}

// readSaid adds up what a command wrote in each of its lives: the seconds that
// it took, and those on a processor.
func readSaid(path string, lives int) (wall, cpu time.Duration, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf("reading what the command took: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != lives {
		return 0, 0, fmt.Errorf("%s has %d lines (expected one for each of %d lives)", path, len(lines), lives)
	}
	for _, line := range lines {
		var w, c float64
		if _, err := fmt.Sscan(line, &w, &c); err != nil {
			return 0, 0, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		wall += time.Duration(w * float64(time.Second))
		cpu += time.Duration(c * float64(time.Second))
	}
	return wall, cpu, nil
}

// timeBare runs a command so many times, one after the other.
func timeBare(ctx context.Context, argv []string, times int) (time.Duration, error) {
	begun := time.Now()
	for range times {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("running %s: %w: %s", argv[0], err, out)
		}
	}
	return time.Since(begun), nil
}

// spent is what a run with one worker took.
type spent struct {
	lived   time.Duration // the coordinator's life
	chunks  time.Duration // sum of what its chunks took, from the claim on
	startup time.Duration // sum of what passed before their first bars
}

// run runs a command as the chunks of a run with one worker.
func (s *overheads) run(ctx context.Context, id string, chunks int, argv []string, args ...string) (t spent, err error) {
	root, err := drive.Root()
	if err != nil {
		return t, err
	}
	dir := filepath.Join(s.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return t, fmt.Errorf("making the run's directory: %w", err)
	}
	examples := filepath.Join(root, "examples")
	all := append([]string{"--listen", s.listen, "--engine", "exec", "--slice-format", "csv", "--exec-dir", examples, "--workers", "1", "--chunks", strconv.Itoa(chunks)}, args...)
	r, err := drive.Start(drive.Config{
		Binary: s.binary, Dir: dir, RunID: id, Policy: filepath.Join(examples, "python", "policy.yaml"), Bars: 20 * chunks,
		Runtime: filepath.Join(s.dir, "bin", "runtime"), Args: append(append(all, "--"), argv...),
	})
	if err != nil {
		return t, err
	}
	defer r.End()
	code, err := r.Wait(ctx)
	if err != nil {
		return t, err
	}
	if code != 0 {
		return t, fmt.Errorf("run %s ended with code %d: %s", id, code, drive.Tail(r.Stderr(), 5))
	}
	b, err := os.ReadFile(r.Perf())
	if err != nil {
		return t, fmt.Errorf("reading the run's file: %w", err)
	}
	var f struct {
		Chunks []struct {
			Sec     float64 `json:"worker_time_sec"`
			Startup float64 `json:"t_startup_sec"`
		} `json:"chunks"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return t, fmt.Errorf("reading the run's file: %w", err)
	}
	for _, c := range f.Chunks {
		t.chunks += time.Duration(c.Sec * float64(time.Second))
		t.startup += time.Duration(c.Startup * float64(time.Second))
	}
	s.clean(dir)
	t.lived = r.Lived()
	return t, nil
}

// serving runs the example of serve mode with one worker, and the same replay
// with a process a chunk, which starts and loads each time.
func (s *overheads) serving(ctx context.Context) (ok bool, err error) {
	if s.served == 0 {
		return true, nil
	}
	root, err := drive.Root()
	if err != nil {
		return false, err
	}
	args := []string{"--exec-tail-bars", "48", "--exec-digest", "python/gx1replay.py"}
	served, err := s.run(ctx, "served", s.served, []string{s.python, "python/serve.py"}, append(args, "--exec-serve")...)
	if err != nil {
		return false, err
	}
	alone, err := s.run(ctx, "alone", s.served, []string{s.python, filepath.Join(root, "test", "execrun", "testdata", "loading.py"), "python"}, args...)
	if err != nil {
		return false, err
	}
	share := 100 * (1 - served.startup.Seconds()/alone.startup.Seconds())
	fmt.Fprintf(s.out, "serve mode: %d chunks in %v, of which %v before their first bars; %v and %v with a process each: %.1f %% of start-up and loading saved (at least %v %%)\n",
		s.served, ms(served.lived), ms(served.startup), ms(alone.lived), ms(alone.startup), share, s.least)
	return share >= s.least, nil
}
