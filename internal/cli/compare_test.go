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
		{"pass", []string{"--off", off, "--on", on, "--unaligned"}, nil, 0, "PASS: all 5 figures"},
		{"fail", []string{"--off", off, "--on", perfOf("slow.json"), "--unaligned"}, nil, 1, "FAIL: 3 of 5 figures"},
		{"incomplete", []string{"--off", off, "--on", perfOf("stopped.json"), "--unaligned"}, nil, 2, "not comparable: ON is not complete"},
		{"stub, unaligned", []string{"--off", off, "--on", perfOf("stub.json"), "--unaligned"}, nil, 2, "not comparable: ON cannot be used: this is the stub"},
		{"exchanged, unaligned", []string{"--off", on, "--on", off, "--unaligned"}, nil, 2, "the files are exchanged"},
		{"--min-speedup", []string{"--off", off, "--on", on, "--unaligned", "--min-speedup", "4.5"}, nil, 1, "speed-up"},
		{"--min-skip-percent", []string{"--off", off, "--on", on, "--unaligned", "--min-skip-percent", "84.5"}, nil, 1, "bars skipped"},
		{"--max-feature-time-ratio", []string{"--off", off, "--on", on, "--unaligned", "--max-feature-time-ratio", "0.2"}, nil, 1, "feature time"},
		{"--max-trades-diff-percent", []string{"--off", off, "--on", perfOf("slow.json"), "--unaligned", "--max-trades-diff-percent", "4", "--min-speedup", "2", "--max-feature-time-ratio", "0.31"}, nil, 0, "PASS"},
		{"--max-model-calls-ratio", []string{"--off", off, "--on", on, "--unaligned", "--max-model-calls-ratio", "0.1"}, nil, 1, "model calls"},
		{"a threshold by its variable", []string{"--off", off, "--on", on, "--unaligned"}, map[string]string{"GX1R_MIN_SPEEDUP": "4.5"}, 1, "speed-up"},
		{"files by their variables", []string{"--unaligned"}, map[string]string{"GX1R_OFF": off, "GX1R_ON": on}, 0, "PASS"},

		{"two runs", []string{off, on}, nil, 0, "Whether pilot_on is faster than pilot_off cannot be said (no phases reported; use ab)"},
		{"one that was stopped", []string{off, perfOf("stopped.json")}, nil, 0, "540 of 1,000 bars (54 %) in 2 pieces"},
		{"three runs", []string{off, on, perfOf("slow.json")}, nil, 0, "4 pieces"},
		{"thresholds", []string{"--off", off, "--on", on}, nil, 2, "CANNOT SAY whether the gate keeps its thresholds"},
		{"a threshold fails", []string{"--off", off, "--on", on, "--min-skip-percent", "84.5"}, nil, 1, "FAIL: the gate misses 1 of 5 thresholds"},
		{"trades in numbers", []string{"--off", off, "--on", perfOf("slow.json"), "--max-trades-diff", "7"}, nil, 1, "trades apart"},
		{"exchanged", []string{"--off", on, "--on", off}, nil, 2, "pregate_enabled is true in pilot_on (want false)"},
		{"expected", []string{off, on, "--expect-only", "replay_config.replay_pregate"}, nil, 0, "pilot_on"},
		{"unexpected", []string{off, on, "--expect-only", "exit"}, nil, 2, "they differ in more than was expected: replay_config.replay_pregate.enabled (false, true)"},
		{"stub", []string{off, perfOf("stub.json")}, nil, 2, "this is the stub"},
		{"no file", []string{"nowhere.json", on}, nil, 2, "open nowhere.json"},
		{"a directory", []string{t.TempDir(), on}, nil, 2, "is a directory"},
		{"a bad variable", []string{"--off", off, "--on", on}, map[string]string{"GX1R_MIN_SPEEDUP": "fast"}, 2, "GX1R_MIN_SPEEDUP"},
		{"no --on", []string{"--off", off}, nil, 2, "--on is missing"},
		{"named twice", []string{off, on, "--off", off, "--on", on}, nil, 2, "in more than one way"},
		{"one run", []string{off}, nil, 2, "1 runs were named (want two or more)"},
		{"no such flag", []string{"--off", off, "--on", on, "--fast"}, nil, 2, "unknown flag: --fast"},
		{"no threshold", []string{"--off", off, "--on", on, "--min-speedup", "NaN"}, nil, 2, "threshold of speedup: NaN"},
		{"no quantity", []string{off, on, "--primary", "luck"}, nil, 2, "--primary \"luck\" (want speed or pnl)"},
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
	runs := []string{"--off", perfOf("off.json"), "--on", perfOf("on.json")}
	code, stdout, _ := compared(t, nil, append(runs, "--output", report, "--unaligned", "--json")...)
	var judged struct {
		Verdict string
		On      struct{ Path string }
	}
	if err := json.Unmarshal([]byte(stdout), &judged); err != nil || code != 0 || judged.Verdict != "pass" || judged.On.Path != perfOf("on.json") {
		t.Errorf("exit code %d, %v, %+v of %s", code, err, judged, stdout)
	}
	b, err := os.ReadFile(report)
	if err != nil || !strings.HasPrefix(string(b), "# PASS: ") || !strings.Contains(string(b), perfOf("on.json")) {
		t.Errorf("the report: %v, %s", err, b)
	}

	code, stdout, _ = compared(t, nil, perfOf("off.json"), perfOf("on.json"), "--output", report, "--json")
	var printed struct {
		Schema   int
		Sentence string
		Common   struct{ Bars int64 }
		B        struct {
			Path string
		}
		Inputs []struct{ Key, A, B string } `json:"inputs_that_differ"`
	}
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || code != 0 || printed.Schema != 2 || printed.Common.Bars != 1000 || printed.B.Path != perfOf("on.json") ||
		len(printed.Inputs) != 1 || printed.Inputs[0].Key != "replay_config.replay_pregate.enabled" {
		t.Errorf("exit code %d, %v, %+v of %s", code, err, printed, stdout)
	}
	b, err = os.ReadFile(report)
	if err != nil || !strings.HasPrefix(string(b), "# Whether pilot\\_on") && !strings.HasPrefix(string(b), "# Whether pilot_on") {
		t.Errorf("the report: %v, %s", err, b)
	}
}

// What is refused leaves the report of before as it is.
func TestARefusedComparisonOverwritesNothing(t *testing.T) {
	report := filepath.Join(t.TempDir(), "r.md")
	if err := os.WriteFile(report, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{perfOf("stub.json"), "nowhere.json", filepath.Join("..", "perf", "testdata", "v1", "complete.json")} {
		code, stdout, stderr := compared(t, nil, perfOf("off.json"), other, "--output", report)
		if b, _ := os.ReadFile(report); code != exitCannotCompare || stdout != "" || stderr == "" || string(b) != "before" {
			t.Errorf("%s: exit code %d, %q, %q; the report: %q", other, code, stdout, stderr, b)
		}
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
