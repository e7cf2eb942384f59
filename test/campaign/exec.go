//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/execrun"
)

// execs is the campaign `exec`: each example of the engine exec is stopped,
// its workers and its coordinator are killed, and Ctrl-C is pressed on it in a
// terminal, all at random moments.
type execs struct {
	*stops
	examples               []execrun.Example
	kills, crashes, ctrlCs int
	chunksEach, crew       int
	python                 string
	barMS                  float64

	e      execrun.Example
	length time.Duration // of an undisturbed run of e, from its run_id on
	whole  string        // its perf JSON
	wrong  int
	gone   []time.Duration // of what killed workers had started
}

// deed is what is done to one run; the moment is the one that was drawn.
type deed func(ctx context.Context, id string, at time.Duration, h *history) (dir string, wrong []string)

func runExec(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &execs{stops: newStops(c)}
	fs.IntVar(&s.runs, "runs", 30, "runs of each example to stop, in turn by SIGTERM and by subject")
	fs.IntVar(&s.kills, "kills", 5, "runs of each example of which a worker is killed")
	fs.IntVar(&s.crashes, "crashes", 5, "runs of each example of which the coordinator is killed")
	fs.IntVar(&s.ctrlCs, "ctrlc", 3, "runs of each example that are stopped by Ctrl-C, in tmux")
	names := fs.String("examples", "", "which, with commas (default: all)")
	fs.IntVar(&s.crew, "workers", 7, "local workers")
	fs.IntVar(&s.chunksEach, "chunks", 14, "chunks of a run")
	fs.IntVar(&s.bars, "bars", 4200, "bars of the data set")
	fs.Float64Var(&s.barMS, "bar-ms", 5, "what a bar costs, in milliseconds")
	fs.Uint64Var(&s.seed, "seed", 1, "seed of everything that is drawn")
	fs.BoolVar(&s.verbose, "v", false, "what was done, for each run")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for _, e := range execrun.Examples() {
		if *names == "" || strings.Contains(","+*names+",", ","+e.Name+",") {
			s.examples = append(s.examples, e)
		}
	}
	if len(s.examples) == 0 {
		return fmt.Errorf("--examples %s: there is none of that name", *names)
	}
	if _, err := exec.LookPath("tmux"); err != nil && s.ctrlCs > 0 {
		return fmt.Errorf("--ctrlc %d without tmux: %w (apt-get install tmux, or --ctrlc 0)", s.ctrlCs, err)
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	if s.python, err = execrun.Python(ctx); err != nil {
		return err
	}
	for _, s.e = range s.examples {
		if err := s.example(ctx); err != nil {
			return err
		}
	}
	if s.wrong > 0 {
		fmt.Fprintf(s.out, "exec campaign, seed %d: %d runs wrong\n", s.seed, s.wrong)
		return errWrong
	}
	fmt.Fprintf(s.out, "exec campaign, seed %d: all runs right; what killed workers had started was gone after: median %v, worst %v\n",
		s.seed, ms(quantile(s.gone, 0.5)), ms(quantile(s.gone, 1)))
	return nil
}

// example does all to one example.
func (s *execs) example(ctx context.Context) error {
	var h history
	dir, wrong := s.undisturbed(ctx, &h)
	if len(wrong) > 0 {
		fmt.Fprint(s.out, h.failure(s.e.Name+", which nobody disturbed", wrong, dir, s.id("whole", 0)))
		return errWrong
	}
	rng := rand.New(rand.NewPCG(s.seed, uint64(len(s.e.Name))<<32+uint64(s.e.Name[0])))
	for _, part := range []struct {
		name string
		n    int
		do   deed
	}{
		{"sigterm", (s.runs + 1) / 2, s.stopped(waySIGTERM)},
		{"subject", s.runs / 2, s.stopped(wayCommand)},
		{"worker killed", s.kills, s.workerKilled},
		{"coordinator killed", s.crashes, s.crashed},
		{"ctrl-c", s.ctrlCs, s.ctrlC},
	} {
		bad := 0
		for n := range part.n {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("interrupted: %w", err)
			}
			at := s.moment(rng)
			id := s.id(strings.NewReplacer(" ", "_", "-", "_").Replace(part.name), n)
			what := fmt.Sprintf("%s, %s, run %d: %v of %v after its run_id", s.e.Name, part.name, n, ms(at), ms(s.length))
			var h history
			dir, wrong := part.do(ctx, id, at, &h)
			switch {
			case len(wrong) > 0:
				bad++
				fmt.Fprint(s.out, h.failure(what, wrong, dir, id))
				continue
			case s.verbose:
				fmt.Fprintf(s.out, "%s\n%s\n", what, indent(strings.Join(h.lines, "\n")))
			}
			s.clean(dir)
		}
		s.wrong += bad
		fmt.Fprintf(s.out, "  %-8s %-18s %d of %d right\n", s.e.Name, part.name, part.n-bad, part.n)
	}
	return nil
}

func (s *execs) id(what string, n int) string {
	return fmt.Sprintf("%s_%s_%d_%d", s.e.Name, what, s.seed, n)
}

