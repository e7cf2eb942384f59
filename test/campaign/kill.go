//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// orphanLimit is how long local workers may outlive their coordinator.
const orphanLimit = time.Second

const (
	// killDelays lie between SIGTERM and SIGKILL.
	killDelays = "alone,5ms,50ms,500ms"
	// withoutTerm, "alone", is SIGKILL without SIGTERM, which leaves no file,
	// and the workers on their own in the middle of their bars.
	withoutTerm = time.Duration(-1)
	// From mustHave on a valid file has to be there.
	mustHave = 50 * time.Millisecond
)

func parseDelays(text string) (list []time.Duration, err error) {
	for item := range strings.SplitSeq(text, ",") {
		d := withoutTerm
		if item != "alone" {
			if d, err = time.ParseDuration(item); err != nil || d < 0 {
				return nil, fmt.Errorf("--delays %s (want durations, or alone, separated by commas)", text)
			}
		}
		list = append(list, d)
	}
	return list, nil
}

func killName(delay time.Duration) string {
	if delay == withoutTerm {
		return "SIGKILL alone"
	}
	return fmt.Sprintf("SIGKILL %v after SIGTERM", delay)
}

// runKills is the campaign `kill`: whoever stops a run may not wait for its
// end.
func runKills(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	runs := fs.Int("runs", 30, "runs for each delay")
	seed := fs.Uint64("seed", 1, "seed of everything that is drawn")
	bars := fs.Int("bars", 3000, "bars of the data set")
	text := fs.String("delays", killDelays, "from SIGTERM to SIGKILL; alone: no SIGTERM")
	if err := fs.Parse(args); err != nil {
		return err
	}
	delays, err := parseDelays(*text)
	if err != nil {
		return err
	}
	s := newStops(c)
	s.seed, s.bars, s.chunks = *seed, *bars, []int{2, 7, 64}
	// What the coordinator alone has written in time; the campaign `crash` is
	// about what its guardian writes.
	s.extra = []string{"--no-guardian"}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	wrong := false
	for i, delay := range delays {
		var k kills
		for n := range *runs {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted: %w", context.Cause(ctx))
			}
			if err := s.killOne(ctx, i**runs+n, delay, &k); err != nil {
				fmt.Fprintf(s.out, "run %d of seed %d, %s: %v\n", i**runs+n, s.seed, killName(delay), err)
				k.wrong++
			}
		}
		fmt.Fprintf(s.out, "%s: a valid file in %d of %d, ended by itself before it %d; workers gone after: median %v, worst %v; bars in the file: %.1f %% of those stepped over; wrong %d\n",
			killName(delay), k.valid, *runs, k.ended, quantile(k.gone, 0.5).Round(time.Millisecond), quantile(k.gone, 1).Round(time.Millisecond),
			100*float64(k.held)/float64(max(k.logged, 1)), k.wrong)
		wrong = wrong || k.wrong > 0
	}
	if wrong {
		return errWrong
	}
	return nil
}

// kills counts over one delay.
type kills struct {
	valid, ended, wrong int
	gone                []time.Duration
	held, logged        int64
}

func (s *stops) killOne(ctx context.Context, n int, delay time.Duration, k *kills) error {
	p := s.plan(n)
	p.workers = 1 + p.workers%2 // two processors are enough to be shared
	id := fmt.Sprintf("kill_%d_%d", s.seed, n)
	cfg, err := s.config(id, p.shape, p.order)
	if err != nil {
		return err
	}
	r, err := drive.Start(cfg)
	if err != nil {
		return err
	}
	defer r.End()
	ctx, cancel := context.WithTimeout(ctx, hangAfter)
	defer cancel()
	if err := r.Until(ctx, "a third of the bars are done", func() bool { return r.Bars() > s.bars/3 }); err != nil {
		return err
	}
	if delay != withoutTerm {
		if err := r.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	wait := time.NewTimer(delay)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Exited():
		k.ended++
	}
	if err := r.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	killed := time.Now()
	if err := r.Reaped(ctx); err != nil {
		return err
	}
	limit, cancelLimit := context.WithDeadline(ctx, killed.Add(5*orphanLimit))
	defer cancelLimit()
	if err := r.Gone(limit); err != nil {
		return err
	}
	gone := time.Since(killed)
	k.gone = append(k.gone, gone)
	if err := s.killed(r, delay, k); err != nil {
		return fmt.Errorf("%w; kept in %s", err, r.Dir)
	}
	if gone > orphanLimit {
		return fmt.Errorf("the workers outlived their coordinator by %v (at most %v); kept in %s", gone.Round(time.Millisecond), orphanLimit, r.Dir)
	}
	s.clean(r.Dir)
	return nil
}

// killed judges what a killed run left: its file, and the footers on the
// workers' disk.
func (s *stops) killed(r *drive.Run, delay time.Duration, k *kills) error {
	logs, err := check.ReadLogs(r.BarLog())
	if err != nil {
		return err
	}
	rep, err := check.File(r.Perf(), check.Options{
		BarLog: r.BarLog(), RunID: r.RunID, Bars: int64(s.bars), WallSec: r.Lived().Seconds(), Stop: []string{"sigterm"}, Early: true, MaxUnreported: -1,
	})
	switch {
	case err == nil && rep.OK():
		k.valid++
		k.held, k.logged = k.held+rep.Replayed, k.logged+rep.Logged
	case err == nil: // a file that is wrong is worse than none
		return fmt.Errorf("the file is wrong:\n  %s", strings.Join(rep.Violations, "\n  "))
	case !errors.Is(err, os.ErrNotExist):
		return err
	case delay >= mustHave:
		return fmt.Errorf("there is no file")
	}
	for _, a := range logs.Attempts() {
		if err := onDisk(r, a); err != nil {
			return err
		}
	}
	return nil
}

// onDisk says whether the worker left its attempt's footer with all the bars
// that it stepped over. A run that completed has cleaned them away.
func onDisk(r *drive.Run, a check.Attempt) error {
	bars, err := r.FooterOnDisk(a.Chunk, a.N)
	switch {
	case errors.Is(err, drive.ErrCleaned):
		return nil
	case err != nil:
		return err
	case bars != a.Bars:
		return fmt.Errorf("chunk %d, attempt %d: bars_processed is %d on the disk (%d were stepped over)", a.Chunk, a.N, bars, a.Bars)
	}
	return nil
}
