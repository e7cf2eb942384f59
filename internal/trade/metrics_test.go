package trade

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"

	"pgregory.net/rapid"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// pnlOf is a trade of one figure, at a bar, that holds for some bars.
func pnlOf(bar, held int64, pnl float64) Signal {
	return closed(bar, held, Long, pnl, min(pnl, 0), max(pnl, 0), ExitTarget)
}

func TestFiguresByHand(t *testing.T) {
	for _, c := range []struct {
		name   string
		trades []Signal
		want   map[string]float64 // by their names in the file; the others are 0
	}{
		{"none", nil, nil},
		{
			// The quantiles of one value are that value; no deviation.
			"one loss", []Signal{pnlOf(0, 1, -4)},
			map[string]float64{"n_trades": 1, "total_pnl_bps": -4, "mean_pnl_bps": -4, "median_pnl_bps": -4, "mae_bps": 4, "p1_loss": -4, "p5_loss": -4, "max_dd": -4, "max_loss_streak": 1},
		},
		{
			// Sum 5, mean 1; sorted -10, -2, 2, 5, 10. Squares about the mean: 9²,
			// 1², 11², 4², 3². Quantile 1 %: place 0.04, -10 + 8·0.04 = -9.68;
			// 5 %: place 0.2, -10 + 8·0.2 = -8.4. Curve 10, 12, 2, 7, 5: deepest
			// 2 - 12. MAE (10 + 2) / 5, MFE (10 + 2 + 5) / 5.
			"five, one after the other", []Signal{pnlOf(0, 1, 10), pnlOf(10, 1, 2), pnlOf(20, 1, -10), pnlOf(30, 1, 5), pnlOf(40, 1, -2)},
			map[string]float64{
				"n_trades": 5, "win_rate": 0.6, "total_pnl_bps": 5, "mean_pnl_bps": 1, "median_pnl_bps": 2, "std_pnl_bps": math.Sqrt((81 + 1 + 121 + 16 + 9) / 4.),
				"mae_bps": 12. / 5, "mfe_bps": 17. / 5, "p1_loss": -9.68, "p5_loss": -8.4, "max_dd": -10, "max_loss_streak": 1,
			},
		},
		{
			// In the order of exits (bars 3, 4, 12, 101): -1, -2, -3, 10. The
			// curve is -1, -3, -6, 4; by entries the winner would come first.
			// A pnl of 0 wins nothing and ends a streak. Sorted -3, -2, -1, -1, 0,
			// 10: 1 % at place 0.05, 5 % at 0.25; squares about the mean 0.5.
			"order of exits", []Signal{pnlOf(0, 100, 10), pnlOf(1, 1, -1), pnlOf(2, 1, -2), pnlOf(10, 1, -3), pnlOf(200, 1, 0), pnlOf(300, 1, -1)},
			map[string]float64{
				"n_trades": 6, "win_rate": 1. / 6, "total_pnl_bps": 3, "mean_pnl_bps": 0.5, "median_pnl_bps": -1,
				"std_pnl_bps": math.Sqrt((90.25 + 2.25 + 6.25 + 12.25 + 0.25 + 2.25) / 5),
				"mae_bps":     7. / 6, "mfe_bps": 10. / 6, "p1_loss": -2.95, "p5_loss": -2.75, "max_dd": -6, "max_loss_streak": 3,
			},
		},
	} {
		got := keysOf(t, Measure(closedOf(c.trades), testSessions(t), nil).Figures)
		if len(got) != 12 {
			t.Errorf("%s: %d figures (want 12)", c.name, len(got))
		}
		for name, x := range got {
			if !near(x.(float64), c.want[name]) {
				t.Errorf("%s: %s is %v (want %v)", c.name, name, x, c.want[name])
			}
		}
	}
}

