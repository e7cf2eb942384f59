//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/netns"
	"gx1replay/test/site"
)

const (
	// hostLength is how long an undisturbed run should take: long enough that
	// most troubles meet bars that move.
	hostLength = 10 * time.Second
	hostChunks = 24
	// hostPatience is above a cut of a minute, a stop that is tried for 30 s, and
	// the run's whole length after that.
	hostPatience = 4 * time.Minute
	// endPatience is what workers may take to end once nothing is to be done.
	endPatience = 30 * time.Second
)

// hostRuns is the campaign `hosts`.
type hostRuns struct {
	*campaign
	drawn
	programs site.Programs
	length   time.Duration // of an undisturbed run, from its run_id on
	whole    string        // its perf JSON

	mu    sync.Mutex
	tally map[trouble]int
	wrong int
}

// runHosts troubles each of many runs on three hosts once.
func runHosts(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	r := &hostRuns{campaign: c, tally: map[trouble]int{}}
	r.runs, r.jobs = 14, 1
	r.bindMany(fs, "trouble")
	r.bindSeed(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	r.bars = max(r.bars, 2*hostChunks)
	if why := netns.Missing(); why != "" {
		return errors.New("no hosts can be made here: " + why)
	}
	done, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := r.undisturbed(ctx); err != nil {
		return err
	}
	r.each(ctx, r.do)
	return r.summary(ctx)
}

func (r *hostRuns) prepare(ctx context.Context) (done func(), err error) {
	if done, err = r.campaign.prepare(ctx); err != nil {
		return nil, err
	}
	server, err := drive.BuildServer(ctx, filepath.Join(r.dir, "bin"))
	if err != nil {
		done()
		return nil, err
	}
	r.programs = site.Programs{GX1: r.binary, Server: server}
	return done, nil
}

func (r *hostRuns) summary(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var counts []string
	for _, t := range troubles {
		counts = append(counts, fmt.Sprintf("%s %d", t, r.tally[t]))
	}
	fmt.Fprintf(r.out, "hosts campaign, seed %d: %d of %d runs right, an undisturbed one took %v; %s\n",
		r.seed, r.runs-r.wrong, r.runs, ms(r.length), strings.Join(counts, ", "))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	if r.wrong > 0 {
		return errWrong
	}
	return nil
}

// undisturbed does the run by which the others are judged.
func (r *hostRuns) undisturbed(ctx context.Context) error {
	id := fmt.Sprintf("hosts_%d_whole", r.seed)
	var h history
	e := r.suffer(ctx, id, mishap{trouble: noTrouble, lease: hostLease}, &h)
	if len(e.wrong) > 0 {
		fmt.Fprint(r.out, h.failure("the run that nobody disturbed", e.wrong, e.dir, id))
		return errWrong
	}
	r.length, r.whole = e.took, filepath.Join(r.dir, "bin", id+".json")
	if err := os.Rename(e.perf, r.whole); err != nil {
		return fmt.Errorf("keeping the file of run %s: %w", id, err)
	}
	r.clean(e.dir)
	return nil
}

// do is one run of the campaign.
func (r *hostRuns) do(ctx context.Context, n int) {
	m := r.mishap(n)
	id := fmt.Sprintf("hosts_%d_%d", r.seed, n)
	what := fmt.Sprintf("run %d of seed %d: %v", n, r.seed, m)
	var h history
	e := r.suffer(ctx, id, m, &h)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally[m.trouble]++
	if len(e.wrong) > 0 {
		r.wrong++
		fmt.Fprint(r.out, h.failure(what, e.wrong, e.dir, id))
		return
	}
	fmt.Fprintf(r.out, "%s: %s after %v, %d of %d bars, failures %d, releases %d, redeliveries %d\n",
		what, e.rep.Outcome, ms(e.took), e.rep.Replayed, e.rep.Planned, e.rep.Failures, e.rep.Releases, e.rep.Redeliveries)
	if r.verbose {
		fmt.Fprintln(r.out, indent(strings.Join(h.lines, "\n")))
	}
	r.clean(e.dir)
}

// ended is a run on three hosts that is over.
type ended struct {
	dir, perf string
	took      time.Duration // from its run_id on
	rep       *check.Report // nil: there is none
	wrong     []string
}

// suffer does one run on hosts of its own and lets the mishap befall it.
func (r *hostRuns) suffer(ctx context.Context, id string, m mishap, h *history) (e ended) {
	e.dir = filepath.Join(r.dir, id)
	fail := func(err error) { e.wrong = append(e.wrong, err.Error()) }
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		fail(fmt.Errorf("making the run's directory: %w", err))
		return e
	}
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	s, err := site.New(ctx, e.dir, r.programs, r.seed)
	if err != nil {
		fail(err)
		return e
	}
	defer func() {
		if err := s.Close(); err != nil {
			fail(err)
		}
	}()
	if err := r.disturb(ctx, s, id, m, h, &e); err != nil {
		if s.Run != nil && ctx.Err() != nil {
			s.DumpStacks()
		}
		fail(err)
		return e
	}
	if err := r.leave(ctx, s, m); err != nil {
		fail(err)
	}
	return e
}

