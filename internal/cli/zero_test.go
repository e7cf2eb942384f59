package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gx1replay/internal/compare"
	"gx1replay/internal/execengine"
)

// zeroes says what 0 means for a flag that takes it and whose default is
// another, or whose help does not say it. A flag that is not here must refuse 0 by its name.
var zeroes = map[string]string{
	"run --workers":                     "no local workers",
	"run --grace":                       "SIGKILL right after SIGTERM",
	"exec check --grace":                "SIGKILL right after SIGTERM",
	"audit --grace":                     "SIGKILL right after SIGTERM",
	"chunk --grace":                     "SIGKILL right after SIGTERM",
	"chunkworker --grace":               "SIGKILL right after SIGTERM",
	"policy check --cuts":               "the future is not cut off",
	"policy check --seed":               "a seed",
	"data gen --seed":                   "a seed",
	"audit --seed":                      "a seed, not a random one: auditFlags.seeded",
	"run --spread-bps":                  "ask = bid",
	"policy check --spread-bps":         "ask = bid",
	"exec check --spread-bps":           "ask = bid",
	"data info --spread-bps":            "ask = bid",
	"data convert --spread-bps":         "ask = bid",
	"compare --min-speedup":             "any speed-up is enough",
	"compare --min-skip-percent":        "any share is enough",
	"compare --max-feature-time-ratio":  "none is kept",
	"compare --max-trades-diff-percent": "no difference is allowed",
	"compare --max-model-calls-ratio":   "no call is allowed",
}

// zeroArgs are the arguments without which a command does not look at a flag.
var zeroArgs = map[string][]string{
	"run":          {"--policy", "POLICY", "--data", "synthetic:300"},
	"policy check": {"POLICY"},
	"exec check":   {"--policy", "POLICY", "--data", "synthetic:300", "--", "true"},
	"data info":    {"synthetic:300"},
	"data convert": {"synthetic:300", "OUT"},
	"data gen":     {"--output", "OUT"},
	"logs":         {"nobody"}, "export": {"nobody"}, "stop": {"nobody"}, "audit": {"nobody"}, "chunk": {"nobody", "0"},
}

// withLeaves calls f with each command that does something, and its name
// without the program's.
func withLeaves(cmd *cobra.Command, path string, f func(path string, cmd *cobra.Command)) {
	for _, c := range cmd.Commands() {
		withLeaves(c, strings.TrimSpace(path+" "+c.Name()), f)
	}
	if cmd.RunE != nil {
		f(path, cmd)
	}
}

// saysZero finds in a flag's help what 0 does.
var saysZero = regexp.MustCompile(`\b0: |0 or more`)

// Every flag of every command that takes 0 means 0 by it, or refuses it by its
// name: on the command line and by its variable. A new flag is tried by itself.
func TestZeroIsAValue(t *testing.T) {
	p := Program{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	tried, used := 0, map[string]bool{}
	each := func(path string, cmd *cobra.Command, worker bool) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "bool", "string", "stringArray", "stringSlice":
				return // a text that may be 0
			}
			if f.Hidden {
				return
			}
			name := path + " --" + f.Name
			used[name] = true
			_, known := zeroes[name]
			refuses := f.Annotations[aboveZeroMark] != nil
			if known && refuses {
				t.Errorf("%s refuses 0, and zeroes says what it means", name)
			}
			if !refuses && (known || isZero(f.DefValue) && !strings.Contains(f.Usage, "(default") || saysZero.MatchString(f.Usage)) {
				if err := f.Value.Set("0"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if f.Value.Type() == "float64" && f.Value.String() != "0" {
					t.Errorf("%s: 0 is kept as %q", name, f.Value.String())
				}
				return
			}
			tried++
			for _, variable := range []bool{false, true} {
				code, stderr := zeroed(t, path, f.Name, worker, variable)
				if !refusesZero(stderr, f.Name) || code == 0 {
					t.Errorf("%s 0, by a variable (%v): exit code %d, %s\n(want an error that names the flag, or a line in zeroes that says what 0 means)", name, variable, code, stderr)
				}
			}
		})
	}
	withLeaves(p.coordinatorRoot(), "", func(path string, cmd *cobra.Command) {
		if path != "worker" { // the program's own
			each(path, cmd, false)
		}
	})
	each("chunkworker", p.workerCommand("chunkworker", false), true)
	if tried < 15 {
		t.Errorf("%d flags tried", tried)
	}
	for name := range zeroes {
		if !used[name] {
			t.Errorf("zeroes has %s, which is no flag of a number", name)
		}
	}
}

func refusesZero(stderr, flag string) bool {
	return regexp.MustCompile(`error: .*--`+flag+`"? (0|0s|flag: |0: )`).MatchString(stderr) ||
		regexp.MustCompile(`error: environment variable GX1R_[A-Z_]+="0": "0" is not`).MatchString(stderr)
}

