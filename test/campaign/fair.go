//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/perf"
	"gx1replay/test/drive"
)

// fairness is the campaign `fair`: a small run beside a large one on the same
// workers, and how soon the large one's tasks are gone when it is stopped.
type fairness struct {
	*campaign
	srv     *drive.Server
	policy  string
	chunks  int           // of the large run
	waiting bool          // it has no worker, so that all its tasks wait
	most    float64       // times its time alone
	gone    time.Duration // that the tasks may take
}

const (
	smallChunks    = 10
	smallChunkBars = 500
	largeChunkBars = 5
	fairWorkers    = 2
	fairSlots      = 2
)

func runFair(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	f := &fairness{campaign: c}
	fs.IntVar(&f.chunks, "chunks", 20_000, "chunks of the large run")
	fs.BoolVar(&f.waiting, "waiting", false, "no worker and no small run: stop the large one while all its tasks wait")
	fs.Float64Var(&f.most, "at-most", 2.5, "times its time alone that the small run may take")
	fs.DurationVar(&f.gone, "gone-within", 2*time.Second, "how long the large run's tasks may be there after its stop")
	if err := fs.Parse(args); err != nil {
		return err
	}
	done, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	binary, err := drive.BuildServer(ctx, filepath.Join(c.dir, "bin"))
	if err != nil {
		return err
	}
	if f.srv, err = drive.StartServer(ctx, binary, filepath.Join(c.dir, "server")); err != nil {
		return err
	}
	defer f.end()
	f.policy = filepath.Join(c.dir, "policy.yaml")
	if err := drive.WritePolicy(f.policy, 2*time.Millisecond); err != nil {
		return err
	}
	if f.waiting {
		return f.stopLarge(ctx, nil)
	}
	for range fairWorkers {
		end, err := f.worker()
		if err != nil {
			return err
		}
		defer end()
	}
	alone, err := f.small(ctx, "alone")
	if err != nil {
		return err
	}
	return f.stopLarge(ctx, func() error {
		beside, err := f.small(ctx, "beside")
		if err != nil {
			return err
		}
		ratio := beside.Seconds() / alone.Seconds()
		fmt.Fprintf(f.out, "a run of %d chunks takes %v alone, %v beside one of %d: %.2f times (at most %v)\n", smallChunks, ms(alone), ms(beside), f.chunks, ratio, f.most)
		if ratio > f.most {
			return errWrong
		}
		return nil
	})
}

func (f *fairness) end() {
	_ = f.srv.Kill() // the campaign is over
	if !f.keep {
		_ = os.RemoveAll(filepath.Join(f.dir, "server"))
		_ = os.Remove(f.policy)
	}
}

// worker starts a worker process.
func (f *fairness) worker() (end func(), err error) {
	dir, err := os.MkdirTemp(f.dir, "worker-")
	if err != nil {
		return nil, fmt.Errorf("making a worker's directory: %w", err)
	}
	cmd := exec.Command(f.binary, "worker", "--nats", f.srv.URL(), "--concurrency", strconv.Itoa(fairSlots), "--work-dir", dir, "--cache-dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		_ = os.RemoveAll(dir)
	}, nil
}

func (f *fairness) start(id string, chunks, bars int) (*drive.Run, error) {
	return drive.Start(drive.Config{
		Binary: f.binary, Dir: filepath.Join(f.dir, id), RunID: id, Policy: f.policy, Bars: bars,
		Runtime: filepath.Join(f.dir, "bin", "runtime"),
		// A million chunks are a file of a gigabyte, which takes its time.
		Args: []string{"--nats", f.srv.URL(), "--workers", "0", "--chunks", strconv.Itoa(chunks), "--drain-timeout", "1m"},
	})
}

// small runs the small run and returns how long it took.
func (f *fairness) small(ctx context.Context, id string) (time.Duration, error) {
	r, err := f.start(id, smallChunks, smallChunks*smallChunkBars)
	if err != nil {
		return 0, err
	}
	defer r.End()
	if code, err := r.Wait(ctx); err != nil || code != 0 {
		return 0, errors.Join(fmt.Errorf("run %s ended with code %d: %s", id, code, drive.Tail(r.Stderr(), 5)), err)
	}
	f.clean(r.Dir)
	return r.Lived(), nil
}

