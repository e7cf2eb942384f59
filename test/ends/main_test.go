//go:build linux

package ends

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// binary is what TestMain builds.
var binary string

// atOnce is how many tests run at a time: much of what they do is wait.
const atOnce = 10

func TestMain(m *testing.M) {
	drive.Main(m, atOnce, func(ctx context.Context, dir string) (err error) {
		binary, err = drive.Build(ctx, dir)
		return err
	})
}

// deadline is generous: it is there so that a hang is a failure.
const deadline = 2 * time.Minute

// trial is a run of a test.
type trial struct {
	*Run
	t   *testing.T
	ctx context.Context
}

// plan is a run that is far from its end when the test ends it.
func plan(t *testing.T) Plan {
	t.Helper()
	return Plan{
		Binary: binary, Dir: t.TempDir(), RunID: strings.NewReplacer("/", "-", "#", "").Replace(t.Name()),
		Workers: 2, Chunks: 4, Bars: 8000, Bar: 10 * time.Millisecond, Flush: time.Second,
	}
}

// begin starts a run and returns when it has done some bars.
func begin(t *testing.T, p Plan) *trial {
	t.Helper()
	r, err := Start(p)
	if err != nil {
		t.Fatal(err)
	}
	v := watch(t, r)
	v.moves(40)
	return v
}

// watch makes a trial of a run, which cannot outlive the test.
func watch(t *testing.T, r *Run) *trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	v := &trial{Run: r, t: t, ctx: ctx}
	t.Cleanup(func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // it hangs
			t.Logf("processes: %v", v.Alive())
			_ = v.Signal(syscall.SIGQUIT)
			patient, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			_, _ = v.Ended(patient)
		}
		cancel()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("it said:\n%s\nits log ends with:\n%s", v.Said(), drive.Tail(v.Log(), 40))
		}
	})
	return v
}

// must fails the test at once.
func (v *trial) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// until waits until cond holds.
func (v *trial) until(what string, cond func() bool) {
	v.t.Helper()
	v.must(v.Until(v.ctx, what, func() bool { return cond() || v.Over() }))
	if !cond() {
		v.t.Fatalf("it has ended before %s", what)
	}
}

// moves waits until so many bars more are logged.
func (v *trial) moves(bars int) {
	v.t.Helper()
	want := v.Bars() + bars
	v.until(fmt.Sprintf("%d bars are logged", want), func() bool { return v.Bars() >= want })
}

// ends waits for the end of what was started, with this code.
func (v *trial) ends(want int) {
	v.t.Helper()
	code, err := v.Ended(v.ctx)
	v.must(err)
	if code != want {
		v.t.Errorf("the exit code is %d (expected %d)", code, want)
	}
}

// stopped ends the test of a run that was stopped in this way: all bars that
// were logged are in its file, and nothing is left.
func (v *trial) stopped(source string) *check.Report {
	v.t.Helper()
	v.ends(0)
	return v.judge(check.Options{Stop: []string{source}, Outcome: "stopped", MaxUnreported: 0})
}

func (v *trial) judge(o check.Options) *check.Report {
	v.t.Helper()
	rep, wrong := v.Judge(v.ctx, o)
	for _, text := range wrong {
		v.t.Error(text)
	}
	v.t.Logf("%s by %q: %d of %d bars, %d logged, %v, %d failures", rep.Outcome, rep.StopSource, rep.Replayed, rep.Planned, rep.Logged, rep.Statuses, rep.Failures)
	return rep
}

// resumes starts the run again, undisturbed and without its delays.
func (v *trial) resumes() {
	v.t.Helper()
	r, err := v.Again(v.plan)
	v.must(err)
	kept := filepath.Join(v.Dir, "before.json")
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	v.must(os.WriteFile(kept, b, 0o644))
	v.Run = r
}
