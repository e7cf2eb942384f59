package execengine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/footer"
)

func TestPattern(t *testing.T) {
	bars := func(n int64) Report {
		return Report{Footer: footer.Footer{BarsProcessed: n}, Given: given("bars_processed")}
	}
	barsTo := func(n, total int64) Report {
		r := bars(n)
		r.Total = total
		return r
	}
	for _, c := range []struct {
		expr, line string
		want       Report
		no         bool
	}{
		{expr: `replayed (?P<bars>\d+)/\d+ bars`, line: "replayed 1234/5000 bars", want: barsTo(1234, 5000)},
		{expr: `replayed (?P<bars>\S+) `, line: "replayed 1,234 / 5,000 bars", want: barsTo(1234, 5000)},
		{expr: `(?P<bars>\d+) of (?P<total>\d+)`, line: "7 of 150", want: barsTo(7, 150)},
		{expr: `(?P<bars>\d+) of (?P<total>\w+)`, line: "7 of many", want: Report{Footer: footer.Footer{BarsProcessed: 7}, Given: given("bars_processed")}},
		{expr: `(?P<bars>\d+)/`, line: "7/0 bars", want: bars(7)},
		{expr: `(?P<percent>[\d.]+)%\|`, line: " 50%|####   | 75/150 [00:01<00:01, 75.00it/s]", want: barsTo(75, 150)},
		{expr: `(?P<percent>[\d.]+)%\|`, line: " 50%|####   | 10/20 [00:01<00:01, 75.00it/s]", want: bars(50)},
		{expr: `(?P<percent>[\d.]+)%\|`, line: " 50%|####   | 50/100 [00:01<00:01, 75.00it/s]", want: bars(50)},
		{expr: `(?P<bars_processed>[\d,_]+) bars`, line: "x 1,234,567 bars", want: bars(1234567)},
		{expr: `(?P<bars_processed>[\d,_]+) bars`, line: "x 1_234_567 bars", want: bars(1234567)},
		{expr: `(?P<bars_processed>[\d,_]+) bars`, line: "x 1,234_567 bars", want: Report{Given: given()}, no: true},
		{expr: `(?P<bars>\d+)`, line: "none", no: true},
		{expr: `(?P<bars>\S+) bars`, line: "many bars", want: Report{Given: given()}, no: true},
		{expr: `(?P<bars>\S+) bars`, line: "-3 bars", want: Report{Given: given()}, no: true},
		{expr: `(?P<bars>\S+) bars`, line: "0x10 bars", want: Report{Given: given()}, no: true},
		{expr: `(?P<bars>\S+) bars`, line: ", bars", want: Report{Given: given()}, no: true},
		{expr: `(?P<percent>[\d.]+)%`, line: "29% done", want: bars(29)},
		{expr: `(?P<percent>\S+)`, line: "12.349%", want: bars(12)},
		{expr: `(?P<percent>\S+)`, line: "100", want: bars(100)},
		{expr: `(?P<percent>\S+)`, line: "0", want: bars(0)},
		{expr: `(?P<percent>\S+)`, line: "100.01", want: Report{Given: given()}, no: true},
		{expr: `(?P<percent>\S+)`, line: "-1", want: Report{Given: given()}, no: true},
		{expr: `(?P<percent>\S+)`, line: "1e999999999", want: Report{Given: given()}, no: true},
		{expr: `(?P<percent>\S+)`, line: ".", want: Report{Given: given()}, no: true},
		{expr: `(?P<percent>\d+)% (?P<bars>\d+)`, line: "50% 51", want: bars(51)},
		{expr: `(?:at (?P<bars>\d+)|bar=(?P<bars_processed>\d+))`, line: "bar=7", want: bars(7)},
		{
			expr: `(?P<phase>\w+) (?P<bars>\d*) pnl (?P<pnl_bps>\S+) (?P<t_model_total_sec>\S+)`, line: "WARMUP  pnl -1,000.5 nan",
			want: Report{Footer: footer.Footer{PnlBps: -1000.5}, Given: given("pnl_bps"), Phase: footer.PhaseWarmup, Nonfinite: []string{"t_model_total_sec"}},
		},
		{
			expr: `(?P<status>\w+): (?P<error>.*) at (?P<bars>\d+)`, line: "failed: b\xffd at 3",
			want: Report{Footer: footer.Footer{BarsProcessed: 3, Error: "b\uFFFDd"}, Given: given("bars_processed", "error"), Status: "failed"},
		},
		{expr: `(?P<phase>\w+) (?P<bars>\d+)`, line: "sleep 4", want: Report{Footer: footer.Footer{BarsProcessed: 4}, Given: given("bars_processed")}},
	} {
		p, err := NewPattern(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		got, ok := p.Match([]byte(c.line), 100)
		if ok == c.no || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s on %q: %v\n got %+v\nwant %+v", c.expr, c.line, ok, got, c.want)
		}
		if p.String() != c.expr {
			t.Errorf("%s calls itself %s", c.expr, p)
		}
	}
	if _, ok := (*Pattern)(nil).Match([]byte("x"), 1); ok {
		t.Error("no pattern matches")
	}
}

func TestPattern_Errors(t *testing.T) {
	for expr, want := range map[string]string{
		`(`:                              `--exec-progress-regex "(": error parsing regexp: missing closing )`,
		`x`:                              `--exec-progress-regex "x": no group says how many bars were replayed (want (?P<bars>`,
		`(\d+)`:                          "no group says",
		`(?P<n_signals>\d+)`:             "no group says",
		`(?P<bar>\d+)`:                   `group "bar" is no field that can be taken from a log line (want bars, percent, total, phase, status, error, bars_per_sec, bars_processed,`,
		`(?P<bars>.)(?P<run_id>.)`:       `group "run_id" is no field`,
		`(?P<bars>.)(?P<skip_reasons>.)`: `group "skip_reasons" is no field`,
	} {
		if _, err := NewPattern(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", expr, err, want)
		}
	}
}

// A whole percentage of any number of bars is what whole numbers make of it.
func TestShare(t *testing.T) {
	for _, planned := range []int64{0, 1, 7, 100, 5000, 1<<40 + 1} {
		for percent := range int64(101) {
			got, ok := percentOf(fmt.Sprint(percent), planned)
			if want := percent * planned / 100; !ok || got != want {
				t.Fatalf("%d %% of %d: %d, want %d", percent, planned, got, want)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	p, err := NewPattern(`^(?P<bars>[^ ]*) (?P<percent>[^ ]*) (?P<pnl_bps>[^ ]*) (?P<phase>[^ ]*) (?P<status>[^ ]*) (?P<error>.*)$`)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("1,000 50% -1.5 replay ok fine"))
	f.Add([]byte(" 99.99 nan Startup \xff x"))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := p.Match(line, 1000)
		checkReport(t, r)
		if ok && r.Footer.BarsProcessed > 1000 && len(line) > 0 && line[0] == ' ' {
			t.Fatalf("%q is %d bars of 1000", line, r.Footer.BarsProcessed)
		}
	})
}