// zeroed runs a command with a flag given as 0.
func zeroed(t *testing.T, path, flag string, worker, variable bool) (code int, stderr string) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(policy, []byte(checkedPolicy+boundedExit), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	args := strings.Fields(path)
	if worker {
		args = nil
	}
	if variable {
		env[envName(flag)] = "0"
	} else {
		args = append(args, "--"+flag, "0")
	}
	for _, arg := range zeroArgs[path] {
		args = append(args, strings.NewReplacer("POLICY", policy, "OUT", filepath.Join(dir, "out.csv")).Replace(arg))
	}
	var errs bytes.Buffer
	p := Program{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &errs, Getenv: func(name string) string { return env[name] }}
	t.Chdir(dir)
	if worker {
		return p.ChunkWorker(t.Context(), args), errs.String()
	}
	return p.Coordinator(t.Context(), args), errs.String()
}

// onePrice are bars as MetaTrader exports them.
const onePrice = "time,open,high,low,close,tick_volume\n" +
	"2026-01-05 10:00:00,1.1000,1.1010,1.0990,1.1005,10\n2026-01-05 10:05:00,1.1005,1.1015,1.0995,1.1010,11\n2026-01-05 10:10:00,1.1010,1.1020,1.1000,1.1015,12\n"

// A spread of 0 is one of 0, by flag and by variable.
func TestSpreadOfZero(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.csv")
	if err := os.WriteFile(path, []byte(onePrice), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		args []string
		env  string
		want string
	}{
		{nil, "", "spread      min 2.00, median 2.00, p95 2.00, max 2.00 bps"},
		{[]string{"--spread-bps", "0"}, "", "spread      min 0.00, median 0.00, p95 0.00, max 0.00 bps"},
		{[]string{"--spread-bps=0.0"}, "3", "spread      min 0.00"},
		{nil, "0", "spread      min 0.00"},
		{nil, "3", "spread      min 3.00"},
	} {
		var out, errs bytes.Buffer
		p := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string {
			if name == "GX1R_SPREAD_BPS" {
				return c.env
			}
			return ""
		}}
		if code := p.Coordinator(t.Context(), append([]string{"data", "info", path}, c.args...)); code != 0 || !strings.Contains(out.String(), c.want) || !strings.Contains(out.String(), "assumed: the data has no ask prices") {
			t.Errorf("data info %v, variable %q: %d\n%s%s(want %s)", c.args, c.env, code, out.String(), errs.String(), c.want)
		}
		out.Reset()
		converted := filepath.Join(dir, fmt.Sprintf("c%d.csv", i))
		if code := p.Coordinator(t.Context(), append([]string{"data", "convert", path, converted}, c.args...)); code != 0 {
			t.Fatal(errs.String())
		}
		b, err := os.ReadFile(converted)
		if err != nil {
			t.Fatal(err)
		}
		equal := strings.Contains(string(b), "1.1,1.101,1.099,1.1005,1.1,1.101,1.099,1.1005")
		if zero := strings.Contains(c.want, "min 0.00"); equal != zero || zero && !strings.Contains(out.String(), "with an assumed spread of 0 bps") {
			t.Errorf("data convert %v, variable %q: %s\n%s", c.args, c.env, out.String(), b)
		}
	}
	for _, bad := range []string{"-1", "NaN", "Inf", "2,5"} {
		if got := coordinates(t, "data", "info", path, "--spread-bps", bad); got.code != 1 || !strings.Contains(got.stderr, "spread") {
			t.Errorf("--spread-bps %s: %d %s", bad, got.code, got.stderr)
		}
	}
}

// Flags that another package could take for not given.
func TestZeroesReachWhereTheyCount(t *testing.T) {
	f := execFlags{engine: "exec", grace: 0, stall: 0, detect: execengine.ProgressNone}
	spec, err := f.spec([]string{"true"}, false)
	if err != nil || spec.Grace != 0 || spec.Stall != 0 {
		t.Errorf("grace %v, stall %v, %v", spec.Grace, spec.Stall, err)
	}
	args, _, err := f.forWorker([]string{"true"})
	if text := strings.Join(args, " "); err != nil || !strings.Contains(text, "--grace=0s --stall-timeout=0s") {
		t.Errorf("a worker gets %s, %v", text, err)
	}
	if err := (compare.Limits{}).Check(); err != nil {
		t.Error(err)
	}
	w := workerFlags{keepWork: 0}
	if w.keep(false) != 0 {
		t.Errorf("keep %v", w.keep(false))
	}
	if isZero("1s") || !isZero(time.Duration(0).String()) || isZero("x") || !isZero("") {
		t.Error("isZero")
	}
}
