package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// At prices of 1e-5 a feature whose formula adds 1e-8 is another one: check and
// run say so, by name and share.
func TestSmallPricesAreWarnedOf(t *testing.T) {
	ownPlaces(t)
	dir := t.TempDir()
	pol, tiny, usual := filepath.Join(dir, "p.yaml"), filepath.Join(dir, "tiny.csv"), filepath.Join(dir, "usual.csv")
	doc := "policy_name: p\nfeatures: [body_pct, roc20]\nmodel: {kind: logistic, long: {bias: 1, weights: {body_pct: 1, roc20: 1}}, short: {bias: -1}}\nexit: {max_bars: 2}\n"
	if err := os.WriteFile(pol, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, unit := range map[string]float64{tiny: 1e-8, usual: 1} {
		var b strings.Builder
		b.WriteString("time,open,high,low,close,volume\n")
		for i := range 300 {
			at := time.Date(2026, 1, 5, 0, 5*i, 0, 0, time.UTC)
			open := 1000 + float64(i%7)
			fmt.Fprintf(&b, "%s,%g,%g,%g,%g,1\n", at.Format(time.DateTime), open*unit, (open+20)*unit, (open-20)*unit, (open+1)*unit)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Ranges are 40 units.
	const want = "body_pct adds 1e-08 to a range of prices, which is 2.5 % of the usual bar's range, 4e-07"
	n := 0
	said := func(path string, args ...string) string {
		n++
		got := coordinates(t, append(args, "--data", path)...)
		if got.code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", args, got.code, got.stdout, got.stderr)
		}
		return got.stdout + got.stderr
	}
	check := []string{"policy", "check", pol}
	run := func(id string) []string {
		return []string{"run", "--policy", pol, "--run-id", id, "--output-dir", dir, "--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian"}
	}
	holds(t, "policy check", said(tiny, check...), "warning: "+want)
	holds(t, "run", said(tiny, run("r1")...), "warning: "+want)
	for _, text := range []string{said(usual, check...), said(usual, run("r2")...)} {
		if strings.Contains(text, "adds 1e-08") {
			t.Errorf("prices of 1,000 are warned of:\n%s", text)
		}
	}
}
