package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"gx1replay/internal/access"
	"gx1replay/test/jwtbus"
	"gx1replay/test/testsize"
)

// credsBus is a bus whose users have credentials, and those of each role.
type credsBus struct {
	*jwtbus.Bus
	creds map[access.Role]string
}

func newCredsBus(t *testing.T, way jwtbus.Way) credsBus {
	t.Helper()
	b := credsBus{Bus: jwtbus.Start(t, way), creds: map[access.Role]string{}}
	for _, r := range access.Roles() {
		_, b.creds[r] = b.User(r)
	}
	return b
}

// as is how a user of role r connects.
func (b credsBus) as(r access.Role) []string {
	return []string{"--nats", b.URL, "--creds", b.creds[r]}
}

func gatedPolicy() string { return filepath.Join("..", "..", "examples", "policies", "gated.yaml") }

// natsContext writes a context and returns its path.
func natsContext(t *testing.T, fields map[string]string) string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A complete run by users with JWTs, each with the rights of its role.
func TestRunWithCredentials(t *testing.T) {
	testsize.All(t)
	for _, way := range []jwtbus.Way{jwtbus.InUsers, jwtbus.InSigningKeys} {
		t.Run(string(way), func(t *testing.T) { runWithCredentials(t, newCredsBus(t, way)) })
	}
}

func runWithCredentials(t *testing.T, b credsBus) {
	out := t.TempDir()
	worked := make(chan string, 1)
	go func() {
		code, _, stderr := program(t, t.Context(), true, append(b.as(access.Worker), "--concurrency", "2",
			"--work-dir", filepath.Join(out, "wd"), "--cache-dir", filepath.Join(out, "cache"), "--exit-when-idle=1s")...)
		worked <- strconv.Itoa(code) + " " + stderr
	}()
	run := append([]string{"run", "--run-id", "creds", "--policy", gatedPolicy(),
		"--data", "synthetic:12000", "--chunks", "6", "--output-dir", out, "--no-guardian", "--quiet", "--workers", "1"}, b.as(access.Coordinator)...)
	code, stdout, stderr := program(t, t.Context(), false, run...)
	if code != 0 || !strings.Contains(stdout, "100% of the data") {
		t.Fatalf("the run: %d\n%s%s", code, stdout, stderr)
	}
	if said := <-worked; !strings.HasPrefix(said, "0 ") || strings.Contains(said, "iolation") {
		t.Errorf("the worker: %s", said)
	}
	log, err := os.ReadFile(filepath.Join(out, "creds", "run.log"))
	if err != nil || strings.Contains(string(log), "iolation") {
		t.Errorf("the run's log, %v:\n%s", err, log)
	}
	if code, stdout, stderr := program(t, t.Context(), false, append([]string{"status"}, b.as(access.Observer)...)...); code != 0 || !strings.Contains(stdout, "creds") {
		t.Errorf("an observer's look: %d %s%s", code, stdout, stderr)
	}
	inContext := natsContext(t, map[string]string{"url": b.URL, "creds": b.creds[access.Observer]})
	if code, stdout, stderr := program(t, t.Context(), false, "status", "--context", inContext); code != 0 || !strings.Contains(stdout, "creds") {
		t.Errorf("an observer's look by a context: %d %s%s", code, stdout, stderr)
	}
}

