//go:build linux

package fault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// soon is how soon a run that cannot begin says so, on a busy machine.
const soon = 15 * time.Second

// cannotBegin starts a run on a server of that configuration and checks that it
// ends soon, says what is wrong on its terminal, and leaves a file that says it.
func cannotBegin(t *testing.T, config, url string, want ...string) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:-1\nserver_name: s\n"+strings.ReplaceAll(config, "STORE", filepath.Join(dir, "js"))), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := natsserver.FromFile(t, file)
	policy := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(policy, 0); err != nil {
		t.Fatal(err)
	}
	r, err := drive.Start(drive.Config{
		Binary: binary, Dir: filepath.Join(dir, "run"), RunID: strings.ReplaceAll(t.Name(), "/", "-"), Policy: policy, Bars: 4000,
		Args: []string{"--chunks", "8", "--workers", "2", "--nats", strings.ReplaceAll(url, "HOST", srv.Addr().String())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.End)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	ends(ctx, t, r, 3)
	valid(t, r, r.Perf(), check.Options{Outcome: "failed"})
	b, err := os.ReadFile(r.Perf())
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Error string }
	if err := json.Unmarshal(b, &found); err != nil {
		t.Fatal(err)
	}
	doctor, err := r.Command(t.Context(), "doctor", "--output-dir", r.Out, "--nats", r.Args[len(r.Args)-1])
	if err != nil || doctor.Code != 1 || !strings.Contains(doctor.Stdout, want[0]) {
		t.Errorf("doctor ended with %d, %v, and printed (want %q):\n%s", doctor.Code, err, want[0], doctor.Stdout)
	}
	out, err := os.ReadFile(r.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range want {
		if !strings.Contains(found.Error, text) {
			t.Errorf("the file's error is %q (want %q in it)", found.Error, text)
		}
		if said := drive.Tail(r.Stderr(), 50) + string(out); !strings.Contains(said, text) {
			t.Errorf("the run printed (want %q):\n%s", text, said)
		}
	}
	if strings.Contains(found.Error, "\n") {
		t.Errorf("the error has several lines: %q", found.Error)
	}
}

// An account that has not the room that a run needs.
func TestARunThatTheAccountDoesNotLetBegin(t *testing.T) {
	testsize.All(t)
	const account = "jetstream { store_dir: \"STORE\" }\naccounts { A { users: [{user: a, password: a}], jetstream: {LIMITS} } }\n"
	for name, c := range map[string]struct {
		limits string
		want   []string
	}{
		"storage":   {"max_file: 24MB", []string{"the streams reserve 80 MiB", "GX1_STOP"}},
		"streams":   {"max_file: 1GB, max_streams: 4", []string{"8 streams"}},
		"consumers": {"max_file: 1GB, max_consumers: 2", []string{"consumers"}},
		"bytes":     {"max_file: 1GB, max_bytes_required: true", []string{"max_bytes_required"}},
	} {
		t.Run(name, func(t *testing.T) {
			cannotBegin(t, strings.Replace(account, "LIMITS", c.limits, 1), "nats://a:a@HOST", c.want...)
		})
	}
}

func TestARunOverTLSToAPlainServer(t *testing.T) {
	cannotBegin(t, "jetstream { store_dir: \"STORE\" }\n", "tls://HOST", "TLS", "nats://")
}

func TestARunOnAServerWithoutJetStream(t *testing.T) {
	cannotBegin(t, "", "nats://HOST", "JetStream", "jetstream {")
}

// Somebody pauses the run's consumer: the coordinator says so, and goes on when
// it is resumed.
func TestAPausedConsumerIsReported(t *testing.T) {
	testsize.All(t)
	r, ctx, url := onBus(t)
	moving(ctx, t, r)
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "GX1_TASKS")
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(ctx).Name() {
		if _, err := s.PauseConsumer(ctx, name, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	says := func(text string) {
		t.Helper()
		if err := r.Until(ctx, text, func() bool { return strings.Contains(drive.Tail(r.Stderr(), 100), text) }); err != nil {
			t.Fatal(err)
		}
	}
	says("the run's consumer is paused")
	for name := range s.ConsumerNames(ctx).Name() {
		if _, err := s.ResumeConsumer(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	says("the run's consumer was resumed")
	if log := drive.Tail(r.Log(), 100); strings.Contains(log, "reconciling the bus") {
		t.Errorf("the pause is taken for an error:\n%s", log)
	}
}

// An embedded bus that cannot store the bars: the disk is full, or files may not
// be that long. The run ends soon, and says why.
func TestAnEmbeddedBusThatCannotStoreTheBars(t *testing.T) {
	testsize.All(t)
	s := setup{bars: 400_000, args: []string{"--chunks", "4", "--workers", "2"}}
	for name, c := range map[string]struct {
		room string // of the disk; empty: no limit
		code int
		want string
	}{
		"full disk": {"size=24m", 2, "no space left on device"}, // there is no room for the perf JSON either
		"file size": {"", 3, "file too large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s
			s.out = t.TempDir()
			if c.room != "" {
				mount(t, "tmpfs", s.out, "tmpfs", 0, c.room)
			}
			if c.room == "" { // no file is longer than 4 MiB
				s.binary = filepath.Join(t.TempDir(), "limited")
				if err := os.WriteFile(s.binary, fmt.Appendf(nil, "#!/bin/sh\nulimit -f 8192\nexec %s \"$@\"\n", binary), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			r, ctx := start(t, s)
			ctx, cancel := context.WithTimeout(ctx, soon)
			defer cancel()
			ends(ctx, t, r, c.code)
			if said := drive.Tail(r.Stderr(), 200); !strings.Contains(said, "warning: the embedded bus cannot write its files") || !strings.Contains(said, c.want) {
				t.Errorf("the run printed:\n%s", said)
			}
			if c.code == 3 {
				valid(t, r, r.Perf(), check.Options{Outcome: "failed"})
			}
		})
	}
}

// The loopback interface is down, as in a network namespace of its own that
// nobody has set up: no local worker can connect, and the run ends.
func TestNoLocalWorkerCanConnect(t *testing.T) {
	testsize.All(t)
	asRoot(t)
	s := setup{bars: 4000, args: []string{"--chunks", "4", "--workers", "2"}, binary: filepath.Join(t.TempDir(), "alone")}
	if err := os.WriteFile(s.binary, fmt.Appendf(nil, "#!/bin/sh\nexec unshare --net %s \"$@\"\n", binary), 0o700); err != nil {
		t.Fatal(err)
	}
	r, ctx := start(t, s)
	ctx, cancel := context.WithTimeout(ctx, 2*soon)
	defer cancel()
	ends(ctx, t, r, 3)
	valid(t, r, r.Perf(), check.Options{Outcome: "failed"})
	const text = "no local worker can connect"
	for _, file := range []string{r.Perf(), r.Stdout()} {
		if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), text) {
			t.Errorf("%s: %v (want %q in it):\n%s", file, err, text, b)
		}
	}
}

// A worker with another command is named on the coordinator's terminal.
func TestAnIncompatibleWorkerIsNamed(t *testing.T) {
	r, ctx, url := onBus(t, "--workers", "0", "--engine", "exec", "--", "sh", "-c", "sleep 600")
	if err := r.Announced(ctx); err != nil {
		t.Fatal(err)
	}
	working, leave := context.WithCancel(ctx)
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		_, _ = r.Command(working, "worker", "--nats", url, "--work-dir", t.TempDir(), "--engine", "exec", "--", "sh", "-c", "sleep 601") // it is killed
	}()
	t.Cleanup(func() { leave(); <-worked })
	const text = "does not serve this run"
	if err := r.Until(ctx, text, func() bool { return strings.Contains(drive.Tail(r.Stderr(), 100), text) }); err != nil {
		t.Fatal(err)
	}
	leave()
	<-worked
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
}
