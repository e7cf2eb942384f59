package trade

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

func parseRFC(text string) (int64, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return t.UnixNano(), err == nil
}

func readOwn(t *testing.T, text string) *OwnTrades {
	t.Helper()
	own, err := ReadOwn(strings.NewReader(text), parseRFC)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// keysOf are the names of a JSON object that stand for numbers and objects.
func keysOf(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("there is a null in %s", b)
	}
	return m
}

// Four trades by hand: 10, -4, -2, 6 in the order of rows, the exits of the second
// and third the other way round.
const fourTrades = `side,exit_time,entry_time,pnl_bps
long,2026-01-05T10:00:00Z,2026-01-05T09:00:00Z,10
short,2026-01-31T23:00:00Z,2026-01-31T22:00:00Z,-4
long,2026-01-30T23:30:00Z,2026-01-30T22:00:00Z,-2
long,2026-02-01T01:00:00Z,2026-02-01T00:00:00Z,6
`

func TestOwnFigures(t *testing.T) {
	m := keysOf(t, readOwn(t, fourTrades).Measure())
	for name, want := range map[string]float64{
		"n_trades": 4, "win_rate": 0.5, "total_pnl_bps": 10, "mean_pnl_bps": 2.5, "median_pnl_bps": 2, "std_pnl_bps": math.Sqrt((7.5*7.5 + 6.5*6.5 + 4.5*4.5 + 3.5*3.5) / 3),
		"p1_loss": -4 + 2*0.03, "p5_loss": -4 + 2*0.15, "max_dd": -6, "max_loss_streak": 2,
	} {
		got, ok := m[name].(float64)
		if !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v (want %v)", name, m[name], want)
		}
	}
	for _, name := range []string{"mae_bps", "mfe_bps", "by_session"} {
		if got, there := m[name]; there {
			t.Errorf("%s is %v, and no column gives it", name, got)
		}
	}
	months := m["by_month"].(map[string]any)
	if len(months) != 2 || months["2026-01"].(map[string]any)["total_pnl_bps"] != 4.0 || months["2026-02"].(map[string]any)["n_trades"] != 1.0 {
		t.Errorf("by_month is %v", months)
	}
	if got := m["unreported"]; len(got.([]any)) != 3 {
		t.Errorf("unreported is %v", got)
	}
}

// What a command does not give is absent, and never 0.
func TestOwnFiguresThatAreNotGiven(t *testing.T) {
	pnl := []string{"win_rate", "total_pnl_bps", "mean_pnl_bps", "median_pnl_bps", "std_pnl_bps", "p1_loss", "p5_loss"}
	curve := []string{"max_dd", "max_loss_streak"}
	all := append(append([]string{"mae_bps", "mfe_bps", "by_session", "by_month"}, pnl...), curve...)
	without := func(names ...string) map[string]bool {
		gone := map[string]bool{}
		for _, n := range names {
			gone[n] = true
		}
		return gone
	}
	for name, c := range map[string]struct {
		text    string
		gone    map[string]bool
		lacking string
		curve   bool
	}{
		"everything":         {"entry_time,exit_time,side,pnl_bps,mae_bps,mfe_bps,session,exit_reason\n2026-01-05T09:00:00Z,2026-01-05T10:00:00Z,long,1,2,3,EU,stop\n", without(), "", true},
		"other case, quoted": {" Entry_Time ,EXIT_TIME,PNL_bps\n2026-01-05T09:00:00Z,2026-01-05T10:00:00Z, 1 \n", without("mae_bps", "mfe_bps", "by_session"), "", true},
		"no pnl":             {"entry_time,exit_time\n2026-01-05T09:00:00Z,2026-01-05T10:00:00Z\n", without(append(append([]string{"mae_bps", "mfe_bps", "by_session"}, pnl...), curve...)...), "", false},
		"pnl alone":          {"pnl_bps\n1\n", without(append([]string{"mae_bps", "mfe_bps", "by_session", "by_month"}, curve...)...), "", false},
		"nothing of it":      {"id\n1\n", without(all...), "", false},
		"an empty pnl":       {"exit_time,pnl_bps\n2026-01-05T09:00:00Z,1\n2026-01-05T09:00:00Z,\n", without(all...), "pnl_bps in 1 of 2 rows", false},
		"a pnl that is none": {"pnl_bps\nnan\n", without(all...), "pnl_bps in 1 of 1 rows", false},
		"an infinite pnl":    {"pnl_bps\ninf\n", without(all...), "pnl_bps in 1 of 1 rows", false},
		"an open trade":      {"entry_time,exit_time,pnl_bps\n2026-01-05T09:00:00Z,,1\n", without(append([]string{"mae_bps", "mfe_bps", "by_session"}, curve...)...), "exit_time in 1 of 1 rows", false},
		"a time that is not": {"entry_time,exit_time,pnl_bps\nnoon,2026-01-05T09:00:00Z,1\n", without("mae_bps", "mfe_bps", "by_session", "by_month"), "entry_time in 1 of 1 rows", true},
		"a column twice":     {"pnl_bps,pnl_bps\n1,2\n", without(all...), "", false},
		"no row":             {"entry_time,exit_time,pnl_bps\n", without("mae_bps", "mfe_bps", "by_session"), "", true},
	} {
		own := readOwn(t, c.text)
		m := keysOf(t, own.Measure())
		for _, n := range all {
			if _, there := m[n]; there == c.gone[n] {
				t.Errorf("%s: %s is there: %v", name, n, there)
			}
		}
		if list := strings.Join(own.Lacking(), "; "); list != c.lacking || own.HasCurve() != c.curve {
			t.Errorf("%s: lacking %q, a curve %v (want %q, %v)", name, list, own.HasCurve(), c.lacking, c.curve)
		}
		unreported := m["unreported"].([]any)
		if len(unreported) != len(c.gone) {
			t.Errorf("%s: unreported %v (want those that are not there, %v)", name, unreported, c.gone)
		}
	}
}

