//go:build linux

package execrun

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// line is what the tests read of a chunk's line in the file.
type line struct {
	Status    string `json:"status"`
	Error     string `json:"error"`
	Traceback string `json:"error_traceback"`
	Attempt   int    `json:"attempt"`
	Bars      int64  `json:"bars_processed"`
	Worker    string `json:"worker_id"`
}

func (v *trial) lines() []line {
	v.t.Helper()
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	var f struct {
		Chunks []line `json:"chunks"`
	}
	v.must(json.Unmarshal(b, &f))
	return f.Chunks
}

// small is a plan for commands that cost nothing.
func small(t *testing.T) Plan {
	t.Helper()
	p := plan(t)
	p.Bars = 400
	return p
}

// A chunk whose command always crashes is given up, with the script's own
// traceback, which the terminal shows once; the others are done.
func TestAChunkThatAlwaysCrashes(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/crash.py")
	if err != nil {
		t.Fatal(err)
	}
	v := command(t, small(t).with("--max-failures", "3"), built.python, script, "1")
	v.ends(3)
	rep := v.judge(nil)
	if rep.Statuses["failed"] != 1 || rep.Statuses["ok"] != 3 || rep.Failures != 3 {
		t.Errorf("%v, %d failures (expected 1 failed, 3 ok, 3 failures)", rep.Statuses, rep.Failures)
	}
	bad := v.lines()[1]
	for _, want := range []string{"Traceback (most recent call last)", "in deeper_down", "ValueError: no price in chunk 1"} {
		if !strings.Contains(bad.Traceback, want) {
			t.Errorf("error_traceback is %q (want %q in it)", bad.Traceback, want)
		}
	}
	if bad.Bars != 3 {
		t.Errorf("bars_processed is %d (it had said 3)", bad.Bars)
	}
	if n := strings.Count(v.said(), "| ValueError: no price in chunk 1"); n != 1 {
		t.Errorf("the terminal shows the script's error %d times (expected 1)", n)
	}
	if !strings.Contains(v.said(), "stderr.log") {
		t.Error("the terminal does not say where the log is")
	}
}

// soon is when a run that cannot work must have ended, on a machine that does
// other things too.
const soon = time.Minute

// A command that is not there, or that cannot find what it imports, ends the
// run within seconds, with one message.
func TestACommandThatCannotRun(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "replay.py")
	if err := os.WriteFile(script, []byte("import gx1_no_such_module\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	notExecutable := filepath.Join(t.TempDir(), "replay")
	if err := os.WriteFile(notExecutable, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		argv []string
		want []string // in the one line that says it
	}{
		{"not there", []string{"./no-such-command", "{slice}"}, []string{"./no-such-command", "not found"}},
		{"not executable", []string{notExecutable}, []string{notExecutable, "not executable"}},
		{"imports fail", []string{built.python, script}, []string{"PYTHONPATH", "--exec-env PYTHONPATH"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := small(t)
			p.Workers, p.Env = 3, []string{"PYTHONPATH=" + t.TempDir()}
			v := command(t, p, c.argv...)
			begun := time.Now()
			v.ends(3)
			if took := time.Since(begun); took > soon {
				t.Errorf("it took %v (at most %v)", took.Round(time.Millisecond), soon)
			} else {
				t.Logf("it took %v", took.Round(time.Millisecond))
			}
			v.judge(nil)
			said := 0
			for text := range strings.Lines(v.said()) {
				if all(text, c.want) {
					said++
				}
			}
			if said != 1 {
				t.Errorf("%d lines say %q (expected 1):\n%s", said, c.want, v.said())
			}
		})
	}
}

func all(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// A command that hangs is ended by the stall timeout, deaf as it may be, and
// the file says in which phase it hung.
func TestACommandThatHangs(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/hang.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range []string{"startup", "replay"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			// The limit is long for a shell to start, be the machine as busy as it may.
			v := command(t, small(t).with("--max-failures", "1", "--stall-timeout", "3s", "--grace", "200ms"), "sh", script, phase, "{chunk_idx}")
			v.ends(3)
			rep := v.judge(func(o *check.Options) { o.BarLog = NoLog })
			if rep.Statuses["failed"] != 1 || rep.Statuses["ok"] != 3 {
				t.Errorf("%v (expected 1 failed, 3 ok)", rep.Statuses)
			}
			bad := v.lines()[2]
			for _, want := range []string{"stall", "phase " + phase} {
				if !strings.Contains(bad.Error, want) {
					t.Errorf("error is %q (want %q in it)", bad.Error, want)
				}
			}
		})
	}
}

// A serving command that stays when there are no more chunks is ended with its
// worker, before the coordinator ends.
func TestAServingCommandThatStays(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/linger.sh")
	if err != nil {
		t.Fatal(err)
	}
	v := command(t, small(t).with("--exec-serve"), "sh", script)
	v.ends(0)
	v.judge(func(o *check.Options) { o.BarLog, o.Outcome = NoLog, "complete" })
	v.smooth()
}
