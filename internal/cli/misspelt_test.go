package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A misspelt verb, flag or variable is named, with the nearest one that there
// is.
func TestMisspelt(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"stauts"}, "status"},
		{[]string{"stauts", "r1", "--json"}, "status"},
		{[]string{"verfy", "perf.json"}, "verify"},
		{[]string{"policy", "chek", "p.yaml"}, "check"},
		{[]string{"data", "genn", "--bars", "3"}, "gen"},
		{[]string{"--polcy", "p.yaml"}, "--policy"},
		{[]string{"run", "--polcy", "p.yaml"}, "--policy"},
		{[]string{"status", "--wach"}, "--watch"},
		{[]string{"qqqqqqqq"}, "coordinator --help"},
		{[]string{"run", "--qqqqqqqq"}, "coordinator run --help"},
	} {
		got := coordinates(t, c.args...)
		if got.code != 1 || !strings.Contains(got.stderr, c.want) || !strings.Contains(got.stderr, "error: ") || got.stdout != "" {
			t.Errorf("%v: %d %q %q (want 1 and %q)", c.args, got.code, got.stdout, got.stderr, c.want)
		}
	}
	if code, _, stderr := program(t, t.Context(), true, "--concurency", "2"); code != 1 || !strings.Contains(stderr, "--concurrency") {
		t.Errorf("chunkworker --concurency: %d %s", code, stderr)
	}
	for _, args := range [][]string{nil, {"--help"}, {"help"}, {"help", "status"}, {"data"}, {"data", "--help"}, {"completion", "bash"}} {
		if got := coordinates(t, args...); got.code != 0 || got.stdout == "" || got.stderr != "" {
			t.Errorf("%v: %d %.80q %q (want help)", args, got.code, got.stdout, got.stderr)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	for _, worker := range []bool{false, true} {
		code, stdout, stderr := program(t, t.Context(), worker, "--version")
		if code != 0 || !strings.HasPrefix(stdout, "gx1-replay ") || stderr != "" {
			t.Errorf("--version of the worker (%v): %d %q %q", worker, code, stdout, stderr)
		}
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	environ := []string{"GX1R_CHUNSK=7", "GX1R_ZZZZZZZZZ=secret", "GX1R_CHUNKS=4", "GX1R_CONCURRENCY=3", "GX1R_ARG_0=a", "GX1R_TASK_FILE=t", "GX1R_LIFELINE_FD=3", "GX1R_GUARD=1.2.3", "GX1R_TEST=all", "GX1R_LOCAL_VARIABLES={}", "GX1_DATA=d", "HOME=/"}
	for _, worker := range []bool{false, true} {
		var out, errs bytes.Buffer
		p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Environ: func() []string { return environ }}
		code := 0
		if worker {
			code = p.ChunkWorker(t.Context(), []string{"--version"})
		} else {
			code = p.Coordinator(t.Context(), []string{"version"})
		}
		text := errs.String()
		if code != 0 || strings.Count(text, "GX1R_CHUNSK") != 1 || strings.Count(text, "GX1R_CHUNKS") != 1 || strings.Count(text, "GX1R_ZZZZZZZZZ") != 1 ||
			strings.Contains(text, "secret") || strings.Count(text, "warning:") != 2 {
			t.Errorf("the worker (%v): %d %s(want a warning for each of the two)", worker, code, text)
		}
	}
}

// What is there is overwritten only with --force.
func TestDataOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.parquet")
	if got := coordinates(t, "data", "gen", "--bars", "50", "--output", in); got.code != 0 {
		t.Fatalf("data gen: %d %s", got.code, got.stderr)
	}
	before, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, args := range map[string][]string{
		in:  {"data", "gen", "--bars", "60", "--output", in},
		out: {"data", "convert", in, out},
	} {
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := coordinates(t, args...); got.code != 1 || !strings.Contains(got.stderr, "--force") || !strings.Contains(got.stderr, path) {
			t.Errorf("%v: %d %s%s (want 1 and --force)", args, got.code, got.stdout, got.stderr)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, was) {
			t.Errorf("%v: %s was changed, %v", args, path, err)
		}
	}
	for _, args := range [][]string{{"data", "convert", in, out, "--force"}, {"data", "gen", "--bars", "60", "--output", in, "--force"}} {
		if got := coordinates(t, args...); got.code != 0 {
			t.Errorf("%v: %d %s", args, got.code, got.stderr)
		}
	}
	if now, err := os.ReadFile(in); err != nil || bytes.Equal(now, before) {
		t.Errorf("--force left %s as it was, %v", in, err)
	}
}

// A file that is not there is an answer in JSON, too.
func TestVerifyJSONOfNoFile(t *testing.T) {
	got := coordinates(t, "verify", filepath.Join(t.TempDir(), "perf_no.json"), "--json")
	if got.code != 1 || !strings.HasPrefix(got.stdout, "{") || !strings.Contains(got.stdout, `"ok": false`) || !strings.Contains(got.stdout, "no such file") {
		t.Errorf("%d %s%s", got.code, got.stdout, got.stderr)
	}
}
