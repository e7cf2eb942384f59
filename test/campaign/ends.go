//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/ends"
)

// endsCampaign is the campaign `ends`.
type endsCampaign struct {
	*campaign
	drawn

	mu           sync.Mutex
	good, bad    int
	done, missed int64 // bars in files, and logged bars that kills took from them
	stopped      int
}

// runEnds ends runs in all ways in which systems end processes, at random
// moments, with both engines.
func runEnds(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &endsCampaign{campaign: c}
	s.runs, s.jobs = 300, 4
	s.bindMany(fs, "end")
	s.bindSeed(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	s.each(ctx, s.do)
	fmt.Fprintf(s.out, "%d runs ended in %d ways: %d right, %d stopped before their end; %d bars in the files, %d lost by kills\n",
		s.good+s.bad, len(endsWays()), s.good, s.stopped, s.done, s.missed)
	if s.bad > 0 || ctx.Err() != nil {
		return errors.Join(errWrong, ctx.Err())
	}
	return nil
}

// endsWays are all ways of ending a run, and what ends none, before a stop.
func endsWays() []ends.Way { return append(ends.Ways(), ends.HarmlessThenStopped()...) }

// do ends one run, which follows from seed and number.
func (s *endsCampaign) do(ctx context.Context, n int) {
	rng := rand.New(rand.NewPCG(s.seed, uint64(n)))
	ways := endsWays()
	way := ways[n%len(ways)]
	p := ends.Plan{
		Binary: s.binary, Dir: filepath.Join(s.dir, fmt.Sprintf("ends_%d_%d", s.seed, n)), RunID: fmt.Sprintf("ends_%d_%d", s.seed, n),
		Exec: n/len(ways)%2 == 1, Workers: 1 + rng.IntN(3), Chunks: 1 + rng.IntN(6), Bars: 400 + rng.IntN(1200), Bar: 5 * time.Millisecond,
		Flush: time.Duration(rng.Int64N(int64(3 * time.Second))),
	}
	if way.Start != nil {
		way.Start(&p)
	}
	if err := p.Possible(); err != nil {
		fmt.Fprintf(s.out, "run %d of seed %d: %s: left out: %v\n", n, s.seed, way.Name, err)
		return
	}
	at := time.Duration(rng.Int64N(int64(4 * time.Second)))
	rep, wrong := s.one(ctx, p, way, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if rep != nil {
		s.done += rep.Replayed
		s.missed += rep.Unreported
		if rep.Outcome == "stopped" {
			s.stopped++
		}
	}
	what := fmt.Sprintf("run %d of seed %d: %s, exec %v, after %v, flush %v", n, s.seed, way.Name, p.Exec, at.Round(time.Millisecond), p.Flush.Round(time.Millisecond))
	if len(wrong) == 0 {
		s.good++
		s.clean(p.Dir)
		if s.verbose {
			fmt.Fprintf(s.out, "%s: %s, %d of %d bars\n", what, rep.Outcome, rep.Replayed, rep.Planned)
		}
		return
	}
	s.bad++
	fmt.Fprintf(s.out, "%s\n  %s\n  kept in %s\n", what, strings.Join(wrong, "\n  "), p.Dir)
}

// one starts a run, ends it and judges what it leaves.
func (s *endsCampaign) one(ctx context.Context, p ends.Plan, way ends.Way, at time.Duration) (rep *check.Report, wrong []string) {
	ctx, cancel := context.WithTimeout(ctx, hangAfter+at+time.Minute)
	defer cancel()
	r, err := ends.Start(p)
	if err != nil {
		return nil, []string{err.Error()}
	}
	defer func() {
		if err := r.Close(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}()
	if err := r.Until(ctx, "its run_id is printed", func() bool { return r.Announced() || r.Over() }); err != nil {
		return nil, []string{err.Error(), r.Said()}
	}
	select {
	case <-time.After(at):
	case <-ctx.Done():
	}
	if err := way.End(ctx, r); err != nil {
		return nil, []string{err.Error()}
	}
	code, err := r.Ended(ctx)
	if err != nil {
		return nil, []string{err.Error(), drive.Tail(r.Log(), 10)}
	}
	if err := r.Gone(ctx); err != nil {
		return nil, []string{err.Error()}
	}
	if _, err := os.Stat(r.Perf()); err != nil && way.NoFile {
		said, err := r.Command(ctx, "export", r.RunID, "--output-dir", r.Out)
		if err != nil || said.Code != 0 {
			return nil, []string{fmt.Sprintf("coordinator export exits %d, %v: %s", said.Code, err, said.Stderr)}
		}
	}
	o := check.Options{Stop: way.Sources(), MaxUnreported: 0}
	// A run that ended in order before it was killed, or before the way began.
	ordered := code == 0 || code == way.Code && !way.Killed()
	hasty := way.Hasty || !ordered
	if hasty {
		o.MaxUnreported, o.Early = -1, true
	}
	if way.Killed() && !ordered {
		// What is killed after its last export leaves that one, before its first
		// its guardian's.
		o.Stop, o.Mode = nil, []string{"recovered", "normal", way.Mode}
	}
	if !ordered && code != way.Code {
		wrong = append(wrong, fmt.Sprintf("the exit code is %d (expected %d)", code, way.Code))
	}
	rep, bad := r.Judge(ctx, o)
	wrong = append(wrong, bad...)
	if cut := r.Cut(); len(cut) > 0 && !hasty {
		wrong = append(wrong, fmt.Sprintf("commands had no time to end: %v", cut))
	}
	if rep.Failures > 0 && !hasty {
		wrong = append(wrong, fmt.Sprintf("%d attempts failed", rep.Failures))
	}
	return rep, wrong
}
