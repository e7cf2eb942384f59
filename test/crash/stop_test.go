//go:build linux

package crash_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/test/testsize"
)

// publish does what the printed command does.
func (v *victim) publish(reason string) {
	v.t.Helper()
	url, err := v.URL(v.ctx)
	v.must(err)
	v.publishTo(url, reason)
}

func (v *victim) publishTo(url, reason string) {
	v.t.Helper()
	nc, err := nats.Connect(url)
	v.must(err)
	defer nc.Close()
	v.must(nc.Publish("gx1.stop."+v.RunID, []byte(reason)))
	v.must(nc.FlushWithContext(v.ctx))
}

// Stop, resume, stop, resume, within seconds: what was stored for the first
// time must not be taken for a duplicate.
func TestStopResumeStopResume(t *testing.T) {
	v := start(t, holding(planBars/4+100))
	v.done(planBars / 4)
	v.publish("first")
	v.ends(0)
	if rep := v.file(stopped("subject")); rep.Mode != "stop_subject" {
		t.Errorf("mode %s", rep.Mode)
	}
	v.again(nil)
	v.done(planBars / 4)
	v.must(v.Signal(syscall.SIGTERM))
	v.ends(0)
	v.file(stopped("sigterm"))
	v.open()
	v.again(nil)
	if rep := v.completes(); rep.Sessions != 3 || rep.Failures != 0 {
		t.Errorf("%d sessions, %d failures (expected 3, 0)", rep.Sessions, rep.Failures)
	}
}

// The old stop is still stored, and does not stop the resume; a new one does.
func TestResumeUnderAKeptStop(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(planBars/4))
	v.done(planBars / 10)
	v.publish("the old one")
	v.ends(0)
	v.file(stopped("subject"))
	old, err := read(v.Perf())
	v.must(err)
	if old.Stop.Seq == 0 || old.Stop.Reason != "the old one" {
		t.Errorf("the stop is %+v", old.Stop)
	}
	v.again(nil)
	v.done(planBars / 10)
	v.publish("the new one")
	v.ends(0)
	v.file(stopped("subject"))
	now, err := read(v.Perf())
	v.must(err)
	if now.Stop.Reason != "the new one" || now.Stop.Seq <= old.Stop.Seq {
		t.Errorf("the stop is %+v, after %+v", now.Stop, old.Stop)
	}
	v.open()
	v.again(nil)
	v.completes()
}

// A stop by a user is not forgotten in a crash: the coordinator dies in the
// drain, before its last export has said that the stop is done with. The next
// one obeys it, and the one after that goes on.
func TestUsersStopOutlivesACrash(t *testing.T) {
	testsize.All(t)
	s := holding(planBars/4 + 100)
	s.env = []string{"GX1TEST_DIE=rename"}
	v := start(t, s)
	v.done(planBars / 4)
	v.publish("enough")
	v.dead()
	v.file(nil)
	v.again(func(c *config) { c.Env = nil })
	v.ends(0)
	v.file(stopped("subject"))
	v.again(nil)
	if rep := v.completes(); rep.Sessions != 3 {
		t.Errorf("%d sessions (expected 3)", rep.Sessions)
	}
}

// The second of two coordinators is refused while the first lives, and takes
// over when it does not.
func TestTwoCoordinators(t *testing.T) {
	v := start(t, holding(planBars/4))
	v.done(planBars / 10)
	first := v.Run
	v.again(nil)
	second := v.Run
	if code, err := second.Wait(v.ctx); err != nil || code != 1 {
		t.Fatalf("the second ended with code %d, error %v (expected 1)", code, err)
	}
	v.says(second.Stderr(), fmt.Sprintf("process %d", first.PID))
	if len(first.Guardians()) != 1 || first.Kill() != nil {
		t.Fatal("the first is gone")
	}
	v.must(first.Reaped(v.ctx))
	v.open()
	// At once: the guardian still has the lock, or not yet.
	v.again(nil)
	if rep := v.completes(); rep.Sessions != 2 {
		t.Errorf("%d sessions (expected 2: one was refused)", rep.Sessions)
	}
}

// The guardian of the killed coordinator meets the next one, at once.
func TestResumeAtOnce(t *testing.T) {
	testsize.All(t)
	v := start(t, holding(planBars/4+100))
	for range 2 {
		v.done(planBars / 4)
		v.must(v.Kill())
		v.must(v.Reaped(v.ctx))
		v.again(nil)
	}
	v.open()
	v.completes()
}