// The deepest fall is the least sum of trades that follow each other, and the
// parts of the run hold each trade once.
func TestMetricsLaws(t *testing.T) {
	sessions := testSessions(t)
	rapid.Check(t, func(t *rapid.T) {
		var trades []Signal
		for i := range rapid.IntRange(0, 30).Draw(t, "trades") {
			trades = append(trades, pnlOf(int64(i)*rapid.Int64Range(1, 3000).Draw(t, "distance")+int64(i), 1, float64(rapid.IntRange(-9, 9).Draw(t, "pnl"))))
		}
		m := Measure(closedOf(trades), sessions, nil)
		var deepest float64
		var streak int64
		for i := range trades {
			var sum float64
			var losing int64
			lost := true
			for _, s := range sortedByExit(trades)[i:] {
				sum += s.PnlBps()
				deepest = min(deepest, sum)
				if lost = lost && s.PnlBps() < 0; lost {
					losing++
				}
			}
			streak = max(streak, losing)
		}
		if !near(m.MaxDD, deepest) || m.MaxLossStreak != streak {
			t.Fatalf("max_dd %v, streak %d (want %v, %d)", m.MaxDD, m.MaxLossStreak, deepest, streak)
		}
		for name, parts := range map[string]map[string]Figures{"session": m.BySession, "month": m.ByMonth} {
			var n int64
			var total float64
			for _, f := range parts {
				n += f.NTrades
				total += f.TotalPnlBps
			}
			if n != m.NTrades || !near(total, m.TotalPnlBps) {
				t.Fatalf("by %s: %d trades, %v bps (want %d, %v)", name, n, total, m.NTrades, m.TotalPnlBps)
			}
		}
		if m.P1Loss > m.P5Loss || m.P5Loss > m.MedianPnlBps || m.StdPnlBps < 0 || m.WinRate < 0 || m.WinRate > 1 {
			t.Fatalf("%+v", m)
		}
	})
}

// sortedByExit is an insertion sort, so that the law does not lean on byExit.
func sortedByExit(trades []Signal) []Signal {
	var out []Signal
	for _, s := range trades {
		k := len(out)
		for k > 0 && (out[k-1].ExitBar > s.ExitBar || out[k-1].ExitBar == s.ExitBar && out[k-1].EntryBar > s.EntryBar) {
			k--
		}
		out = append(out[:k], append([]Signal{s}, out[k:]...)...)
	}
	return out
}

