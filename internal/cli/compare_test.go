package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// perfOf is a perf JSON that package compare keeps.
func perfOf(name string) string {
	return filepath.Join("..", "compare", "testdata", "v1", name)
}

// compared runs compare with args, and returns its exit code and what it
// printed.
func compared(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, Getenv: func(name string) string { return env[name] }}
	code = p.Coordinator(t.Context(), append([]string{"compare"}, args...))
	return code, out.String(), errOut.String()
}

func TestCompareExitCodes(t *testing.T) {
	off, on := perfOf("off.json"), perfOf("on.json")
	for _, c := range []struct {
		name string
		args []string
		env  map[string]string
		code int
		says string // on standard output, or error
	}{
		{"pass", []string{"--off", off, "--on", on}, nil, 0, "PASS: all 5 figures"},
		{"fail", []string{"--off", off, "--on", perfOf("slow.json")}, nil, 1, "FAIL: 3 of 5 figures"},
		{"incomplete", []string{"--off", off, "--on", perfOf("stopped.json")}, nil, 2, "not comparable: ON is not complete"},
		{"stub", []string{"--off", off, "--on", perfOf("stub.json")}, nil, 2, "not comparable: ON cannot be used: this is the stub"},
		{"exchanged", []string{"--off", on, "--on", off}, nil, 2, "the files are exchanged"},
		{"no file", []string{"--off", "nowhere.json", "--on", on}, nil, 2, "not comparable: OFF cannot be used: open nowhere.json"},
		{"a directory", []string{"--off", t.TempDir(), "--on", on}, nil, 2, "is a directory"},
		{"--min-speedup", []string{"--off", off, "--on", on, "--min-speedup", "4.5"}, nil, 1, "speed-up"},
		{"--min-skip-percent", []string{"--off", off, "--on", on, "--min-skip-percent", "84.5"}, nil, 1, "bars skipped"},
		{"--max-feature-time-ratio", []string{"--off", off, "--on", on, "--max-feature-time-ratio", "0.2"}, nil, 1, "feature time"},
		{"--max-trades-diff-percent", []string{"--off", off, "--on", perfOf("slow.json"), "--max-trades-diff-percent", "4", "--min-speedup", "2", "--max-feature-time-ratio", "0.31"}, nil, 0, "PASS"},
		{"--max-model-calls-ratio", []string{"--off", off, "--on", on, "--max-model-calls-ratio", "0.1"}, nil, 1, "model calls"},
		{"a threshold by its variable", []string{"--off", off, "--on", on}, map[string]string{"GX1R_MIN_SPEEDUP": "4.5"}, 1, "speed-up"},
		{"files by their variables", nil, map[string]string{"GX1R_OFF": off, "GX1R_ON": on}, 0, "PASS"},
		{"a bad variable", []string{"--off", off, "--on", on}, map[string]string{"GX1R_MIN_SPEEDUP": "fast"}, 2, "GX1R_MIN_SPEEDUP"},
		{"no --on", []string{"--off", off}, nil, 2, "--on is missing"},
		{"no such flag", []string{"--off", off, "--on", on, "--fast"}, nil, 2, "unknown flag: --fast"},
		{"no threshold", []string{"--off", off, "--on", on, "--min-speedup", "NaN"}, nil, 2, "threshold of speedup: NaN"},
		{"words", []string{off, on}, nil, 2, "unknown command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "reports", "r.md")
			code, stdout, stderr := compared(t, c.env, append(c.args, "--output", report)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d (want %d), and it says (want %q)\n%s%s", code, c.code, c.says, stdout, stderr)
			}
			_, err := os.Stat(report)
			if compared := stderr == ""; compared != (err == nil) {
				t.Errorf("the report: %v; standard error: %q (want a report if and only if the command line was right)", err, stderr)
			}
		})
	}
}

func TestCompareWritesTheReport(t *testing.T) {
	report := filepath.Join(t.TempDir(), "r.md")
	args := []string{"--off", perfOf("off.json"), "--on", perfOf("on.json"), "--output", report}
	code, stdout, _ := compared(t, nil, append(args, "--json")...)
	var printed struct {
		Verdict string
		On      struct{ Path string }
	}
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || code != 0 || printed.Verdict != "pass" || printed.On.Path != perfOf("on.json") {
		t.Errorf("exit code %d, %v, %+v of %s", code, err, printed, stdout)
	}
	b, err := os.ReadFile(report)
	if err != nil || !strings.HasPrefix(string(b), "# PASS: ") || !strings.Contains(string(b), perfOf("on.json")) {
		t.Errorf("the report: %v, %s", err, b)
	}
}

// A report that cannot be written is no verdict, and one never takes the place
// of what is compared.
func TestCompareRefusesAnOutput(t *testing.T) {
	dir := t.TempDir()
	in, err := os.ReadFile(perfOf("off.json"))
	if err != nil {
		t.Fatal(err)
	}
	off := filepath.Join(dir, "off.json")
	if err := os.WriteFile(off, in, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ output, says string }{
		{off, "is a file that is to be compared"},
		{filepath.Join(dir, ".", "..", filepath.Base(dir), "off.json"), "is a file that is to be compared"},
		{dir, "writing the report"},
		{filepath.Join(off, "r.md"), "writing the report"},
		{"", "--output is missing"},
	} {
		code, stdout, stderr := compared(t, nil, "--off", off, "--on", perfOf("on.json"), "--output", c.output)
		if code != exitCannotCompare || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("--output %q: exit code %d, %q, %q (want 2, nothing, %q)", c.output, code, stdout, stderr, c.says)
		}
	}
	if b, err := os.ReadFile(off); err != nil || !bytes.Equal(b, in) {
		t.Errorf("%s was changed: %v", off, err)
	}
}
