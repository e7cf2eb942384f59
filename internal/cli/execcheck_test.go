package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/execcheck"
	"gx1replay/test/testsize"
)

func checks(t *testing.T, mode string, args ...string) said {
	t.Helper()
	ownPlaces(t)
	list := append([]string{"exec", "check", "--policy", replayPolicy(t, 30), "--data", "synthetic:1500,seed=4", "--slice-format", "csv"}, args...)
	return coordinates(t, append(list, replayCommand(t, mode)...)...)
}

func TestExecCheckFindsNothing(t *testing.T) {
	got := checks(t, "window", "--exec-tail-bars", "10", "--bars", "1000", "--cuts", "3")
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "it", got.stdout, "not compared: trade_id", "no difference at 2 borders: the trades do not depend on where bars 30 to 1029 are cut")
}

// An EMA that begins with the slice is found, and what to do about it is said.
func TestExecCheckFindsAShortWarmup(t *testing.T) {
	testsize.All(t)
	for mode, emits := range map[string]string{"ema": "trades", "ema-scores": "scores"} {
		got := checks(t, mode, "--exec-tail-bars", "10", "--exec-emits", emits, "--cuts", "2")
		if got.code != 1 || !strings.Contains(got.stderr, "replaying bars 0 to 1499 whole, then in 2 pieces") {
			t.Fatalf("%s: exit code %d\n%s%s", mode, got.code, got.stdout, got.stderr)
		}
		holds(t, mode, got.stdout, "PIECES", "whole:", "cut:", "A slice has 30 bars before its chunk", "an EMA", "{data}")
		if strings.Contains(got.stdout, "ahead") {
			t.Errorf("%s: it takes the EMA for one that looks ahead\n%s", mode, got.stdout)
		}
	}
	got := checks(t, "ema-scores", "--exec-emits", "scores", "--cuts", "3", "--json")
	var r execcheck.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 1 {
		t.Fatalf("exit code %d, %v\n%s", got.code, err, got.stdout)
	}
	if r.Same || r.Borders != 2 || len(r.Findings) != 2 || r.Findings[0].Border != 500 || r.Findings[0].FirstBar != 500 || r.Findings[0].Moved <= 0 || len(r.Advice) == 0 {
		t.Errorf("%+v", r)
	}
}

func TestExecCheckFindsTradesThatAreCutOff(t *testing.T) {
	got := checks(t, "window", "--cuts", "4", "--json")
	var r execcheck.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 1 {
		t.Fatalf("exit code %d, %v\n%s%s", got.code, err, got.stdout, got.stderr)
	}
	for _, f := range r.Findings {
		if f.Cause != execcheck.CauseTail || f.TailBars < 1 || f.TailBars > replayHold {
			t.Errorf("%+v", f)
		}
	}
	if len(r.Advice) != 1 || !strings.Contains(r.Advice[0].Do, "--exec-tail-bars") {
		t.Errorf("advice %+v", r.Advice)
	}
}

// A command that fails says so by its last words, and its directory stays.
func TestExecCheckOfACommandThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	got := checks(t, "fails", "--dir", dir)
	if got.code != exitChunks {
		t.Fatalf("exit code %d (want %d)\n%s%s", got.code, exitChunks, got.stdout, got.stderr)
	}
	holds(t, "it", got.stderr, "| ReplayError: chunk 0 has no model", "replaying the whole range, bars [0, 1500): the command ended with exit code 1", dir)
	if text, err := os.ReadFile(filepath.Join(dir, "whole", "stderr.log")); err != nil || !strings.Contains(string(text), "no model") {
		t.Errorf("its log: %q, %v", text, err)
	}
}

func TestExecCheckUsage(t *testing.T) {
	ownPlaces(t)
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p, command := replayPolicy(t, 30), replayCommand(t, "window")
	base := []string{"--policy", p, "--data", "synthetic:100"}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no command":   {base, "the command is missing"},
		"no data":      {slices.Concat([]string{"--policy", p}, command), "--data is missing"},
		"no policy":    {slices.Concat([]string{"--data", "synthetic:100"}, command), "--policy is missing"},
		"too many":     {slices.Concat(base, []string{"--bars", "101"}, command), "--bars 101 of a data set of 100"},
		"both":         {slices.Concat(base, []string{"--bars", "50", "--from", "2018-01-02"}, command), "neither --from nor --to"},
		"no time":      {slices.Concat(base, []string{"--from", "noon"}, command), `--from "noon" is no time`},
		"no bars":      {slices.Concat(base, []string{"--from", "2030-01-01"}, command), "hold 0 bars"},
		"one piece":    {slices.Concat(base, []string{"--cuts", "1"}, command), "a cut into 1 pieces"},
		"used":         {slices.Concat(base, []string{"--dir", used}, command), "not empty"},
		"behind":       {slices.Concat(base, []string{"replay.py"}), `unknown argument "replay.py"`},
		"placeholders": {slices.Concat(base, []string{"--", "sh", "{tusk}"}), "tusk"},
	} {
		if got := coordinates(t, append([]string{"exec", "check"}, c.args...)...); got.code != 1 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: exit code %d, %s (want %q)", name, got.code, got.stderr, c.want)
		}
	}
}
