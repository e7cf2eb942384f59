package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/test/testsize"
)

// What a policy or a flag says and the data contradict is said, by each verb
// that sees both.
func TestContradictions(t *testing.T) {
	testsize.All(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mt := write("mt.csv", onePrice)
	full := filepath.Join(dir, "full.csv")
	if err := bars.WriteFile(full, bars.Generate(300, 3)); err != nil {
		t.Fatal(err)
	}
	hourly := write("h1.yaml", strings.Replace(checkedPolicy, "timeframe: M5", "timeframe: H1", 1)+boundedExit)
	fits := write("m5.yaml", checkedPolicy+boundedExit)
	long := write("long.yaml", checkedPolicy+boundedExit+"warmup_bars: 300\n")
	const (
		timeframe = "the policy is for H1, and the data's bars are 5m0s apart"
		useless   = "--spread-bps 0 has no effect: "
	)
	out := filepath.Join(dir, "out")
	for _, c := range []struct {
		args []string
		says string // empty: no warning
	}{
		{[]string{"policy", "check", hourly, "--data", full, "--cuts", "0"}, timeframe},
		{[]string{"policy", "check", fits, "--data", full, "--cuts", "0", "--spread-bps", "0"}, useless + full + " has ask prices, and its own spread counts"},
		{[]string{"policy", "check", fits, "--data", full, "--cuts", "0"}, ""},
		{[]string{"policy", "check", long, "--data", full, "--cuts", "0"}, "all 300 bars are warm-up: no entry is looked for"},
		{[]string{"data", "info", full, "--spread-bps", "0"}, useless},
		{[]string{"data", "info", mt, "--spread-bps", "0"}, ""},
		{[]string{"data", "convert", full, filepath.Join(dir, "c1.csv"), "--spread-bps", "0"}, useless},
		{[]string{"data", "convert", mt, filepath.Join(dir, "c2.csv"), "--spread-bps", "0"}, ""},
		{[]string{"run", "--policy", hourly, "--data", full, "--workers", "1", "--output-dir", out}, timeframe},
		{[]string{"run", "--policy", fits, "--data", full, "--workers", "1", "--output-dir", out, "--spread-bps", "0"}, useless},
		{[]string{"run", "--policy", long, "--data", full, "--workers", "1", "--output-dir", out}, "the warm-up is 300 bars, for warmup_bars, and the data has 300: no bar can trade"},
		{[]string{"run", "--policy", fits, "--data", full, "--workers", "1", "--output-dir", out}, ""},
	} {
		got := coordinates(t, c.args...)
		text := got.stdout + got.stderr
		if c.says != "" && !strings.Contains(text, c.says) {
			t.Errorf("%v:\n%s(want %q)", c.args, text, c.says)
		}
		if c.says == "" && strings.Contains(text, "warning: ") {
			t.Errorf("%v: a warning:\n%s", c.args, text)
		}
	}
}

// A command has a warm-up and features of its own.
func TestContradictionsOfACommand(t *testing.T) {
	set := bars.Set{Bars: bars.Generate(50, 1), Source: "b.csv"}
	pol := policy.Policy{Timeframe: "H4", WarmupBars: 500, Features: []string{"theirs"}, Sessions: []policy.MarketSession{{Name: "ALL", EndHour: 24}}}
	got := contradictions(pol, set, optionalNumber{new(1.5)}, true)
	if len(got) != 2 || got[0] != "--spread-bps 1.5 has no effect: b.csv has ask prices, and its own spread counts" || got[1] != "the policy is for H4, and the data's bars are 5m0s apart" {
		t.Errorf("%q", got)
	}
	pol.Timeframe = "quarter"
	if got := contradictions(pol, set, optionalNumber{}, true); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
