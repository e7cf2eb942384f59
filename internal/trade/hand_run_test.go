package trade

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
)

// handCase is a small market, a policy and signals, with the trades file that
// a person finds with pencil and paper.
type handCase struct {
	name    string
	policy  string // YAML, as users write it
	bars    string // one line a bar, see handBars
	signals []handSignal
	stopped int64 // the replay of the first bars was stopped before this one; 0: it was not

	rows  []string // the lines of the trades file below the header
	open  *handOpen
	drops map[string]int64
}

type handSignal struct {
	bar   int64
	side  Side
	score float64
}

// handOpen is the one trade that is open at the end.
type handOpen struct {
	entryBar, markBar int64
	markPrice, pnlBps float64
}

// handBars reads lines "Fri 10  9998 10004 9990 9996 +2": the day and hour
// (UTC) at which the bar opens, its bid open, high, low and close, and the
// spread. Each ask price is the bid price plus the spread.
func handBars(t *testing.T, text string) []bars.Bar {
	t.Helper()
	days := map[string]time.Time{
		"Fri": time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC),
		"Mon": time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC),
	}
	var out []bars.Bar
	for line := range strings.Lines(strings.TrimSpace(text)) {
		var day, hourText string
		var open, high, low, closing, spread float64
		if _, err := fmt.Sscan(line, &day, &hourText, &open, &high, &low, &closing, &spread); err != nil {
			t.Fatalf("bar %q: %v", line, err)
		}
		hour, err := strconv.Atoi(hourText)
		if err != nil || days[day].IsZero() || low > min(open, closing) || high < max(open, closing) || spread <= 0 {
			t.Fatalf("bar %q is none", line)
		}
		out = append(out, bars.Bar{
			TimeNS:  days[day].Add(time.Duration(hour) * time.Hour).UnixNano(),
			BidOpen: open, BidHigh: high, BidLow: low, BidClose: closing,
			AskOpen: open + spread, AskHigh: high + spread, AskLow: low + spread, AskClose: closing + spread,
		})
	}
	return out
}

// run replays the case's signals, each of which is followed for at most most
// bars before the selection asks for the rest, as it is where a signal
// outlives its chunk. The rows must not depend on it.
func (c handCase) run(t *testing.T, most int) {
	t.Helper()
	p, err := policy.Parse("hand.yaml", []byte(c.policy), policy.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := NewRules(p, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	x := handBars(t, c.bars)
	var signals []Signal
	for _, s := range c.signals {
		f := Follow(&rules, s.bar, &x[s.bar], s.side, s.score)
		if s.bar >= c.stopped {
			finishOn(&f, x, int(s.bar)+1, most)
		}
		for i := s.bar + 1; i < c.stopped && !f.Step(i, &x[i]); i++ {
		}
		signals = append(signals, f.Leave())
	}
	taken, drops, err := Taken(signals, p.Risk, func(s *Signal) error {
		if s.Bar < c.stopped {
			return nil // what a stopped attempt has left open stays open
		}
		return Finish(&rules, s, int64(len(x)), barsFrom(x, s.Next()))
	})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := WriteCSV(&file, taken.Closed(signals), testSessions(t), nil); err != nil {
		t.Fatal(err)
	}
	c.checkRows(t, file.String())
	if !maps.Equal(drops, c.drops) {
		t.Errorf("dropped %v (want %v)", drops, c.drops)
	}
	var open []handOpen
	for i := range taken.All() {
		if s := &signals[i]; s.Open {
			open = append(open, handOpen{s.EntryBar, s.MarkBar, s.MarkPrice, math.Round(s.PnlBps()*1e9) / 1e9})
		}
	}
	var want []handOpen
	if c.open != nil {
		want = append(want, *c.open)
	}
	if !slices.Equal(open, want) {
		t.Errorf("open %+v (want %+v)", open, want)
	}
}

// handColumns are the columns of the rows that were found by hand. A column that
// was added since is held by TestRowByHand and the second engine.
const handColumns = "trade_id,entry_time,exit_time,pnl_bps,mae_bps,mfe_bps,time_to_mae_bars,time_to_mfe_bars," +
	"close_to_mfe_bps,exit_efficiency,duration_bars,side,session,exit_reason,entry_price,exit_price,score," +
	"signal_bar,entry_bar,exit_bar"

// checkRows compares a trades file with the rows found by hand: texts, times
// and whole numbers must be the same, prices and bps the same to a billionth:
// no person does the sums in binary fractions.
func (c handCase) checkRows(t *testing.T, file string) {
	t.Helper()
	got, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want, err := csv.NewReader(strings.NewReader(handColumns + "\n" + strings.Join(c.rows, "\n"))).ReadAll()
	if err != nil {
		t.Fatalf("the wanted rows: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d trades (want %d):\n%s", len(got)-1, len(want)-1, file)
	}
	for k := 1; k < len(want); k++ {
		for i, name := range want[0] {
			g, w := got[k][slices.Index(got[0], name)], want[k][i]
			if g == w {
				continue
			}
			a, errA := strconv.ParseFloat(g, 64)
			b, errB := strconv.ParseFloat(w, 64)
			if errA != nil || errB != nil || !strings.Contains(g, ".") || math.Abs(a-b) > 1e-9 {
				t.Errorf("row %d: %s is %s (want %s)", k, name, g, w)
			}
		}
	}
}
