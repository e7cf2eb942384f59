package trade

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"

	"pgregory.net/rapid"
)

// update writes the golden files anew: go test ./internal/trade -update.
var update = flag.Bool("update", false, "write testdata anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "v1", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func testSessions(t testing.TB) feature.SessionTable {
	t.Helper()
	return feature.NewSessionTable([]policy.MarketSession{
		{Name: "EU", StartHour: 7, EndHour: 12},
		{Name: "OVERLAP", StartHour: 12, EndHour: 16},
		{Name: "US", StartHour: 16, EndHour: 22},
		{Name: "ASIA", StartHour: 22, EndHour: 7},
	})
}

// minute is the time of minute n after 2026-01-30 11:00 UTC.
func minute(n int64) int64 {
	return time.Date(2026, 1, 30, 11, 0, 0, 0, time.UTC).UnixNano() + n*int64(time.Minute)
}

// closed is a trade of bars of a minute, entered at 10,000, so that a price of
// 10,000 + x is x bps away.
func closed(bar, held int64, side Side, pnl, mae, mfe float64, reason string) Signal {
	return Signal{
		Bar: bar, TimeNS: minute(bar), Side: side, Score: 0.625,
		EntryBar: bar + 1, EntryTimeNS: minute(bar + 1), EntryPrice: 10_000,
		ExitBar: bar + 1 + held, ExitTimeNS: minute(bar + 1 + held), ExitPrice: 10_000 + float64(side)*pnl, ExitReason: reason,
		BarsHeld: held, MAEBps: mae, MFEBps: mfe, MAEBars: 1, MFEBars: held + 1, MarkBar: NoBar,
	}
}

// fixture is a signal in each state, with each kind of end.
func fixture() []Signal {
	atClose := closed(200, 3, Short, -0.1, -1.5, 0, `a "own", reason`)
	atClose.EntryBar, atClose.EntryTimeNS = 200, minute(200)
	atClose.MFEBars = 0
	open := closed(50_000, 0, Long, 0, -2, 3, "")
	open.ExitBar, open.ExitTimeNS, open.ExitPrice = NoBar, 0, 0
	open.Open, open.BarsHeld, open.MFEBars, open.MarkBar, open.MarkPrice = true, 2, 2, 50_002, 10_002
	open.Left = &State{ClosePrice: 9999.5, Stop: 9990, StopReason: ExitStop, Best: 10_003, TrailingOn: true, Exit: ExitMaxBars, RuleAOn: true, RuleABest: 2.5}
	return []Signal{
		closed(10, 20, Long, 10, -2, 10, ExitTarget), // exits at bar 31
		closed(12, 5, Short, -8, -8, 3, ExitStop),    // at 18
		closed(13, 9, Long, -4, -5, 1, ExitMaxBars),  // at 23
		closed(70, 40, Short, 0, -2, 4, ExitTrailing),
		{Bar: 90, TimeNS: minute(90), Side: Long, Score: 0.5, EntryBar: NoBar, ExitBar: NoBar, MarkBar: NoBar, Expired: true},
		atClose,
		closed(3_000, 500, Long, 6.5, -0.25, 13, ExitRuleAProfit),
		open,
		{Bar: 50_003, TimeNS: minute(50_003), Side: Short, Score: 1. / 3, EntryBar: NoBar, ExitBar: NoBar, MarkBar: NoBar, Left: &State{ClosePrice: 9_999.75}},
	}
}

// followEach follows a signal at every bar whose side is not 0 for at most
// most bars, or to the data's end.
func followEach(r *Rules, x []bars.Bar, sides []Side, most int) []Signal {
	var out []Signal
	for i, side := range sides {
		if side == 0 {
			continue
		}
		f := Follow(r, int64(i), &x[i], side, 0.5+float64(i)/128)
		finishOn(&f, x, i+1, most)
		out = append(out, f.Leave())
	}
	return out
}

// finishOn goes on with f from bar next for at most most bars; if the data
// ends there, so does f.
func finishOn(f *Follower, x []bars.Bar, next, most int) {
	for n := range most {
		if next+n >= len(x) {
			break
		}
		if f.Step(int64(next+n), &x[next+n]) {
			return
		}
	}
	if next+most >= len(x) {
		f.End(int64(len(x)-1), &x[len(x)-1])
	}
}

func drawSides(t *rapid.T, n int) []Side {
	sides := make([]Side, n)
	for i := range sides {
		sides[i] = rapid.SampledFrom([]Side{0, Long, Short}).Draw(t, "side")
	}
	return sides
}
