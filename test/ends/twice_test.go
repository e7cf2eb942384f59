//go:build linux

package ends

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/test/check"
)

// GNU timeout signals its child, and then its own group, in which the child
// is: the coordinator has the signal twice. That is one stop, and the command
// has its grace.
func TestTimeoutDeliversTwice(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("timeout"); err != nil {
		t.Skip("there is no timeout")
	}
	p := plan(t)
	p.Exec = true
	p.Before = []string{"timeout", "--preserve-status", "--signal", "TERM", "10m"}
	v := begin(t, p)
	// It passes on what it is sent as it does when the time is over.
	v.must(syscall.Kill(v.PID, syscall.SIGTERM))
	if rep := v.stopped("sigterm"); rep.Failures > 0 || rep.Statuses["unresponsive"] > 0 {
		t.Errorf("%d failures, %v", rep.Failures, rep.Statuses)
	}
}

// The same signal many times within a moment is one stop; one that comes
// later exports at once.
func TestASecondSignalMeansNow(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.Exec, p.Flush = true, 3e9
	v := begin(t, p)
	for range 5 {
		v.must(v.Signal(syscall.SIGTERM))
	}
	v.stopping()
	v.until("it ends", func() bool {
		if v.logs("exported") && v.Coordinator() != 0 {
			_ = v.Signal(syscall.SIGTERM)
		}
		return v.Over()
	})
	v.ends(0)
	v.judge(check.Options{Stop: []string{"sigterm"}, Outcome: "stopped", MaxUnreported: -1, Early: true})
}

// A stop that is given ten times belongs to the session that it stops: the
// resume is not stopped by one of them.
func TestAStopGivenTenTimes(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.Bars = 800
	v := begin(t, p)
	v.until("the stop command is printed", func() bool { return v.url() != "" })
	nc, err := nats.Connect(v.url(), nats.NoReconnect())
	v.must(err)
	defer nc.Close()
	for range 10 {
		v.must(nc.Publish("gx1.stop."+v.RunID, []byte("enough")))
	}
	v.must(nc.FlushWithContext(v.ctx))
	// As long as the port is open somebody may say it again.
	for !v.Over() && nc.Publish("gx1.stop."+v.RunID, []byte("enough")) == nil && nc.FlushWithContext(v.ctx) == nil {
	}
	v.stopped("subject")
	v.resumes()
	v.ends(0)
	if rep := v.judge(check.Options{Outcome: "complete"}); rep.Sessions != 2 {
		t.Errorf("%d sessions (expected 2)", rep.Sessions)
	}
	if _, err := os.Stat(v.Stub()); err == nil {
		t.Error("there is a stub")
	}
}