func fixtureAttribution(t testing.TB) Attribution {
	t.Helper()
	signals := fixture()
	taken, dropped, err := Taken(signals, policy.Risk{MaxOpenTrades: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := attribute(signals, taken, dropped)
	*a.BarsProcessed, *a.BarsSkippedWarmup, *a.PregateSkips, *a.PregatePasses = 50_004, 14, 30_000, 19_990
	a.SkipReasons = footer.Counts{"spread_too_high": 10_000, "session_not_allowed": 20_000}
	return a
}

func TestAttribution(t *testing.T) {
	a := fixtureAttribution(t)
	// Of nine signals: bar 13 finds two trades open (bars 10 and 12), one is
	// pending, one expired, one trade is open.
	want := Attribution{
		Schema: 1, BarsProcessed: new(int64(50_004)), BarsSkippedWarmup: new(int64(14)), PregateSkips: new(int64(30_000)), PregatePasses: new(int64(19_990)),
		SkipReasons: footer.Counts{"spread_too_high": 10_000, "session_not_allowed": 20_000},
		NSignals:    new(int64(9)), NTrades: 5, TradesOpen: new(int64(1)),
		DropReasons: footer.Counts{DropPending: 1, DropExpired: 1, DropMaxOpen: 1},
		ExitReasons: footer.Counts{ExitTarget: 1, ExitStop: 1, ExitTrailing: 1, `a "own", reason`: 1, ExitRuleAProfit: 1},
	}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %+v\nwant %+v", a, want)
	}
}

func fixtureSummary(t testing.TB) Summary {
	t.Helper()
	signals := fixture()
	a := fixtureAttribution(t)
	taken, _, err := Taken(signals, policy.Risk{MaxOpenTrades: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Summary{
		RunID: "r_1", Bars: *a.BarsProcessed, Outcome: "stopped", Scope: "stretches", Policy: "sniper|v2 *new*", Fill: "next_open", OpenPnlBps: 2,
		Data:    run.Data{SHA256: strings.Repeat("ab", 32), Bars: 70_000, FirstTS: "2026-01-30T11:00:00Z", LastTS: "2026-03-20T01:39:00Z"},
		Metrics: Measure(taken.Closed(signals), testSessions(t), nil), Attribution: a, CurveFile: "equity_r_1.svg",
	}
}

func TestReportsGolden(t *testing.T) {
	signals := fixture()
	s := fixtureSummary(t)
	none := NewAttribution()
	none.Schema = 0
	empty := Summary{
		RunID: "none", Outcome: "complete", Scope: "run", Policy: "p", Fill: "signal_close", Data: run.Data{Bars: 3},
		Metrics: Measure(closedOf(nil), testSessions(t), nil), Attribution: none, CurveFile: "equity_none.svg",
	}
	charged := empty
	charged.Metrics = Measure(closedOf(signals), testSessions(t), exampleCosts())
	for name, write := range map[string]func(io.Writer) error{
		"metrics.json":          s.Metrics.WriteJSON,
		"metrics_none.json":     empty.Metrics.WriteJSON,
		"attribution.json":      s.Attribution.WriteJSON,
		"attribution_none.json": empty.Attribution.WriteJSON,
		"summary.md":            s.WriteMarkdown,
		"summary_none.md":       empty.WriteMarkdown,
		"equity.svg":            func(w io.Writer) error { return WriteCurve(w, closedOf(signals), nil) },
		"equity_none.svg":       func(w io.Writer) error { return WriteCurve(w, closedOf(nil), nil) },
		"metrics_charged.json":  charged.Metrics.WriteJSON,
		"summary_charged.md":    charged.WriteMarkdown,
		"equity_charged.svg":    func(w io.Writer) error { return WriteCurve(w, closedOf(signals), exampleCosts()) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
		switch {
		case strings.HasSuffix(name, ".json"):
			if !json.Valid(b.Bytes()) || bytes.Contains(b.Bytes(), []byte("null")) {
				t.Errorf("%s is no JSON, or has a null", name)
			}
		case strings.HasSuffix(name, ".svg"):
			wellFormed(t, b.Bytes())
		}
	}
}

// Maps that nobody made are written as empty ones.
func TestZeroValuesHaveNoNull(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{"metrics": Metrics{}.WriteJSON, "attribution": Attribution{}.WriteJSON} {
		var b bytes.Buffer
		if err := write(&b); err != nil || bytes.Contains(b.Bytes(), []byte("null")) {
			t.Errorf("%s: %v\n%s", name, err, b.Bytes())
		}
	}
}

func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		switch _, err := d.Token(); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// However many trades: the drawing is small, and its lines meet both ends.
func TestCurveIsBounded(t *testing.T) {
	trades := make([]Signal, 200_000)
	for i := range trades {
		trades[i] = pnlOf(int64(i), 0, float64(i*7919%13)-6)
	}
	var b bytes.Buffer
	if err := WriteCurve(&b, closedOf(trades), nil); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 40<<10 {
		t.Errorf("%d bytes", b.Len())
	}
	wellFormed(t, b.Bytes())
	if !strings.Contains(b.String(), `d="M70 `) || !strings.Contains(b.String(), "H785V") {
		t.Error("the line does not run from the left edge to the right")
	}
}

func drawnCurve(t *testing.T, trades []Signal) string {
	t.Helper()
	var b strings.Builder
	if err := WriteCurve(&b, closedOf(trades), nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A curve that only falls begins at its top.
func TestCurveOfOneLoss(t *testing.T) {
	trades := []Signal{pnlOf(0, 0, -5)}
	got := drawnCurve(t, trades)
	if !strings.Contains(got, `d="M70 20H785V285"`) {
		t.Errorf("got %s", got)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain text 1.5":      "plain text 1.5",
		"snake_case":          "snake_case",
		"_x_":                 `\_x\_`,
		"a|b":                 `a\|b`,
		"two\nlines":          "two lines",
		"<script>":            `\<script\>`,
		"![x](http://a.b)":    `\!\[x\]\(http://a.b\)`,
		"`c` *b* # &amp; ~~s": "\\`c\\` \\*b\\* \\# \\&amp; \\~\\~s",
		`back\slash`:          `back\\slash`,
	} {
		if got := escape(in); got != want {
			t.Errorf("escape(%q) = %q (want %q)", in, got, want)
		}
	}
	if got, want := linkTarget("equity a(b)_1.svg"), "equity%20a%28b%29_1.svg"; got != want {
		t.Errorf("linkTarget: %q (want %q)", got, want)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", -123: "-123", math.MinInt64: "-9,223,372,036,854,775,808"} {
		if got := whole(n); got != want {
			t.Errorf("whole(%d) = %q (want %q)", n, got, want)
		}
	}
}

// Trades that changed nothing are a flat line.
func TestCurveOfNothing(t *testing.T) {
	trades := []Signal{pnlOf(0, 0, 0), pnlOf(5, 2, 0)}
	got := drawnCurve(t, trades)
	if !strings.Contains(got, `d="M70 285H70V285H785V285"`) {
		t.Errorf("got %s", got)
	}
}
