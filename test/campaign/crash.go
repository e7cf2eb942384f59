//go:build linux

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

const (
	// shortLease lets a resume take up what dead workers held in a second.
	shortLease = "1s"
	// guardianLimit is how soon after a kill the file has to be there.
	guardianLimit = 2 * time.Second
	// goneLimit is how soon after a kill nothing of the run may live.
	goneLimit = 3 * time.Second
	// limitedChunks is the most chunks for which both limits hold; of more,
	// the times are said.
	limitedChunks = 1000
)

// crashes is the campaign `crash`.
type crashes struct {
	*stops
	mu                     sync.Mutex
	visible, gone, resumed []time.Duration
	bare                   int // killed before there was a plan
	own                    int // the coordinator had exported before it was killed, or had ended
	wrong                  int
}

// runCrashes kills coordinators at random moments, and goes on with their
// runs.
func runCrashes(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &crashes{stops: newStops(c)}
	s.extra = []string{"--lease-duration", shortLease}
	s.runs, s.jobs = 100, 1
	s.bindMany(fs, "kill")
	if err := s.parse(fs, args); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	s.each(ctx, s.do)
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "crash campaign, seed %d: %d of %d runs right; killed %d, of these before the plan %d; exported before the kill %d\n"+
		"  kill to visible file: median %v, worst %v; kill to the last process gone: median %v, worst %v; the run after it: median %v, worst %v\n",
		s.seed, s.runs-s.wrong, s.runs, s.runs-s.own, s.bare, s.own, ms(quantile(s.visible, 0.5)), ms(quantile(s.visible, 1)),
		ms(quantile(s.gone, 0.5)), ms(quantile(s.gone, 1)), ms(quantile(s.resumed, 0.5)), ms(quantile(s.resumed, 1)))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	if s.wrong > 0 {
		return errWrong
	}
	return nil
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// do is one run of the campaign.
func (s *crashes) do(ctx context.Context, n int) {
	p := s.plan(n)
	id := fmt.Sprintf("crash_%d_%d", s.seed, n)
	what := fmt.Sprintf("run %d of seed %d: %v", n, s.seed, p.moment())
	var h history
	dir, wrong := s.crash(ctx, id, p, &h)
	if len(wrong) == 0 {
		if s.verbose {
			fmt.Fprintf(s.out, "%s\n%s\n", what, indent(strings.Join(h.lines, "\n")))
		}
		s.clean(dir)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong++
	fmt.Fprint(s.out, h.failure(what, wrong, dir, id))
}

// crash kills one run, looks at what its guardian leaves, and goes on with
// it. What is wrong ends it.
func (s *crashes) crash(ctx context.Context, id string, p plan, h *history) (dir string, wrong []string) {
	failed := func(err error) []string { return append(wrong, err.Error()) }
	length, whole, err := s.length(ctx, p.shape)
	if err != nil {
		return "", failed(err)
	}
	cfg, err := s.config(id, p.shape, p.order)
	if err != nil {
		return "", failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.patience())
	defer cancel()
	h.note("started")
	r, err := drive.Start(cfg)
	if err != nil {
		return cfg.Dir, failed(err)
	}
	defer r.End()
	if err := r.Announced(ctx); err != nil {
		return cfg.Dir, failed(err)
	}
	at := max(time.Duration(p.share*float64(length))+p.plus, 0)
	h.note("the run_id is printed; to be killed in %v (an undisturbed run takes %v)", ms(at), ms(length))
	o := check.Options{Bars: int64(s.bars), Mode: []string{"recovered", "normal"}}
	killed, wrong := s.killAt(ctx, r, at, p.chunks <= limitedChunks, h)
	if len(wrong) > 0 {
		return cfg.Dir, wrong
	}
	rep, wrong := look(r, o)
	if len(wrong) > 0 {
		return cfg.Dir, wrong
	}
	h.note("the file holds %d of %d bars, %v, mode %s", rep.Replayed, rep.Planned, rep.Statuses, rep.Mode)
	if killed && rep.Planned == 0 {
		s.mu.Lock()
		s.bare++
		s.mu.Unlock()
	}
	kept, err := keep(r, "killed.json")
	if err != nil {
		return cfg.Dir, failed(err)
	}
	o.Earlier, o.SameTradesAs, o.Outcome = []string{kept}, whole, "complete"
	return cfg.Dir, s.resume(ctx, r, o, h)
}

// killAt kills the coordinator after a while and waits for what its guardian
// leaves, within the limits if limited. It reports whether there was one to
// kill.
func (s *crashes) killAt(ctx context.Context, r *drive.Run, at time.Duration, limited bool, h *history) (killed bool, wrong []string) {
	moment := time.NewTimer(at)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-r.Exited():
	}
	v, err := s.kill(ctx, r, h)
	if err != nil {
		return false, []string{err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !v.byGuardian {
		s.own++
	} else {
		s.visible = append(s.visible, v.visible)
		if limited && v.visible > guardianLimit {
			wrong = append(wrong, fmt.Sprintf("the file was there %v after the kill (at most %v)", ms(v.visible), guardianLimit))
		}
	}
	if v.killed {
		s.gone = append(s.gone, v.gone)
		if limited && v.gone > goneLimit {
			wrong = append(wrong, fmt.Sprintf("the last process was gone %v after the kill (at most %v)", ms(v.gone), goneLimit))
		}
	}
	return v.killed, wrong
}

// resume starts the same command again, which has to complete the run, and
// once more, which has to leave it alone.
func (s *crashes) resume(ctx context.Context, r *drive.Run, o check.Options, h *history) (wrong []string) {
	h.note("the same command again")
	again, err := r.Again(r.Config)
	if err != nil {
		return []string{err.Error()}
	}
	defer again.End()
	begun := time.Now()
	code, err := again.Wait(ctx)
	if err != nil {
		again.DumpStacks()
		return []string{err.Error()}
	}
	h.note("it ended with code %d after %v", code, ms(time.Since(begun)))
	s.mu.Lock()
	s.resumed = append(s.resumed, time.Since(begun))
	s.mu.Unlock()
	if wrong = judgeEnd(again, code, o); len(wrong) > 0 {
		return wrong
	}
	before, err := os.ReadFile(again.Perf())
	if err != nil {
		return []string{err.Error()}
	}
	h.note("and again")
	third, err := again.Again(again.Config)
	if err != nil {
		return []string{err.Error()}
	}
	defer third.End()
	if code, err = third.Wait(ctx); err != nil || code != 0 {
		wrong = append(wrong, fmt.Sprintf("the finished run once more: code %d, error %v (expected 0)", code, err))
	}
	if after, err := os.ReadFile(third.Perf()); err != nil || !bytes.Equal(before, after) {
		wrong = append(wrong, fmt.Sprintf("the finished run once more changed its file (error %v)", err))
	}
	if left := third.Uncleaned(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("the finished run once more left %v", left))
	}
	return wrong
}

// judgeEnd judges a run that completed after whatever had been done to it.
func judgeEnd(r *drive.Run, code int, o check.Options) (wrong []string) {
	if code != 0 {
		wrong = append(wrong, fmt.Sprintf("the exit code is %d (expected 0); it said: %s", code, drive.Tail(r.Stderr(), 3)))
	}
	if left := r.Processes(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("processes are left: %v", left))
	}
	if left := append(r.Leftovers(), r.Uncleaned()...); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("files are left: %v", left))
	}
	o.Artifacts = filepath.Join(r.Out, r.RunID)
	_, bad := look(r, o)
	return append(wrong, bad...)
}

// look has the checker judge the run's file.
func look(r *drive.Run, o check.Options) (rep *check.Report, wrong []string) {
	o.BarLog, o.RunID, o.Lives = r.BarLog(), r.RunID, r.Lives()
	rep, err := check.File(r.Perf(), o)
	if err != nil {
		return nil, []string{err.Error()}
	}
	return rep, rep.Violations
}

// keep copies the run's file as it is now.
func keep(r *drive.Run, name string) (string, error) {
	b, err := os.ReadFile(r.Perf())
	path := filepath.Join(r.Dir, name)
	if err == nil {
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("keeping the file: %w", err)
	}
	return path, nil
}
