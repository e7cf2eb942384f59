// Package natscli holds the product against a client that nobody here wrote:
// the stock nats command.
package natscli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/test/drive"
)

// binEnv names the nats command; it is built from tools/natscli.
const binEnv = "GX1TEST_NATS_CLI"

// patience bounds every wait; a run starts and stops within a few seconds.
const patience = time.Minute

// built is the directory of both programs, if there is a nats command to test
// them with.
var built string

func TestMain(m *testing.M) {
	drive.Main(m, 0, func(ctx context.Context, dir string) error {
		if os.Getenv(binEnv) == "" {
			return nil
		}
		built = dir
		return drive.BuildProduct(ctx, dir)
	})
}

// box is a user's account on one machine: a home without any contexts, a
// register of runs, the two programs.
type box struct {
	t           *testing.T
	nats        string
	coordinator string
	dir         string
}

func newBox(t *testing.T) *box {
	t.Helper()
	path := os.Getenv(binEnv)
	if path == "" {
		t.Skipf("%s does not name a nats command; build one with: go -C tools/natscli build -o FILE github.com/nats-io/natscli/nats", binEnv)
	}
	b := &box{t: t, nats: path, coordinator: filepath.Join(built, "coordinator"), dir: t.TempDir()}
	for _, name := range []string{"runtime", "config"} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := os.ReadFile(filepath.Join("..", "..", "examples", "policies", "gated.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// So slow that no run ends by itself.
	slow := regexp.MustCompile(`latency: \S+`).ReplaceAll(policy, []byte("latency: 100ms"))
	if bytes.Equal(slow, policy) {
		t.Fatal("the example has no latency to raise")
	}
	if err := os.WriteFile(filepath.Join(b.dir, "policy.yaml"), slow, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// command is a command in this account, with nothing on its standard input.
func (b *box) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "NATS_") && !strings.HasPrefix(name, "GX1") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+b.dir, "XDG_CONFIG_HOME="+filepath.Join(b.dir, "config"), "XDG_RUNTIME_DIR="+filepath.Join(b.dir, "runtime"))
	return cmd
}

// run runs the nats command and returns what it wrote.
func (b *box) run(env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := b.command(ctx, b.nats, args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *box) mustRun(env []string, args ...string) string {
	b.t.Helper()
	out, err := b.run(env, args...)
	if err != nil {
		b.t.Fatalf("nats %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// refused wants the command to fail and to say why.
func (b *box) refused(subject string, args ...string) {
	b.t.Helper()
	out, err := b.run(nil, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		b.t.Errorf("nats %s: %v (want a refusal)\n%s", strings.Join(args, " "), err, out)
	}
	if want := fmt.Sprintf("Permissions Violation for Publish to %q", subject); !strings.Contains(out, want) {
		b.t.Errorf("nats %s: %q is not in\n%s", strings.Join(args, " "), want, out)
	}
}

// life is a coordinator under way.
type life struct {
	b     *box
	id    string
	dir   string
	url   string   // "" if the nats command needs none
	args  []string // of the nats command that the run printed
	cmd   *exec.Cmd
	out   *lines
	ended chan error
}

// lines is what a program has written so far.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var printed = regexp.MustCompile(`(?m)^ *nats (?:--server (\S+) )?pub (gx1\.stop\.\S+) ''$`)

// start starts a run and waits until it says how it is stopped.
func (b *box) start(id string, args ...string) *life {
	b.t.Helper()
	l := &life{b: b, id: id, dir: filepath.Join(b.dir, "out"), out: &lines{more: make(chan struct{}, 1)}, ended: make(chan error, 1)}
	l.cmd = b.command(context.Background(), b.coordinator, append([]string{"run", "--policy", filepath.Join(b.dir, "policy.yaml"),
		"--data", "synthetic:20000", "--workers", "1", "--run-id", id, "--output-dir", l.dir}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = l.out, l.out
	if err := l.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		l.cmd.Process.Kill() // a run that ended is not there any more
	})
	go func() { l.ended <- l.cmd.Wait() }()
	late := time.After(patience)
	for {
		if m := printed.FindStringSubmatch(l.out.String()); m != nil {
			l.url = m[1]
			if l.url != "" {
				l.args = append(l.args, "--server", l.url)
			}
			l.args = append(l.args, "pub", m[2], "")
			return l
		}
		select {
		case <-l.out.more:
		case err := <-l.ended:
			b.t.Fatalf("run %s ended: %v\n%s", id, err, l.out)
		case <-late:
			b.t.Fatalf("run %s did not say how it is stopped:\n%s", id, l.out)
		}
	}
}

// server is the option that leads the nats command to the run.
func (l *life) server() []string {
	if l.url == "" {
		return nil
	}
	return []string{"--server", l.url}
}

func (l *life) nats(args ...string) []string { return append(l.server(), args...) }

// stopped wants the run to end with exit code 0 and a perf JSON that names
// the stop.
func (l *life) stopped(reason string) {
	l.b.t.Helper()
	select {
	case err := <-l.ended:
		if err != nil {
			l.b.t.Fatalf("run %s: %v (want exit code 0)\n%s", l.id, err, l.out)
		}
	case <-time.After(patience):
		l.b.t.Fatalf("run %s goes on\n%s", l.id, l.out)
	}
	data, err := os.ReadFile(filepath.Join(l.dir, "perf_"+l.id+".json"))
	if err != nil {
		l.b.t.Fatal(err)
	}
	var p struct {
		RunID      string `json:"run_id"`
		ExportMode string `json:"export_mode"`
		Outcome    string `json:"outcome"`
		Stop       struct {
			Source string `json:"source"`
			Reason string `json:"reason"`
			Seq    uint64 `json:"seq"`
		} `json:"stop"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		l.b.t.Fatal(err)
	}
	if p.RunID != l.id || p.ExportMode != "stop_subject" || p.Outcome != "stopped" || p.Stop.Source != "subject" || p.Stop.Reason != reason || p.Stop.Seq == 0 {
		l.b.t.Errorf("perf JSON says %+v (want run %s stopped by subject, reason %q)", p, l.id, reason)
	}
}

// goesOn wants the run not to have ended, nor to have heard a stop.
func (l *life) goesOn() {
	l.b.t.Helper()
	select {
	case err := <-l.ended:
		l.b.t.Fatalf("run %s ended: %v\n%s", l.id, err, l.out)
	default:
	}
	if _, err := os.Stat(filepath.Join(l.dir, "perf_"+l.id+".json")); !errors.Is(err, fs.ErrNotExist) {
		l.b.t.Fatalf("run %s has exported: %v", l.id, err)
	}
}

const anyPort = "127.0.0.1:0"

func TestAPlainPublishStopsTheRun(t *testing.T) {
	b := newBox(t)
	for _, c := range []struct{ id, reason string }{{"bare", ""}, {"with_body", "market closed"}} {
		l := b.start(c.id, "--listen", anyPort)
		args := l.nats("pub", "gx1.stop."+c.id)
		if c.reason != "" {
			args = append(args, c.reason)
		}
		b.mustRun(nil, args...)
		l.stopped(c.reason)
	}
	l := b.start("printed", "--listen", anyPort)
	b.mustRun(nil, l.args...)
	l.stopped("")
	l = b.start("asked", "--listen", anyPort)
	if out := b.mustRun(nil, l.nats("request", "gx1.stop.asked", "tell me")...); !strings.Contains(out, `"stream":"GX1_STOP"`) {
		t.Errorf("the answer to a request is\n%s", out)
	}
	l.stopped("tell me")
}

func TestTheRunsKeyOpensTheRestAndNothingElseDoes(t *testing.T) {
	b := newBox(t)
	l := b.start("keyed", "--listen", anyPort)
	key := filepath.Join(l.dir, ".gx1", "keyed", "run.nk")
	if out := b.mustRun(nil, l.nats("--nkey", key, "stream", "ls", "--names")...); !strings.Contains(out, "GX1_TASKS") || !strings.Contains(out, "GX1_STOP") {
		t.Errorf("stream ls with the key:\n%s", out)
	}
	if out := b.mustRun(nil, l.nats("--nkey", key, "kv", "ls", "GX1_RUNS")...); !slices.Equal(slices.Sorted(strings.FieldsSeq(out)), []string{"keyed", "keyed.alive"}) {
		t.Errorf("kv ls with the key: %q (want the manifest and the heartbeat)", out)
	}
	b.refused("$JS.API.STREAM.LIST", l.nats("--timeout", "1s", "stream", "ls")...)
	b.refused("$JS.API.STREAM.INFO.KV_GX1_RUNS", l.nats("--timeout", "1s", "kv", "ls", "GX1_RUNS")...)
	b.refused("gx1.task.keyed.0", l.nats("pub", "gx1.task.keyed.0", "x")...)
	b.refused("$JS.API.STREAM.PURGE.GX1_TASKS", l.nats("pub", "$JS.API.STREAM.PURGE.GX1_TASKS", "")...)
	l.goesOn()
	b.mustRun(nil, l.nats("--nkey", key, "pub", "gx1.stop.keyed", "")...)
	l.stopped("")
}

func TestWithStopAuthAStrangerMayNotEvenStop(t *testing.T) {
	b := newBox(t)
	l := b.start("closed", "--listen", anyPort, "--stop-auth")
	if out, err := b.run(nil, l.nats("pub", "gx1.stop.closed", "")...); err == nil || !strings.Contains(strings.ToLower(out), "authorization") {
		t.Errorf("%v\n%s", err, out)
	}
	l.goesOn()
	b.mustRun(nil, l.nats("--nkey", filepath.Join(l.dir, ".gx1", "closed", "run.nk"), "pub", "gx1.stop.closed", "")...)
	l.stopped("")
}

// The first run has the default port if nobody else has it; the plain command
// for the second reaches the first one's server, which passes it on.
func TestTwoRunsAtOnce(t *testing.T) {
	b := newBox(t)
	for _, c := range []struct {
		name    string
		printed bool
	}{{"printed", true}, {"plain", false}} {
		first := b.start(c.name + "_first")
		second := b.start(c.name + "_second")
		var env []string
		if first.url != "" {
			t.Logf("the default port is taken by others: NATS_URL stands in for it")
			env = []string{"NATS_URL=" + first.url}
		}
		for _, l := range []*life{second, first} {
			if c.printed {
				b.mustRun(nil, l.args...)
			} else {
				b.mustRun(env, "pub", "gx1.stop."+l.id, "enough")
			}
			reason := "enough"
			if c.printed {
				reason = ""
			}
			l.stopped(reason)
			if l == second {
				first.goesOn()
			}
		}
	}
}

// What embedded.WriteContext writes is a context as the nats command knows
// them.
func TestAContextOfARun(t *testing.T) {
	b := newBox(t)
	s, err := embedded.Start(t.Context(), embedded.Config{
		Dir: filepath.Join(b.dir, "state"), Listen: anyPort, Strangers: []string{bus.StopSubjects},
		Prepare: func(ctx context.Context, s *embedded.Server) error {
			public, sign, err := s.Nkey()
			if err != nil {
				return err
			}
			c, err := bus.Connect(ctx, bus.Config{InProcess: s, Options: []nats.Option{nats.Nkey(public, sign)}})
			if err != nil {
				return err
			}
			defer c.Close()
			return c.MakeStreams(ctx, 1)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	home := filepath.Join(b.dir, "state")
	if _, err := s.WriteContext(home, "20261124_pilot-on"); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_CONFIG_HOME=" + home}
	if out := b.mustRun(env, "--context", "20261124_pilot-on", "stream", "ls", "--names"); !strings.Contains(out, "GX1_FOOTERS") {
		t.Errorf("stream ls:\n%s", out)
	}
	if out := b.mustRun(env, "context", "ls"); !strings.Contains(out, "20261124_pilot-on") || !strings.Contains(out, "GX1 Replay") {
		t.Errorf("context ls:\n%s", out)
	}
	b.refused("$JS.API.STREAM.LIST", "--server", s.URL(), "--timeout", "1s", "stream", "ls")
}
