//go:build linux

package hosts

import (
	"strings"
	"testing"
	"time"
)

// Coordinator and workers on different hosts of a cluster.
func TestThreeHosts(t *testing.T) {
	s := newStand(t)
	s.lead(2400)
	s.worker(1)
	s.worker(2)
	if rep := s.ends("complete"); rep.Failures != 0 || rep.Redeliveries != 0 {
		t.Errorf("%d failures, %d redeliveries (want none)", rep.Failures, rep.Redeliveries)
	}
}

// One server of three is killed in mid-run and does not come back. Each in
// turn: whichever leads a stream is among them.
func TestAServerIsKilled(t *testing.T) {
	for _, host := range []int{0, 1, 2} {
		t.Run(string(rune('1'+host)), func(t *testing.T) {
			s := newStand(t)
			s.lead(3600)
			env := s.hold("gate", 900)
			s.worker(1, env)
			s.worker(2, env)
			s.done(900)
			s.must(s.KillServer(host))
			s.open("gate")
			if rep := s.ends("complete"); rep.Failures != 0 {
				t.Errorf("%d failures (want none)", rep.Failures)
			}
		})
	}
}

// A worker's link is cut for longer than its lease: another replays its chunks,
// and when it hears of the world again it knows that they are not its own.
func TestAWorkerIsCutOff(t *testing.T) {
	s := newStand(t)
	s.lead(2400, "--lease-duration", "3s")
	s.worker(2, s.hold("a", 100))
	s.done(100)
	s.link(2).Cut(true)
	// Two chunks of 200 bars are the first one's: these are some of them.
	s.worker(1, s.hold("b", 2300))
	s.until("the other has taken over", func() bool { return s.Bars() >= 100+2300 })
	s.link(2).Cut(false)
	s.until("the worker knows", func() bool { return s.Said(s.WorkerName(2), "the lease is lost") })
	s.open("a")
	s.open("b")
	if rep := s.ends("complete"); rep.Failures < 1 || rep.Redeliveries < 1 {
		t.Errorf("%d failures, %d redeliveries (want the chunks of the worker that was silent)", rep.Failures, rep.Redeliveries)
	}
}

// The coordinator's link is cut for a moment: nobody loses anything.
func TestTheCoordinatorIsCutOffForAMoment(t *testing.T) {
	s := newStand(t)
	s.lead(3600)
	env := s.hold("gate", 900)
	s.worker(1, env)
	s.worker(2, env)
	s.done(600)
	s.link(0).Cut(true)
	s.wait(5 * time.Second)
	s.link(0).Cut(false)
	s.open("gate")
	if rep := s.ends("complete"); rep.Failures != 0 {
		t.Errorf("%d failures (want none)", rep.Failures)
	}
}

// The coordinator's link is cut for a minute, and the run is stopped meanwhile:
// the workers obey while it is away, and it obeys when it hears of it.
func TestAStopWhileTheCoordinatorIsCutOff(t *testing.T) {
	s := newStand(t)
	s.lead(3600)
	env := s.hold("gate", 900)
	s.worker(1, env)
	s.worker(2, env)
	s.done(600)
	s.until("each slot holds a chunk", func() bool { return s.Bars() == 2*900 && s.Running(s.ctx, 1) == 4 })
	s.link(0).Cut(true)
	cutAt := time.Now()
	s.wait(5 * time.Second)
	if out, err := s.From(s.ctx, 1, "stop", s.RunID, "--reason", "cut off"); err != nil || !strings.Contains(out, "is stored") {
		t.Fatalf("stop: %v: %s", err, out)
	}
	// The gate stays closed and the link down: only the stop, heard from the bus
	// itself, has them let go.
	s.until("the workers have obeyed", func() bool {
		if time.Since(cutAt) > time.Minute {
			t.Fatalf("%d chunks are still being replayed, long after the stop", s.Running(s.ctx, 1))
		}
		return s.Running(s.ctx, 1) == 0
	})
	t.Logf("the workers had obeyed %v after the cut", time.Since(cutAt).Round(time.Millisecond))
	s.wait(time.Minute - time.Since(cutAt))
	s.open("gate")
	bars := s.Bars()
	s.link(0).Cut(false)
	s.Options.Stop = []string{"subject"}
	rep := s.ends("stopped")
	if n := s.Bars(); n != bars {
		t.Errorf("%d bars were stepped over after the stop, which the workers had heard", n-bars)
	}
	if rep.Failures != 0 || rep.Statuses["unresponsive"] > 0 {
		t.Errorf("%d failures, %v (want last words of all)", rep.Failures, rep.Statuses)
	}
}

// Five seconds of a bad network, for all.
func TestABadNetwork(t *testing.T) {
	s := newStand(t)
	s.lead(3600)
	env := s.hold("gate", 900)
	s.worker(1, env)
	s.worker(2, env)
	s.done(300)
	for _, h := range s.Wire.Hosts { // both ends of each link count: 30 %, 200 ms
		h.Bad(0.163, 100*time.Millisecond)
	}
	s.wait(5 * time.Second)
	for _, h := range s.Wire.Hosts {
		h.Bad(0, 0)
	}
	s.open("gate")
	if rep := s.ends("complete"); rep.Failures != 0 {
		t.Errorf("%d failures (want none)", rep.Failures)
	}
}
