//go:build linux

package hosts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// A run of held bars: each of the three workers, with two slots, steps over
// held of them and waits. A chunk has a twelfth of bars, so no worker can have
// finished more than two by then, and each slot holds one.
const bars, held = 4500, 900

// Coordinator and workers on different hosts of a cluster, and on the same.
func TestThreeHosts(t *testing.T) {
	testsize.All(t)
	s := newStand(t)
	s.lead(2400)
	s.workers()
	if rep := s.ends("complete"); rep.Failures != 0 || rep.Redeliveries != 0 {
		t.Errorf("%d failures, %d redeliveries (want none)", rep.Failures, rep.Redeliveries)
	}
}

// One server of three is killed in mid-run and does not come back: the one that
// leads all of the run's streams, on each host in turn.
func TestALeadingServerIsKilled(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for host := range 3 {
		t.Run(fmt.Sprint(host+1), func(t *testing.T) {
			s := newStand(t)
			s.lead(bars)
			s.workers(s.hold("gate", held))
			s.done(3 * held)
			streams, err := s.GiveLead(s.ctx, host)
			s.must(err)
			if !strings.Contains(strings.Join(streams, " "), "GX1_PROGRESS") {
				t.Fatalf("the streams are %v: none of the run's", streams)
			}
			t.Logf("killing the server of host %d, which leads %s", host+1, strings.Join(streams, ", "))
			s.must(s.KillServer(host))
			s.open("gate")
			if rep := s.ends("complete"); rep.Failures != 0 {
				t.Errorf("%d failures (want none)", rep.Failures)
			}
		})
	}
}

// A worker's link is cut for longer than its lease: others replay its chunks,
// and when it hears of the world again it knows that they are not its own.
func TestAWorkerIsCutOff(t *testing.T) {
	testsize.All(t)
	s := newStand(t)
	s.lead(2400, "--lease-duration", "3s")
	s.worker(2, s.hold("cut", 100))
	s.done(100)
	s.link(2).Cut(true)
	// Of twelve chunks of 200 bars two are its own. The worker of the first host
	// takes two, and steps over one bar; were they of the other ten, these have
	// 1600 bars for the second host's.
	s.worker(0, s.hold("slow", 1))
	s.worker(1, s.hold("others", 1900))
	s.until("others have taken over", func() bool { return s.Bars() >= 100+1+1900 })
	s.link(2).Cut(false)
	s.until("the worker knows", func() bool { return s.Said(s.WorkerName(2), "lease lost") })
	s.open("cut")
	s.open("slow")
	s.open("others")
	if rep := s.ends("complete"); rep.Failures < 1 || rep.Redeliveries < 1 {
		t.Errorf("%d failures, %d redeliveries (want the chunks of the worker that was silent)", rep.Failures, rep.Redeliveries)
	}
}

// The coordinator's link, and that of the worker beside it, is cut for a
// moment: nobody loses anything.
func TestTheCoordinatorIsCutOffForAMoment(t *testing.T) {
	testsize.All(t)
	s := newStand(t)
	s.lead(bars)
	s.workers(s.hold("gate", held))
	s.done(2 * held)
	s.link(0).Cut(true)
	s.wait(5 * time.Second)
	s.link(0).Cut(false)
	s.open("gate")
	if rep := s.ends("complete"); rep.Failures != 0 {
		t.Errorf("%d failures (want none)", rep.Failures)
	}
}

// The coordinator's link is cut for a minute, and the run is stopped meanwhile:
// the workers of other hosts obey while it is away; it, and the worker beside
// it, obey when they hear of it.
func TestAStopWhileTheCoordinatorIsCutOff(t *testing.T) {
	testsize.All(t)
	s := newStand(t)
	s.lead(bars)
	s.worker(0, s.hold("deaf", held))
	env := s.hold("gate", held)
	s.worker(1, env)
	s.worker(2, env)
	s.until("each slot holds a chunk", func() bool { return s.Bars() == 3*held && s.Running(s.ctx, 1) == 6 })
	s.link(0).Cut(true)
	cutAt := time.Now()
	s.wait(5 * time.Second)
	out, err := s.From(s.ctx, 1, "stop", s.RunID, "--reason", "cut off")
	s.must(err)
	if !strings.Contains(out, "is stored") {
		t.Fatalf("stop: %s", out)
	}
	// The gates stay closed and the link down: only the stop, heard from the bus
	// itself, has them let go.
	s.until("the workers have obeyed", func() bool {
		running := s.Running(s.ctx, 1)
		if time.Since(cutAt) > time.Minute {
			t.Fatalf("%d chunks are still being replayed, long after the stop", running)
		}
		return running == 2 // those of the worker that cannot have heard of it
	})
	t.Logf("the workers had obeyed %v after the cut", time.Since(cutAt).Round(time.Millisecond))
	s.wait(time.Minute - time.Since(cutAt))
	s.open("gate")
	before := s.Bars()
	s.link(0).Cut(false)
	s.Options.Stop = []string{"subject"}
	rep := s.ends("stopped")
	if n := s.Bars(); n != before {
		t.Errorf("%d bars were stepped over after the stop, which the workers had heard", n-before)
	}
	// The worker that was cut off hears of the stop while the servers still elect,
	// and what it says last may come too late: its chunks are then exported as
	// unresponsive, from what they had reported.
	if rep.Failures != 0 || rep.Statuses["unresponsive"] > 2 {
		t.Errorf("%d failures, %v (want last words of all but the worker that was cut off)", rep.Failures, rep.Statuses)
	}
}

// Five seconds of a bad network, for all. The lease is longer than a connection may
// be silent: one that loses four segments in a row sends the fifth after 9 s, and a
// lease of 10 s can then be lost, rightly.
func TestABadNetwork(t *testing.T) {
	testsize.All(t)
	s := newStand(t)
	s.lead(bars, "--lease-duration", "30s")
	s.workers(s.hold("gate", held))
	s.done(held)
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
