//go:build linux

package execrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// built is what TestMain builds and finds.
var built struct{ dir, binary, python string }

// atOnce is how many tests run at a time: much of what they do is wait.
const atOnce = 4

func TestMain(m *testing.M) {
	if _, err := exec.LookPath("python3"); err != nil {
		fmt.Println("skipped: the examples are in Python, and there is no python3")
		return
	}
	drive.Main(m, atOnce, func(ctx context.Context, dir string) (err error) {
		built.dir = dir
		if built.python, err = Python(ctx); err != nil {
			return err
		}
		built.binary, err = drive.Build(ctx, dir)
		return err
	})
}

// deadline is generous: it is there so that a hang is a failure.
const deadline = 2 * time.Minute

// trial is a run of a test, and the coordinator that leads it now.
type trial struct {
	*drive.Run
	t   *testing.T
	ctx context.Context
	o   check.Options // what the checker is told of it
}

// plan is how the tests run an example: a bar costs so much that the run takes
// about a second, and that most of it is sleep.
func plan(t *testing.T) Plan {
	t.Helper()
	return Plan{
		Binary: built.binary, Python: built.python, Dir: filepath.Join(t.TempDir(), "run"),
		RunID:   strings.NewReplacer("/", "-", ".", "-").Replace(t.Name()),
		Workers: 2, Chunks: 4, Bars: 1200, BarMS: 5,
		Args: []string{"--listen", "127.0.0.1:0", "--lease-duration", "1s", "--timeout", deadline.String()},
	}
}

// with adds flags.
func (p Plan) with(args ...string) Plan {
	p.Args = append(append([]string(nil), p.Args...), args...)
	return p
}

// start starts an example.
func start(t *testing.T, name string, p Plan) *trial {
	t.Helper()
	e, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Config(p)
	if err != nil {
		t.Fatal(err)
	}
	v := begin(t, c)
	v.o.Behind = e.Behind
	return v
}

// command starts a run of any command.
func command(t *testing.T, p Plan, argv ...string) *trial {
	t.Helper()
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.config(filepath.Join(root, "examples", "python", "policy.yaml"), []string{"--slice-format", "csv"}, argv)
	if err != nil {
		t.Fatal(err)
	}
	return begin(t, c)
}

// begin starts a run that cannot outlive the test.
func begin(t *testing.T, c drive.Config) *trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	v := &trial{t: t, ctx: ctx, o: check.Options{Bars: int64(c.Bars), MaxUnreported: -1}}
	var err error
	if v.Run, err = drive.Start(c); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
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
				t.Logf("%s ends with:\n%s", filepath.Base(path), drive.Tail(path, 40))
			}
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

// done waits until so many bars are counted.
func (v *trial) done(bars int) {
	v.t.Helper()
	v.must(v.Until(v.ctx, fmt.Sprintf("%d bars are counted", bars), func() bool { return v.Bars() >= bars }))
}

// ends waits for the coordinator's own end, with this code.
func (v *trial) ends(want int) {
	v.t.Helper()
	code, err := v.Wait(v.ctx)
	v.must(err)
	if code != want {
		v.t.Fatalf("the exit code is %d (expected %d): %s", code, want, drive.Tail(v.Stderr(), 10))
	}
}

// judge judges what a run has left that ended by itself.
func (v *trial) judge(change func(*check.Options)) *check.Report {
	v.t.Helper()
	o := v.o
	o.Lives = v.Lives()
	if change != nil {
		change(&o)
	}
	rep, wrong := Judge(v.Run, o)
	for _, text := range wrong {
		v.t.Error(text)
	}
	return rep
}

// smooth says that nothing went wrong on the way.
func (v *trial) smooth() {
	v.t.Helper()
	for _, text := range Errors(v.Run) {
		v.t.Error(text)
	}
}

// again starts the same command again.
func (v *trial) again() {
	v.t.Helper()
	r, err := v.Again(v.Config)
	v.must(err)
	v.Run = r
}

// said is what the coordinator has said on its standard error.
func (v *trial) said() string {
	v.t.Helper()
	b, err := os.ReadFile(v.Stderr())
	v.must(err)
	return string(b)
}
