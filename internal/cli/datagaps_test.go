package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// weekdays writes bars of days from Monday to Friday and returns the file. Of
// the second year's first week nothing is there.
func weekdays(t *testing.T, weeks int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("time,open,high,low,close,volume\n")
	at := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)
	for i := range 7 * weeks {
		day := at.AddDate(0, 0, i)
		if d := day.Weekday(); d == time.Saturday || d == time.Sunday || i/7 == 52 {
			continue
		}
		price := 100 + float64(i%11)/4
		fmt.Fprintf(&b, "%s,%g,%g,%g,%g,1000\n", day.Format(time.DateTime), price, price+1, price-1, price+0.25)
	}
	path := filepath.Join(t.TempDir(), "days.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// data info says at how many bars a signal would expire, and a run's summaries
// how many did.
func TestSignalsThatExpireAreSaid(t *testing.T) {
	ownPlaces(t)
	path := weekdays(t, 60)
	got := coordinates(t, "data", "info", path)
	holds(t, "data info", got.stdout, "expiry a signal would expire at 1 of 295 bars: the next bar opens more than 120h0m0s later")
	var info struct {
		Bars   int64
		Expiry struct {
			MaxGapSec float64 `json:"default_max_gap_sec"`
			Bars      int64
		}
	}
	got = coordinates(t, "data", "info", path, "--json")
	if err := json.Unmarshal([]byte(got.stdout), &info); err != nil || info.Bars != 295 || info.Expiry.Bars != 1 || info.Expiry.MaxGapSec != 5*86400 {
		t.Errorf("%+v, %v", info, err)
	}

	dir := t.TempDir()
	pol := filepath.Join(dir, "days.yaml")
	doc := "policy_name: days\nfeatures: [body_pct]\nmodel: {kind: logistic, long: {bias: 1}, short: {bias: -1}}\nexit: {max_bars: 2}\nrisk: {max_open_trades: 100}\n"
	if err := os.WriteFile(pol, []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(id, data string) string {
		got := coordinates(t, "run", "--policy", pol, "--data", data, "--run-id", id, "--output-dir", dir, "--workers", "1", "--listen", "127.0.0.1:0", "--no-guardian")
		if got.code != 0 {
			t.Fatalf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		}
		return got.stdout
	}
	// That before the missing week and that of the last bar.
	holds(t, "the summary", run("d1", path), "trades 293, ", "expired 2 of 295 signals: no next bar within entry.max_gap")
	text, err := os.ReadFile(filepath.Join(dir, "d1", "summary_d1.md"))
	if err != nil || !strings.Contains(string(text), "| dropped: entry_expired | 2 |") {
		t.Errorf("%v\n%s", err, text)
	}
}
