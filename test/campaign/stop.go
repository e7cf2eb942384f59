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
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

const (
	// wantLength is how long an undisturbed run should take: long against
	// its start, so that most stops meet bars that move.
	wantLength = 1300 * time.Millisecond
	// slowAfter is when a stop took too long without a hang: the drain ran
	// into its deadline for nothing.
	slowAfter = 7 * time.Second
	// hangAfter is when a run that was stopped, or should have ended, hangs:
	// far above the drain's deadline.
	hangAfter = 30 * time.Second
)

// stops is the campaign `stop`.
type stops struct {
	*campaign
	drawn
	listen string
	extra  []string // further flags of every run

	mu      sync.Mutex
	lengths map[shape]*length
	result  tally
}

// shape is what decides how long an undisturbed run takes.
type shape struct {
	chunks, workers int
	gate            bool
}

type length struct {
	once sync.Once
	d    time.Duration
	perf string // the run's perf JSON
	err  error
}

// plan is one run of the campaign; it follows from seed and number.
type plan struct {
	n int
	shape
	order string
	way   way
	// at is the moment of the stop: a share of the undisturbed length from
	// the printed run_id on, and a time on top.
	share float64
	plus  time.Duration
}

func (p plan) String() string { return fmt.Sprintf("%s way=%s", p.moment(), p.way) }

// moment is the plan without the way of stopping.
func (p plan) moment() string {
	return fmt.Sprintf("chunks=%d workers=%d order=%s gate=%v at=%.3f×length%+v", p.chunks, p.workers, p.order, p.gate, p.share, p.plus.Round(time.Microsecond))
}

func (s *stops) plan(n int) plan {
	rng := rand.New(rand.NewPCG(s.seed, uint64(n)))
	p := plan{
		n:     n,
		shape: shape{chunks: s.chunks[rng.IntN(len(s.chunks))], workers: 1 + rng.IntN(4), gate: rng.IntN(3) > 0},
		order: [...]string{"spread", "time"}[rng.IntN(2)],
		way:   ways[n%len(ways)],
	}
	jitter := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	if len(s.workers) > 0 {
		p.workers = s.workers[(p.workers-1)%len(s.workers)]
	}
	switch rng.IntN(10) {
	case 0, 1: // while it starts
		p.plus = jitter(300 * time.Millisecond)
	case 2: // while it ends
		p.share, p.plus = 1, jitter(240*time.Millisecond)-120*time.Millisecond
	default:
		p.share = 1.15 * rng.Float64()
	}
	return p
}

func newStops(c *campaign) *stops { return &stops{campaign: c, lengths: map[shape]*length{}} }

// prepare is the campaign's, and finds one address for all runs: of two at
// once one gets it and the other a free port, as with the default.
func (s *stops) prepare(ctx context.Context) (done func(), err error) {
	if s.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	return s.campaign.prepare(ctx)
}

func runStops(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := newStops(c)
	s.runs, s.jobs = 200, 2
	s.bindMany(fs, "stop")
	if err := s.parse(fs, args); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	s.each(ctx, s.do)
	return s.summary(ctx)
}

// config is what starts a run of this shape.
func (s *stops) config(id string, sh shape, order string) (drive.Config, error) {
	dir := filepath.Join(s.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return drive.Config{}, fmt.Errorf("making the run's directory: %w", err)
	}
	// About so many bars of the generator's data pass the gate.
	passes := 0.8 * float64(s.bars)
	if sh.gate {
		passes = 0.28 * float64(s.bars)
	}
	latency := time.Duration(float64(wantLength) * float64(min(sh.workers, sh.chunks)) / passes)
	policy := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(policy, latency.Round(time.Microsecond)); err != nil {
		return drive.Config{}, err
	}
	return drive.Config{
		Binary: s.binary, Dir: dir, RunID: id, Policy: policy, Bars: s.bars, Runtime: filepath.Join(s.dir, "bin", "runtime"),
		Args: append([]string{
			"--chunks", strconv.Itoa(sh.chunks), "--workers", strconv.Itoa(sh.workers), "--order", order,
			"--listen", s.listen, "--pregate", strconv.FormatBool(sh.gate),
		}, s.extra...),
	}, nil
}

// length is how long an undisturbed run of this shape takes, from the printed
// run_id on, and where its perf JSON is; the first call makes one, and judges
// it like any other.
func (s *stops) length(ctx context.Context, sh shape) (time.Duration, string, error) {
	s.mu.Lock()
	l := s.lengths[sh]
	if l == nil {
		l = &length{}
		s.lengths[sh] = l
	}
	s.mu.Unlock()
	l.once.Do(func() { l.d, l.perf, l.err = s.undisturbed(ctx, sh) })
	return l.d, l.perf, l.err
}

func (s *stops) undisturbed(ctx context.Context, sh shape) (d time.Duration, perf string, err error) {
	id := fmt.Sprintf("whole_%d_%d_%d_%v", s.seed, sh.chunks, sh.workers, sh.gate)
	cfg, err := s.config(id, sh, "spread")
	if err != nil {
		return 0, "", err
	}
	r, err := drive.Start(cfg)
	if err != nil {
		return 0, "", err
	}
	defer r.End()
	ctx, cancel := context.WithTimeout(ctx, sh.patience())
	defer cancel()
	if err := r.Announced(ctx); err != nil {
		return 0, "", err
	}
	begun := time.Now()
	code, err := r.Wait(ctx)
	if err != nil {
		return 0, "", err
	}
	d = time.Since(begun)
	if _, wrong := judge(r, code, check.Options{Bars: int64(s.bars), Outcome: "complete"}); len(wrong) > 0 {
		return 0, "", fmt.Errorf("run %s, which nobody disturbed, is kept in %s:\n  %s", id, r.Dir, strings.Join(wrong, "\n  "))
	}
	perf = filepath.Join(s.dir, "bin", id+".json")
	if err := os.Rename(r.Perf(), perf); err != nil {
		return 0, "", fmt.Errorf("keeping the file of run %s: %w", id, err)
	}
	s.clean(r.Dir)
	return d, perf, nil
}

