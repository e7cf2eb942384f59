//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// cutPolicies are the files in test/cuts/testdata, whose comments say what
// makes each hard to cut.
const cutPolicies = "sparse,dense,ten,charged"

// cuts is the campaign `cuts`.
type cuts struct {
	*stops
	data string // a file; empty: generated bars
	kill bool
	json bool

	root string
	mu   sync.Mutex // of what follows, and of the output
	n    int
	bad  int
	died int // killed before they had ended
}

// combination is one way to do a run of one policy.
type combination struct {
	Policy  string `json:"policy"`
	Chunks  int    `json:"chunks"`
	Workers int    `json:"workers"`
	Order   string `json:"order"`
	Killed  string `json:"killed"` // how, empty: it was not
}

func (c combination) id() string {
	id := fmt.Sprintf("cuts_%s_%d_%d_%s", c.Policy, c.Chunks, c.Workers, c.Order)
	if c.Killed != "" {
		id += "_killed"
	}
	return id
}

// runCuts does a run in many ways and says whether they came to the same.
func runCuts(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &cuts{stops: newStops(c)}
	fs.IntVar(&s.bars, "bars", 70_000, "bars to generate")
	fs.StringVar(&s.data, "data", "", "a file with bars, in place of generated ones")
	fs.BoolVar(&s.kill, "kill", false, "do each run again, kill it at a random moment, and go on with it")
	fs.BoolVar(&s.json, "json", false, "a JSON object for each run, and one for all")
	fs.Uint64Var(&s.seed, "seed", 1, "seed of the moments of kills")
	fs.IntVar(&s.jobs, "jobs", 1, "runs at a time")
	chunks := fs.String("chunks", "1,2,3,7,64,501,1000", "numbers of chunks")
	workers := fs.String("workers", "1,3", "numbers of local workers")
	orders := fs.String("orders", "spread,time", "orders of publication")
	policies := fs.String("policies", cutPolicies, "policies")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if s.chunks, err = numbers(*chunks); err != nil {
		return fmt.Errorf("--chunks: %w", err)
	}
	if s.workers, err = numbers(*workers); err != nil {
		return fmt.Errorf("--workers: %w", err)
	}
	spec := s.data
	if spec == "" {
		spec = fmt.Sprintf("synthetic:%d", s.bars)
	} else if s.data, err = filepath.Abs(s.data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	set, err := bars.Open(spec, bars.ReadOptions{})
	if err != nil {
		return err
	}
	s.bars = len(set.Bars)
	if s.root, err = drive.Root(); err != nil {
		return err
	}
	if s.listen, err = freeAddress(); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	for policy := range strings.SplitSeq(*policies, ",") {
		var list []combination
		for _, n := range s.chunks {
			for _, w := range s.workers {
				for order := range strings.SplitSeq(*orders, ",") {
					list = append(list, combination{Policy: policy, Chunks: n, Workers: w, Order: order})
				}
			}
		}
		if ctx.Err() == nil {
			s.policy(ctx, list)
		}
	}
	return s.verdict(ctx)
}

// policy does the runs of one policy; the first one is what the others are
// held against.
func (s *cuts) policy(ctx context.Context, list []combination) {
	first, ok := s.both(ctx, list[0], nil)
	if !ok {
		return // there is nothing to compare with
	}
	next := make(chan combination)
	var jobs sync.WaitGroup
	for range max(s.jobs, 1) {
		jobs.Go(func() {
			for c := range next {
				s.both(ctx, c, &first)
			}
		})
	}
	for _, c := range list[1:] {
		if ctx.Err() == nil {
			next <- c
		}
	}
	close(next)
	jobs.Wait()
}

// both does a run, and if asked to, once more with a kill, and tells what
// they came to. first is nil for the first run of a policy.
func (s *cuts) both(ctx context.Context, c combination, first *sameness) (sameness, bool) {
	result := s.do(ctx, c, moment{}, first)
	if ctx.Err() != nil {
		return result.sameness, false // an interrupted run is not a wrong one
	}
	s.tell(result)
	if s.kill && result.took > 0 {
		if first == nil {
			first = &result.sameness
		}
		var m moment
		c.Killed, m = s.draw(c, result.took)
		if again := s.do(ctx, c, m, first); ctx.Err() == nil {
			s.tell(again)
		}
	}
	return result.sameness, len(result.wrong) == 0
}

// moment is when a run is killed: once so many bars were stepped over, or, if
// after is not 0, a time after its run_id was printed.
type moment struct {
	bars  int
	after time.Duration
}

func (m moment) String() string {
	if m.after > 0 {
		return fmt.Sprintf("after %v", ms(m.after))
	}
	return fmt.Sprintf("from bar %d on", m.bars)
}

// draw draws how and when a run is killed that takes so long undisturbed: of
// four, three while bars are replayed.
func (s *cuts) draw(c combination, took time.Duration) (how string, m moment) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, c.id()) // it never fails
	rng := rand.New(rand.NewPCG(s.seed, h.Sum64()))
	how = string([]event{killOne, killBoth}[rng.IntN(2)])
	if rng.IntN(4) == 0 {
		return how, moment{after: 1 + time.Duration(rng.Float64()*float64(took))}
	}
	return how, moment{bars: 1 + rng.IntN(s.bars)}
}

// slowed is how long replaying should take at least where it is to be killed
// under way.
const slowed = 2 * time.Second

// doneRun is what one run came to.
type doneRun struct {
	combination
	sameness
	wrong []string
	took  time.Duration // from the printed run_id to the end
	at    moment
	died  bool // it was killed before it had ended
	held  int  // bars that had been stepped over by then
	dir   string
}

