//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"gx1replay/test/drive"
)

// fleet is the campaign `fleet`: many workers beside many runs, on a server of
// its own with an account for each role.
type fleet struct {
	*campaign
	workers, processes int
	finished, open     int
	claims, kills      int
	seed               uint64
	lease, idle, delay time.Duration
	bounds             fleetBounds

	bus          *fleetBus
	worker       string // the program
	slow, fast   string // policies
	link         *drive.Delay
	crew, holder crew
	rng          *rand.Rand
	running      []*drive.Run // the open runs
	got          fleetFigures
}

// fleetBounds are what the figures are held against.
type fleetBounds struct {
	claim, join time.Duration
	again       float64 // leases
	requests    float64 // of 1,000 idle processes, per minute
	alone       float64 // of one process on an empty bus, per second
}

// fleetFigures are what was measured.
type fleetFigures struct {
	remains      []string // subjects that a finished run leaves
	bare         idleCost
	open, closed idleCost
	join         time.Duration
	claims       []time.Duration
	again        []float64 // leases
}

// settle is longer than a process asks for tasks after it has heard of a run.
const settle = 2 * time.Second

func runFleet(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	f := &fleet{campaign: c}
	fs.IntVar(&f.workers, "workers", 200, "slots of all worker processes")
	fs.IntVar(&f.processes, "processes", 4, "worker processes")
	fs.IntVar(&f.finished, "finished", 5000, "finished runs on the bus")
	fs.IntVar(&f.open, "open", 20, "open runs, whose only chunk is taken")
	fs.IntVar(&f.claims, "claims", 30, "new runs of one chunk, one after the other")
	fs.IntVar(&f.kills, "kills", 5, "workers that are killed with a chunk")
	fs.DurationVar(&f.lease, "lease-duration", 10*time.Second, "of the runs")
	fs.DurationVar(&f.idle, "idle", 150*time.Second, "how long idle workers are watched, with open runs and without; a process looks at one of them every 150s")
	fs.DurationVar(&f.delay, "delay", 0, "of the workers' link to the server, each way")
	fs.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fs.DurationVar(&f.bounds.claim, "claim-within", 100*time.Millisecond, "median from a new run's task to its claim")
	fs.Float64Var(&f.bounds.again, "again-within", 1.6, "leases from a worker's SIGKILL to the next claim of its chunk")
	fs.DurationVar(&f.bounds.join, "join-within", 3*time.Second, "from the start of the worker processes to the claim of a chunk that waits for them")
	fs.Float64Var(&f.bounds.requests, "requests-at-most", 2500, "requests per minute of 1,000 idle worker processes, extrapolated")
	fs.Float64Var(&f.bounds.alone, "alone-at-most", 2, "requests per second of one worker process while the bus has no streams")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if f.processes < 1 || f.workers < f.processes {
		return fmt.Errorf("--processes %d, --workers %d (want at least one of each, and a slot per process)", f.processes, f.workers)
	}
	f.rng = rand.New(rand.NewPCG(f.seed, 1))
	done, err := c.makeDir()
	if err != nil {
		return err
	}
	defer done()
	if err := f.start(ctx); err != nil {
		return err
	}
	defer f.end()
	if err := f.measure(ctx); err != nil {
		return err
	}
	return f.judge()
}

// start builds what is needed and starts the server.
func (f *fleet) start(ctx context.Context) error {
	bin := f.bin()
	if err := drive.BuildProduct(ctx, bin); err != nil {
		return err
	}
	f.binary, f.worker = filepath.Join(bin, "coordinator"), filepath.Join(bin, "chunkworker")
	server, err := drive.BuildServer(ctx, bin)
	if err != nil {
		return err
	}
	f.slow, f.fast = filepath.Join(bin, "slow.yaml"), filepath.Join(bin, "fast.yaml")
	if err := errors.Join(drive.WritePolicy(f.slow, 10*time.Second), drive.WritePolicy(f.fast, 0)); err != nil {
		return err
	}
	if f.bus, err = startFleetBus(ctx, server, f.binary, filepath.Join(f.dir, "server")); err != nil {
		return err
	}
	url := f.bus.srv.URL()
	if f.delay > 0 {
		if f.link, err = drive.StartDelay(f.bus.srv.Address(), f.delay); err != nil {
			f.end()
			return err
		}
		url = f.link.URL()
	}
	f.crew = crew{binary: f.worker, dir: filepath.Join(f.dir, "crew"), url: url, key: f.bus.key("worker")}
	f.holder = crew{binary: f.worker, dir: filepath.Join(f.dir, "holder"), url: f.bus.srv.URL(), key: f.bus.key("worker")}
	return nil
}

// end ends what still runs, and removes what is not to be kept.
func (f *fleet) end() {
	for _, r := range f.running {
		r.End()
	}
	f.crew.end()
	f.holder.end()
	if f.link != nil {
		_ = f.link.Close() // the campaign is over
	}
	f.bus.close()
	for _, name := range []string{"crew", "holder", "server", "runs"} {
		f.clean(filepath.Join(f.dir, name))
	}
}

