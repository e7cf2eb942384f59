package replay

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

func mustAudit(t *testing.T, job Job, src Source, cfg AuditConfig) Audit {
	t.Helper()
	a, err := RunAudit(context.Background(), job, src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What the product computes is causal, looks back as far as it says, and the
// dry replay is the replay.
func TestAuditOfEveryFeature(t *testing.T) {
	const n = 17_000
	data := InMemory(testBars(n, 21))
	job := everyFeature(n)
	job.Policy.Model.Latency = 1e9 // would take hours
	a := mustAudit(t, job, data, AuditConfig{Cuts: 5, Seed: 3, HistoryCuts: 2})
	if len(a.Findings()) != 0 || len(a.Changes) != 0 || len(a.Cuts) != 5 || a.ComparedBars == 0 {
		t.Errorf("%d cuts, %d bars compared, changes %v, findings %v", len(a.Cuts), a.ComparedBars, a.Changes, a.Findings())
	}
	job.Policy.Model.Latency = 0
	f := mustRun(t, job, data).Footer
	d := a.Dry
	if d.Bars != n || d.WarmupBars != f.BarsSkippedWarmup || d.FirstReady != f.BarsSkippedWarmup || d.FirstReadyTS != timestamp(data[d.FirstReady].TimeNS) ||
		d.ModelCalls != f.NModelCalls || d.Signals != f.NSignals || d.Trades != f.NTradesClosed || d.PnlBps != f.PnlBps || d.ModelCallsAvoided != 0 {
		t.Errorf("the dry replay has %+v (want %+v)", d, f)
	}
	if !slices.Equal(a.HistoryCuts, []int64{n / 4, n / 2}) || len(a.Moves) != len(job.Policy.Features) {
		t.Fatalf("history cut at %d, %d features", a.HistoryCuts, len(a.Moves))
	}
	var moved []string
	for _, m := range a.Moves {
		if m.AfterLookback.Bars == 0 || m.AfterLookback.Bars > m.AfterWarmup.Bars || m.AfterLookback.Abs > m.AfterWarmup.Abs {
			t.Errorf("%s: after warm-up %+v, after look-back %+v", m.Feature, m.AfterWarmup, m.AfterLookback)
		}
		switch {
		case m.AfterLookback.Abs == 0:
		case m.Recursive && m.AfterLookback.Abs < 1e-6 && m.AfterLookback.Bar > a.HistoryCuts[0]:
			moved = append(moved, m.Feature)
		default:
			t.Errorf("%s moves: %+v", m.Feature, m.AfterLookback)
		}
		if m.Feature == "atr_regime_id" && m.AfterWarmup.Abs == 0 {
			t.Errorf("atr_regime_id is the same with half of its look-back: %+v", m.AfterWarmup)
		}
	}
	if !slices.Contains(moved, "ema100_slope") {
		t.Errorf("only %v move when history is cut", moved)
	}
}

// The gate's skips are model calls that were not made, in a range at the end.
func TestAuditOfTheEnd(t *testing.T) {
	const n = 3000
	job := testJob(n)
	job.Bars.First = 1000
	a := mustAudit(t, job, InMemory(testBars(n, 1)), AuditConfig{})
	d := a.Dry
	if d.FirstBar != 1000 || d.Bars != 2000 || d.WarmupBars != 0 || d.FirstReady != 1000 {
		t.Errorf("%+v", d)
	}
	if d.PregateSkips+d.ModelCalls != 2000 || d.ModelCallsAvoided != float64(d.PregateSkips)/2000 || d.PregateSkips == 0 || d.ModelCalls == 0 {
		t.Errorf("%d skips, %d calls, %v avoided", d.PregateSkips, d.ModelCalls, d.ModelCallsAvoided)
	}
	if len(a.Cuts)+len(a.Changes)+len(a.HistoryCuts)+len(a.Moves) != 0 {
		t.Errorf("tried what nobody asked for: %+v", a)
	}
}

// doctored gives bar at a changed content when the data ends before all.
type doctored struct {
	all    InMemory
	at     int64
	change func(*bars.Bar)
}

func (d doctored) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	if r.End == int64(len(d.all)) {
		return d.all.Blocks(ctx, r)
	}
	changed := slices.Clone(d.all)
	d.change(&changed[d.at])
	return changed.Blocks(ctx, r)
}

// A past that changes with the future is caught at every cut behind it, and at
// no other, by the bar, the feature and both values.
func TestAuditCatchesAChangedPast(t *testing.T) {
	const n, at = 3000, 1500
	data := InMemory(testBars(n, 1))
	for name, c := range map[string]struct {
		change func(*bars.Bar)
		what   string
		bar    int64
		value  func(InMemory) float64 // of what at bar
	}{
		"a close, in the last bit": {
			func(b *bars.Bar) { b.AskClose = math.Nextafter(b.AskClose, 0) }, "the gate's spread_bps", at,
			func(d InMemory) float64 { return (d[at].AskClose - d[at].BidClose) / d[at].BidClose * 1e4 },
		},
		"an open": {
			func(b *bars.Bar) { b.BidOpen, b.AskOpen = b.BidLow, b.AskLow }, "body_pct", at,
			func(d InMemory) float64 {
				b := d[at]
				return (b.MidClose() - (b.BidOpen+b.AskOpen)/2) / (b.MidHigh() - b.MidLow() + 1e-8)
			},
		},
		"a time": {
			func(b *bars.Bar) { b.TimeNS += int64(5 * 3600 * 1e9) }, "the market session", at, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := mustAudit(t, testJob(n), doctored{data, at, c.change}, AuditConfig{Cuts: 12, Seed: 5})
			behind := 0
			for _, cut := range a.Cuts {
				if cut > at {
					behind++
				}
			}
			if behind == 0 || behind == len(a.Cuts) || len(a.Changes) != behind {
				t.Fatalf("cuts %d, of them %d behind the change: changes %+v", a.Cuts, behind, a.Changes)
			}
			changed := slices.Clone(data)
			c.change(&changed[at])
			for _, got := range a.Changes {
				if got.Bar != c.bar || got.What != c.what || got.Cut <= at || got.Whole == got.Truncated {
					t.Errorf("%+v (want %s at bar %d)", got, c.what, c.bar)
				}
				if c.value != nil && (got.Whole != exact(c.value(data)) || got.Truncated != exact(c.value(changed))) {
					t.Errorf("%+v (want %v and %v)", got, c.value(data), c.value(changed))
				}
			}
			found := a.Findings()
			if len(found) != behind || found[0].Level != LevelProblem || !strings.Contains(found[0].Text, c.what) {
				t.Errorf("findings %v", found)
			}
		})
	}
}