// moment draws a moment of a run: while it starts, while it ends, or in
// between.
func (s *execs) moment(rng *rand.Rand) time.Duration {
	switch rng.IntN(10) {
	case 0:
		return time.Duration(rng.Int64N(int64(600 * time.Millisecond)))
	case 1:
		return s.length + time.Duration(rng.Int64N(int64(400*time.Millisecond))) - 200*time.Millisecond
	}
	return time.Duration(1.05 * rng.Float64() * float64(s.length))
}

func (s *execs) config(id string) (drive.Config, error) {
	return s.e.Config(execrun.Plan{
		Binary: s.binary, Python: s.python, Dir: filepath.Join(s.dir, id), RunID: id, Workers: s.crew, Chunks: s.chunksEach, Bars: s.bars, BarMS: s.barMS,
		Runtime: filepath.Join(s.dir, "bin", "runtime"), Args: []string{"--listen", s.listen, "--lease-duration", shortLease},
	})
}

// begin starts a run and waits for its run_id.
func (s *execs) begin(ctx context.Context, id string, h *history) (*drive.Run, error) {
	cfg, err := s.config(id)
	if err != nil {
		return nil, err
	}
	r, err := drive.Start(cfg)
	if err != nil {
		return nil, err
	}
	h.note("started")
	if err := r.Announced(ctx); err != nil {
		r.End()
		return nil, err
	}
	return r, nil
}

// patience is what a run may take, whatever is done to it.
const execPatience = 3 * time.Minute

func failed(err error) []string { return []string{err.Error()} }

// undisturbed learns how long a run of the example takes, and what it leaves.
func (s *execs) undisturbed(ctx context.Context, h *history) (dir string, wrong []string) {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	r, err := s.begin(ctx, s.id("whole", 0), h)
	if err != nil {
		return "", failed(err)
	}
	defer r.End()
	begun := time.Now()
	code, err := r.Wait(ctx)
	if err != nil {
		return r.Dir, failed(err)
	}
	s.length = time.Since(begun)
	rep, wrong := s.judge(r, code, check.Options{Outcome: "complete"})
	fmt.Fprintf(s.out, "%s: undisturbed %v, %d bars logged\n", s.e.Name, ms(s.length), rep.Logged)
	if len(wrong) > 0 {
		return r.Dir, wrong
	}
	s.whole = filepath.Join(s.dir, "bin", s.e.Name+".json")
	if err := os.Rename(r.Perf(), s.whole); err != nil {
		return r.Dir, failed(err)
	}
	s.clean(r.Dir)
	return r.Dir, nil
}

// judge judges what a run has left that ended with code.
func (s *execs) judge(r *drive.Run, code int, o check.Options) (rep *check.Report, wrong []string) {
	o.Bars, o.Lives, o.Behind = int64(s.bars), r.Lives(), s.e.Behind
	rep, wrong = execrun.Judge(r, o)
	if code != 0 {
		wrong = append(wrong, fmt.Sprintf("the exit code is %d (expected 0); it said: %s", code, drive.Tail(r.Stderr(), 3)))
	}
	for _, bad := range []string{"unresponsive", "failed", "parse_error"} {
		if n := rep.Statuses[bad]; n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d chunks are %s", n, bad))
		}
	}
	return rep, wrong
}

// wait lets time pass until the moment, or the run's end.
func wait(r *drive.Run, at time.Duration) {
	t := time.NewTimer(max(at, 0))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Exited():
	}
}

// stopped stops a run in that way.
func (s *execs) stopped(w way) deed {
	return func(ctx context.Context, id string, at time.Duration, h *history) (string, []string) {
		ctx, cancel := context.WithTimeout(ctx, execPatience)
		defer cancel()
		r, err := s.begin(ctx, id, h)
		if err != nil {
			return "", failed(err)
		}
		defer r.End()
		wait(r, at)
		h.note("stopped by %s; alive: %d processes of commands", w, len(execrun.Commands(r)))
		begun := time.Now()
		stopErr := w.stop(ctx, r)
		code, err := r.Wait(ctx)
		if err != nil {
			r.DumpStacks()
			return r.Dir, failed(err)
		}
		ending := time.Since(begun)
		rep, wrong := s.judge(r, code, check.Options{Stop: []string{w.source()}, SameTradesAs: s.whole})
		wrong = append(wrong, execrun.Errors(r)...)
		h.note("ended after %v with %s: %d of %d bars, %d logged, %v", ms(ending), rep.Outcome, rep.Replayed, rep.Planned, rep.Logged, rep.Statuses)
		if ending > slowAfter {
			wrong = append(wrong, fmt.Sprintf("the run ended %v after its stop (at most %v)", ms(ending), slowAfter))
		}
		if stopErr != nil {
			wrong = append(wrong, stopErr.Error())
		}
		return r.Dir, wrong
	}
}

