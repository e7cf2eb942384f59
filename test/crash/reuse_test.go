//go:build linux

package crash_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// A run is stopped and removed, and its name is used again with another policy,
// while one chunkworker lives on: the second run's trades are those of the
// second policy.
func TestANameUsedAgainHasNothingOfTheFirstRun(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	binary, err := built.server()
	must(err)
	dir := t.TempDir()
	srv, err := drive.StartServer(ctx, binary, filepath.Join(dir, "server"))
	must(err)
	t.Cleanup(func() { _ = srv.Kill() })
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, built.binary, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "NATS_URL="+srv.URL())
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	coordinator := func(args ...string) string {
		t.Helper()
		said, err := command(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("coordinator %s: %v\n%s", strings.Join(args, " "), err, said)
		}
		return string(said)
	}

	slow := filepath.Join(dir, "slow.yaml")
	must(drive.WritePolicy(slow, latency))
	text, err := os.ReadFile(slow)
	must(err)
	other := bytes.ReplaceAll(text, []byte("stop_bps: 25"), []byte("stop_bps: 7"))
	other = bytes.ReplaceAll(other, []byte("bias: -2.2"), []byte("bias: -1.2"))
	if bytes.Equal(text, other) {
		t.Fatal("the example policy has changed: no other policy is made of it")
	}
	must(os.WriteFile(filepath.Join(dir, "other.yaml"), other, 0o600))

	// run is a run of two chunks by whoever works; both policies have the same
	// data and the same plan.
	run := func(id, policy string, more ...string) []string {
		return append([]string{"run", "--run-id", id, "--policy", policy, "--data", "synthetic:2400", "--chunks", "2",
			"--output-dir", "out", "--timeout", deadline.String()}, more...)
	}
	log, err := os.Create(filepath.Join(dir, "worker.log"))
	must(err)
	defer log.Close()
	worker := command("worker", "--concurrency", "1", "--work-dir", filepath.Join(dir, "work"), "--cache-dir", filepath.Join(dir, "cache"))
	worker.Env = append(worker.Env, "GX1TEST_GATE=600,"+gate(dir))
	worker.Stdout, worker.Stderr = log, log
	must(os.WriteFile(gate(dir), nil, 0o600))
	must(worker.Start())
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
		if t.Failed() {
			t.Logf("the worker's log ends with:\n%s", drive.Tail(log.Name(), 8))
		}
	})

	// The first run is stopped while the worker is at its bar 600.
	first := command(run("r", "slow.yaml", "--workers", "0")...)
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	must(first.Start())
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	for claimed := false; !claimed; {
		list, err := filepath.Glob(filepath.Join(dir, "work", "*", "chunk_*", "attempt_*"))
		must(err)
		claimed = len(list) > 0
		select {
		case err := <-ended:
			t.Fatalf("the first run ended: %v\n%s", err, &said)
		case <-ctx.Done():
			t.Fatal("no chunk was claimed")
		case <-time.After(20 * time.Millisecond):
		}
	}
	coordinator("stop", "r")
	must(os.Remove(gate(dir)))
	if err := <-ended; err != nil {
		t.Fatalf("the first run: %v\n%s", err, &said)
	}
	coordinator("gc", "r", "--output-dir", "out")
	must(os.RemoveAll(filepath.Join(dir, "out")))

	coordinator(run("r", "other.yaml", "--workers", "0")...)
	must(worker.Process.Signal(syscall.SIGTERM))
	_ = worker.Wait() // what counts is what it replayed
	coordinator(run("fresh", "other.yaml", "--workers", "2")...)
	coordinator(run("old", "slow.yaml", "--workers", "2")...)
	trades := func(id string) string {
		b, err := os.ReadFile(filepath.Join(dir, "out", id, "trades_"+id+".csv"))
		must(err)
		return string(b)
	}
	if trades("fresh") == trades("old") {
		t.Fatal("both policies have the same trades: the test shows nothing")
	}
	if got, want := trades("r"), trades("fresh"); got != want {
		t.Errorf("the second run's trades:\n%.600s\nwant those of its policy:\n%.600s", got, want)
	}
}
