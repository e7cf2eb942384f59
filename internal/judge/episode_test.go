package judge_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gx1replay/internal/judge"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// closed is a long signal at bar that enters at the next and leaves at exit
// with a pnl of so many bps.
func closed(bar, exit int64, bps float64) trade.Signal {
	return trade.Signal{
		Bar: bar, EntryBar: bar + 1, ExitBar: exit, Side: trade.Long, MarkBar: trade.NoBar,
		EntryPrice: 10_000, ExitPrice: 10_000 + bps,
	}
}

func oneSlot() policy.Risk { return policy.Risk{MaxOpenTrades: 1} }

type row struct {
	cause         judge.Cause
	first, end    int64
	a, b, changed int
	pnl           float64
}

func rows(t judge.Trades) []row {
	var list []row
	for _, e := range t.Episodes {
		r := row{cause: e.Cause, first: e.First, end: e.End}
		var sum judge.Sum
		for _, d := range e.Differences {
			switch {
			case d.A == nil:
				r.b++
				sum.Add(d.B.PnlBps())
			case d.B == nil:
				r.a++
				sum.Add(-d.A.PnlBps())
			default:
				r.changed++
				sum.Add(d.B.PnlBps())
				sum.Add(-d.A.PnlBps())
			}
		}
		r.pnl = math.Round(sum.Value()*1e6) / 1e6
		list = append(list, r)
	}
	return list
}