func TestOwnAttribution(t *testing.T) {
	own := readOwn(t, "exit_reason\nstop\nstop\n'=x\n")
	quiet := footer.Footer{BarsProcessed: 100, Unreported: []string{"n_signals", "pregate_skips", "trades_open"}, PregatePasses: 7}
	told := footer.Footer{BarsProcessed: 50, NSignals: 3, PregatePasses: 3, PregateSkips: 4, SkipReasons: footer.Counts{"spread": 4}}
	a := keysOf(t, own.Attribute([]footer.Footer{told, quiet}))
	for name, want := range map[string]any{"bars_processed": 150.0, "pregate_passes": 10.0, "n_trades": 3.0, "bars_skipped_warmup": 0.0} {
		if a[name] != want {
			t.Errorf("%s is %v (want %v)", name, a[name], want)
		}
	}
	for _, name := range []string{"n_signals", "pregate_skips", "trades_open", "skip_reasons", "drop_reasons"} {
		if got, there := a[name]; there {
			t.Errorf("%s is %v, and one footer does not report it", name, got)
		}
	}
	if reasons := a["exit_reasons"].(map[string]any); reasons["stop"] != 2.0 || reasons["=x"] != 1.0 {
		t.Errorf("exit_reasons is %v", reasons)
	}
	if a := keysOf(t, readOwn(t, "id\n1\n").Attribute([]footer.Footer{told})); a["n_signals"] != 3.0 || a["skip_reasons"].(map[string]any)["spread"] != 4.0 || a["exit_reasons"] != nil {
		t.Errorf("%v", a)
	}
}

func TestOwnSummary(t *testing.T) {
	own := readOwn(t, fourTrades)
	s := Summary{
		RunID: "r1", Outcome: "stopped", Policy: "p", Data: run.Data{Bars: 1000, FirstTS: "a", LastTS: "b"}, Bars: 900, WithoutRows: 2,
		Own:     &OwnCounts{Trades: 7, PnlBps: 10},
		Metrics: own.Measure(), Attribution: own.Attribute([]footer.Footer{{BarsProcessed: 900, Unreported: []string{"trades_open", "n_signals", "pregate_skips", "pregate_passes", "bars_skipped_warmup"}}}),
		CurveFile: "equity_r1.svg",
	}
	var b strings.Builder
	if err := s.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"**Not the whole data: stopped, 900 of 1,000 bars replayed.**", "**Without 2 trades", "**The command counts 5 trades, and has left 4 rows.**",
		"| trades | 4 |", "| total pnl | 10.00 bps |", "| win rate | 50.0 % |", "| maximum drawdown | -6.00 bps |", "![Equity curve](equity_r1.svg)", "| 2026-01 | 3 |", "| replayed | 900 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
	for _, no := range []string{"MAE", "market session", "warm-up", "open trades", "gate", "Exits"} {
		if strings.Contains(b.String(), no) {
			t.Errorf("it says %q, which nobody gave:\n%s", no, b.String())
		}
	}
	var svg strings.Builder
	if err := own.WriteCurve(&svg); err != nil || !strings.Contains(svg.String(), "over 4 trades") || !strings.Contains(svg.String(), "2026-01-05") || !strings.Contains(svg.String(), "2026-02-01") {
		t.Errorf("the curve: %v, %s", err, svg.String())
	}
}

// Whatever a command has left makes no panic and no number that JSON cannot hold.
func FuzzReadOwn(f *testing.F) {
	f.Add(fourTrades)
	f.Add("pnl_bps,exit_time\n1e308,x\n1e308,\n")
	f.Fuzz(func(t *testing.T, text string) {
		own, err := ReadOwn(strings.NewReader(text), parseRFC)
		if err != nil {
			return
		}
		m, a := own.Measure(), own.Attribute(nil)
		var b strings.Builder
		if err := m.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if err := a.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		s := Summary{Metrics: m, Attribution: a, Own: &OwnCounts{Lacking: own.Lacking()}}
		if err := s.WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		if m.NTrades != own.Rows() {
			t.Fatalf("%d trades of %d rows", m.NTrades, own.Rows())
		}
	})
}
