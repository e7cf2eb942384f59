//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// event is what befalls one coordinator of a run.
type event string

const (
	killOne   event = "kill"           // the coordinator; its guardian exports
	killBoth  event = "kill-both"      // and the guardian in the same instant
	killGuard event = "guardian-first" // the guardian, and then the coordinator
	termKill  event = "term-kill"      // SIGTERM, and SIGKILL a moment later
	stopKill  event = "stop-kill"      // a stop over the bus, and SIGKILL a moment later
	stopTerm  event = "sigterm"
	stopInt   event = "sigint"
	stopBus   event = "publish"
	stopVerb  event = "command"
)

var events = []event{killOne, killBoth, killGuard, termKill, stopKill, stopTerm, stopInt, stopBus, stopVerb}

// way is the orderly stop that the event is; empty: it is none.
func (e event) way() way {
	return map[event]way{stopTerm: waySIGTERM, stopInt: waySIGINT, stopBus: wayPublish, stopVerb: wayCommand}[e]
}

// sequences are done before any that is drawn.
var sequences = [][]event{
	{killOne, killOne, killOne},
	{stopBus, stopTerm},
	{stopVerb, stopBus},
	{killGuard},
	{killBoth},
	{stopBus, killOne, stopTerm, killBoth},
}

// ordeal is one run of the campaign `multi`; it follows from seed and number.
type ordeal struct {
	plan
	events []event
	// Of each event: its moment, as a share of the undisturbed length from
	// the printed run_id on, and the delay between its two parts.
	shares []float64
	delays []time.Duration
}

func (o ordeal) String() string {
	return fmt.Sprintf("chunks=%d workers=%d order=%s gate=%v events=%v", o.chunks, o.workers, o.order, o.gate, o.events)
}

func (s *stops) ordeal(n int) ordeal {
	rng := rand.New(rand.NewPCG(s.seed, uint64(n)+1<<32))
	o := ordeal{plan: s.plan(n)}
	if n < len(sequences) {
		o.events = sequences[n]
	} else {
		for range 3 + rng.IntN(4) {
			o.events = append(o.events, events[rng.IntN(len(events))])
		}
	}
	for range o.events {
		// The last one still meets bars that move, mostly.
		o.shares = append(o.shares, 0.9*rng.Float64()/float64(len(o.events))+0.05)
		o.delays = append(o.delays, time.Duration(rng.Int64N(int64(250*time.Millisecond))))
	}
	return o
}

// multis is the campaign `multi`.
type multis struct {
	*stops
	mu    sync.Mutex
	tally map[event]int
	lives int
	wrong int
}

// runMulti disturbs each run several times before it may complete.
func runMulti(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := &multis{stops: newStops(c), tally: map[event]int{}}
	s.extra = []string{"--lease-duration", shortLease}
	s.runs, s.jobs = 20, 1
	s.bindMany(fs, "disturb; the first six are always the same sequences")
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
	var counts []string
	for _, e := range events {
		counts = append(counts, fmt.Sprintf("%s %d", e, s.tally[e]))
	}
	fmt.Fprintf(s.out, "multi campaign, seed %d: %d of %d runs right, %d coordinators; %s\n", s.seed, s.runs-s.wrong, s.runs, s.lives, strings.Join(counts, ", "))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	if s.wrong > 0 {
		return errWrong
	}
	return nil
}