func TestMatch(t *testing.T) {
	skips := func(list ...int64) func(int64) bool {
		return func(bar int64) bool { return slices.Contains(list, bar) }
	}
	short := func(s trade.Signal) trade.Signal { s.Side = trade.Short; return s }
	const forever = math.MaxInt64
	for _, c := range []struct {
		name string
		a, b judge.Signals
		same int
		want []row
	}{
		{name: "no signals"},
		{
			name: "equal",
			a:    judge.Signals{List: []trade.Signal{closed(1, 5, 3), closed(8, 9, -1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 5, 3), closed(8, 9, -1)}, Rules: oneSlot()},
			same: 2,
		},
		{
			name: "gated, and what the gate freed",
			// A's first trade holds the slot until bar 6, so A drops the signal of bar 3.
			a:    judge.Signals{List: []trade.Signal{closed(1, 6, 5), closed(3, 5, 2), closed(8, 9, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(3, 5, 2), closed(8, 9, 1)}, Rules: oneSlot(), Skipped: skips(1)},
			same: 1,
			want: []row{{judge.CauseGated, 1, 8, 1, 1, 0, -3}},
		},
		{
			name: "a signal that one model alone sees",
			a:    judge.Signals{List: []trade.Signal{closed(1, 4, 5)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 4, 5), closed(10, 12, 7)}, Rules: oneSlot()},
			same: 1,
			want: []row{{judge.CauseScore, 10, forever, 0, 1, 0, 7}},
		},
		{
			name: "the other side",
			a:    judge.Signals{List: []trade.Signal{closed(1, 4, 5)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{short(closed(1, 4, 5))}, Rules: oneSlot()},
			want: []row{{judge.CauseScore, 1, forever, 1, 1, 0, -10}},
		},
		{
			name: "another exit, and what it displaces",
			a:    judge.Signals{List: []trade.Signal{closed(1, 4, 5), closed(5, 7, 3), closed(20, 22, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 10, 9), closed(5, 7, 3), closed(20, 22, 1)}, Rules: oneSlot()},
			same: 1,
			want: []row{{judge.CauseExit, 1, 20, 1, 0, 1, 1}},
		},
		{
			name: "another exit at the same pnl changes no trade",
			a:    judge.Signals{List: []trade.Signal{closed(1, 4, 5), closed(20, 22, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 10, 5), closed(20, 22, 1)}, Rules: oneSlot()},
			same: 2,
		},
		{
			name: "several roots of one cause",
			a:    judge.Signals{List: []trade.Signal{closed(1, 9, 5), closed(3, 4, 1), closed(6, 7, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 4, 4), closed(3, 5, 2), closed(6, 8, 3)}, Rules: oneSlot()},
			want: []row{{judge.CauseExit, 1, forever, 0, 1, 1, 2}},
		},
		{
			name: "roots of several causes",
			a:    judge.Signals{List: []trade.Signal{closed(1, 9, 5), closed(6, 7, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 4, 4)}, Rules: oneSlot(), Skipped: skips(6)},
			want: []row{{judge.CauseMixed, 1, forever, 0, 0, 1, -1}},
		},
		{
			name: "other rules of selection",
			a:    judge.Signals{List: []trade.Signal{closed(1, 9, 5), closed(3, 5, 2), closed(20, 21, 1)}, Rules: oneSlot()},
			b:    judge.Signals{List: []trade.Signal{closed(1, 9, 5), closed(3, 5, 2), closed(20, 21, 1)}, Rules: policy.Risk{MaxOpenTrades: 2}},
			same: 2,
			want: []row{{judge.CauseSelection, 3, 20, 0, 1, 0, 2}},
		},
		{
			name: "a cooldown outlives the trade",
			a: judge.Signals{List: []trade.Signal{closed(1, 3, 5), closed(8, 9, 1), closed(30, 31, 1)},
				Rules: policy.Risk{MaxOpenTrades: 1, CooldownAfterExitIsSet: true, CooldownBarsAfterExit: 10}},
			b: judge.Signals{List: []trade.Signal{closed(8, 9, 1), closed(30, 31, 1)}, Skipped: skips(1),
				Rules: policy.Risk{MaxOpenTrades: 1, CooldownAfterExitIsSet: true, CooldownBarsAfterExit: 10}},
			same: 1,
			want: []row{{judge.CauseGated, 1, 30, 1, 1, 0, -4}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judge.Match(c.a, c.b)
			if got.Same != c.same {
				t.Errorf("%d trades are the same (want %d)", got.Same, c.same)
			}
			if r := rows(got); !slices.Equal(r, c.want) {
				t.Errorf("episodes %+v (want %+v)", r, c.want)
			}
		})
	}
}

func TestMatchNamesWhatHeldTheSlots(t *testing.T) {
	a := judge.Signals{List: []trade.Signal{closed(1, 4, 5), closed(5, 7, 3)}, Rules: oneSlot()}
	b := judge.Signals{List: []trade.Signal{closed(1, 10, 9), closed(5, 7, 3)}, Rules: oneSlot()}
	got := judge.Match(a, b)
	if n := len(got.Episodes); n != 1 {
		t.Fatalf("%d episodes (want 1)", n)
	}
	d := got.Episodes[0].Differences[1]
	if d.A == nil || d.A.Bar != 5 || d.B != nil || !slices.Equal(d.Holders, []int64{2}) {
		t.Errorf("the displaced trade is %+v (want A's of bar 5, held off by the entry at 2)", d)
	}
}

// What cannot be followed is in neither column, and holds its slot.
func TestCensoredTradesStandApart(t *testing.T) {
	open := closed(1, trade.NoBar, 0)
	open.Open, open.MarkBar, open.MarkPrice = true, 30, 10_010
	a := judge.Signals{List: []trade.Signal{open, closed(5, 7, 3), closed(40, 41, 1)}, Rules: oneSlot()}
	b := judge.Signals{List: []trade.Signal{closed(1, 30, 4), closed(5, 7, 3), closed(40, 41, 1)}, Rules: oneSlot()}
	got := judge.Match(a, b)
	if len(got.Censored) != 1 || got.Same != 1 || len(got.A) != 1 || len(got.B) != 1 || len(got.Episodes) != 0 {
		t.Errorf("%d censored, %d same, %d and %d trades, episodes %v (want 1, 1, 1, 1, none)", len(got.Censored), got.Same, len(got.A), len(got.B), got.Episodes)
	}
}

// randomSignals are those of two runs that differ by a gate, by exits, by
// scores and by the rules of selection.
func randomSignals(rng *rand.Rand) (a, b judge.Signals) {
	rules := func() policy.Risk {
		return policy.Risk{
			MaxOpenTrades: 1 + rng.IntN(3), MaxOpenTradesPerSide: rng.IntN(3),
			CooldownAfterEntryIsSet: rng.IntN(2) == 0, CooldownBarsAfterEntry: rng.Int64N(6),
			CooldownAfterExitIsSet: rng.IntN(2) == 0, CooldownBarsAfterExit: rng.Int64N(6),
		}
	}
	a.Rules = rules()
	b.Rules = a.Rules
	if rng.IntN(4) == 0 {
		b.Rules = rules()
	}
	gate, exits, scores := rng.Float64()*0.3, rng.Float64()*0.3, rng.Float64()*0.2
	skipped := map[int64]bool{}
	b.Skipped = func(bar int64) bool { return skipped[bar] }
	for bar := int64(0); bar < 300; bar += 1 + rng.Int64N(4) {
		s := closed(bar, bar+1+rng.Int64N(30), math.Round(rng.NormFloat64()*100)/8)
		if rng.IntN(2) == 0 {
			s.Side = trade.Short
		}
		other := s
		if rng.Float64() < exits {
			other = closed(bar, bar+1+rng.Int64N(30), math.Round(rng.NormFloat64()*100)/8)
			other.Side = s.Side
		}
		if rng.Float64() < scores {
			other.Side = -other.Side
		}
		a.List = append(a.List, s)
		if rng.Float64() < gate {
			skipped[bar] = true
			continue
		}
		b.List = append(b.List, other)
	}
	return a, b
}

// The episodes of random runs hold every difference once, do not overlap, and
// add up exactly to what B made more than A.
func TestEpisodesPartitionTheDifferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	seen := map[judge.Cause]int{}
	for range 1000 {
		a, b := randomSignals(rng)
		got := judge.Match(a, b)
		takenA := selected(a)
		takenB := selected(b)
		checkTrades(t, "A", got.A, takenA)
		checkTrades(t, "B", got.B, takenB)
		checkEpisodes(t, got, takenA, takenB)
		var missed judge.Sum // by the causes
		for _, r := range got.ByCause() {
			seen[r.Cause] += r.Episodes
			missed.AddSum(&r.Pnl)
		}
		for _, x := range takenA {
			missed.Add(x.PnlBps())
		}
		for _, x := range takenB {
			missed.Add(-x.PnlBps())
		}
		if v := missed.Value(); v != 0 {
			t.Fatalf("the causes miss %g bps", v)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, c := range []judge.Cause{judge.CauseGated, judge.CauseScore, judge.CauseExit, judge.CauseMixed, judge.CauseSelection} {
		if seen[c] < 50 {
			t.Errorf("cause %s was met %d times: the test says little about it", c, seen[c])
		}
	}
}

// selected are the signals that become trades.
func selected(s judge.Signals) (taken []*trade.Signal) {
	sel := trade.NewSelector(s.Rules)
	for i := range s.List {
		if sel.Offer(&s.List[i]) {
			taken = append(taken, &s.List[i])
		}
	}
	return taken
}

func checkTrades(t *testing.T, name string, got []*trade.Signal, want []*trade.Signal) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(x, y *trade.Signal) bool { return *x == *y }) {
		t.Errorf("%s has other trades than a selection gives", name)
	}
}

