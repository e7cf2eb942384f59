//go:build linux

package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// built is what TestMain builds and makes once.
var built struct {
	dir, binary string
	whole       func() (string, error) // the perf JSON of an undisturbed run
	server      func() (string, error) // the plain nats-server's path
}

// atOnce is how many tests run at a time: much of what they do is wait.
const atOnce = 6

func TestMain(m *testing.M) {
	drive.Main(m, atOnce, func(ctx context.Context, dir string) (err error) {
		built.dir = dir
		built.whole = sync.OnceValues(undisturbed)
		built.server = sync.OnceValues(func() (string, error) { return drive.BuildServer(context.Background(), dir) })
		built.binary, err = drive.Build(ctx, dir)
		return err
	})
}

// deadline is generous: it is there so that a hang is a failure.
const deadline = 2 * time.Minute

// All tests run the same plan, so that one undisturbed run tells the trades of
// all.
const (
	planBars   = 2400
	planChunks = 12
	// twoChunks is how many bars two workers step over if each is to finish
	// one chunk and to begin another.
	twoChunks = 2*planBars/planChunks + 100
)

// setup is how a test wants its run.
type setup struct {
	// hold is how many bars a worker steps over before it waits for the test,
	// so that the run cannot complete before the test has done what it is
	// about, be the machine as busy as it may; 0: it does not wait. Both
	// workers come to it, whatever their share of the machine.
	hold int
	args []string
	env  []string
}

// latency is that of the model, which a third of the bars meet: a run that
// nobody holds takes about a second, and bars mostly move when it is killed.
const latency = 2 * time.Millisecond

// workers is the number of local workers.
const workers = 2

// holding is a run whose workers step over so many bars, taken together, and
// then wait until the test lets them go on.
func holding(bars int) setup { return setup{hold: bars / workers} }

// with adds flags.
func (s setup) with(args ...string) setup {
	s.args = append(append([]string(nil), s.args...), args...)
	return s
}

// config is what starts the run id in dir.
func (s setup) config(dir, id string) (drive.Config, error) {
	policy := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(policy, latency); err != nil {
		return drive.Config{}, err
	}
	args := []string{"--listen", "127.0.0.1:0", "--chunks", strconv.Itoa(planChunks), "--workers", strconv.Itoa(workers), "--lease-duration", "1s",
		"--timeout", deadline.String()} // a run whose test was killed does not wait for ever
	c := drive.Config{
		Binary: built.binary, Dir: filepath.Join(dir, "run"), RunID: id, Policy: policy, Bars: planBars,
		Args: append(args, s.args...), Env: s.env,
	}
	if s.hold > 0 {
		if err := os.WriteFile(gate(dir), nil, 0o600); err != nil {
			return drive.Config{}, err
		}
		c.Env = append(slices.Clip(c.Env), fmt.Sprintf("GX1TEST_GATE=%d,%s", s.hold, gate(dir)))
	}
	return c, nil
}

// gate is the file that holds the workers of a run while it is there.
func gate(dir string) string { return filepath.Join(dir, "gate") }

// undisturbed runs the plan once and returns its file.
func undisturbed() (string, error) {
	cfg, err := setup{}.config(built.dir, "whole")
	if err != nil {
		return "", err
	}
	r, err := drive.Start(cfg)
	if err != nil {
		return "", err
	}
	defer r.End()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if code, err := r.Wait(ctx); err != nil || code != 0 {
		return "", fmt.Errorf("an undisturbed run: code %d, error %v: %s", code, err, drive.Tail(r.Stderr(), 5))
	}
	return r.Perf(), nil
}

// victim is a run of a test, and the coordinator that leads it now.
type victim struct {
	*drive.Run
	t   *testing.T
	ctx context.Context
	o   check.Options // what the checker is told of it
	// before is the number of bars that the coordinators before this one saw.
	before int
	// gone tells of a coordinator's number when all that it had started was
	// seen to be gone.
	gone map[int]time.Time
}

// start starts a run that cannot outlive the test, which runs beside others.
func start(t *testing.T, s setup) *victim {
	t.Helper()
	t.Parallel()
	return begin(t, s)
}

// begin is start in a test that has said already that it runs beside others.
func begin(t *testing.T, s setup) *victim {
	t.Helper()
	cfg, err := s.config(t.TempDir(), strings.NewReplacer("/", "-", ".", "-").Replace(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	v := &victim{t: t, ctx: ctx, gone: map[int]time.Time{}, o: check.Options{Bars: int64(cfg.Bars), MaxUnreported: -1}}
	if v.Run, err = drive.Start(cfg); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // it hangs
			t.Logf("run.log before the dump ends with:\n%s", drive.Tail(v.Log(), 40))
			v.DumpStacks()
		}
		cancel()
		v.End()
		end, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := v.Gone(end); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			said, _ := filepath.Glob(filepath.Join(v.Dir, "stderr*"))
			for _, path := range append(said, v.Log()) {
				if stacks := drive.Stacks(path); stacks != "" {
					t.Logf("%s, its goroutines in our code:\n%s", filepath.Base(path), stacks)
					continue
				}
				t.Logf("%s ends with:\n%s", filepath.Base(path), drive.Tail(path, 40))
			}
		}
	})
	return v
}

// open lets the workers go on to the run's end, in this session and in those
// after it.
func (v *victim) open() {
	v.t.Helper()
	v.must(os.Remove(gate(filepath.Dir(v.Dir))))
}

