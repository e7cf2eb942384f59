package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gx1replay/test/testsize"
)

// chargedPolicy is the example policy with costs.
func chargedPolicy(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../examples/policies/gated.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "charged.yaml")
	doc = append(doc, `
costs: {commission_bps: 0.5, commission_per_trade_bps: 0.1, swap_long_bps_per_night: 0.8, swap_short_bps_per_night: -0.3, triple_swap_weekday: wednesday, slippage_bps: 0.25}
`...)
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A run with costs has the trades of the run without them, and what they were
// charged beside. Without costs no file knows of any.
func TestRunWithCosts(t *testing.T) {
	testsize.All(t)
	path := chargedPolicy(t)
	plain, charged := newVerifiable(t), newVerifiable(t, "--policy", path)
	rows := strings.Split(strings.TrimSuffix(string(charged.good[charged.csv()]), "\n"), "\n")
	var cut strings.Builder
	for _, row := range rows {
		cells := strings.Split(row, ",")
		cut.WriteString(strings.Join(cells[:len(cells)-5], ",") + "\n")
	}
	if cut.String() != string(plain.good[plain.csv()]) || len(rows) < 4 {
		t.Errorf("%d rows with costs are other trades than those without", len(rows)-1)
	}
	costs := regexp.MustCompile("(?i)net_pnl|costs|commission|swap|slippage|nights")
	for _, name := range []string{"trades_v1.csv", "trades_v1.parquet", "metrics_v1.json", "summary_v1.md", "equity_v1.svg", "perf_v1.json"} {
		b, err := os.ReadFile(filepath.Join(plain.dir, "v1", name))
		if err != nil {
			t.Fatal(err)
		}
		if found := costs.Find(b); found != nil {
			t.Errorf("%s of a run without costs has %q", name, found)
		}
	}
	var file struct {
		Gross float64  `json:"total_pnl_bps"`
		Net   *float64 `json:"total_net_pnl_bps"`
	}
	if err := json.Unmarshal(charged.good[charged.perf], &file); err != nil || file.Net == nil || *file.Net >= file.Gross {
		t.Fatalf("%+v, %v", file, err)
	}
	summary, err := os.ReadFile(filepath.Join(charged.dir, "v1", "summary_v1.md"))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, "the summary", string(summary), "| commission, swap, slippage |", "| total pnl after costs |", "| total after costs |")
	curve, err := os.ReadFile(filepath.Join(charged.dir, "v1", "equity_v1.svg"))
	if err != nil || !bytes.Contains(curve, []byte("cumulated net pnl")) {
		t.Errorf("the curve is not that of net pnl: %v", err)
	}
}

// policy check says what the costs are and what is left after them.
func TestPolicyCheckOfCosts(t *testing.T) {
	path := chargedPolicy(t)
	got := coordinates(t, "policy", "check", path, "--data", "synthetic:3000", "--cuts", "0")
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "policy check", got.stdout, "costs 0.5 bps of each fill and 0.1 per trade as commission, 0.25 of each fill as slippage; per night 0.8 bps for a long, -0.3 for a short, at 22:00 UTC: that of wednesday counts three nights")
	if !regexp.MustCompile(`trades [1-9][0-9]*, -?[0-9.]+ bps, -?[0-9.]+ after costs; dropped`).MatchString(got.stdout) {
		t.Errorf("it does not say what is left after costs:\n%s", got.stdout)
	}
	var c struct {
		Costs *checkedCosts
		Audit struct {
			Dry struct {
				Gross float64  `json:"pnl_bps"`
				Net   *float64 `json:"net_pnl_bps"`
			} `json:"dry_replay"`
		}
	}
	got = coordinates(t, "policy", "check", path, "--data", "synthetic:3000", "--cuts", "0", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &c); err != nil || c.Costs == nil || c.Costs.SlippageBps != 0.25 || c.Audit.Dry.Net == nil || *c.Audit.Dry.Net >= c.Audit.Dry.Gross {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whatever is changed of what was charged, verify names it.
func TestVerifyNamesChangedCosts(t *testing.T) {
	testsize.All(t)
	v := newVerifiable(t, "--policy", chargedPolicy(t))
	if got := coordinates(t, "verify", v.perf); got.code != 0 || !strings.Contains(got.stdout, " after costs, SHA-256 as recorded") {
		t.Fatalf("the run as it is: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	column := func(n int) {
		v.rows(func(rows []string) []string {
			cells := strings.Split(strings.TrimSuffix(rows[1], "\n"), ",")
			cells[n] = "7"
			rows[1] = strings.Join(cells, ",") + "\n"
			return rows
		})
		v.sign()
	}
	for _, c := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"nights", func() { column(20) }, []string{"trades_v1.csv: line 3: nights is 7 (expected ", "trades_v1.parquet: row 2: nights is"}},
		{"commission", func() { column(21) }, []string{"trades_v1.csv: line 3: commission_bps is 7.0 (expected ", "metrics_v1.json: net.commission_bps is"}},
		{"net", func() { column(24) }, []string{"trades_v1.csv: line 3: net_pnl_bps is 7.0 (expected ", "perf_v1.json: total_net_pnl_bps is", "metrics_v1.json: net.total_pnl_bps is"}},
		{"the total", func() { v.replace(v.perf, `"total_net_pnl_bps": ([-0-9.e]+)`, "12.5") }, []string{"perf_v1.json: total_net_pnl_bps is 12.5 (expected "}},
		{"no total", func() { v.replace(v.perf, `("total_net_pnl_bps": [-0-9.e]+,)`, "") }, []string{"perf_v1.json: total_net_pnl_bps is absent (expected "}},
		{"the policy's", func() { v.replace(v.perf, `"slippage_bps": (0.25)`, "0.3") }, []string{"trades_v1.csv: line 2: slippage_bps is"}},
		{"metrics", func() { v.replace(v.of("metrics_", ".json"), `(?s)"net": \{.*?"max_dd": ([-0-9.e]+)`, "-1.5") }, []string{"metrics_v1.json: net.max_dd is -1.5 (expected "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for path, b := range v.good {
				v.write(path, b)
			}
			v.t = t
			c.change()
			got := coordinates(t, "verify", v.perf)
			if got.code != 1 {
				t.Errorf("exit code %d (want 1)", got.code)
			}
			holds(t, "verify", got.stdout+got.stderr, c.want...)
		})
	}
}