// checkEpisodes finds the differences anew, by entry bar and side, and the
// borders of episodes from the state of two selections that it keeps by itself.
func checkEpisodes(t *testing.T, got judge.Trades, a, b []*trade.Signal) {
	t.Helper()
	type key struct {
		entry int64
		side  trade.Side
	}
	pnl := [2]map[key]float64{{}, {}}
	for i, list := range [][]*trade.Signal{a, b} {
		for _, x := range list {
			pnl[i][key{x.EntryBar, x.Side}] = x.PnlBps()
		}
	}
	want := map[key]bool{}
	for i := range pnl {
		for k, v := range pnl[i] {
			if w, both := pnl[1-i][k]; !both || v != w {
				want[k] = true
			}
		}
	}
	end := int64(-1)
	for _, e := range got.Episodes {
		if e.First < end || e.End <= e.First {
			t.Errorf("episode [%d, %d) behind bar %d", e.First, e.End, end)
		}
		end = e.End
		for _, d := range e.Differences {
			s := d.A
			if s == nil {
				s = d.B
			}
			k := key{s.EntryBar, s.Side}
			if !want[k] || s.Bar < e.First || s.Bar >= e.End {
				t.Errorf("%v is no difference of [%d, %d), or was met before", k, e.First, e.End)
			}
			delete(want, k)
		}
	}
	for k := range want {
		t.Errorf("the difference %v is in no episode", k)
	}
}
