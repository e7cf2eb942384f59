package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a run has left is listed and shown, by its id and by the path of its file.
func TestListAndShow(t *testing.T) {
	ownPlaces(t)
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if got := coordinates(t, "init", dir); got.code != 0 || !strings.Contains(got.stdout, "coordinator run --policy "+policy) {
		t.Fatalf("init: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if got := coordinates(t, "init", dir); got.code != 1 || !strings.Contains(got.stderr, "exists and is left unchanged") {
		t.Errorf("init again: exit code %d, %s", got.code, got.stderr)
	}
	out := filepath.Join(dir, "out")
	if got := coordinates(t, "ls", "--output-dir", out); got.code != 0 || !strings.Contains(got.stdout, "no runs found") {
		t.Errorf("ls of nothing: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if got := coordinates(t, "ls", "--output-dir", out, "--json"); strings.TrimSpace(got.stdout) != "[]" {
		t.Errorf("ls of nothing, as JSON: %s", got.stdout)
	}
	run := []string{"run", "--policy", policy, "--data", "synthetic:3000", "--output-dir", out, "--workers", "1", "--chunks", "3", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet"}
	for _, id := range []string{"one", "two"} {
		if got := coordinates(t, append(run, "--run-id", id)...); got.code != 0 {
			t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	if err := os.WriteFile(filepath.Join(out, "perf_bad.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := coordinates(t, "ls", "--output-dir", out, "--json")
	var list []listedRun
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list) != 2 || !strings.Contains(got.stderr, "perf_bad.json") {
		t.Fatalf("%v, %s\n%s", err, got.stdout, got.stderr)
	}
	if l := list[0]; l.RunID != "two" || l.State != "complete" || l.ReplayedBars != 3000 || l.PlannedBars != 3000 || l.Policy != "my_policy" || l.TotalTrades == 0 {
		t.Errorf("%+v", l)
	}
	for _, arg := range []string{"one", filepath.Join(out, "perf_one.json"), filepath.Join(out, "one", "perf_one.json")} {
		got := coordinates(t, "show", arg, "--output-dir", out)
		if got.code != 0 {
			t.Fatalf("show %s: exit code %d, %s", arg, got.code, got.stderr)
		}
		holds(t, "show "+arg, got.stdout, "one: complete", "3,000 of 3,000 (100 %)", "3 of 3 ok", "3 chunks, 3,000 bars", "policy my_policy; engine builtin", "perf_one.json")
		if n := strings.Count(got.stdout, "\n"); n > 24 {
			t.Errorf("show has %d lines (want one screen)", n)
		}
	}
	got = coordinates(t, "show", filepath.Join(out, "perf_one.json"), "--json")
	var s shown
	if err := json.Unmarshal([]byte(got.stdout), &s); err != nil || len(s.Workers) != 1 || s.Workers[0].Bars != 3000 || s.ChunksOK != 3 || len(s.Failures) != 0 {
		t.Errorf("%v, %s", err, got.stdout)
	}
	for _, args := range [][]string{{"show", "none", "--output-dir", out}, {"show", filepath.Join(out, "perf_none.json")}, {"show", filepath.Join(out, "perf_bad.json")}, {"show", "a b"}, {"show"}} {
		if got := coordinates(t, args...); got.code != 1 || got.stderr == "" {
			t.Errorf("%v: exit code %d, %s", args, got.code, got.stderr)
		}
	}
	if got := coordinates(t, "__complete", "chunk", "--output-dir", out, "one", ""); !strings.HasPrefix(got.stdout, "0\n1\n2\n") {
		t.Errorf("chunks are completed to %q", got.stdout)
	}
	if got := coordinates(t, "__complete", "show", "--output-dir", out, ""); !strings.HasPrefix(got.stdout, "two\t") || !strings.Contains(got.stdout, "\none\t") {
		t.Errorf("runs are completed to %q", got.stdout)
	}
	if got := coordinates(t, "__complete", "run", "--engine", ""); !strings.HasPrefix(got.stdout, "builtin\nexec\n") {
		t.Errorf("engines are completed to %q", got.stdout)
	}
}

// -h fits on a screen; --help has every flag, each in one group.
func TestHelpInGroups(t *testing.T) {
	short, long := coordinates(t, "run", "-h"), coordinates(t, "run", "--help")
	if n := strings.Count(short.stdout, "\n"); short.code != 0 || n > 24 || !strings.Contains(short.stdout, "--timeout") || strings.Contains(short.stdout, "--lease-duration") {
		t.Errorf("-h has %d lines\n%s", n, short.stdout)
	}
	cmd, _, err := Program{}.coordinatorRoot().Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	cmd.InitDefaultHelpFlag()
	for line := range strings.Lines(cmd.Flags().FlagUsages()) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(name, "--") {
			continue
		}
		if n := strings.Count(long.stdout, "\n      "+name+" "); n != 1 {
			t.Errorf("%s stands %d times in --help", name, n)
		}
	}
	for _, verb := range []string{"stop", "data", "compare"} {
		if got := coordinates(t, verb, "-h"); got.code != 0 || !strings.Contains(got.stdout, "coordinator "+verb+" --help explains everything") {
			t.Errorf("%s -h: %s", verb, got.stdout)
		}
	}
}