// workerKilled kills a worker with its command under way; the run completes.
func (s *execs) workerKilled(ctx context.Context, id string, at time.Duration, h *history) (string, []string) {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	r, err := s.begin(ctx, id, h)
	if err != nil {
		return "", failed(err)
	}
	defer r.End()
	wait(r, at*3/4) // most of its workers still have work
	var wrong []string
	k, err := execrun.KillWorker(ctx, r)
	switch {
	case errors.Is(err, drive.ErrExited):
		h.note("it ended before a worker could be killed")
	case err != nil:
		return r.Dir, failed(err)
	default:
		h.note("worker %d killed; its %d processes were gone after %v", k.Worker.PID, len(k.Below), ms(k.Gone))
		s.gone = append(s.gone, k.Gone)
		if k.Gone > guardianLimit {
			wrong = append(wrong, fmt.Sprintf("what worker %d had started lived for %v after it (at most %v)", k.Worker.PID, ms(k.Gone), guardianLimit))
		}
	}
	code, err := r.Wait(ctx)
	if err != nil {
		r.DumpStacks()
		return r.Dir, failed(err)
	}
	rep, bad := s.judge(r, code, check.Options{Outcome: "complete", SameTradesAs: s.whole})
	h.note("ended: %v, %d failures, %d attempts beyond the first", rep.Statuses, rep.Failures, rep.Redeliveries)
	return r.Dir, append(wrong, bad...)
}

// crashed kills the coordinator, and goes on with the run.
func (s *execs) crashed(ctx context.Context, id string, at time.Duration, h *history) (string, []string) {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	r, err := s.begin(ctx, id, h)
	if err != nil {
		return "", failed(err)
	}
	defer r.End()
	wait(r, at)
	v, err := s.kill(ctx, r, h)
	if err != nil {
		return r.Dir, failed(err)
	}
	var wrong []string
	if v.killed && v.gone > goneLimit {
		wrong = append(wrong, fmt.Sprintf("the last process was gone %v after the kill (at most %v)", ms(v.gone), goneLimit))
	}
	rep, bad := execrun.JudgeFile(r, check.Options{
		Bars: int64(s.bars), Lives: r.Lives(), Behind: s.e.Behind, Mode: []string{"recovered", "normal"}, MaxUnreported: -1,
	})
	if wrong = append(wrong, bad...); len(wrong) > 0 {
		return r.Dir, wrong
	}
	h.note("the file holds %d of %d bars, %d logged, %v", rep.Replayed, rep.Planned, rep.Logged, rep.Statuses)
	kept, err := keep(r, "killed.json")
	if err != nil {
		return r.Dir, failed(err)
	}
	again, err := r.Again(r.Config)
	if err != nil {
		return r.Dir, failed(err)
	}
	defer again.End()
	code, err := again.Wait(ctx)
	if err != nil {
		again.DumpStacks()
		return r.Dir, failed(err)
	}
	rep, wrong = s.judge(again, code, check.Options{Outcome: "complete", SameTradesAs: s.whole, Earlier: []string{kept}, MaxUnreported: -1})
	h.note("the same command again: %v, %d sessions", rep.Statuses, rep.Sessions)
	if left := again.Uncleaned(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("files are left: %v", left))
	}
	return r.Dir, wrong
}

// ctrlC presses Ctrl-C in the run's terminal.
func (s *execs) ctrlC(ctx context.Context, id string, at time.Duration, h *history) (dir string, wrong []string) {
	ctx, cancel := context.WithTimeout(ctx, execPatience)
	defer cancel()
	cfg, err := s.config(id)
	if err != nil {
		return "", failed(err)
	}
	t, err := execrun.InTerminal(ctx, cfg)
	if err != nil {
		return cfg.Dir, failed(err)
	}
	defer func() {
		if err := t.Close(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}()
	h.note("started in a terminal")
	// Before it listens for signals there is no run to stop.
	if err := t.Reaches(ctx, 1); err != nil {
		return cfg.Dir, failed(err)
	}
	pauseFor(ctx, at*3/4)
	h.note("Ctrl-C; alive: %d processes of commands", len(execrun.Commands(t.Run)))
	begun := time.Now()
	if err := t.Press(ctx, "C-c"); err != nil {
		return cfg.Dir, failed(err)
	}
	code, err := t.Wait(ctx)
	if err != nil {
		return cfg.Dir, failed(err)
	}
	ending := time.Since(begun)
	if code != 0 {
		wrong = append(wrong, fmt.Sprintf("the exit code is %d (expected 0)", code))
	}
	if ending > slowAfter {
		wrong = append(wrong, fmt.Sprintf("the run ended %v after Ctrl-C (at most %v)", ms(ending), slowAfter))
	}
	rep, bad := execrun.Judge(t.Run, check.Options{Bars: int64(s.bars), Behind: s.e.Behind, Stop: []string{"sigint"}, SameTradesAs: s.whole})
	bad = append(bad, execrun.Errors(t.Run)...)
	h.note("ended after %v with %s: %d of %d bars, %d logged, %v", ms(ending), rep.Outcome, rep.Replayed, rep.Planned, rep.Logged, rep.Statuses)
	screen, err := t.Screen(ctx)
	if err != nil {
		return cfg.Dir, append(wrong, err.Error())
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "stderr.screen"), bytes.TrimSpace([]byte(screen)), 0o600); err != nil {
		wrong = append(wrong, err.Error())
	}
	return cfg.Dir, append(wrong, bad...)
}