// A run under way is stopped by an operator, and by no other.
func TestStopWithCredentials(t *testing.T) {
	testsize.All(t)
	b := newCredsBus(t, jwtbus.InSigningKeys)
	out := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan string, 1)
	go func() {
		code, stdout, stderr := program(t, ctx, false, append([]string{"run", "--run-id", "halted", "--data", "synthetic:12000", "--workers", "0",
			"--policy", gatedPolicy(), "--output-dir", out, "--no-guardian", "--quiet", "--drain-timeout", "1s"}, b.as(access.Coordinator)...)...)
		ran <- strconv.Itoa(code) + " " + stdout + stderr
	}()
	underWay(t, ran, func() bool {
		code, stdout, _ := program(t, t.Context(), false, append([]string{"status", "halted", "--json"}, b.as(access.Observer)...)...)
		return code == 0 && strings.Contains(stdout, `"running"`)
	})
	refused(t, false, "lacks the role operator", append([]string{"stop", "halted"}, b.as(access.Observer)...)...)
	refused(t, false, "lacks the role operator", "stop", "halted", "--context", natsContext(t, map[string]string{"url": b.URL, "creds": b.creds[access.Worker]}))
	// A flag goes before the user of a context, and before the inbox that is his.
	other := natsContext(t, map[string]string{"url": b.URL, "creds": b.creds[access.Observer], "inbox_prefix": "_INBOX_of_another"})
	if code, stdout, stderr := program(t, t.Context(), false, "stop", "halted", "--context", other, "--creds", b.creds[access.Operator]); code != 0 || !strings.Contains(stdout, "is stored") {
		t.Errorf("an operator's stop: %d %s%s", code, stdout, stderr)
	}
	if said := <-ran; !strings.HasPrefix(said, "0 ") || !strings.Contains(said, "stopped") {
		t.Errorf("the run: %s", said)
	}
}

// underWay looks until a run is, or has ended.
func underWay(t *testing.T, ran <-chan string, is func() bool) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for late := time.After(20 * time.Second); !is(); {
		select {
		case <-again.C:
		case said := <-ran:
			t.Fatalf("the run has ended: %s", said)
		case <-late:
			t.Fatal("the run is not under way")
		}
	}
}

// refused holds that a command line fails soon, with these words.
func refused(t *testing.T, worker bool, want string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	begun := time.Now()
	code, _, stderr := program(t, ctx, worker, args...)
	if code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("%v: %d %s (want 1 and %q)", args, code, stderr, want)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("%v: it took %v to say so", args, took)
	}
}

// What is wrong with a file of credentials is said at once, with its name, also
// where no server answers that a worker would wait for.
func TestBadCredentialsAreNamed(t *testing.T) {
	_, whole := jwtbus.Start(t, jwtbus.InUsers).User(access.Worker)
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cut := filepath.Join(dir, "cut.creds")
	if err := os.WriteFile(cut, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	const nobody = "nats://127.0.0.1:1"
	for _, path := range []string{cut, filepath.Join(dir, "missing.creds")} {
		for _, how := range [][]string{
			{"--nats", nobody, "--creds", path},
			{"--context", natsContext(t, map[string]string{"url": nobody, "creds": path})},
		} {
			refused(t, false, path, append([]string{"status"}, how...)...)
			refused(t, false, path, append([]string{"stop", "r1"}, how...)...)
			refused(t, true, path, append([]string{"--work-dir", dir}, how...)...)
			out := filepath.Join(t.TempDir(), "out")
			refused(t, false, path, append([]string{"run", "--policy", gatedPolicy(), "--data", "synthetic:1000", "--output-dir", out,
				"--run-id", "r1", "--no-guardian", "--quiet"}, how...)...)
			if _, err := os.Stat(filepath.Join(out, "perf_r1.json")); err == nil {
				t.Errorf("by %s nothing was run, and there is a file", path)
			}
		}
	}
	for _, args := range [][]string{{"--nkey", "missing.nk"}, {"--tlsca", "missing.pem"}} {
		refused(t, true, args[1], append([]string{"--nats", nobody, "--work-dir", dir}, args...)...)
	}
	refused(t, true, "missing.json", "--context", filepath.Join(dir, "missing.json"), "--work-dir", dir)
}

// What auth permissions prints is what the users of these tests have.
func TestAuthPermissions(t *testing.T) {
	for _, r := range access.Roles() {
		code, stdout, stderr := program(t, t.Context(), false, "auth", "permissions", string(r))
		var got jwt.Permissions
		if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil {
			t.Fatalf("%s: %d %s, %v", r, code, stderr, err)
		}
		if want := jwtbus.Permissions(access.For(r, access.SubjectTemplate)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (want %+v)", r, got, want)
		}
	}
	refused(t, false, "there is no role", "auth", "permissions", "king")
	refused(t, false, "takes one ROLE", "auth", "permissions")
}
