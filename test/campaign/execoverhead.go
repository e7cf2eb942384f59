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
	fs.Float64Var(&s.most, "at-most", 1, "percent that a whole run may take more than the bare command")
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

// over runs a command that takes as long as it takes, bare and as the chunks
// of a run with one worker, one after the other.
func (s *overheads) over(ctx context.Context) (ok bool, err error) {
	if s.timed == 0 {
		return true, nil
	}
	good := true
	for _, work := range []struct{ name, code string }{
		{"sleeps", fmt.Sprintf("import time; time.sleep(%g)", s.chunkSec)},
		// As much work as fits in the time on this machine, always the same.
		{"works", fmt.Sprintf("for i in range(%d): pass", s.rounds(ctx))},
	} {
		argv := []string{s.python, "-c", work.code}
		// The bare command before and after: a machine's speed changes.
		before, err := timeBare(ctx, argv, s.timed)
		if err != nil {
			return false, err
		}
		t, err := s.run(ctx, "over_"+work.name, s.timed, argv, "--exec-footer", "none")
		if err != nil {
			return false, err
		}
		after, err := timeBare(ctx, argv, s.timed)
		if err != nil {
			return false, err
		}
		bare := (before + after) / 2
		share := 100 * (t.lived.Seconds()/bare.Seconds() - 1)
		spread := 100 * (max(before, after).Seconds()/min(before, after).Seconds() - 1)
		each := (t.chunks - bare) / time.Duration(s.timed)
		fmt.Fprintf(s.out, "a command that %s: %d times bare %v (before and after differ by %.2f %%), as chunks of a run %v, its start and end included: %+.2f %% (at most %v %%); a chunk costs %v more\n",
			work.name, s.timed, ms(bare), spread, ms(t.lived), share, s.most, ms(each))
		good = good && share <= s.most
	}
	return good, nil
}

// rounds is how many rounds of an empty loop take the time of a chunk.
func (s *overheads) rounds(ctx context.Context) int {
	const sample = 20_000_000
	d, err := timeBare(ctx, []string{s.python, "-c", fmt.Sprintf("for i in range(%d): pass", sample)}, 1)
	if err != nil {
		return sample
	}
	return int(s.chunkSec / d.Seconds() * sample)
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
