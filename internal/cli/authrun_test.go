package cli

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/test/keybus"
	"gx1replay/test/testsize"
)

// keyRun is a run on a bus of keys, without workers.
type keyRun struct {
	*keybus.Bus
	ran chan string // exit code and output, once it has ended
	out string      // where the coordinator writes
}

func (r keyRun) as(role access.Role) []string {
	return []string{"--nats", r.URL(0), "--nkey", r.SeedFile(role)}
}

// newKeyRun starts a coordinator and returns when its run is under way.
func newKeyRun(t *testing.T, cfg keybus.Config, id string) keyRun {
	t.Helper()
	r := keyRun{Bus: keybus.Start(t, cfg), ran: make(chan string, 1), out: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	lead := append([]string{"run", "--run-id", id, "--data", "synthetic:12000", "--chunks", "4", "--workers", "0",
		"--policy", gatedPolicy(), "--output-dir", r.out, "--no-guardian", "--quiet", "--drain-timeout", "1s"}, r.as(access.Coordinator)...)
	go func() {
		defer close(ended)
		code, stdout, stderr := program(t, ctx, false, lead...)
		r.ran <- strconv.Itoa(code) + " " + stdout + stderr
	}()
	look := append([]string{"status", id, "--json"}, r.as(access.Observer)...)
	underWay(t, r.ran, func() bool {
		code, stdout, _ := program(t, t.Context(), false, look...)
		return code == 0 && strings.Contains(stdout, `"running"`)
	})
	return r
}

// work replays what there is.
func (r keyRun) work(t *testing.T) {
	t.Helper()
	args := append([]string{"--concurrency", "2", "--work-dir", t.TempDir(), "--cache-dir", t.TempDir(), "--exit-when-idle=1s"}, r.as(access.Worker)...)
	if code, _, stderr := program(t, t.Context(), true, args...); code != 0 || strings.Contains(stderr, "iolation") {
		t.Errorf("the worker: %d %s", code, stderr)
	}
}

// An observer, an operator and a worker, who have the server answer into the
// bus, neither stop a run nor change what it is. Where they share one account
// with the coordinator, they do.
func TestARunIsNotStoppedByReplies(t *testing.T) {
	testsize.All(t)
	for name, c := range map[string]struct {
		cfg  keybus.Config
		want string
	}{
		"an account for each role": {keybus.Config{}, "100% of the data"},
		"one account":              {keybus.Config{Users: keybus.Flat}, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newKeyRun(t, c.cfg, "prey")
			for _, role := range []access.Role{access.Observer, access.Operator, access.Worker} {
				nc := r.Connect(0, role, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
				for _, reply := range []string{"$KV.GX1_RUNS.prey", "gx1.progress.prey.0", "gx1.footer.prey.1", "gx1.task.prey.2", "gx1.stop.prey"} {
					for _, question := range []string{"$JS.API.STREAM.INFO.GX1_STOP", "$JS.API.DIRECT.GET.KV_GX1_RUNS.$KV.GX1_RUNS.prey"} {
						if err := nc.PublishRequest(question, reply, nil); err != nil {
							t.Fatal(err)
						}
					}
				}
				// The server has dealt with them when it answers this one.
				if _, err := nc.Request("$JS.API.STREAM.INFO.GX1_STOP", nil, 20*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if name == "an account for each role" {
				r.work(t)
			}
			if said := <-r.ran; !strings.Contains(said, c.want) {
				t.Errorf("the run: %s (want %q)", said, c.want)
			}
		})
	}
}

// An operator stops a run, and no other role does.
func TestStopByAnOperator(t *testing.T) {
	r := newKeyRun(t, keybus.Config{}, "halted")
	refused(t, false, "lacks the role operator", append([]string{"stop", "halted"}, r.as(access.Observer)...)...)
	refused(t, false, "lacks the role operator", append([]string{"stop", "halted"}, r.as(access.Worker)...)...)
	if code, stdout, stderr := program(t, t.Context(), false, append([]string{"stop", "halted", "--reason", "enough"}, r.as(access.Operator)...)...); code != 0 || !strings.Contains(stdout, "is stored") {
		t.Errorf("an operator's stop: %d %s%s", code, stdout, stderr)
	}
	if said := <-r.ran; !strings.HasPrefix(said, "0 ") || !strings.Contains(said, "stopped") {
		t.Errorf("the run: %s", said)
	}
}

// A run that was stopped on a bus of an earlier version resumes when each role
// has got its account: streams, keys and files are the same.
func TestMovingAnOlderBus(t *testing.T) {
	testsize.All(t)
	k := keybus.Start(t, keybus.Config{Users: keybus.Flat})
	out := t.TempDir()
	run := func(more ...string) string {
		t.Helper()
		code, stdout, stderr := program(t, t.Context(), false, append([]string{"run", "--run-id", "moved", "--data", "synthetic:12000", "--chunks", "4",
			"--workers", "0", "--policy", gatedPolicy(), "--output-dir", out, "--no-guardian", "--quiet", "--drain-timeout", "1s",
			"--nats", k.URL(0), "--nkey", k.SeedFile(access.Coordinator)}, more...)...)
		return strconv.Itoa(code) + " " + stdout + stderr
	}
	if said := run("--timeout", "0.5"); !strings.HasPrefix(said, "0 ") || !strings.Contains(said, "stopped") {
		t.Fatalf("the run on the older bus: %s", said)
	}
	k.Restart(keybus.Config{})
	worked := make(chan string, 1)
	go func() {
		code, _, stderr := program(t, t.Context(), true, "--concurrency", "2", "--work-dir", t.TempDir(), "--cache-dir", t.TempDir(), "--exit-when-idle=2s",
			"--nats", k.URL(0), "--nkey", k.SeedFile(access.Worker))
		worked <- strconv.Itoa(code) + " " + stderr
	}()
	if said := run(); !strings.HasPrefix(said, "0 ") || !strings.Contains(said, "100% of the data") {
		t.Errorf("the run on the bus with accounts: %s", said)
	}
	if said := <-worked; !strings.HasPrefix(said, "0 ") {
		t.Errorf("the worker: %s", said)
	}
}