// do does one run, killed at the moment if its combination says so, and holds
// it against first.
func (s *cuts) do(ctx context.Context, c combination, at moment, first *sameness) (d doneRun) {
	d = doneRun{combination: c, at: at, dir: filepath.Join(s.dir, c.id())}
	failed := func(err error) doneRun {
		d.wrong = append(d.wrong, err.Error())
		return d
	}
	cfg := drive.Config{
		Binary: s.binary, Dir: d.dir, RunID: c.id(), Bars: s.bars, Runtime: filepath.Join(s.dir, "bin", "runtime"),
		Policy: filepath.Join(s.root, "test", "cuts", "testdata", c.Policy+".yaml"),
		Args: []string{
			"--chunks", strconv.Itoa(c.Chunks), "--workers", strconv.Itoa(c.Workers), "--order", c.Order,
			"--listen", s.listen, "--lease-duration", shortLease,
		},
	}
	if s.data != "" {
		cfg.Args = append(cfg.Args, "--data", s.data) // the last one counts
	}
	if at.bars > 0 {
		sleep := slowed * time.Duration(min(c.Workers, c.Chunks)) / time.Duration(s.bars)
		cfg.Env = []string{"GX1TEST_BAR_SLEEP=" + max(sleep, time.Microsecond).String()}
	}
	r, err := drive.Start(cfg)
	if err != nil {
		return failed(err)
	}
	defer func() { r.End() }()
	ctx, cancel := context.WithTimeout(ctx, 2*shape{chunks: c.Chunks}.patience())
	defer cancel()
	if err := r.Announced(ctx); err != nil {
		return failed(fmt.Errorf("%w; it said: %s", err, drive.Tail(r.Stderr(), 3)))
	}
	begun := time.Now()
	if c.Killed != "" {
		if err := d.kill(ctx, r); err != nil {
			return failed(err)
		}
		again := r.Config
		again.Env = nil // in full speed
		if r, err = r.Again(again); err != nil {
			return failed(err)
		}
	}
	code, err := r.Wait(ctx)
	if err != nil {
		r.DumpStacks()
		return failed(err)
	}
	d.took = time.Since(begun)
	d.wrong = judgeEnd(r, code, check.Options{Bars: int64(s.bars), Outcome: "complete"})
	if d.sameness, err = readSameness(r.Out, r.RunID); err != nil {
		return failed(err)
	}
	d.wrong = append(d.wrong, d.sameness.judge(first)...)
	return d
}

// kill kills the coordinator, or it and its guardian, and waits until nothing
// of the run lives.
func (d *doneRun) kill(ctx context.Context, r *drive.Run) error {
	if d.at.after > 0 {
		moment := time.NewTimer(d.at.after)
		defer moment.Stop()
		select {
		case <-moment.C:
		case <-r.Exited():
		}
	} else if err := r.Until(ctx, "it is to be killed", func() bool { return r.Bars() >= d.at.bars }); err != nil && !errors.Is(err, drive.ErrExited) {
		return err
	}
	kill := r.Kill
	if event(d.Killed) == killBoth {
		kill = r.KillBoth
	}
	if err := kill(); err != nil {
		return err
	}
	if err := r.Reaped(ctx); err != nil {
		return err
	}
	_, err := r.Wait(ctx)
	d.died = err != nil
	d.held = r.Bars()
	return r.Gone(ctx)
}

// tell writes a line about a run, and cleans up behind it if it was right.
func (s *cuts) tell(d doneRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if d.died {
		s.died++
	}
	verdict := "same"
	if len(d.wrong) > 0 {
		s.bad++
		verdict = "WRONG"
	}
	if s.json {
		_ = json.NewEncoder(s.out).Encode(struct {
			combination
			sameness
			Right bool     `json:"right"`
			Wrong []string `json:"wrong"`
			Sec   float64  `json:"sec"`
			Died  bool     `json:"died"`
			Held  int      `json:"bars_at_death"`
		}{d.combination, d.sameness, len(d.wrong) == 0, slices.Concat([]string{}, d.wrong), d.took.Seconds(), d.died, d.held})
	} else {
		how := ""
		switch {
		case d.died:
			how = fmt.Sprintf(", %s %v, at %d", d.Killed, d.at, d.held)
		case d.Killed != "":
			how = ", ended before its kill"
		}
		fmt.Fprintf(s.out, "%-6s chunks %4d workers %d order %-6s %.12s %5d trades %12.4f bps %7d bars %7d calls %6.2f s  %s%s\n",
			d.Policy, d.Chunks, d.Workers, d.Order, d.TradesSHA, d.Trades, d.PnlBps, d.Bars, d.ModelCalls, d.took.Seconds(), verdict, how)
		if len(d.wrong) > 0 {
			fmt.Fprintf(s.out, "  %s\n  kept in %s\n", strings.Join(d.wrong, "\n  "), d.dir)
		}
	}
	if len(d.wrong) == 0 {
		s.clean(d.dir)
	}
}

func (s *cuts) verdict(ctx context.Context) error {
	if s.json {
		_ = json.NewEncoder(s.out).Encode(map[string]int{"runs": s.n, "wrong": s.bad, "died": s.died, "bars": s.bars})
	} else {
		fmt.Fprintf(s.out, "cuts campaign, seed %d, %d bars: %d of %d runs right, %d of them killed on the way\n", s.seed, s.bars, s.n-s.bad, s.n, s.died)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	if s.bad > 0 {
		return errWrong
	}
	return nil
}