// patience is what a run of this shape may take if nobody disturbs it.
func (sh shape) patience() time.Duration {
	return 2*hangAfter + time.Duration(sh.chunks)*20*time.Millisecond
}

// do is one run of the campaign.
func (s *stops) do(ctx context.Context, n int) {
	p := s.plan(n)
	whole, _, err := s.length(ctx, p.shape)
	if err != nil {
		s.result.note(outcome{err: err})
		fmt.Fprintf(s.out, "run %d: %v\n", n, err)
		return
	}
	id := fmt.Sprintf("stop_%d_%d", s.seed, n)
	cfg, err := s.config(id, p.shape, p.order)
	if err != nil {
		s.result.note(outcome{err: err})
		fmt.Fprintf(s.out, "run %d: %v\n", n, err)
		return
	}
	at := max(time.Duration(p.share*float64(whole))+p.plus, time.Millisecond)
	o, wrong := s.stopOne(ctx, cfg, p, at)
	s.result.note(o)
	if s.verbose {
		fmt.Fprintf(s.out, "run %d: %v, at %v of %v: %s, %d of %d bars, asked in %v, ended after %v\n", n, p,
			at.Round(time.Millisecond), whole.Round(time.Millisecond), o.outcome, o.replayed, o.planned,
			o.stopping.Round(time.Millisecond), o.ending.Round(time.Millisecond))
	}
	if len(wrong) == 0 {
		s.clean(cfg.Dir)
		return
	}
	fmt.Fprintf(s.out, "run %d of seed %d: %v, which is %v of %v\n  %s\n  kept in %s; its log ends with:\n%s\n",
		n, s.seed, p, at.Round(time.Millisecond), whole.Round(time.Millisecond), strings.Join(wrong, "\n  "), cfg.Dir,
		indent(drive.Tail(filepath.Join(cfg.Dir, "out", id, "run.log"), 15)))
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// stopOne starts a run, stops it at the moment, and judges what is left.
func (s *stops) stopOne(ctx context.Context, cfg drive.Config, p plan, at time.Duration) (o outcome, wrong []string) {
	o.way = p.way
	if p.way == wayTimeBox {
		cfg.Env = append(cfg.Env, fmt.Sprintf("GX1_MASTER_WAIT_TIMEOUT_SEC=%.6f", at.Seconds()))
	}
	r, err := drive.Start(cfg)
	if err != nil {
		o.err = err
		return o, []string{err.Error()}
	}
	defer r.End()
	ctx, cancel := context.WithTimeout(ctx, at+hangAfter)
	defer cancel()
	if err := r.Announced(ctx); err != nil {
		o.err = err
		return o, []string{err.Error(), indent(drive.Tail(r.Stderr(), 5))}
	}
	moment := time.NewTimer(at)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-r.Exited():
	}
	begun := time.Now()
	stopErr := p.way.stop(ctx, r)
	o.stopping = time.Since(begun)
	code, err := r.Wait(ctx)
	if err != nil {
		o.hung = errors.Is(err, context.DeadlineExceeded)
		if o.hung {
			r.DumpStacks()
		}
		o.err = err
		return o, append(wrong, err.Error())
	}
	o.ending = time.Since(begun)
	rep, wrong := judge(r, code, check.Options{Bars: int64(s.bars), Stop: []string{p.way.source()}})
	if rep != nil {
		o.outcome, o.replayed, o.planned, o.logged, o.unreported = rep.Outcome, rep.Replayed, rep.Planned, rep.Logged, rep.Unreported
		for _, bad := range []string{"unresponsive", "failed", "parse_error"} {
			if n := rep.Statuses[bad]; n > 0 {
				wrong = append(wrong, fmt.Sprintf("%d chunks are %s after an orderly stop", n, bad))
			}
		}
	}
	if o.ending > slowAfter {
		wrong = append(wrong, fmt.Sprintf("the run ended %v after its stop", o.ending.Round(time.Millisecond)))
	}
	if stopErr != nil {
		wrong = append(wrong, stopErr.Error())
	}
	if len(wrong) > 0 {
		o.err = errWrong
	}
	return o, wrong
}

// judge judges everything that an ended run should have left, and what it
// should not.
func judge(r *drive.Run, code int, o check.Options) (rep *check.Report, wrong []string) {
	if code != 0 {
		wrong = append(wrong, fmt.Sprintf("the exit code is %d (expected 0); it said: %s", code, drive.Tail(r.Stderr(), 3)))
	}
	if left := r.Processes(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("processes are left: %v", left))
	}
	if left := r.Leftovers(); len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("files are left: %v", left))
	}
	for _, line := range logged(r.Log(), "level=ERROR") {
		// Two runs may want the default port; one takes another.
		if !strings.Contains(line, "address already in use") {
			wrong = append(wrong, line)
		}
	}
	o.BarLog, o.RunID, o.Lives = r.BarLog(), r.RunID, r.Lives()
	o.Artifacts = filepath.Join(r.Out, r.RunID)
	rep, err := check.File(r.Perf(), o)
	if err != nil {
		return nil, append(wrong, err.Error())
	}
	return rep, append(wrong, slices.Clone(rep.Violations)...)
}

// logged lists the lines of a log that hold text.
func logged(path, text string) (lines []string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, text) {
			lines = append(lines, "its log says: "+strings.TrimSpace(line))
		}
	}
	return lines
}
