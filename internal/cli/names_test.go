package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The stub of run q has the name that the perf JSON of a run q_FAILED_EXPORT
// has. Such a run is refused, and the file of one that is there stays.
func TestARunNamedAsAStub(t *testing.T) {
	dir := builtinRun(t, "v1", "synthetic:900", "--chunks", "2")
	got := coordinates(t, "run", "--policy", gatedPolicy(), "--data", "synthetic:900", "--run-id", "q_FAILED_EXPORT", "--output-dir", dir, "--no-guardian", "--quiet")
	if got.code != 1 || !strings.Contains(got.stderr, "_FAILED_EXPORT") || !strings.Contains(got.stderr, "perf_q_FAILED_EXPORT.json") {
		t.Errorf("a run of that name: %d %s%s (want 1 and why)", got.code, got.stdout, got.stderr)
	}

	// One of an earlier version.
	b, err := os.ReadFile(filepath.Join(dir, "perf_v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.ReplaceAll(string(b), `"run_id": "v1"`, `"run_id": "q_FAILED_EXPORT"`)
	theirs = strings.ReplaceAll(theirs, `"run_id":"v1"`, `"run_id":"q_FAILED_EXPORT"`)
	path := filepath.Join(dir, "perf_q_FAILED_EXPORT.json")
	if err := os.WriteFile(path, []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := coordinates(t, "export", "q_FAILED_EXPORT", "--output-dir", dir, "--footers", dir); got.code != 0 || !strings.Contains(got.stdout, "complete, 900 of 900 bars") {
		t.Errorf("its export: %d %s%s", got.code, got.stdout, got.stderr)
	}
	got = coordinates(t, "run", "--policy", gatedPolicy(), "--data", "synthetic:900", "--run-id", "q", "--output-dir", dir, "--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet")
	if got.code != 0 {
		t.Fatalf("run q: %d %s%s", got.code, got.stdout, got.stderr)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != theirs {
		t.Errorf("the perf JSON of run q_FAILED_EXPORT after run q: %d bytes, %v (want the %d that were there)", len(now), err, len(theirs))
	}
}