// done waits until this coordinator's workers have done so many bars.
func (v *victim) done(bars int) {
	v.t.Helper()
	if err := v.Until(v.ctx, fmt.Sprintf("%d bars are done", bars), func() bool { return v.Bars()-v.before >= bars }); err != nil {
		v.t.Fatal(err)
	}
}

// must fails the test at once.
func (v *victim) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// dead waits until nothing of the run lives, its coordinator having been
// killed.
func (v *victim) dead() {
	v.t.Helper()
	v.must(v.Reaped(v.ctx))
	if code, err := v.Wait(v.ctx); err == nil {
		v.t.Fatalf("the coordinator ended by itself, with code %d", code)
	}
	v.must(v.Gone(v.ctx))
	v.gone[v.N] = time.Now()
}

// again starts the same command again, with changes.
func (v *victim) again(change func(*drive.Config)) {
	v.t.Helper()
	cfg := v.Config
	if change != nil {
		change(&cfg)
	}
	v.before = v.Bars()
	r, err := v.Again(cfg)
	v.must(err)
	v.Run = r
}

// ends waits for the coordinator's own end, with this code and no process
// left.
func (v *victim) ends(want int) {
	v.t.Helper()
	code, err := v.Wait(v.ctx)
	if err != nil {
		v.t.Fatal(err)
	}
	if code != want {
		v.t.Fatalf("the exit code is %d (expected %d): %s", code, want, drive.Tail(v.Stderr(), 5))
	}
	// It leaves no process behind. The workers of one that was killed end by
	// themselves; how soon, the campaign kill measures.
	if slices.ContainsFunc(v.Lives(), func(l check.Life) bool { return l.Killed }) {
		v.must(v.Gone(v.ctx))
	} else if left := v.Alive(); len(left) > 0 {
		v.t.Errorf("processes are left: %v", left)
	}
}

// file has the checker judge the run's file, and keeps it: no later one may
// hold less.
func (v *victim) file(change func(*check.Options)) *check.Report {
	v.t.Helper()
	rep := v.judge(v.Perf(), change)
	v.keep(v.Perf(), fmt.Sprintf("perf.%d.json", len(v.o.Earlier)))
	return rep
}

func (v *victim) judge(path string, change func(*check.Options)) *check.Report {
	v.t.Helper()
	o := v.o
	o.BarLog, o.RunID = v.BarLog(), v.RunID
	if v.over() {
		o.Lives = v.lives()
	}
	if change != nil {
		change(&o)
	}
	rep, err := check.File(path, o)
	v.must(err)
	for _, s := range rep.Violations {
		v.t.Error(s)
	}
	return rep
}

// lives are the coordinators' lives. One that was killed is given until its
// workers were gone, whose last word ends its session: how long they may take
// is for the campaigns, on a machine that does nothing else.
func (v *victim) lives() []check.Life {
	list := v.Lives()
	for i := range list {
		if !list[i].Killed {
			continue
		}
		list[i].Ended = time.Now() // at the latest: the next one was started at once
		if at, ok := v.gone[i+1]; ok {
			list[i].Ended = at
		}
	}
	return list
}

func (v *victim) over() bool {
	select {
	case <-v.Exited():
		return true
	default:
		return false
	}
}

// keep takes a copy of a file for an earlier one of the run.
func (v *victim) keep(path, name string) {
	v.t.Helper()
	b, err := os.ReadFile(path)
	v.must(err)
	kept := filepath.Join(v.Dir, name)
	v.must(os.WriteFile(kept, b, 0o644))
	v.o.Earlier = append(v.o.Earlier, kept)
}

// recovered is what a guardian's file has to be.
func recovered(o *check.Options) { o.Mode, o.MaxUnreported = []string{"recovered"}, 0 }

// stopped is what a file has to be after a stop.
func stopped(source string) func(*check.Options) {
	return func(o *check.Options) { o.Stop, o.Outcome, o.MaxUnreported = []string{source}, "stopped", 0 }
}

// completes waits for the end of a complete run and judges all that it leaves.
func (v *victim) completes() *check.Report {
	v.t.Helper()
	v.ends(0)
	return v.whole()
}

// whole judges a complete run.
func (v *victim) whole() *check.Report {
	v.t.Helper()
	same, err := built.whole()
	v.must(err)
	rep := v.judge(v.Perf(), func(o *check.Options) {
		o.Outcome, o.Artifacts = "complete", filepath.Join(v.Out, v.RunID)
		if v.Config.Bars == planBars {
			o.SameTradesAs = same
		}
	})
	if left := append(v.Leftovers(), v.Uncleaned()...); len(left) > 0 {
		v.t.Errorf("files are left: %v", left)
	}
	return rep
}

// read reads fields of a perf JSON, or of a backup, which is one.
func read(path string) (f struct {
	Outcome   string `json:"outcome"`
	Completed int    `json:"chunks_completed"`
	Selection struct {
		Scope string `json:"scope"`
	} `json:"selection"`
	Sessions []struct {
		Session int `json:"session"`
	} `json:"sessions"`
	Stop struct {
		Seq    uint64 `json:"seq"`
		Source string `json:"source"`
		Reason string `json:"reason"`
	} `json:"stop"`
	Failures int `json:"failures"`
}, err error) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

func (v *victim) backup() string { return filepath.Join(v.State(), "backup.json") }

// backedUp waits until the footer backup holds so many ok chunks.
func (v *victim) backedUp(ok int) {
	v.t.Helper()
	if err := v.Until(v.ctx, fmt.Sprintf("the backup holds %d ok chunks", ok), func() bool {
		f, err := read(v.backup())
		return err == nil && f.Completed >= ok
	}); err != nil {
		v.t.Fatal(err)
	}
}