// A change that no feature sees shows in what became of a signal.
func TestAuditCatchesAChangedExit(t *testing.T) {
	const n = 3000
	data := InMemory(testBars(n, 1))
	job := testJob(n)
	// No feature looks at an open, nor does the gate: it is an entry price alone.
	job.Policy.Features = []string{"roc20"}
	job.Policy.Model.Long.Weights = map[string]float64{"roc20": 200}
	job.Policy.Model.Short.Weights = map[string]float64{"roc20": -200}
	res := mustRun(t, job, data)
	k := slices.IndexFunc(res.Signals, func(s trade.Signal) bool { return s.Bar > 1000 && s.Closed() && s.ExitBar < 1500 })
	if k < 0 {
		t.Fatal("no signal came to its end")
	}
	s := res.Signals[k]
	a := mustAudit(t, job, doctored{data, s.EntryBar, func(b *bars.Bar) {
		b.BidOpen, b.AskOpen = b.BidOpen+0.01, b.AskOpen+0.01
	}}, AuditConfig{Cuts: 12, Seed: 5})
	if len(a.Changes) == 0 {
		t.Fatal("nothing was caught")
	}
	for _, c := range a.Changes {
		if c.Bar != s.Bar || c.What != "the entry price" || c.Whole != exact(s.EntryPrice) {
			t.Errorf("%+v (want the entry price of the signal at bar %d, %v)", c, s.Bar, s.EntryPrice)
		}
	}
}