// stopLarge starts the large run, does what is to be done beside it, and stops
// it.
func (f *fairness) stopLarge(ctx context.Context, beside func() error) error {
	r, err := f.start("large", f.chunks, f.chunks*largeChunkBars)
	if err != nil {
		return err
	}
	defer r.End()
	nc, err := nats.Connect(f.srv.URL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	held := func(stream string) int {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return -1
		}
		return int(s.CachedInfo().State.Msgs)
	}
	tasks := func() int { return held("GX1_TASKS") }
	begun := time.Now()
	if err := r.Until(ctx, "its tasks are published", func() bool {
		return f.waiting && tasks() == f.chunks || !f.waiting && held("GX1_FOOTERS") > 20
	}); err != nil {
		return fmt.Errorf("%w: %s", err, drive.Tail(r.Log(), 5))
	}
	published := time.Since(begun)
	var wrong error
	if beside != nil {
		if wrong = beside(); wrong != nil && !errors.Is(wrong, errWrong) {
			return wrong
		}
	}
	var across *drive.Run
	others := 0 // tasks of the run that the stop is not for
	if beside != nil {
		if across, err = f.start("across", smallChunks, smallChunks*smallChunkBars); err != nil {
			return err
		}
		defer across.End()
		others = smallChunks
		if err := across.Until(ctx, "its chunks are claimed", func() bool { return claims(ctx, js, "across") >= smallChunks/3 }); err != nil {
			return err
		}
	}
	queued := tasks()
	stopAt := time.Now()
	if err := nc.Publish("gx1.stop.large", []byte("enough")); err != nil {
		return err
	}
	var first, empty time.Duration
	if err := r.Until(ctx, "the tasks are gone and the first file is there", func() bool {
		if first == 0 {
			if _, err := os.Stat(r.Perf()); err == nil {
				first = time.Since(stopAt)
			}
		}
		if empty == 0 && tasks() <= others {
			empty = time.Since(stopAt)
		}
		return first > 0 && empty > 0
	}); err != nil {
		return err
	}
	code, err := r.Wait(ctx)
	if err != nil || code != 0 {
		return errors.Join(fmt.Errorf("the large run ended with code %d: %s", code, drive.Tail(r.Stderr(), 5)), err)
	}
	if across != nil {
		if err := f.unnoticed(ctx, across); err != nil {
			return err
		}
	}
	fmt.Fprintf(f.out, "%d chunks, under way after %v; stopped with %d tasks queued: the first file after %v, the tasks gone after %v (at most %v), the end after %v\n",
		f.chunks, ms(published), queued, ms(first), ms(empty), f.gone, ms(time.Since(stopAt)))
	f.clean(r.Dir)
	if empty > f.gone {
		return errWrong
	}
	return wrong
}

// claims is how many chunks of a run were ever claimed.
func claims(ctx context.Context, js jetstream.JetStream, id string) int {
	s, err := js.Stream(ctx, "GX1_PROGRESS")
	if err != nil {
		return 0
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("gx1.progress."+id+".*"))
	if err != nil {
		return 0
	}
	return len(info.State.Subjects)
}

// unnoticed demands that a run on the same workers has noticed nothing of the
// large one's stop: each of its chunks is done at the first attempt.
func (f *fairness) unnoticed(ctx context.Context, r *drive.Run) error {
	code, err := r.Wait(ctx)
	if err != nil || code != 0 {
		return errors.Join(fmt.Errorf("the run beside the stop ended with code %d: %s", code, drive.Tail(r.Stderr(), 5)), err)
	}
	text, err := os.ReadFile(r.Perf())
	if err != nil {
		return err
	}
	file, err := perf.ParseVerified(text)
	if err != nil {
		return err
	}
	rep := file.Report
	fmt.Fprintf(f.out, "a run of %d chunks in whose middle that stop fell: %s after %v, %d attempts beyond the first, %d releases, %d failures\n",
		smallChunks, file.Totals.Outcome, ms(r.Lived()), rep.Redeliveries, rep.Releases, rep.Failures)
	f.clean(r.Dir)
	if file.Totals.Outcome != perf.OutcomeComplete || !rep.Stop.IsZero() || rep.Redeliveries+rep.Releases+rep.Failures > 0 {
		return errWrong
	}
	return nil
}
