package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/process"
)

// Where a run's bus is, is said however it was named.
func TestStatusSaysWhichBus(t *testing.T) {
	look := func(context.Context) ([]runStatus, error) {
		at := time.Now().Add(-time.Minute)
		return []runStatus{
			{Entry: process.Entry{RunID: "by_url", PID: 1, URL: "nats://10.0.0.1:4222", StartedAt: at, OutputDir: "a"}, Alive: true, BusAnswers: true},
			{Entry: process.Entry{RunID: "by_context", PID: 2, Context: "cluster", StartedAt: at, OutputDir: "b"}, Alive: true},
		}, nil
	}
	var out bytes.Buffer
	if alive, err := (Program{Stdout: &out}).status(t.Context(), look, "", false); err != nil || alive != 2 {
		t.Fatalf("%d are alive, %v (want 2)", alive, err)
	}
	for _, want := range []string{"nats://10.0.0.1:4222", "context cluster", "active, bus does not answer", "by_url: pid 1, nats://10.0.0.1:4222"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 80 {
			t.Errorf("a line has %d columns: %s", len(line), line)
		}
	}
}

// A run that is watched ends, and is not known any more: that is no error. One
// that was never known is.
func TestWatchEndsWithTheRun(t *testing.T) {
	nobody := &usageError{msg: "no run r is known on this machine", hint: "coordinator status"}
	for _, c := range []struct {
		name  string
		looks []error
		want  bool
	}{
		{"it ends", []error{nil, nobody}, true},
		{"it was never there", []error{nobody}, false},
		{"the bus is lost", []error{nil, context.DeadlineExceeded}, false},
	} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			n := 0
			look := func(context.Context) ([]runStatus, error) {
				n++
				if err := c.looks[n-1]; err != nil {
					return nil, err
				}
				return []runStatus{{Entry: process.Entry{RunID: "r", PID: 1, StartedAt: time.Now()}, Alive: true}}, nil
			}
			ticks := make(chan time.Time, 1)
			ticks <- time.Now()
			err := (Program{Stdout: &out}).watchStatus(t.Context(), look, "r", asJSON, ticks)
			if (err == nil) != c.want || n != len(c.looks) {
				t.Errorf("%s, JSON %v: %v after %d looks (want success: %v)\n%s", c.name, asJSON, err, n, c.want, &out)
			}
			if c.want && !asJSON && !strings.Contains(out.String(), "run r has ended") {
				t.Errorf("%s: it does not say that the run has ended:\n%s", c.name, &out)
			}
		}
	}
}
