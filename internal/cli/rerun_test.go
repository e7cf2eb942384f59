package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// aRun runs a command over two chunks, by one local worker, and returns where
// it wrote.
func aRun(t *testing.T, mode string, want int, args ...string) (dir, policy string) {
	t.Helper()
	ownPlaces(t)
	dir, policy = t.TempDir(), replayPolicy(t, 30)
	list := append([]string{"run", "--policy", policy, "--data", "synthetic:400,seed=4", "--run-id", "r1", "--output-dir", dir, "--workers", "1", "--chunks", "2",
		"--listen", "127.0.0.1:0", "--no-guardian", "--quiet", "--engine", "exec", "--slice-format", "csv"}, args...)
	if got := coordinates(t, append(list, replayCommand(t, mode)...)...); got.code != want {
		t.Fatalf("the run ended with exit code %d (want %d)\n%s%s", got.code, want, got.stdout, got.stderr)
	}
	return dir, policy
}

// The logs of a complete run are there when all else is cleaned, those of
// attempts that failed, too; and its chunks can be replayed again.
func TestLogsAndRerunOfACompleteRun(t *testing.T) {
	dir, _ := aRun(t, "fails-once", 0)
	got := coordinates(t, "logs", "r1", "--output-dir", dir)
	if lines := strings.Split(strings.TrimSpace(got.stdout), "\n"); got.code != 0 || len(lines) != 4 {
		t.Fatalf("exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "the list", got.stdout, "failed the command ended with exit code 1", "chunk_1/attempt_1", "chunk_1/attempt_2")

	got = coordinates(t, "logs", "r1", "--output-dir", dir, "--json")
	var list []loggedAttempt
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list) != 3 {
		t.Fatalf("%v, %s", err, got.stdout)
	}
	if l := list[1]; l.ChunkIdx != 1 || l.Attempt != 1 || l.Status != "failed" || l.WorkerID == "" || l.StderrBytes < 1 || l.StdoutBytes < 1 {
		t.Errorf("%+v", l)
	}
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"1", "--attempt", "1"}, 0, "ReplayError: chunk 1 has no model yet\n", ""},
		{[]string{"1", "--stdout"}, 0, "chunk 1, attempt 2\n", ""},
		{[]string{"1"}, 0, "", "chunk 1, attempt 2: stderr.log is empty; --stdout"},
		{[]string{"1", "--attempt", "5"}, 1, "", "attempt 5 of chunk 1 has no logs here; available: 1, 2"},
		{[]string{"7"}, 1, "", "no logs of chunk 7 of run r1: looked in " + dir},
		{[]string{"x"}, 1, "", `chunk "x" (want its number`},
	} {
		got := coordinates(t, slices.Concat([]string{"logs", "r1", "--output-dir", dir}, c.args)...)
		if got.code != c.code || got.stdout != c.stdout || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("logs %q: exit code %d, %q, %q (want %d, %q, %q)", c.args, got.code, got.stdout, got.stderr, c.code, c.stdout, c.stderr)
		}
	}
	for _, name := range []string{"task.json", "reproduce.sh", "policy.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, "r1", "chunk_1", "attempt_2", name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "r1", "chunk_1", "out_dir.tar.gz")); err != nil {
		t.Error(err)
	}

	before := treeOf(t, dir)
	fresh := filepath.Join(t.TempDir(), "again")
	got = coordinates(t, "chunk", "r1", "1", "--rerun", "--output-dir", dir, "--dir", fresh)
	if got.code != 0 || got.stdout != "chunk 1, attempt 2\n" {
		t.Fatalf("exit code %d, %q\n%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "the rerun", got.stderr, "chunk 1 of run r1 again: bars 200 to 399", "chunk 1: ok after", "bars 200 (the same in the run)",
		"trades 3 (the same in the run)", "pnl +1.5 bps (the same in the run)", "model calls not reported", "directory "+fresh)
	if strings.Contains(got.stderr, "differs") {
		t.Errorf("it says that something differs:\n%s", got.stderr)
	}
	if _, err := os.Stat(filepath.Join(fresh, "task.json")); err != nil {
		t.Error(err)
	}
	if after := treeOf(t, dir); !slices.Equal(before, after) {
		t.Errorf("the run has changed: %q, then %q", before, after)
	}
}