// start starts the run's coordinator, and a worker on each host.
func (r *hostRuns) start(ctx context.Context, s *site.Site, id string, m mishap) error {
	// With the gate off four bars in five call the model, all along the data.
	latency := time.Duration(float64(hostLength) * site.Hosts * site.Slots / (0.8 * float64(r.bars)))
	err := s.Lead(site.Plan{
		RunID: id, Bars: r.bars, Chunks: hostChunks, Latency: latency.Round(time.Microsecond), Timeout: hostPatience,
		Args: []string{"--pregate", "false", "--lease-duration", m.lease.String()},
	})
	if err != nil {
		return err
	}
	for host := range site.Hosts {
		if err := s.Worker(host); err != nil {
			return err
		}
	}
	return s.Announced(ctx)
}

// disturb starts the run, lets the mishap befall it, and judges how it ends.
func (r *hostRuns) disturb(ctx context.Context, s *site.Site, id string, m mishap, h *history, e *ended) error {
	h.note("the cluster is there")
	if err := r.start(ctx, s, id, m); err != nil {
		return err
	}
	begun := time.Now()
	moment := time.NewTimer(time.Duration(m.share * float64(r.length)))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-s.Exited():
	}
	h.note("%s, at %d bars", m.trouble, s.Bars())
	stopped, err := m.strike(ctx, s, h)
	if err != nil {
		return err
	}
	if err := m.goOn(ctx, s, h); err != nil {
		return err
	}
	want := "complete"
	if stopped {
		// One that came too late leaves a complete run.
		want, s.Options.Stop = "", []string{"subject"}
	}
	s.Options.SameTradesAs = r.whole
	if e.rep, err = s.Ends(ctx, want); err != nil {
		return err
	}
	e.took, e.perf = time.Since(begun), s.Perf()
	h.note("it has ended: %s, %v", e.rep.Outcome, e.rep.Statuses)
	e.wrong = append(slices.Clone(e.rep.Violations), m.judge(e.rep)...)
	return nil
}

// goOn goes on with a run that could not begin, as the bus was away for longer
// than a coordinator tries. Its file has to be true as well.
func (m mishap) goOn(ctx context.Context, s *site.Site, h *history) error {
	if m.trouble != leaderCut && m.trouble != leaderCutStop {
		return nil
	}
	if err := s.Reaped(ctx); err != nil {
		return err
	}
	if len(logged(s.Log(), `msg="the run could not begin"`)) == 0 {
		return nil
	}
	rep, err := s.Ends(ctx, "failed")
	if err != nil {
		return err
	}
	if !rep.OK() {
		return fmt.Errorf("the file of a run that could not begin: %s", strings.Join(rep.Violations, "; "))
	}
	kept, err := keep(s.Run, "perf.1.json")
	if err != nil {
		return err
	}
	s.Options.Earlier = []string{kept}
	h.note("it could not begin; the same command again")
	return s.Again()
}

// judge judges what the mishap may have cost.
func (m mishap) judge(rep *check.Report) (wrong []string) {
	if m.harmless() && rep.Failures != 0 {
		wrong = append(wrong, fmt.Sprintf("failures is %d (expected 0)", rep.Failures))
	}
	// Only the worker beside the coordinator cannot have heard of a stop.
	if n := rep.Statuses["unresponsive"]; n > site.Slots {
		wrong = append(wrong, fmt.Sprintf("%d chunks are unresponsive (expected %d at most)", n, site.Slots))
	}
	return wrong
}

// leave has the workers end in order; nothing of the run may be left then.
func (r *hostRuns) leave(ctx context.Context, s *site.Site, m mishap) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	for host := range site.Hosts {
		if err := s.SignalWorker(host, syscall.SIGTERM); err != nil {
			return err
		}
		state, err := s.WorkerEnded(ctx, host)
		if err != nil {
			return err
		}
		// The one that the mishap has ended may have been killed, or have had no
		// time to hear of a signal.
		if !m.endsWorker(host) && !state.Success() {
			return fmt.Errorf("%s: %v (expected exit status 0)", s.WorkerName(host), state)
		}
	}
	return s.Gone(ctx)
}