// measure makes the scene, piece by piece, and takes all figures.
func (f *fleet) measure(ctx context.Context) error {
	for _, step := range []func(context.Context) error{f.alone, f.finish, f.openRuns, f.join, f.idleBesideOpen, f.newRuns, f.killWorkers, f.idleWithout} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// alone watches one worker on a bus without streams.
func (f *fleet) alone(ctx context.Context) error {
	early := crew{binary: f.worker, dir: filepath.Join(f.dir, "crew", "early"), url: f.crew.url, key: f.crew.key}
	defer early.end()
	if _, err := early.start(1); err != nil {
		return err
	}
	err := early.connected(ctx, f.bus)
	if err == nil {
		f.got.bare, err = early.watchIdle(ctx, f.bus, min(f.idle, 20*time.Second))
	}
	return err
}

// finish does one run and lays down many that look like it.
func (f *fleet) finish(ctx context.Context) error {
	const id = "template"
	r, err := f.begin(id, f.fast, "--workers", "1")
	if err != nil {
		return err
	}
	defer r.End()
	if err := f.ended(ctx, r); err != nil {
		return err
	}
	left, err := f.bus.remains(ctx, id)
	if err != nil {
		return err
	}
	for _, m := range left {
		f.got.remains = append(f.got.remains, fmt.Sprintf("%s (%d bytes)", m.Subject, len(m.Data)))
	}
	return f.bus.layDown(ctx, id, left, f.finished)
}

// begin starts a run of one chunk on the bus; it waits for workers.
func (f *fleet) begin(id, policy string, args ...string) (*drive.Run, error) {
	return drive.Start(drive.Config{
		Binary: f.binary, Dir: filepath.Join(f.dir, "runs", id), RunID: id, Policy: policy, Bars: fleetBars,
		Runtime: filepath.Join(f.bin(), "runtime"),
		Args: append([]string{"--nats", f.bus.srv.URL(), "--nkey", f.bus.key("coordinator"), "--chunks", "1", "--workers", "0",
			"--pregate", "false", "--no-guardian", "--lease-duration", f.lease.String()}, args...),
	})
}

// fleetBars are those of each run: well beyond the warm-up, in which no model is
// called, so that the slow policy outlasts any campaign.
const fleetBars = 20_000

// ended waits for the end of a run, which has to be a good one.
func (f *fleet) ended(ctx context.Context, r *drive.Run) error {
	ctx, cancel := context.WithTimeout(ctx, hangAfter)
	defer cancel()
	if code, err := r.Wait(ctx); err != nil || code != 0 {
		return errors.Join(fmt.Errorf("run %s ended with code %d: %s", r.RunID, code, drive.Tail(r.Stderr(), 5)), err)
	}
	f.clean(r.Dir)
	return nil
}

// stop stops a run and waits for its end.
func (f *fleet) stop(ctx context.Context, r *drive.Run) error {
	if err := r.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return f.ended(ctx, r)
}

// openRuns opens runs, whose chunks a process takes that is not watched.
func (f *fleet) openRuns(ctx context.Context) error {
	if f.open == 0 {
		return nil
	}
	if _, err := f.holder.start(f.open); err != nil {
		return err
	}
	for n := range f.open {
		r, err := f.begin(fmt.Sprintf("open_%d", n), f.slow)
		if err != nil {
			return err
		}
		f.running = append(f.running, r)
	}
	for _, r := range f.running {
		if _, _, err := f.claim(ctx, r, 1); err != nil {
			return err
		}
	}
	return nil
}

// claim waits for attempt n at the chunk of a run.
func (f *fleet) claim(ctx context.Context, r *drive.Run, n int) (published time.Time, rec heardRecord, err error) {
	ctx, cancel := context.WithTimeout(ctx, hangAfter+5*f.lease)
	defer cancel()
	published, rec, err = f.bus.claim(ctx, r.RunID, n)
	if err != nil {
		err = fmt.Errorf("%w: its coordinator said: %s", err, drive.Tail(r.Stderr(), 5))
	}
	return published, rec, err
}

// join starts the fleet while a chunk waits for it.
func (f *fleet) join(ctx context.Context) error {
	r, err := f.begin("waiting", f.fast)
	if err != nil {
		return err
	}
	defer r.End()
	if err := f.bus.published(ctx, r.RunID); err != nil {
		return err
	}
	begun := time.Now()
	for n := range f.processes {
		slots := f.workers / f.processes
		if n < f.workers%f.processes {
			slots++
		}
		if _, err := f.crew.start(slots); err != nil {
			return err
		}
	}
	_, rec, err := f.claim(ctx, r, 1)
	if err != nil {
		return err
	}
	f.got.join = rec.at.Sub(begun)
	if err := f.ended(ctx, r); err != nil {
		return err
	}
	return f.crew.connected(ctx, f.bus)
}

func (f *fleet) idleBesideOpen(ctx context.Context) (err error) {
	pauseFor(ctx, settle)
	f.got.open, err = f.crew.watchIdle(ctx, f.bus, f.idle)
	return err
}

// idleWithout stops the open runs and watches the fleet without them.
func (f *fleet) idleWithout(ctx context.Context) (err error) {
	for _, r := range f.running {
		select {
		case <-r.Exited():
			return fmt.Errorf("run %s ended before it was stopped: %s", r.RunID, drive.Tail(r.Stderr(), 5))
		default:
		}
	}
	for _, r := range f.running {
		err = errors.Join(err, r.Signal(syscall.SIGTERM))
	}
	for _, r := range f.running {
		err = errors.Join(err, f.ended(ctx, r))
	}
	if err != nil {
		return err
	}
	pauseFor(ctx, settle)
	f.got.closed, err = f.crew.watchIdle(ctx, f.bus, f.idle)
	return err
}

// newRuns starts small runs, one after the other, each when all workers are idle
// again.
func (f *fleet) newRuns(ctx context.Context) error {
	for n := range f.claims {
		r, err := f.begin(fmt.Sprintf("new_%d", n), f.fast)
		if err != nil {
			return err
		}
		defer r.End()
		published, rec, err := f.claim(ctx, r, 1)
		if err != nil {
			return err
		}
		f.got.claims = append(f.got.claims, rec.at.Sub(published))
		if err := f.ended(ctx, r); err != nil {
			return err
		}
		if n+1 < f.claims {
			pauseFor(ctx, f.draw(settle, 2*settle))
		}
	}
	return nil
}

// draw draws a duration.
func (f *fleet) draw(least, most time.Duration) time.Duration {
	return least + time.Duration(f.rng.Int64N(int64(most-least)))
}

// killWorkers kills workers in the midst of a chunk, one after the other. Each is
// replaced by another once its chunk was taken.
func (f *fleet) killWorkers(ctx context.Context) error {
	for n := range f.kills {
		r, err := f.begin(fmt.Sprintf("killed_%d", n), f.slow)
		if err != nil {
			return err
		}
		defer r.End()
		_, first, err := f.claim(ctx, r, 1)
		if err != nil {
			return err
		}
		pid, ok := pidOf(first.Holder.WorkerID)
		if !ok {
			return fmt.Errorf("the chunk of run %s is held by worker %q (want HOST-PID-RANDOM)", r.RunID, first.Holder.WorkerID)
		}
		pauseFor(ctx, f.draw(0, f.lease))
		killed := time.Now()
		if err := f.crew.kill(pid); err != nil {
			return err
		}
		_, second, err := f.claim(ctx, r, 2)
		if err != nil {
			return err
		}
		f.got.again = append(f.got.again, second.at.Sub(killed).Seconds()/f.lease.Seconds())
		if _, err := f.crew.start(f.workers / f.processes); err != nil {
			return err
		}
		if err := errors.Join(f.stop(ctx, r), f.crew.connected(ctx, f.bus)); err != nil {
			return err
		}
	}
	return nil
}

// judge prints the figures and holds them against the bounds.
func (f *fleet) judge() error {
	fmt.Fprintf(f.out, "fleet campaign, seed %d: %d workers in %d processes, %d finished and %d open runs, lease %v, link %v each way\n",
		f.seed, f.workers, f.processes, f.finished, f.open, f.lease, f.delay)
	for _, text := range f.got.remains {
		fmt.Fprintf(f.out, "  a finished run leaves %s\n", text)
	}
	wrong := false
	row := func(ok bool, what, format string, args ...any) {
		verdict := "ok   "
		if !ok {
			verdict, wrong = "WRONG", true
		}
		fmt.Fprintf(f.out, "  %s %-30s %s\n", verdict, what, fmt.Sprintf(format, args...))
	}
	idle := func(what string, c idleCost) {
		row(c.perThousand() < f.bounds.requests, what, "%v (less than %.0f)", c, f.bounds.requests)
	}
	alone := f.got.bare.perProcess() / 60
	row(alone <= f.bounds.alone, "one worker, no streams yet", "%v (at most %v per second)", f.got.bare, f.bounds.alone)
	row(f.got.join <= f.bounds.join, "workers join, a chunk waits", "claimed after %v (at most %v)", ms(f.got.join), f.bounds.join)
	if list := f.got.claims; len(list) > 0 {
		median := quantile(list, 0.5)
		row(median <= f.bounds.claim, "a new run's chunk", "claimed after %v in the median of %d, %v to %v (at most %v)", ms(median), len(list), ms(list[0]), ms(list[len(list)-1]), f.bounds.claim)
	}
	if list := f.got.again; len(list) > 0 {
		row(slices.Max(list) <= f.bounds.again, "a killed worker's chunk", "claimed again after %.2f to %.2f leases, %d kills (at most %v)", slices.Min(list), slices.Max(list), len(list), f.bounds.again)
	}
	idle("idle beside "+strconv.Itoa(f.open)+" open runs", f.got.open)
	idle("idle, no open run", f.got.closed)
	if wrong {
		return errWrong
	}
	return nil
}