// treeOf lists the files below a directory with their sizes.
func treeOf(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			list = append(list, path+" "+strconv.FormatInt(info.Size(), 10))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Of a run that failed the state is there: the policy, too. Another command in
// place of the run's is tried, and what differs is said.
func TestRerunOfAFailedRun(t *testing.T) {
	testsize.All(t)
	dir, policy := aRun(t, "fails", 3, "--max-failures", "1")
	again := func(args ...string) said {
		return coordinates(t, slices.Concat([]string{"chunk", "r1", "0", "--rerun", "--output-dir", dir, "--dir", filepath.Join(t.TempDir(), "again")}, args)...)
	}
	got := again()
	if got.code != exitChunks {
		t.Fatalf("exit code %d\n%s", got.code, got.stderr)
	}
	holds(t, "the rerun", got.stderr, "ReplayError: chunk 0 has no model", "chunk 0: failed after", "error the command ended with exit code 1; its log: ", "bars 0")

	got = again(replayCommand(t, "window")...)
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s", got.code, got.stderr)
	}
	holds(t, "another command", got.stderr, "note: differs from the run: it had command:", "chunk 0: ok after", "(failed in the run: the command ended with exit code 1")

	got = again("--policy", policy, "--exec-footer", "none", "--", "sh", "-c", "echo out; echo err >&2; env | grep -c GX1R_; exit 64")
	if got.code != exitChunks || !strings.HasPrefix(got.stdout, "out\n") {
		t.Fatalf("exit code %d, %q\n%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "a shell", got.stderr, "err", "exit code 64")

	other := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(other, []byte("timeframe: M5\nwarmup_bars: 7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"chunk", "r1", "2", "--rerun", "--output-dir", dir}, 1, "chunk 2 of run r1, which has 2 (0 to 1)"},
		{[]string{"chunk", "r1", "0", "--output-dir", dir}, 3, "chunk 0: failed after"},
		{[]string{"chunk", "r1", "--rerun"}, 1, "got 1 arguments"},
		{[]string{"chunk", "none", "0", "--rerun", "--output-dir", dir}, 1, "run none has no files in " + dir},
		{[]string{"chunk", "r1", "0", "--rerun", "--output-dir", dir, "--data", "synthetic:400,seed=5"}, 1, "those of the run"},
		{[]string{"chunk", "r1", "0", "--rerun", "--output-dir", dir, "--exec-file", "m=" + other}, 1, "the run has no file of that name"},
		{[]string{"chunk", "r1", "0", "--rerun", "--output-dir", dir, "--policy", other}, 3, "note: the policy differs from the run's"},
	} {
		if got := coordinates(t, c.args...); got.code != c.code || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%q: exit code %d, %s (want %d, %q)", c.args, got.code, got.stderr, c.code, c.want)
		}
	}
}

// The first Ctrl-C asks the command to stop, as a stop of the run would.
func TestRerunIsStoppedByASignal(t *testing.T) {
	dir, _ := aRun(t, "window", 0)
	fresh := filepath.Join(t.TempDir(), "again")
	sent := make(chan error, 1)
	go func() {
		late, look := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-late:
				sent <- os.ErrDeadlineExceeded
				return
			case <-look.C:
			}
			if _, err := os.Stat(filepath.Join(fresh, "waits")); err == nil {
				sent <- syscall.Kill(os.Getpid(), syscall.SIGINT)
				return
			}
		}
	}()
	got := coordinates(t, slices.Concat([]string{"chunk", "r1", "0", "--rerun", "--output-dir", dir, "--dir", fresh}, replayCommand(t, "waits"))...)
	if err := <-sent; err != nil {
		t.Fatalf("%v\n%s", err, got.stderr)
	}
	if got.code != exitChunks {
		t.Fatalf("exit code %d\n%s", got.code, got.stderr)
	}
	holds(t, "it", got.stderr, "chunk 0: stopped after", "(ok in the run)", "interrupted by interrupt")
}

// A chunk of the built-in engine is replayed by that.
func TestRerunOfTheBuiltinEngine(t *testing.T) {
	ownPlaces(t)
	dir, policy := t.TempDir(), filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(policy, []byte(checkedPolicy+boundedExit), 0o644); err != nil {
		t.Fatal(err)
	}
	got := coordinates(t, "run", "--policy", policy, "--data", "synthetic:3000,seed=3", "--run-id", "r1", "--output-dir", dir, "--workers", "1", "--chunks", "3",
		"--listen", "127.0.0.1:0", "--no-guardian", "--quiet")
	if got.code != 0 {
		t.Fatalf("the run ended with exit code %d\n%s", got.code, got.stderr)
	}
	// The policy is not kept, and its values are in the perf JSON.
	got = coordinates(t, "chunk", "r1", "2", "--rerun", "--output-dir", dir)
	if got.code != 0 || strings.Count(got.stderr, "(the same in the run)") != 4 {
		t.Errorf("by policy.values: exit code %d\n%s", got.code, got.stderr)
	}
	path := filepath.Join(dir, "perf_r1.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, edited(t, b, `(?s)"values": (\{.*?\n    \})`, "{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = coordinates(t, "chunk", "r1", "2", "--rerun", "--output-dir", dir)
	if got.code != 1 || !strings.Contains(got.stderr, "--policy P") {
		t.Errorf("without the policy: exit code %d, %s", got.code, got.stderr)
	}
	got = coordinates(t, "chunk", "r1", "2", "--rerun", "--output-dir", dir, "--policy", policy)
	if got.code != 0 || strings.Count(got.stderr, "(the same in the run)") != 4 {
		t.Errorf("exit code %d\n%s", got.code, got.stderr)
	}
	got = coordinates(t, slices.Concat([]string{"chunk", "r1", "2", "--rerun", "--output-dir", dir, "--policy", policy}, replayCommand(t, "window"))...)
	if got.code != 1 || !strings.Contains(got.stderr, "a command (") {
		t.Errorf("with a command: exit code %d, %s", got.code, got.stderr)
	}
}
