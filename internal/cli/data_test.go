package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/test/testsize"
)

// periodPolicy looks back 50 bars, and trades often.
const periodPolicy = `policy_name: period
version: "1"
instrument: XAUUSD
timeframe: M5
warmup_bars: 50
features: [roc20, ema20_slope]
model:
  kind: logistic
  long: {bias: -0.2, weights: {roc20: 400, ema20_slope: 0.5}}
  short: {bias: -0.2, weights: {roc20: -400, ema20_slope: -0.5}}
entry:
  p_side_min: {long: 0.5, short: 0.5}
exit: {stop_bps: 25, target_bps: 25, max_bars: 48}
risk: {max_open_trades: 2}
replay: {fill: next_open}
`

// aPeriod is where a test of periods keeps its files.
type aPeriod struct {
	t                  *testing.T
	dir, policy, whole string
	all                []bars.Bar
}

func newPeriod(t *testing.T) aPeriod {
	t.Helper()
	ownPlaces(t)
	p := aPeriod{t: t, dir: t.TempDir(), all: bars.Generate(4000, 5)}
	p.policy, p.whole = filepath.Join(p.dir, "p.yaml"), filepath.Join(p.dir, "whole.csv")
	if err := os.WriteFile(p.policy, []byte(periodPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bars.WriteFile(p.whole, p.all); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p aPeriod) run(id, data string, more ...string) said {
	p.t.Helper()
	return coordinates(p.t, append([]string{"run", "--policy", p.policy, "--data", data, "--run-id", id, "--output-dir", p.dir,
		"--workers", "1", "--chunks", "3", "--listen", "127.0.0.1:0", "--no-guardian", "--quiet"}, more...)...)
}

func (p aPeriod) stamp(bar int) string {
	return time.Unix(0, p.all[bar].TimeNS).UTC().Format(time.RFC3339)
}

// ran is what a perf JSON says of its data.
type ran struct {
	TotalTrades int `json:"total_trades"`
	TotalBars   int `json:"total_bars"`
	Data        struct {
		SHA256     string            `json:"sha256"`
		Bars       int               `json:"bars"`
		BeforeBars int               `json:"before_bars"`
		Read       map[string]string `json:"read"`
	} `json:"data"`
}

func (p aPeriod) perf(id string) ran {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "perf_"+id+".json"))
	var r ran
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p aPeriod) trades(id string) []string {
	p.t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.dir, id, "trades_"+id+".csv"))
	if err != nil || len(paths) != 1 {
		p.t.Fatalf("trades of %s: %v, %v", id, paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// A period's trades are those of a file that was cut with the warm-up before
// it, and none is made in the warm-up.
func TestRunPeriod(t *testing.T) {
	testsize.All(t)
	p := newPeriod(t)
	const from, to = 1500, 3200
	got := p.run("period", p.whole, "--from", p.stamp(from), "--to", p.stamp(to))
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	perf := p.perf("period")
	before := perf.Data.BeforeBars
	if before < 50 || perf.Data.Bars != to-from+before || perf.TotalBars != perf.Data.Bars || perf.TotalTrades < 20 {
		t.Fatalf("%+v", perf)
	}
	if want := map[string]string{"from": p.stamp(from), "to": p.stamp(to), "warmup": fmt.Sprint(before)}; fmt.Sprint(perf.Data.Read) != fmt.Sprint(want) {
		t.Errorf("data.read %v, want %v", perf.Data.Read, want)
	}
	cut := filepath.Join(p.dir, "cut.parquet")
	got = coordinates(t, "data", "cut", p.whole, cut, "--from", p.stamp(from), "--to", p.stamp(to), "--warmup", fmt.Sprint(before))
	if got.code != 0 || !strings.Contains(got.stdout, fmt.Sprintf("%d bars, %d of them before the period", to-from+before, before)) {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := p.run("cut", cut); got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if other := p.perf("cut"); other.Data.SHA256 != perf.Data.SHA256 || other.Data.BeforeBars != 0 || other.Data.Read != nil {
		t.Errorf("the cut file's run: %+v", other.Data)
	}
	if a, b := p.trades("period"), p.trades("cut"); !slices.Equal(a, b) {
		t.Errorf("%d trades of the period, %d of the cut file; the first of each\n%s\n%s", len(a)-1, len(b)-1, a[1], b[1])
	}
	first := strings.Split(p.trades("period")[1], ",")
	if !slices.ContainsFunc(first, func(cell string) bool { return cell >= p.stamp(from)[:19] && strings.HasPrefix(cell, "2018-") }) {
		t.Errorf("the first trade %v, want one from %s on", first, p.stamp(from))
	}
	// Another period is another run, also of the same bars.
	for _, more := range [][]string{
		{"--from", p.stamp(from + 1), "--to", p.stamp(to)},
		{"--from", p.stamp(from)},
		nil,
	} {
		if got := p.run("period", p.whole, more...); got.code != exitUsage || !strings.Contains(got.stderr, "data") {
			t.Errorf("%v: exit code %d\n%s%s", more, got.code, got.stdout, got.stderr)
		}
	}
	if got := p.run("period", p.whole, "--from", p.stamp(from), "--to", p.stamp(to)); got.code != 0 || !strings.Contains(got.stdout, "is complete already") {
		t.Errorf("the same period: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// What flags said of a file is kept with the run: who reads it again reads the
// same bars.
func TestRunReadsAgain(t *testing.T) {
	testsize.All(t)
	p := newPeriod(t)
	text := "When;O;H;L;C;V\n"
	for _, b := range p.all[:900] {
		when := time.Unix(0, b.TimeNS).UTC().Add(-5 * time.Hour).Format("02/01/2006 15:04")
		text += fmt.Sprintf("%s;%v;%v;%v;%v;%v\n", when, b.BidOpen, b.BidHigh, b.BidLow, b.BidClose, b.Volume)
	}
	path := filepath.Join(p.dir, "export.txt")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, ".", ",")), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--columns", "time=When,open=O,high=H,low=L,close=C,volume=V", "--tz", "EST", "--time-format", "%d/%m/%Y %H:%M", "--decimal", ","}
	if got := p.run("again", path, flags...); got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if r := p.perf("again"); r.Data.Bars != 900 || len(r.Data.Read) != 4 || r.Data.Read["tz"] != "EST" {
		t.Fatalf("%+v", r)
	}
	got := coordinates(t, "chunk", "again", "1", "--rerun", "--output-dir", p.dir)
	if got.code != 0 || !strings.Contains(got.stdout+got.stderr, "bars 300 to 599") {
		t.Errorf("chunk --rerun: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	log, err := os.ReadFile(filepath.Join(p.dir, "again", "run.log"))
	if err != nil || !strings.Contains(string(log), "data read") || !strings.Contains(string(log), "separated by semicolons, decimal commas") {
		t.Errorf("the run's log does not say how the data was read: %v", err)
	}
	info := coordinates(t, append([]string{"data", "info", path}, flags...)...)
	holds(t, "data info", info.stdout, "read as CSV, separated by semicolons, decimal commas", "EST turned into UTC", "time is When")
	for _, verb := range [][]string{
		{"policy", "check", p.policy, "--data", path, "--cuts", "1"},
		{"data", "check", path},
		{"data", "convert", path, filepath.Join(p.dir, "out.parquet")},
	} {
		if got := coordinates(t, append(verb, flags...)...); got.code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", verb, got.code, got.stdout, got.stderr)
		}
	}
	if got := coordinates(t, "data", "info", path, "--tz", "Nowhere"); got.code != exitUsage || !strings.Contains(got.stderr, `--tz: time zone "Nowhere" is unknown`) {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
}

func TestDataCheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d.csv")
	text := "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close,volume\n"
	for i := range 30 {
		at := time.Date(2024, 1, 2, 10, i, 0, 0, time.UTC).Format("2006-01-02 15:04:05")
		price := 1.1 + float64(i%7)/1e3
		spread := 0.0002
		if i == 4 || i == 9 {
			spread = -0.0001
		}
		b, a := fmt.Sprintf("%.4f", price), fmt.Sprintf("%.4f", price+spread)
		text += strings.Join([]string{at, b, b, b, b, a, a, a, a, "1"}, ",") + "\n"
		if i == 20 {
			text += strings.Join([]string{at, b, b, b, b, a, a, a, a, "1"}, ",") + "\n"
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := coordinates(t, "data", "check", path)
	if got.code != exitUsage {
		t.Errorf("exit code %d", got.code)
	}
	holds(t, "data check", got.stdout, "crossed refused: 2, the largest 0.0001 (line 6)", "line 6, line 11", "--repair crossed puts that right", "duplicate refused: 1", "run refuses this data")

	got = coordinates(t, "data", "check", path, "--json")
	var in bars.Inspection
	if err := json.Unmarshal([]byte(got.stdout), &in); err != nil || got.code != exitUsage || in.OK || len(in.Findings) != 2 || in.Bars != 31 {
		t.Errorf("%v, exit code %d, %s", err, got.code, got.stdout)
	}
	out := filepath.Join(dir, "out.parquet")
	got = coordinates(t, "data", "check", path, "--repair", "crossed,duplicates", "--output", out)
	if got.code != 0 {
		t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	holds(t, "the repair", got.stdout, "out.parquet: 30 bars", "repaired: duplicates: 1 bar (line 23)", "repaired: crossed: 2 bars, prices by 0.0001 at most (line 6, line 11)")
	if got := coordinates(t, "data", "check", out); got.code != 0 || !strings.Contains(got.stdout, "run accepts this data") {
		t.Errorf("exit code %d\n%s", got.code, got.stdout)
	}
	for _, args := range [][]string{{path, "--repair", "crossed"}, {path, "--output", out}, {path, "--repair", "all", "--output", out}, {path, "--repair", "crossed,duplicates", "--output", out}} {
		if got := coordinates(t, append([]string{"data", "check"}, args...)...); got.code != exitUsage || got.stdout != "" {
			t.Errorf("%v: exit code %d, %s", args, got.code, got.stdout)
		}
	}
	if got := coordinates(t, "data", "cut", path, out); got.code != exitUsage || !strings.Contains(got.stderr, "--from and --to are missing") {
		t.Errorf("a cut without a period: exit code %d, %s", got.code, got.stderr)
	}
}
