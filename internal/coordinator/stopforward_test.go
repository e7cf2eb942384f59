package coordinator

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// A stop is passed on only where its sender could have given it directly: from a
// port that processes of this machine alone reach, to a run which takes stops
// from all of them.
func TestWhereStopsArePassedOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	reg, err := process.OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []process.Entry{
		{RunID: "open", PID: os.Getpid(), OpenToStrangers: true},
		{RunID: "closed", PID: os.Getpid()}, // --stop-auth, other hosts, another bus, or an earlier version
		{RunID: "dead", PID: 1 << 30, StartTime: "1", OpenToStrangers: true},
	} {
		e.Session, e.URL = 1, "nats://127.0.0.1:1"
		if err := reg.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		cfg    Config
		passes bool
	}{
		"loopback":          {Config{Listen: "127.0.0.1:4222"}, true},
		"loopback, by name": {Config{Listen: "localhost:0"}, true},
		"loopback, IPv6":    {Config{Listen: "[::1]:4222"}, true},
		"its own key alone": {Config{Listen: "127.0.0.1:4222", StopAuth: true}, true}, // its processes are of this machine
		"no port":           {Config{}, true},
		"all addresses":     {Config{Listen: "0.0.0.0:4222"}, false},
		"all, in short":     {Config{Listen: ":4222"}, false},
		"an address":        {Config{Listen: "10.0.0.1:4222"}, false},
		"a name":            {Config{Listen: "box.example:4222"}, false},
		"another bus":       {Config{Listen: "127.0.0.1:4222", NATS: &External{Access: bus.Access{URL: "nats://127.0.0.1:4222"}}}, false},
	} {
		c.cfg.Registry, c.cfg.RunID = reg, "r1"
		s := &Session{cfg: c.cfg, lines: loglimit.New(slog.New(slog.DiscardHandler))}
		for id, open := range map[run.ID]bool{"open": true, "closed": false, "dead": false, "unknown": false} {
			_, err := s.newPasser().find(id)
			if want := c.passes && open; (err == nil) != want || err != nil && !errors.Is(err, ErrNotPassed) {
				t.Errorf("%s: a stop for run %s: %v (want passed on: %v)", name, id, err, want)
			}
		}
	}
}

// What is passed on beside others has a bound, and the rest is refused.
func TestPassingOnIsBounded(t *testing.T) {
	emptyPools() // of what bubbles have left
	defer emptyPools()
	reg, err := process.OpenRegistry(filepath.Join(t.TempDir(), "runs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Put(process.Entry{RunID: "open", PID: os.Getpid(), Session: 1, URL: "nats://127.0.0.1:1", OpenToStrangers: true}); err != nil {
		t.Fatal(err)
	}
	s := &Session{cfg: Config{RunID: "r1", Listen: "127.0.0.1:0", Registry: reg}, lines: loglimit.New(slog.New(slog.DiscardHandler))}
	p := s.newPasser()
	for range passAtOnce {
		p.slots <- struct{}{}
	}
	answers := make(chan error, 1)
	p.pass("open", "", "id", func(_ uint64, err error) { answers <- err })
	if err := <-answers; err == nil {
		t.Error("one more is passed on than may be")
	}
	<-p.slots
	p.pass("open", "", "id", func(_ uint64, err error) { answers <- err })
	if err := <-answers; err == nil {
		t.Error("a stop was stored where no server is")
	}
	p.wait()
}

// A stop that says that it is the coordinator's own signal says so of itself:
// the coordinator would know.
func TestASourceThatIsNotTheSendersOwn(t *testing.T) {
	testsize.All(t)
	for name, session := range map[string]string{"no session": "", "this session": "1", "a later session": "7"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(5)
				defer w.close()
				r := attack(w, func() {
					nc, _ := w.attacker()
					defer nc.Close()
					m := nats.NewMsg(bus.StopSubject(w.m.RunID))
					m.Data = []byte("mine")
					m.Header.Set("Gx1-Stop-Source", "sigterm")
					if session != "" {
						m.Header.Set("Gx1-Stop-Session", session)
					}
					if err := errors.Join(nc.PublishMsg(m), nc.Flush()); err != nil {
						t.Fatal(err)
					}
				})
				if !r.stopped || r.stop.Source != run.SourceSubject || r.stop.Reason != "mine" {
					t.Errorf("stopped %v by %+v (want by the subject)", r.stopped, r.stop)
				}
			})
		})
	}
}