func TestCompareSignals(t *testing.T) {
	const end = 100
	closed := func(bar, exit int64) trade.Signal {
		return trade.Signal{Bar: bar, Side: trade.Long, Score: 0.75, EntryBar: bar + 1, EntryPrice: 10, ExitBar: exit, ExitPrice: 11, ExitReason: trade.ExitTarget, BarsHeld: exit - bar}
	}
	with := func(s trade.Signal, change func(*trade.Signal)) trade.Signal { change(&s); return s }
	one := closed(10, 20)
	late := closed(90, 100) // its exit is not seen
	open := with(late, func(s *trade.Signal) { s.ExitBar, s.ExitPrice, s.ExitReason, s.Open = 99, 9, "REPLAY_EOF", false })
	expired := trade.Signal{Bar: 30, Side: trade.Short, EntryBar: trade.NoBar, ExitBar: trade.NoBar, Expired: true}
	list := func(s ...trade.Signal) []trade.Signal { return s }
	for name, c := range map[string]struct {
		whole, short []trade.Signal
		want         *Change
	}{
		"the same":            {list(one, expired), list(one, expired), nil},
		"none":                {nil, nil, nil},
		"behind the end":      {list(one, closed(100, 101)), list(one), nil},
		"open at the end":     {list(one, late), list(one, open), nil},
		"one less":            {list(one, expired), list(expired), &Change{Bar: 10, What: "the signal", Whole: "long", Truncated: "none"}},
		"one more":            {list(expired), list(one, expired), &Change{Bar: 10, What: "the signal", Whole: "none", Truncated: "long"}},
		"the last is missing": {list(one, late), list(one), &Change{Bar: 90, What: "the signal", Whole: "long", Truncated: "none"}},
		"side":                {list(one), list(with(one, func(s *trade.Signal) { s.Side = trade.Short })), &Change{Bar: 10, What: "the signal", Whole: "long", Truncated: "short"}},
		"score":               {list(late), list(with(open, func(s *trade.Signal) { s.Score = math.Nextafter(0.75, 1) })), &Change{Bar: 90, What: "the signal's score", Whole: "0.75", Truncated: "0.7500000000000001"}},
		"exit":                {list(one), list(with(one, func(s *trade.Signal) { s.ExitPrice = 12 })), &Change{Bar: 10, What: "the exit price", Whole: "11", Truncated: "12"}},
		"reason":              {list(one), list(with(one, func(s *trade.Signal) { s.ExitReason = trade.ExitStop })), &Change{Bar: 10, What: "the exit reason", Whole: "target", Truncated: "stop"}},
		"expiry":              {list(expired), list(with(expired, func(s *trade.Signal) { s.Expired = false })), &Change{Bar: 30, What: "the signal's expiry", Whole: "true", Truncated: "false"}},
	} {
		got := compareSignals(c.whole, c.short, end)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v (want %+v)", name, got, c.want)
		}
	}
}

// forgetful gives bar at another content each time.
type forgetful struct {
	all InMemory
	at  int64
	n   *float64
}

func (f forgetful) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	*f.n++
	changed := slices.Clone(f.all)
	if *f.n == 2 { // the first short one; what is looked at again is the same
		changed[f.at].AskClose++
	}
	return changed.Blocks(ctx, r)
}

