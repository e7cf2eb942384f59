//go:build linux

package slow_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/test/check/slow"
	"gx1replay/test/drive"
)

const (
	policiesVariable = "GX1R_POLICIES" // how many policies
	seedVariable     = "GX1R_SEED"     // which
	dataVariable     = "GX1R_DATA"     // the absolute path of a CSV file of bars; empty: bars are drawn
)

// patience is far above what anything here takes; what hangs is a failure.
const patience = 10 * time.Minute

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%q (want a number)", variable, text)
	}
	return n
}

// python is the interpreter that python3 comes to.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.version_info >= (3, 8) and sys.executable or '')").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || path == "" {
		t.Skip("there is no python3, or it is older than 3.8")
	}
	return path
}

// The program's trades and counts are those of an engine that shares nothing
// with it, for policies and bars drawn at random, however they are cut.
func TestAgainstTheSlowEngine(t *testing.T) {
	interpreter := python(t)
	dir := t.TempDir()
	binary, err := drive.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	n, seed, data := number(t, policiesVariable, 10), number(t, seedVariable, 1), os.Getenv(dataVariable)
	// The slow engine is right enough if it has all that there is to have.
	seen := map[string]int64{}
	for k := range n {
		t.Run(fmt.Sprintf("seed %d, policy %d", seed, k), func(t *testing.T) {
			c, err := slow.Draw(uint64(seed), k, data == "")
			if err != nil {
				t.Fatal(err)
			}
			r := run{dir: filepath.Join(dir, strconv.Itoa(k)), binary: binary, python: interpreter, bars: data}
			for reason, n := range r.compare(t, c) {
				seen[reason] += n
			}
		})
	}
	t.Logf("%d policies: %v", n, seen)
	if os.Getenv(policiesVariable) != "" || os.Getenv(seedVariable) != "" || t.Failed() {
		return
	}
	for _, reason := range []string{
		"stop", "target", "break_even", "trailing", "RULE_A_PROFIT", "RULE_A_TRAILING", "max_bars", "REPLAY_EOF", "charged nights",
		"drop:entry_expired", "drop:max_open_trades", "drop:max_open_trades_per_side", "drop:cooldown_bars_after_entry", "drop:cooldown_bars_after_exit",
		"skip:session_not_allowed", "skip:spread_too_high", "skip:atr_too_low", "skip:atr_too_high", "trades_open",
	} {
		if seen[reason] == 0 {
			t.Errorf("%s did not occur", reason)
		}
	}
}

// run is a case on its way through both engines.
type run struct {
	dir, binary, python, bars string
}

// compare judges the program by the slow engine, and returns how often what
// happened.
func (r run) compare(t *testing.T, c slow.Case) map[string]int64 {
	t.Helper()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(r.dir, "policy.json")
	if err := os.WriteFile(policy, c.Policy, 0o644); err != nil {
		t.Fatal(err)
	}
	if c.Bars != nil {
		r.bars = filepath.Join(r.dir, "bars.csv")
		if err := os.WriteFile(r.bars, c.Bars, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spread := strconv.FormatFloat(c.SpreadBps, 'g', -1, 64)
	out := filepath.Join(r.dir, "out")
	r.command(t, r.binary, "run", "--policy", policy, "--data", r.bars, "--spread-bps", spread, "--chunks", strconv.Itoa(c.Chunks),
		"--run-id", "slow", "--output-dir", out, "--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet")
	want, err := slow.Parse(r.command(t, r.python, "engine.py", policy, r.bars, spread))
	if err != nil {
		t.Fatal(err)
	}
	differences, err := slow.Judge(filepath.Join(out, "perf_slow.json"), want)
	if err != nil {
		t.Fatal(err)
	}
	if len(differences) > 0 {
		t.Errorf("%s\nthe policy is\n%s", strings.Join(differences, "\n"), c.Policy)
	}
	seen := maps.Clone(want.Counts)
	for _, row := range want.Rows {
		seen[row["exit_reason"].(string)]++
		if nights, charged := row["nights"].(float64); charged {
			seen["charged nights"] += int64(nights)
		}
	}
	return seen
}

// command runs a program to its end and returns what it printed.
func (r run) command(t *testing.T, argv ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(slices.Clone(os.Environ()), "XDG_RUNTIME_DIR="+r.dir, "PYTHONDONTWRITEBYTECODE=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}
