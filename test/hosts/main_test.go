//go:build linux

package hosts

import (
	"context"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/netns"
	"gx1replay/test/site"
	"gx1replay/test/testsize"
)

// patience is generous: it is there so that a hang is a failure.
const patience = 3 * time.Minute

// built is built once.
var built site.Programs

// atOnce is how many tests run at a time: they wait, mostly, for links that are
// down.
const atOnce = 8

func TestMain(m *testing.M) {
	drive.Main(m, atOnce, func(ctx context.Context, dir string) (err error) {
		all, err := testsize.IsAll()
		if err == nil && all && netns.Missing() == "" { // otherwise each test says why it does not run
			built, err = site.Build(ctx, dir)
		}
		return err
	})
}

// stand is a site that one test has.
type stand struct {
	*site.Site
	t   *testing.T
	ctx context.Context
}

// newStand brings a site up.
func newStand(t *testing.T) *stand {
	t.Helper()
	if why := netns.Missing(); why != "" {
		t.Skip("no hosts can be made here: " + why)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &stand{t: t, ctx: ctx}
	var err error
	s.Site, err = site.New(ctx, t.TempDir(), built, 1)
	s.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Tails())
		}
		s.must(s.Close())
	})
	return s
}

// lead starts the run's coordinator, of twelve chunks.
func (s *stand) lead(bars int, args ...string) {
	s.t.Helper()
	s.must(s.Lead(site.Plan{RunID: "hosts", Bars: bars, Chunks: 12, Latency: 2 * time.Millisecond, Timeout: patience, Args: args}))
}

// link is a host's end of the wire.
func (s *stand) link(host int) *netns.Host { return s.Wire.Hosts[host] }

func (s *stand) worker(host int, env ...string) {
	s.t.Helper()
	s.must(s.Worker(host, env...))
}

// workers starts a worker on each host.
func (s *stand) workers(env ...string) {
	s.t.Helper()
	for host := range s.Wire.Hosts {
		s.worker(host, env...)
	}
}

func (s *stand) hold(gate string, bars int) string {
	s.t.Helper()
	env, err := s.Hold(gate, bars)
	s.must(err)
	return env
}

func (s *stand) open(gate string) {
	s.t.Helper()
	s.must(s.Open(gate))
}

func (s *stand) done(bars int) {
	s.t.Helper()
	s.must(s.Done(s.ctx, bars))
}

// until waits until cond holds, in a run that does not end before it.
func (s *stand) until(what string, cond func() bool) {
	s.t.Helper()
	s.must(s.Until(s.ctx, what, cond))
}

// ends waits for the coordinator's end and judges the run's file.
func (s *stand) ends(outcome string) *check.Report {
	s.t.Helper()
	rep, err := s.Ends(s.ctx, outcome)
	s.must(err)
	for _, text := range rep.Violations {
		s.t.Error(text)
	}
	return rep
}

// wait passes real time, as a link that is down does.
func (s *stand) wait(d time.Duration) {
	s.t.Helper()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
		s.t.Fatal(context.Cause(s.ctx))
	}
}

func (s *stand) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