func TestAuditOfASourceThatForgets(t *testing.T) {
	const n = 300
	job := testJob(n)
	job.Policy.WarmupBars = n - 2 // one place to cut
	whole, err := record(context.Background(), job, InMemory(testBars(n, 1)))
	if err != nil {
		t.Fatal(err)
	}
	calls := 1.0
	c, err := whole.without(context.Background(), job, forgetful{testBars(n, 1), 100, &calls}, n-1)
	if err != nil || c == nil || c.Bar != 100 || c.Truncated != "another the next time" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAuditFindings(t *testing.T) {
	still := Movement{Feature: "roc20", Lookback: 20}
	moves := still
	moves.AfterLookback = Difference{Bars: 9, Abs: 0.5, Rel: 0.1, Bar: 77}
	drifts := moves
	drifts.Recursive = true
	fine := Dry{Bars: 100, ModelCalls: 50, Signals: 3}
	for name, c := range map[string]struct {
		audit Audit
		want  string
	}{
		"fine":            {Audit{Dry: fine, Moves: []Movement{still, drifts}}, ""},
		"moves":           {Audit{Dry: fine, Moves: []Movement{moves}}, "problem: roc20 at bar 77 moves by 0.5 when history before its look-back of 20 bars is cut (want 0)"},
		"all warm-up":     {Audit{Dry: Dry{Bars: 100, FirstReady: -1}}, "problem: all 100 bars are warm-up: no entry is looked for"},
		"all skipped":     {Audit{Dry: Dry{Bars: 100, PregateSkips: 100}}, "warning: the model is called at no bar: the gate skips all of them, or no market session has a model"},
		"without signals": {Audit{Dry: Dry{Bars: 100, ModelCalls: 100}}, "warning: there is no signal in 100 bars"},
		"a changed past": {Audit{Dry: fine, Changes: []Change{{Cut: 50, Bar: 40, What: "roc20", Whole: "1", Truncated: "2"}}},
			"problem: without the bars from 50 on, bar 40 has another past: roc20 is 2 (with them: 1)"},
	} {
		var got []string
		for _, f := range c.audit.Findings() {
			got = append(got, string(f.Level)+": "+f.Text)
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: %q (want %q)", name, got, c.want)
		}
	}
}

func TestAuditErrors(t *testing.T) {
	const n = 500
	data := InMemory(testBars(n, 1))
	none := testJob(n)
	none.Policy.Model = nil
	cancelled, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	for name, c := range map[string]struct {
		ctx  context.Context
		job  Job
		src  Source
		cfg  AuditConfig
		want string
	}{
		"no model":      {context.Background(), none, data, AuditConfig{}, "the policy has no model"},
		"too few bars":  {context.Background(), testJob(n), data[:400], AuditConfig{}, "bars [0, 500) of 400"},
		"negative cuts": {context.Background(), testJob(n), data, AuditConfig{Cuts: -1}, "-1 and 0 cuts"},
		"cancelled":     {cancelled, testJob(n), data, AuditConfig{}, "enough"},
	} {
		if _, err := RunAudit(c.ctx, c.job, c.src, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (want %q in it)", name, err, c.want)
		}
	}
	for _, err := range (until{data, 100}).Blocks(context.Background(), run.BarRange{First: 0, End: 101}) {
		if err == nil {
			t.Fatal("a bar behind the end was given")
		}
	}
}

func TestPickCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 50).Draw(t, "first")
		chunk := run.BarRange{First: first, End: first + rapid.Int64Range(1, 60).Draw(t, "bars")}
		ready := rapid.Int64Range(-1, chunk.End-1).Draw(t, "ready")
		cfg := AuditConfig{Cuts: rapid.IntRange(0, 20).Draw(t, "cuts"), Seed: rapid.Uint64().Draw(t, "seed")}
		cuts := pickCuts(chunk, ready, cfg)
		low := max(chunk.First, ready) + 1
		if want := min(int64(cfg.Cuts), chunk.End-low); int64(len(cuts)) != want {
			t.Fatalf("%d cuts (want %d)", len(cuts), want)
		}
		for i, c := range cuts {
			if c < low || c >= chunk.End || i > 0 && c <= cuts[i-1] {
				t.Fatalf("cuts %d of [%d, %d)", cuts, low, chunk.End)
			}
		}
		if !slices.Equal(cuts, pickCuts(chunk, ready, cfg)) {
			t.Fatal("the same seed gives other cuts")
		}
	})
}

// A set that has half of its history differs by what the difference says.
func TestDifference(t *testing.T) {
	d := Difference{Bar: -1}
	d.add(1, 2, 2)
	d.add(2, 0, math.Copysign(0, -1))
	if d != (Difference{Bars: 2, Bar: -1}) {
		t.Errorf("of equals: %+v", d)
	}
	d.add(3, 2, 2.5)
	d.add(4, 0.1, -0.1)
	d.add(5, 3, 3.25)
	if d != (Difference{Bars: 5, Abs: 0.5, Rel: 2, Bar: 3}) {
		t.Errorf("%+v", d)
	}
	d.add(6, 1, math.NaN())
	if d.Abs != math.MaxFloat64 || d.Bar != 6 {
		t.Errorf("of NaN: %+v", d)
	}
}

// Known features are what Movement is told of.
func TestMovementCarriesTheDeclaration(t *testing.T) {
	const n = 600
	job := testJob(n)
	for _, m := range mustAudit(t, job, InMemory(testBars(n, 1)), AuditConfig{HistoryCuts: 1}).Moves {
		k := slices.IndexFunc(feature.Known(), func(i feature.Info) bool { return i.Name == m.Feature })
		if info := feature.Known()[k]; m.Warmup != info.Warmup || m.Lookback != info.Lookback || m.Recursive != info.Recursive {
			t.Errorf("%+v (want %+v)", m, info)
		}
	}
}
