//go:build linux

package secrets

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/test/natsserver"
)

// A run under way keeps the URL with its password for the other commands of this
// user, in a file that is closed to others, and shows it nowhere.
func TestLiveRunLeaksNothing(t *testing.T) {
	password := marker + "-nats"
	srv := natsserver.Start(t, &server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), Username: "alice", Password: password,
	})
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://alice:"+password+"@", 1)
	p := newPlace(t)
	policy := examplePolicy(p)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := p.command(ctx, "coordinator", "run", "--run-id", "live", "--nats", url, "--output-dir", "out", "--policy", policy, "--data", "synthetic:2000", "--workers", "1", "--chunks", "1",
		"--exec-env", "TOKEN="+marker+"-token", "--engine", "exec", "--exec-footer", "none", "--", "sh", "-c", "touch {out_dir}/../../../../begun; exec sleep 120", "x", "--secret", marker+"-secret")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it started
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	await(t, ctx, filepath.Join(p.dir, "out", ".gx1", "live", "work", "begun"), ended)

	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"status", "live"}, {"status", "live", "--json"}, {"doctor", "--output-dir", "out"}, {"bundle", "live", "--output", "live.tar.gz"},
	} {
		if text := p.coordinator([]int{0, 1}, args...); args[0] == "status" && !strings.Contains(text, "live") {
			t.Errorf("%q shows no run:\n%s", args, text)
		}
	}
	list := p.leaks("policy.yaml", "out/.gx1/live/...", "run/gx1-replay/runs/live.json")
	if entry, err := os.ReadFile(filepath.Join(p.dir, "run/gx1-replay/runs/live.json")); err != nil || !bytes.Contains(entry, []byte(password)) {
		t.Errorf("the entry that stop needs: %q, %v", entry, err)
	}
	p.coordinator([]int{0}, "stop", "live")
	if err := <-ended; err != nil {
		t.Errorf("the run: %v\n%s", err, out.String())
	}
	p.said.Write(out.Bytes())
	list = append(list, p.leaks("policy.yaml", "out/.gx1/live/...", "out/live/chunk_0/attempt_1/policy.yaml")...)
	if len(list) > 0 {
		t.Errorf("the secrets are in\n%s", strings.Join(list, "\n"))
	}
	p.quiet()
	p.bundleHides("live.tar.gz")
}

// await waits until the file is there.
func await(t *testing.T, ctx context.Context, path string, ended <-chan error) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-look.C:
		case err := <-ended:
			t.Fatalf("the run has ended before %s was there: %v", path, err)
		case <-ctx.Done():
			t.Fatalf("%s is not there: %v", path, ctx.Err())
		}
	}
}

// A run whose bus is gone knows its command by the digest in the perf JSON: the
// same one resumes it, and one with another secret is refused. `chunk` asks for the
// command once only the file knows it.
func TestResumeBySecretCommand(t *testing.T) {
	p := newPlace(t, "INHERITED="+marker+"-inherited")
	u := newUser(p)
	p.coordinator([]int{3}, u.run("--run-id", "r", "--workers", "1")...)
	chunk := slices.Concat([]string{"chunk", "r", "0", "--rerun", "--output-dir", "out", "--exec-footer", "none"}, u.variables)
	if err := os.RemoveAll(filepath.Join(p.dir, "out/.gx1/r")); err != nil {
		t.Fatal(err)
	}
	if text := p.coordinator([]int{1}, chunk...); !strings.Contains(text, "is stored without its secrets") {
		t.Errorf("chunk without a command:\n%s", text)
	}
	if text := p.coordinator([]int{0}, slices.Concat(chunk, []string{"--"}, u.command)...); strings.Contains(text, "differs") {
		t.Errorf("chunk with the command:\n%s", text)
	}
	other := u
	other.command = slices.Clone(u.command)
	other.command[3] = "--password=" + marker + "-other"
	if text := p.coordinator([]int{1}, other.run("--run-id", "r", "--workers", "1", "--retry-failed")...); !strings.Contains(text, "already exists with a different configuration") || !strings.Contains(text, "another secret") {
		t.Errorf("another secret:\n%s", text)
	}
	if text := p.coordinator([]int{3}, u.run("--run-id", "r", "--workers", "1", "--retry-failed")...); !strings.Contains(text, "resuming run r") {
		t.Errorf("the same command:\n%s", text)
	}
	p.quiet()
}

// Whatever the umask, what holds keys and secrets is closed to others.
func TestModes(t *testing.T) {
	p := newPlace(t, "INHERITED="+marker+"-inherited")
	u := newUser(p)
	p.coordinator([]int{0}, "auth", "init", "--dir", "auth", "--url", "nats://127.0.0.1:4222")
	p.coordinator([]int{3}, u.run("--run-id", "r", "--workers", "1")...)
	p.coordinator([]int{0}, "bundle", "r", "--output-dir", "out", "--output", "b.tar.gz")
	for pattern, want := range map[string]fs.FileMode{
		"auth/keys": 0o700, "auth/keys/*.nk": 0o600, "auth/nats/context": 0o700, "auth/nats/context/*.json": 0o600,
		"out/.gx1": 0o700, "out/.gx1/r": 0o700, "run/gx1-replay": 0o700, "run/gx1-replay/runs": 0o700, "b.tar.gz": 0o600,
		"out/r/chunk_1/attempt_1/reproduce.sh": 0o700, "out/r/chunk_1/attempt_1/stderr.log": 0o600, "out/r/chunk_1/attempt_1/task.json": 0o600,
	} {
		paths, err := filepath.Glob(filepath.Join(p.dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Errorf("%s: there is none (%v)", pattern, err)
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v (want %04o)", path, info.Mode(), err, want)
			}
		}
	}
	// Seeds, wherever they are.
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".nk") {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v (want 0600)", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// The script names what it does not hold.
	script := filepath.Join(p.dir, "out/r/chunk_1/attempt_1/reproduce.sh")
	cmd := exec.Command(script)
	cmd.Env = p.env
	said, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || string(said) != "reproduce.sh: FOO is not set (want the variable as the attempt had it)\n" {
		t.Errorf("reproduce.sh: %v, %q", err, said)
	}
}
