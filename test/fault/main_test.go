//go:build linux

package fault_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// binary is gx1test, built once.
var binary string

// atOnce is how many tests run at a time: nearly all that they do is wait.
const atOnce = 6

func TestMain(m *testing.M) {
	drive.Main(m, atOnce, func(ctx context.Context, dir string) (err error) {
		binary, err = drive.Build(ctx, dir)
		return err
	})
}

// deadline is generous: it is there so that a hang is a failure.
const deadline = 40 * time.Second

// setup is how a test wants its run.
type setup struct {
	bars    int
	latency time.Duration // of the model
	out     string        // empty: a directory of the run's own
	runtime string        // of the register; empty: a directory of the run's own
	suffix  string        // of the run_id
	binary  string        // empty: gx1test
	args    []string
	env     []string
}

// slowChunks are the chunks of slow.
const slowChunks = 4

// slow is a run that goes on for minutes, so that it ends by what the test
// does and by nothing else.
var slow = setup{bars: 4000, latency: 100 * time.Millisecond, args: []string{"--chunks", "4", "--workers", "2"}}

// with adds flags.
func (s setup) with(args ...string) setup {
	s.args = append(slices.Clone(s.args), args...)
	return s
}

// start starts a run that cannot outlive the test, which runs beside others.
func start(t *testing.T, s setup) (*drive.Run, context.Context) {
	t.Helper()
	t.Parallel()
	return startBeside(t, s)
}

// startBeside starts one more run in the same test.
func startBeside(t *testing.T, s setup) (*drive.Run, context.Context) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(policy, s.latency); err != nil {
		t.Fatal(err)
	}
	if s.binary == "" {
		s.binary = binary
	}
	r, err := drive.Start(drive.Config{
		Binary: s.binary, Dir: filepath.Join(dir, "run"), RunID: strings.ReplaceAll(t.Name(), "/", "-") + s.suffix, Policy: policy,
		Bars: s.bars, Out: s.out, Runtime: s.runtime, Args: append([]string{"--listen", "127.0.0.1:0"}, s.args...), Env: s.env,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(func() {
		cancel()
		r.End()
		end, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := r.Gone(end); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("it said:\n%s", drive.Tail(r.Stderr(), 20))
			t.Logf("its log ends with:\n%s", drive.Tail(r.Log(), 20))
		}
	})
	return r, ctx
}

// moving waits until bars move.
func moving(ctx context.Context, t *testing.T, r *drive.Run) {
	t.Helper()
	if err := r.Until(ctx, "bars move", func() bool { return r.Bars() > 0 }); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end of the program, which must have this code and leave
// no process.
func ends(ctx context.Context, t *testing.T, r *drive.Run, want int) {
	t.Helper()
	code, err := r.Wait(ctx)
	if err != nil {
		if ctx.Err() != nil {
			r.DumpStacks()
		}
		t.Fatal(err)
	}
	if code != want {
		t.Errorf("the exit code is %d (expected %d)", code, want)
	}
	if left := r.Processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// valid judges the perf JSON at path.
func valid(t *testing.T, r *drive.Run, path string, o check.Options) *check.Report {
	t.Helper()
	o.RunID, o.BarLog, o.Bars, o.WallSec = r.RunID, r.BarLog(), int64(r.Config.Bars), r.Lived().Seconds()
	rep, err := check.File(path, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range rep.Violations {
		t.Error(v)
	}
	return rep
}
