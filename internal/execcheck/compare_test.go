package execcheck

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const barNS = int64(5 * time.Minute)

// aChecker has a data set of n bars of five minutes.
func aChecker(n int64) *checker {
	c := &checker{Config: Config{Range: run.BarRange{End: n}, Manifest: run.Manifest{Command: run.Command{Emits: run.EmitsTrades}}}}
	for i := range n {
		c.times = append(c.times, i*barNS+1_700_000_100e9)
	}
	return c
}

func (c *checker) text(bar int64) string {
	return time.Unix(0, c.times[bar]).UTC().Format(time.RFC3339)
}

// trades makes a file of trades: rows of "entry exit rest…", bars first.
func (c *checker) trades(t testing.TB, rows ...string) left {
	t.Helper()
	text := "trade_id,entry_time,exit_time,side,pnl\n"
	for i, r := range rows {
		var entry, exit int64
		var side, pnl string
		if _, err := fmt.Sscan(r, &entry, &exit, &side, &pnl); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%d,%s,%s,%s,%s\n", i+1, c.text(entry), c.text(exit), side, pnl)
	}
	l := left{}
	var err error
	l.table, err = readTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (c *checker) parts(list ...left) []left {
	for i, at := range cut(c.Range, len(list)) {
		list[i].piece = Piece{i, len(list), at}
	}
	return list
}

func TestTradesThatDiffer(t *testing.T) {
	type found struct {
		Border int64
		Cause  Cause
		Rows   int
		Behind int64
		Again  bool
		Tail   int64
	}
	// 1000 bars, two pieces: the border is at bar 500.
	for name, c := range map[string]struct {
		whole, first, second []string
		want                 []found
	}{
		"the same": {
			[]string{"10 20 long 1.5", "600 610 short -2"}, []string{"10 20 long 1.50"}, []string{"600 610 short -2.0"}, nil},
		"nothing at all": {nil, nil, nil, nil},
		"another order":  {[]string{"10 20 long 1", "15 18 long 2"}, []string{"15 18 long 2", "10 20 long 1"}, nil, nil},
		"two that are alike": {
			[]string{"10 20 long 1", "10 20 long 1"}, []string{"10 20 long 1", "10 20 long 1"}, nil, nil},
		"one of two that are alike is lost": {
			[]string{"10 20 long 1", "510 520 long 1", "510 520 long 1", "700 710 long 1"}, []string{"10 20 long 1"}, []string{"510 520 long 1", "700 710 long 1"},
			[]found{{500, CauseWarmup, 1, 11, true, 0}}},
		"a warm-up that is too short": {
			[]string{"10 20 long 1", "520 530 long 1", "700 710 long 1"}, []string{"10 20 long 1"}, []string{"515 530 long 1", "700 710 long 1"},
			[]found{{500, CauseWarmup, 2, 21, true, 0}}},
		"another profit": {
			[]string{"520 530 long 1", "700 710 long 1"}, nil, []string{"520 530 long 1.0000000000000002", "700 710 long 1"},
			[]found{{500, CauseWarmup, 1, 21, true, 0}}},
		"a state that is carried on": {
			[]string{"520 530 long 1", "700 710 long 1", "900 910 long 1"}, nil, []string{"520 530 long 2", "700 710 long 1", "900 910 long 2"},
			[]found{{500, CauseState, 2, 401, false, 0}}},
		"a trade is cut off": {
			[]string{"490 505 long 1", "700 710 long 1"}, []string{"490 499 long 0.5"}, []string{"700 710 long 1"},
			[]found{{500, CauseTail, 1, 0, false, 6}}},
		"a trade is lost at the border": {
			[]string{"490 500 long 1", "700 710 long 1"}, nil, []string{"700 710 long 1"},
			[]found{{500, CauseTail, 1, 0, false, 1}}},
		"a position keeps others out": {
			[]string{"490 540 long 1", "600 610 long 1"}, []string{"490 540 long 1"}, []string{"520 530 long 1", "600 610 long 1"},
			[]found{{500, CausePosition, 1, 21, true, 0}}},
		"and what follows from it": {
			[]string{"490 540 long 1", "545 610 long 1", "800 810 long 1"}, []string{"490 540 long 1"}, []string{"530 550 long 1", "560 565 long 1", "800 810 long 1"},
			[]found{{500, CausePosition, 3, 61, true, 0}}},
		"many positions keep nobody out": {
			[]string{"480 600 long 1", "490 540 long 1", "800 810 long 1"}, []string{"480 600 long 1", "490 540 long 1"}, []string{"520 530 long 1", "800 810 long 1"},
			[]found{{500, CauseWarmup, 1, 21, true, 0}}},
		"what lies ahead": {
			[]string{"10 20 long 1", "300 310 long 1"}, []string{"11 20 long 1", "300 310 long 1"}, nil,
			[]found{{0, CauseAhead, 2, 12, true, 0}}},
	} {
		k := aChecker(1000)
		got, err := k.compareTables(k.trades(t, c.whole...), k.parts(k.trades(t, c.first...), k.trades(t, c.second...)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var list []found
		for _, f := range got {
			list = append(list, found{f.Border, f.Cause, f.Rows, f.BarsBehind, f.AgreesAgain, f.TailBars})
		}
		if !reflect.DeepEqual(list, c.want) {
			t.Errorf("%s: %+v\nwant %+v", name, list, c.want)
		}
		if !slices.Equal(k.notCompared, []string{"trade_id"}) {
			t.Errorf("%s: not compared: %q", name, k.notCompared)
		}
	}
}

func tableOf(t *testing.T, text string) left {
	t.Helper()
	tab, err := readTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return left{table: tab}
}

func TestColumnsThatAreNotCompared(t *testing.T) {
	k := aChecker(1000)
	k.Ignore = []string{"Made"}
	at := func(bar int64) string { return k.text(bar) }
	// order_no counts rows, under a name that nobody knows; bars counts too, and
	// is the trade's time.
	whole := tableOf(t, "order_no,time,made,x\n7,"+at(1)+",09:00,1\n8,"+at(2)+",09:01,1\n9,"+at(600)+",09:02,1\n")
	first := tableOf(t, "order_no,time,made,x\n1,"+at(1)+",10:00,1\n2,"+at(2)+",10:00,1\n")
	second := tableOf(t, "order_no,time,made,x\n1,"+at(600)+",10:00,1\n")
	got, err := k.compareTables(whole, k.parts(first, second))
	if err != nil || len(got) > 0 || !slices.Equal(k.notCompared, []string{"order_no", "made"}) {
		t.Errorf("%+v, %v, not compared %q", got, err, k.notCompared)
	}
	if _, err := k.compareTables(whole, k.parts(first, tableOf(t, "order_no,time,x\n1,"+at(600)+",1\n"))); err == nil || !strings.Contains(err.Error(), "piece 2 of 2") {
		t.Errorf("other columns: %v", err)
	}
	if _, err := k.compareTables(tableOf(t, "id\n1\n"), k.parts(tableOf(t, "id\n1\n"), left{nothing: true})); err == nil || !strings.Contains(err.Error(), "no column") {
		t.Errorf("nothing to compare: %v", err)
	}
}

// Rows without times are compared, and stand at no border.
func TestRowsWithoutTimes(t *testing.T) {
	k := aChecker(1000)
	got, err := k.compareTables(tableOf(t, "symbol,pnl\nXAU,1\nXAU,2\n"), k.parts(tableOf(t, "symbol,pnl\nXAU,1\n"), tableOf(t, "symbol,pnl\nXAU,3\n")))
	if err != nil || len(got) != 1 || got[0].Cause != CauseUnknown || got[0].Rows != 2 || got[0].Border != -1 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestScoresThatDiffer(t *testing.T) {
	k := aChecker(100)
	k.Manifest.Command.Emits = run.EmitsScores
	series := func(from, to int, at func(i int) float64) scores {
		var s scores
		for i := from; i < to; i++ {
			s.long, s.short = append(s.long, at(i)), append(s.short, 0.5)
		}
		return s
	}
	base := func(i int) float64 {
		if i < 3 {
			return math.NaN()
		}
		return float64(i) / 1000
	}
	off := func(from, to int) func(int) float64 {
		return func(i int) float64 {
			if i >= from && i < to {
				return base(i) + 0.25
			}
			return base(i)
		}
	}
	type found struct {
		Border, First int64
		Cause         Cause
		Rows          int
		Behind, Tail  int64
	}
	for name, c := range map[string]struct {
		first, second func(int) float64
		want          []found
	}{
		"the same":           {base, base, nil},
		"a short warm-up":    {base, off(50, 60), []found{{50, 50, CauseWarmup, 10, 10, 0}}},
		"to the end":         {base, off(50, 100), []found{{50, 50, CauseState, 50, 50, 0}}},
		"ahead at its end":   {off(45, 50), base, []found{{50, 45, CauseTail, 5, 0, 5}}},
		"everywhere":         {off(0, 50), base, []found{{0, 3, CauseTail, 47, 0, 47}}},
		"none where one is":  {base, func(i int) float64 { return map[bool]float64{true: math.NaN(), false: base(i)}[i < 52] }, []found{{50, 50, CauseWarmup, 2, 2, 0}}},
		"in its first piece": {off(10, 12), base, []found{{0, 10, CauseAhead, 2, 12, 0}}},
	} {
		if name == "everywhere" {
			c.want[0].Border = 50 // up to the border behind it
		}
		var list []found
		for _, f := range k.compareScores(left{scores: series(0, 100, base)}, k.parts(left{scores: series(0, 50, c.first)}, left{scores: series(50, 100, c.second)})) {
			list = append(list, found{f.Border, f.FirstBar, f.Cause, f.Rows, f.BarsBehind, f.TailBars})
			if want := 0.25; name != "none where one is" && math.Abs(f.Moved-want) > 1e-12 {
				t.Errorf("%s: moved by %v (want %v)", name, f.Moved, want)
			}
		}
		if !reflect.DeepEqual(list, c.want) {
			t.Errorf("%s: %+v\nwant %+v", name, list, c.want)
		}
	}
}

// Signals are compared by their bars; one that is open in the slice of a chunk
// and closed in the whole range reaches over the border.
func TestSignalsThatDiffer(t *testing.T) {
	k := aChecker(1000)
	k.Manifest.Command.Emits = run.EmitsSignals
	signal := func(bar, exit int64) trade.Signal {
		s := trade.Signal{Bar: bar, Side: trade.Long, EntryBar: bar + 1, EntryPrice: 10, ExitBar: exit, ExitPrice: 11, ExitReason: "x", Score: 0.7}
		if exit == trade.NoBar {
			s.ExitPrice, s.ExitReason, s.Open = 0, "", true
		}
		return s
	}
	whole := left{table: signalTable([]trade.Signal{signal(10, 20), signal(490, 520), signal(600, 610)})}
	parts := k.parts(left{table: signalTable([]trade.Signal{signal(10, 20), signal(490, trade.NoBar)})}, left{table: signalTable([]trade.Signal{signal(600, 610)})})
	got, err := k.compareTables(whole, parts)
	if err != nil || len(got) != 1 || got[0].Cause != CauseTail || got[0].Rows != 1 || got[0].TailBars != 21 || !strings.Contains(got[0].Cut, "exit_reason=open") {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"1", "1.0", true}, {"1.50", " 1.5", true}, {"-0.0", "0", true}, {"1e3", "1000", true}, {"nan", "NaN", true},
		{"9007199254740993", "9007199254740992", false}, {"0.1", "0.10000000000000001", true}, {"0.1", "0.1000000000000001", false},
		{"long", "short", false}, {"", "0", false},
	} {
		if got := canonical(c.a) == canonical(c.b); got != c.same {
			t.Errorf("%q and %q: %q, %q", c.a, c.b, canonical(c.a), canonical(c.b))
		}
	}
}

func TestTextOfAReport(t *testing.T) {
	r := Report{Emits: run.EmitsTrades, EndBar: 1000, WarmupBars: 60, TailBars: 5, Borders: 3, NotCompared: []string{"trade_id"}}
	r.judge()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || !r.Same {
		t.Fatal(err)
	}
	if want := "not compared: trade_id\nno difference at 3 borders: the trades do not depend on where bars 0 to 999 are cut\n"; b.String() != want {
		t.Errorf("%q (want %q)", b.String(), want)
	}
	r.Findings = []Finding{
		{Pieces: 2, Border: 500, Cause: CauseWarmup, Rows: 2, FirstBar: 515, BarsBehind: 40, AgreesAgain: true, Cut: "entry_time=x"},
		{Pieces: 2, Border: 500, Cause: CauseTail, Rows: 1, FirstBar: 490, TailBars: 6, Whole: "entry_time=y"},
		{Pieces: 2, Border: 500, Cause: CauseTail, Rows: 1, FirstBar: 490, TailBars: 4},
	}
	r.judge()
	b.Reset()
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"15 bars behind", "after 40 bars", "10 bars before", "warmup_bars: 100 in the policy", "--exec-tail-bars 6", "whole: (none) cut: entry_time=x", "EMA"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if len(line) > 130 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}

func TestCutIsThatOfARun(t *testing.T) {
	r := run.BarRange{First: 100, End: 1107}
	for _, n := range []int{1, 2, 7} {
		plan, err := run.NewPlan(r.Len(), n, 0, run.OrderTime)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range cut(r, n) {
			want := plan.Chunk(i).Bars
			if at.First != want.First+100 || at.End != want.End+100 {
				t.Errorf("piece %d of %d: %+v (want %+v, shifted by 100)", i, n, at, want)
			}
		}
	}
}

// Whatever stands in files of trades is compared without a panic, and a file is
// the same as itself.
func FuzzTrades(f *testing.F) {
	f.Add("entry_time,exit_time,pnl\n2023-11-14 22:15:00,2023-11-14 22:20:00,1\n", "entry_time,exit_time,pnl\n")
	f.Add("a\n1\n", "a\n2\n")
	f.Add("time,x\n1700000100,\"a\nb\"\n", "time,x\n-5,\n")
	f.Fuzz(func(t *testing.T, whole, cut string) {
		k := aChecker(50)
		var list []left
		for _, text := range []string{whole, cut} {
			tab, err := readTable([]byte(text))
			if err != nil || len(tab.header) == 0 {
				return
			}
			list = append(list, left{table: tab})
		}
		found, err := k.compareTables(list[0], k.parts(list[0], left{nothing: true}))
		if err == nil && len(found) > 0 && !slices.ContainsFunc(found, func(f Finding) bool { return f.Rows > 0 }) {
			t.Errorf("findings without rows: %+v", found)
		}
		if err == nil && len(found) > 0 {
			t.Errorf("a file differs from itself: %+v", found)
		}
		if found, err = k.compareTables(list[0], k.parts(list[1], list[1])); err == nil {
			r := Report{Findings: found}
			r.judge()
			var b strings.Builder
			if err := r.WriteText(&b); err != nil {
				t.Error(err)
			}
		}
	})
}
