package coordinator

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/internal/bus"
	"gx1replay/internal/lease"
	"gx1replay/internal/process"
	"gx1replay/internal/run"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// Who lives, by what the bus has and by what is seen here.
func TestAlive(t *testing.T) {
	testsize.All(t)
	emptyPools()
	srv := natsserver.Start(t, &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir()})
	b, err := bus.Connect(t.Context(), bus.Config{Access: bus.Access{URL: srv.ClientURL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.MakeStreams(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	place, err := process.Here()
	if err != nil {
		t.Fatal(err)
	}
	const leaseFor = 500 * time.Millisecond
	for _, c := range []struct {
		name      string
		here      bool // host, boot and namespace are ours; the process is gone
		ended     bool
		old       bool // all that the bus has is older than two leases
		beats     bool
		renewed   bool   // the manifest is written after that
		onWatched string // what happens while it is watched: beat, manifest
		watched   bool
		lives     bool
	}{
		{name: "silent", watched: true},
		{name: "silent for long", old: true},
		{name: "a heartbeat, silent for long", old: true, beats: true},
		{name: "beats", beats: true, onWatched: "beat", watched: true, lives: true},
		{name: "of an earlier version", onWatched: "manifest", watched: true, lives: true},
		{name: "an old heartbeat, resumed by an earlier version", old: true, beats: true, renewed: true, onWatched: "manifest", watched: true, lives: true},
		{name: "ended", ended: true},
		{name: "ended, and resumed elsewhere", ended: true, beats: true, onWatched: "beat", watched: true, lives: true},
		{name: "gone from here", here: true, beats: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := testRun(t, c.name)
			m.LeaseDuration = leaseFor
			m.Coordinator = run.Coordinator{Host: "vm", PID: 1}
			if c.here {
				m.Coordinator = hereButGone(t, place)
			}
			m.Sessions = []run.SessionTimes{{Session: 1, StartedAt: time.Now().UTC()}}
			if c.ended {
				m.Sessions[0].EndedAt = time.Now().UTC()
			}
			rev, err := b.StoreManifest(t.Context(), m, 0)
			if err != nil {
				t.Fatal(err)
			}
			beat := func() {
				if err := b.Beat(t.Context(), m.RunID, "test"); err != nil {
					t.Error(err)
				}
			}
			if c.beats {
				beat()
			}
			for c.old {
				p, err := b.Pulse(t.Context(), m.RunID)
				if err != nil {
					t.Fatal(err)
				}
				c.old = p.Age <= lease.Timing(leaseFor).BeatWatch()
			}
			if c.renewed {
				if rev, err = b.StoreManifest(t.Context(), m, rev); err != nil {
					t.Fatal(err)
				}
			}
			watched := false
			lives, err := Alive(t.Context(), b, m, func(time.Duration) {
				watched = true
				switch c.onWatched {
				case "beat":
					beat()
				case "manifest":
					if _, err := b.StoreManifest(t.Context(), m, rev); err != nil {
						t.Error(err)
					}
				}
			})
			if err != nil || lives != c.lives || watched != c.watched {
				t.Errorf("lives %v, watched %v, %v (want %v, %v)", lives, watched, err, c.lives, c.watched)
			}
		})
	}
	// Neither lists nor listeners of manifests see a heartbeat, and cleaning removes it.
	list, err := b.Manifests(t.Context())
	if err != nil || len(list) != 9 {
		t.Errorf("%d runs, %v (want 9)", len(list), err)
	}
	for _, m := range list {
		if err := b.Forget(t.Context(), m.RunID); err != nil {
			t.Error(err)
		}
		if p, err := b.Pulse(t.Context(), m.RunID); err == nil {
			t.Errorf("run %s is forgotten and has the pulse %+v", m.RunID, p)
		}
	}
}

// testRun is the manifest of a run of that name, as the bus takes it.
func testRun(t *testing.T, name string) run.Manifest {
	t.Helper()
	plan, err := run.NewPlan(10, 1, 0, run.OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	m := run.Manifest{
		Schema: run.Schema, RunID: run.ID(strings.NewReplacer(" ", "_", ",", "").Replace(name)), Incarnation: testIncarnation, Session: 1, State: run.StateRunning,
		Plan: plan, Data: run.Data{Bars: 10, SliceBars: 10}, MaxFailures: 1, LeaseDuration: time.Second,
	}
	return m
}

// hereButGone is a process of this host that has ended.
func hereButGone(t *testing.T, place process.Place) run.Coordinator {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return run.Coordinator{Host: host, PID: cmd.Process.Pid, StartTime: "gone", BootID: place.BootID, PIDNamespace: place.PIDNamespace}
}
