//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"gx1replay/test/site"
)

// trouble is what befalls a run on three hosts.
type trouble string

const (
	noTrouble     trouble = "undisturbed"
	serverKilled  trouble = "server-killed"    // and started again on its files
	workerCut     trouble = "worker-cut"       // its link, for longer than its lease
	leaderCut     trouble = "coordinator-cut"  // its link, and so that of the worker beside it
	leaderCutStop trouble = "coordinator-stop" // the same, and a stop is given meanwhile
	badNetwork    trouble = "bad-network"      // loss and delay for all
	workerKilled  trouble = "worker-kill"
	workerTerm    trouble = "worker-sigterm"
)

var troubles = []trouble{serverKilled, workerCut, leaderCut, leaderCutStop, badNetwork, workerKilled, workerTerm}

const (
	// shortHostLease is of runs that a worker is lost to: its chunks wait for
	// one and a half of them.
	shortHostLease = 3 * time.Second
	// hostLease is the product's default.
	hostLease = 10 * time.Second
	// stopWithin is how soon after the cut a stop is given: later the other hosts
	// have done what they can.
	stopWithin = 6 * time.Second
	// harmlessFor is how long a link may be cut, or bad, at no cost.
	harmlessFor = 5 * time.Second
)

// mishap is the trouble of one run; it follows from seed and number.
type mishap struct {
	trouble
	host int
	// share is its moment, of the undisturbed length from the run_id on.
	share     float64
	lasts     time.Duration
	stopAfter time.Duration // the beginning of lasts: the moment of a stop
	// What befalls a frame on its way from one host to another.
	loss  float64
	delay time.Duration
	lease time.Duration
}

func (d *drawn) mishap(n int) mishap {
	// Each round of runs has all troubles, in an order of its own.
	round := rand.New(rand.NewPCG(d.seed, uint64(n/len(troubles))+1<<33))
	rng := rand.New(rand.NewPCG(d.seed, uint64(n)+1<<34))
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)))
	}
	m := mishap{
		trouble: troubles[round.Perm(len(troubles))[n%len(troubles)]], host: rng.IntN(site.Hosts),
		share: rng.Float64(), lease: hostLease,
	}
	switch m.trouble {
	case serverKilled:
		m.lasts = between(0, 10*time.Second)
	case workerCut:
		m.host = 1 + m.host%(site.Hosts-1) // not the coordinator's
		m.lease = shortHostLease
		m.lasts = m.lease + between(time.Second, 8*time.Second)
	case leaderCut, leaderCutStop:
		m.host = 0
		m.lasts = between(time.Second, time.Minute)
		if m.trouble == leaderCutStop { // while there is something to stop
			m.share /= 2
			m.stopAfter = between(0, min(m.lasts, stopWithin))
		}
	case badNetwork:
		m.lasts = between(time.Second, 8*time.Second)
		m.loss, m.delay = 0.05+0.25*rng.Float64(), between(20*time.Millisecond, 200*time.Millisecond)
	case workerKilled:
		m.lease = shortHostLease
	}
	return m
}

func (m mishap) String() string {
	switch m.trouble {
	case noTrouble:
		return string(m.trouble)
	case badNetwork:
		return fmt.Sprintf("%s at=%.3f×length loss=%.0f%% delay=%v for %v", m.trouble, m.share, 100*m.loss, ms(m.delay), ms(m.lasts))
	}
	text := fmt.Sprintf("%s host=%d at=%.3f×length", m.trouble, m.host+1, m.share)
	if m.lasts > 0 {
		text += fmt.Sprintf(" for %v", ms(m.lasts))
	}
	if m.trouble == leaderCutStop {
		text += fmt.Sprintf(" stop after %v", ms(m.stopAfter))
	}
	return text
}

// harmless: no attempt at a chunk is lost by it.
func (m mishap) harmless() bool {
	switch m.trouble {
	case workerCut, workerKilled:
		return false
	case leaderCut, leaderCutStop, badNetwork:
		return m.lasts <= harmlessFor
	}
	return true
}

// endsWorker: the mishap ends the worker of that host.
func (m mishap) endsWorker(host int) bool {
	return host == m.host && (m.trouble == workerKilled || m.trouble == workerTerm)
}

// strike has the mishap befall the run, from its first moment to its last. It
// reports whether a stop of the run is stored.
func (m mishap) strike(ctx context.Context, s *site.Site, h *history) (stopped bool, err error) {
	switch m.trouble {
	case serverKilled:
		err = m.killServer(ctx, s, h)
	case workerCut, leaderCut:
		m.cut(ctx, s, h)
	case leaderCutStop:
		return m.cutAndStop(ctx, s, h)
	case badNetwork:
		m.spoil(ctx, s, h)
	case workerKilled:
		err = s.SignalWorker(m.host, syscall.SIGKILL)
	case workerTerm:
		err = s.SignalWorker(m.host, syscall.SIGTERM)
	}
	return false, err
}

func (m mishap) killServer(ctx context.Context, s *site.Site, h *history) error {
	if err := s.KillServer(m.host); err != nil {
		return err
	}
	pauseFor(ctx, m.lasts)
	h.note("the server is started again")
	return s.StartServer(m.host)
}

func (m mishap) cut(ctx context.Context, s *site.Site, h *history) {
	s.Wire.Hosts[m.host].Cut(true)
	pauseFor(ctx, m.lasts)
	h.note("the link is mended")
	s.Wire.Hosts[m.host].Cut(false)
}

// cutAndStop gives the stop on another host; it may be stored after the link is
// mended.
func (m mishap) cutAndStop(ctx context.Context, s *site.Site, h *history) (stopped bool, err error) {
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer)
	go func() {
		pauseFor(ctx, m.stopAfter)
		text, err := s.From(ctx, 1, "stop", s.RunID, "--reason", "cut off")
		answered <- answer{text, err}
	}()
	m.cut(ctx, s, h)
	a := <-answered
	h.note("the stop: %s", strings.TrimSpace(a.text))
	for _, early := range []string{"has no run", "is not under way"} {
		if strings.Contains(a.text, early) {
			return false, nil
		}
	}
	if a.err == nil && !strings.Contains(a.text, "is stored") {
		a.err = errors.New("the stop ended well and does not say that it is stored")
	}
	return a.err == nil, a.err
}

// spoil makes the wire bad for a while; both ends of each way count.
func (m mishap) spoil(ctx context.Context, s *site.Site, h *history) {
	for _, end := range s.Wire.Hosts {
		end.Bad(1-math.Sqrt(1-m.loss), m.delay/2)
	}
	pauseFor(ctx, m.lasts)
	h.note("the wire is good again")
	for _, end := range s.Wire.Hosts {
		end.Bad(0, 0)
	}
}