// do is one run of the campaign.
func (s *multis) do(ctx context.Context, n int) {
	o := s.ordeal(n)
	id := fmt.Sprintf("multi_%d_%d", s.seed, n)
	what := fmt.Sprintf("run %d of seed %d: %v", n, s.seed, o)
	h := &history{}
	dir, wrong := s.suffer(ctx, id, o, h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(wrong) > 0 {
		s.wrong++
		fmt.Fprint(s.out, h.failure(what, wrong, dir, id))
		return
	}
	if s.verbose {
		fmt.Fprintf(s.out, "%s\n%s\n", what, indent(strings.Join(h.lines, "\n")))
	}
	s.clean(dir)
}

// suffer does the run's events one after the other, a coordinator each, and
// then lets it complete.
func (s *multis) suffer(ctx context.Context, id string, o ordeal, h *history) (dir string, wrong []string) {
	length, whole, err := s.length(ctx, o.shape)
	if err != nil {
		return "", []string{err.Error()}
	}
	cfg, err := s.config(id, o.shape, o.order)
	if err != nil {
		return "", []string{err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(o.events)+1)*o.patience())
	defer cancel()
	v := &victim{stops: s.stops, h: h, length: length,
		o: check.Options{Bars: int64(s.bars), SameTradesAs: whole, MaxUnreported: -1}}
	defer func() { v.r.End() }()
	if v.r, err = drive.Start(cfg); err != nil {
		return cfg.Dir, []string{err.Error()}
	}
	for i, e := range o.events {
		over, wrong := v.suffer(ctx, e, time.Duration(o.shares[i]*float64(length)), o.delays[i])
		s.mu.Lock()
		s.tally[e]++
		s.lives++
		s.mu.Unlock()
		if over || len(wrong) > 0 {
			return cfg.Dir, wrong
		}
		if err := v.again(); err != nil {
			return cfg.Dir, []string{err.Error()}
		}
	}
	return cfg.Dir, v.complete(ctx)
}

// victim is a run that is disturbed time and again.
type victim struct {
	*stops
	r      *drive.Run
	h      *history
	o      check.Options
	length time.Duration
	// pending: a stop was asked for and nobody could say that it was obeyed;
	// the next coordinator may end by it.
	pending bool
	seen    string // the file as it was last
}

func (v *victim) again() (err error) {
	v.h.note("the same command again")
	next, err := v.r.Again(v.r.Config)
	if err == nil {
		v.r = next
	}
	return err
}

// suffer lets the event befall the coordinator that runs, at its moment, and
// judges what is left. over: the run has completed before it.
func (v *victim) suffer(ctx context.Context, e event, at, delay time.Duration) (over bool, wrong []string) {
	failed := func(err error) (bool, []string) { return false, []string{err.Error()} }
	if err := v.r.Announced(ctx); err != nil {
		return failed(err)
	}
	moment := time.NewTimer(at)
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-v.r.Exited():
	}
	v.h.note("%s, %v after its run_id", e, ms(at))
	guarded := len(v.r.Guardians()) > 0
	var err error
	switch e {
	case killOne:
		err = v.r.Kill()
	case killBoth:
		err = v.r.KillBoth()
		guarded = false
	case killGuard:
		if _, err = v.r.KillGuardians(); err == nil {
			pauseFor(ctx, delay)
			err = v.r.Kill()
		}
		guarded = false
	case termKill:
		if err = v.r.Signal(syscall.SIGTERM); err == nil {
			pauseFor(ctx, delay)
			err = v.r.Kill()
		}
	case stopKill:
		if err = publishStop(ctx, v.r); err == nil {
			pauseFor(ctx, delay)
			err = v.r.Kill()
		}
	default:
		err = e.way().stop(ctx, v.r)
	}
	if err != nil {
		return failed(err)
	}
	if err := v.r.Reaped(ctx); err != nil {
		v.r.DumpStacks()
		return failed(err)
	}
	if err := v.r.Gone(ctx); err != nil {
		return failed(err)
	}
	code, err := v.r.Wait(ctx)
	killed := err != nil
	switch {
	case killed:
		v.h.note("it was killed")
	case code != 0:
		return false, []string{fmt.Sprintf("the exit code is %d (expected 0); it said: %s", code, drive.Tail(v.r.Stderr(), 3))}
	default:
		v.h.note("it ended by itself")
	}
	return v.judge(e, killed, guarded)
}

// judge judges the file after a coordinator's end. Without a guardian there
// may be none, or an older one.
func (v *victim) judge(e event, killed, guarded bool) (over bool, wrong []string) {
	before := v.seen
	v.seen = stampOf(v.r.Perf())
	if v.seen == before && killed && !guarded {
		v.h.note("there is no file of it")
		v.pending = v.pending || e == termKill || e == stopKill
		return false, nil
	}
	rep, wrong := look(v.r, v.o)
	if len(wrong) > 0 {
		return false, wrong
	}
	v.h.note("the file holds %d of %d bars, %v, mode %s, stop %q", rep.Replayed, rep.Planned, rep.Statuses, rep.Mode, rep.StopSource)
	if rep.Outcome == "complete" {
		return true, nil
	}
	asked := v.pending || e.way() != "" || e == termKill || e == stopKill
	if !killed && !asked {
		return false, []string{fmt.Sprintf("it ended by itself, stopped by %q, and nobody had asked it to", rep.StopSource)}
	}
	if w := e.way(); w != "" && !v.pending && rep.StopSource != w.source() {
		return false, []string{fmt.Sprintf("it was stopped by %q (expected %q)", rep.StopSource, w.source())}
	}
	v.pending = killed && (v.pending || e == termKill || e == stopKill)
	kept, err := keep(v.r, fmt.Sprintf("perf.%d.json", v.r.N))
	if err != nil {
		return false, []string{err.Error()}
	}
	v.o.Earlier = append(slices.Clone(v.o.Earlier), kept)
	return false, nil
}

// complete lets the run complete and judges it. A stop that was asked for and
// not obeyed yet may end one coordinator more.
func (v *victim) complete(ctx context.Context) (wrong []string) {
	for {
		code, err := v.r.Wait(ctx)
		if err != nil {
			v.r.DumpStacks()
			return []string{err.Error()}
		}
		v.h.note("it ended with code %d", code)
		if !v.pending {
			o := v.o
			o.Outcome = "complete"
			return judgeEnd(v.r, code, o)
		}
		over, wrong := v.judge("", false, true)
		if over || len(wrong) > 0 {
			return wrong
		}
		v.pending = false
		if err := v.again(); err != nil {
			return []string{err.Error()}
		}
	}
}

// pauseFor lets some time pass.
func pauseFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
