package compare_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	partBars = 10_000
	minute   = int64(time.Minute)
)

// stopped is a run of eight chunks of which it has replayed so many bars each, with
// a model call for every bar that its gate lets pass, one of so many.
func stopped(t *testing.T, id string, replayed []int64, pass int64, price time.Duration, signals []trade.Signal) *compare.Run {
	t.Helper()
	var chunks []perf.Chunk
	first := int64(0)
	for i, bars := range replayed {
		c := perf.Chunk{Idx: i, Planned: partBars, Status: footer.StatusStopped}
		if bars > 0 {
			f := footer.Footer{
				RunID: id, Schema: footer.Schema, ChunkIdx: int64(i), ChunkID: strconv.Itoa(i), Attempt: 1, Claim: 1, Seq: 1, Status: footer.StatusStopped,
				Engine: footer.EngineBuiltin, PlannedBars: partBars, FirstBar: first, EndBar: first + partBars, Slots: 1,
				StartTS: at(first), EndTS: at(first + bars - 1), Phase: footer.PhaseReplay,
			}
			count := func(n int64) (calls int64, wall time.Duration) {
				calls = n / pass
				return calls, time.Duration(calls)*price + time.Duration(n)*time.Microsecond
			}
			for n := int64(512); n < bars; n += 512 {
				calls, wall := count(n)
				f.Checkpoints = append(f.Checkpoints, footer.Checkpoint{n, int64(wall), 0, calls, n - calls, calls, 0})
			}
			calls, wall := count(bars)
			f.BarsProcessed, f.TotalBars, f.NModelCalls, f.NFeaturesBuilt = bars, bars, calls, calls
			f.WallClockSec, f.TModelTotalSec, f.TIOTotalSec = wall.Seconds(), (time.Duration(calls) * price).Seconds(), (time.Duration(bars) * time.Microsecond).Seconds()
			if pass > 1 {
				f.PregateSkips, f.PregatePasses = bars-calls, calls
				f.SkipReasons = footer.Counts{"spread_too_high": bars - calls}
			}
			if bars == partBars {
				f.Status, f.Final, c.Status = footer.StatusOK, true, footer.StatusOK
			}
			var err error
			if c.Line, err = perf.EncodeChunk(f); err != nil {
				t.Fatal(err)
			}
		}
		chunks = append(chunks, c)
		first += partBars
	}
	r := perf.Report{
		RunID: run.ID(id), Timestamp: time.Unix(0, 0), PregateEnabled: pass > 1,
		Data: run.Data{SHA256: strings.Repeat("d", 64), Bars: first, BarLength: time.Minute},
	}
	r.Env.Engine = footer.EngineBuiltin
	r.PolicyValues = []byte(`{"policy_name":"p","risk":{"max_open_trades":1}}`)
	b, err := perf.Append(nil, r, chunks)
	if err != nil {
		t.Fatal(err)
	}
	side := compare.Read(id+".json", b)
	if side.Err != nil {
		t.Fatal(side.Err)
	}
	file := &trade.SignalFile{}
	for _, s := range signals {
		file.Signals = append(file.Signals, trade.KeptSignal{Signal: s, Taken: true})
	}
	return &compare.Run{Path: id, File: side.File, Signals: file}
}

func at(bar int64) string { return time.Unix(0, bar*minute).UTC().Format(time.RFC3339Nano) }

func signal(bar, exit int64, bps float64) trade.Signal {
	return trade.Signal{
		Bar: bar, TimeNS: bar * minute, Side: trade.Long, EntryBar: bar + 1, EntryTimeNS: (bar + 1) * minute, EntryPrice: 10_000,
		ExitBar: exit, ExitTimeNS: exit * minute, ExitPrice: 10_000 + bps, ExitReason: trade.ExitStop, MarkBar: trade.NoBar,
	}
}

func all(n int64) []int64 {
	list := make([]int64, 8)
	for i := range list {
		list[i] = n
	}
	return list
}

// Two runs that were stopped are judged on what both have.
func TestCompareStoppedRuns(t *testing.T) {
	signals := []trade.Signal{signal(100, 120, 5), signal(4000, 4010, -2), signal(9000, 9001, 9), signal(50_000, 50_400, 1)}
	a := stopped(t, "a", all(5000), 1, time.Millisecond, signals)
	b := stopped(t, "b", []int64{10_000, 10_000, 6000, 6000, 6000, 6000, 6000, 4000}, 5, time.Millisecond, signals[1:])
	c, err := compare.Compare(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Common.Bars != 7*5000+4000 || c.Common.Pieces != 8 || c.Common.Cut != 8 || c.Common.Judged != 7*4608+3584 {
		t.Errorf("common %+v (want 39,000 bars in 8 cut pieces, judged up to the checkpoints)", c.Common)
	}
	// Bar 9000 is not common, bar 50,000 is: 100 stays with A alone.
	if tr := c.Trades; tr.A != 3 || tr.B != 2 || tr.Same != 2 || tr.Pnl != -5 || len(tr.Causes) != 1 || tr.Causes[0].Cause != "score" || tr.Causes[0].PnlBps != -5 {
		t.Errorf("trades %+v", c.Trades)
	}
	if s := c.Speed; !(s.Low > 4.8 && s.Low <= s.Ratio && s.Ratio <= s.High && s.High < 5.1) || s.Verdict != "faster" || math.Abs(s.Work-s.Ratio) > 0.05 {
		t.Errorf("speed %+v (want nearly 5 times faster, all of it work)", s)
	}
	if c.Primary != compare.PrimarySpeed || !strings.HasPrefix(c.Sentence, "b is 4.9") || !strings.Contains(c.Sentence, "trades: 2 of 3 and 2 are the same") {
		t.Errorf("%s: %s", c.Primary, c.Sentence)
	}
	for name, want := range map[string][2]int64{"model calls": {7*4608 + 3584, 7*921 + 716}, "bars skipped": {0, 7*3687 + 2868}} {
		for _, n := range c.Counts {
			if n.Name == name && [2]int64{n.A, n.B} != want {
				t.Errorf("%s: %d and %d (want %d)", name, n.A, n.B, want)
			}
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	a := stopped(t, "a", []int64{5000, 0}, 1, time.Millisecond, nil)
	apart := stopped(t, "b", []int64{0, 5000}, 1, time.Millisecond, nil)
	if _, err := compare.Compare(a, apart, compare.Options{}); !errors.Is(err, compare.ErrRefused) || !strings.Contains(err.Error(), "no bars in common") {
		t.Errorf("nothing in common: %v", err)
	}
	other := stopped(t, "c", []int64{5000, 0}, 1, time.Millisecond, nil)
	other.File.Report.Data.SHA256 = strings.Repeat("e", 64)
	if _, err := compare.Compare(a, other, compare.Options{}); !errors.Is(err, compare.ErrRefused) || !strings.Contains(err.Error(), "the data differ") {
		t.Errorf("other data: %v", err)
	}
}

// What differs in more than the gate has no verdict of speed from two runs, and
// is about pnl.
func TestCompareOtherPolicies(t *testing.T) {
	a := stopped(t, "a", all(10_000), 1, time.Millisecond, []trade.Signal{signal(100, 120, 5)})
	b := stopped(t, "b", all(10_000), 1, time.Millisecond, []trade.Signal{signal(100, 130, 8)})
	b.File.Report.PolicyValues = []byte(`{"policy_name":"other","risk":{"max_open_trades":1},"exit":{"stop_bps":7}}`)
	c, err := compare.Compare(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Primary != compare.PrimaryPnl || c.Speed.Verdict != "cannot say (not interleaved)" || len(c.Inputs) != 1 || c.Inputs[0] != (compare.Setting{Key: "exit.stop_bps", B: "7"}) {
		t.Errorf("%s, %s, inputs %+v", c.Primary, c.Speed.Verdict, c.Inputs)
	}
	if tr := c.Trades; len(tr.Causes) != 1 || tr.Causes[0] != (compare.CauseRow{Cause: "exit", Episodes: 1, Changed: 1, PnlBps: 3}) {
		t.Errorf("causes %+v", tr.Causes)
	}
	if _, err := compare.Compare(a, b, compare.Options{ExpectOnly: []string{"exit"}}); err != nil {
		t.Error(err)
	}
	if _, err := compare.Compare(a, b, compare.Options{ExpectOnly: []string{"exit.stop"}}); !errors.Is(err, compare.ErrRefused) {
		t.Errorf("another key than was expected: %v", err)
	}
	if _, err := compare.Compare(a, b, compare.Options{Thresholds: &compare.Limits{}}); !errors.Is(err, compare.ErrRefused) {
		t.Errorf("the gate's thresholds of another policy: %v", err)
	}
}

// A run and itself: everything is equal.
func TestCompareEqualRuns(t *testing.T) {
	a := stopped(t, "a", all(10_000), 5, time.Millisecond, []trade.Signal{signal(100, 120, 5)})
	c, err := compare.Compare(a, a, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Inputs) != 0 || c.Trades.Same != 1 || len(c.Trades.Causes) != 0 || c.Speed.Verdict != "equivalent within ±3 %" {
		t.Errorf("%+v", c)
	}
	for _, n := range c.Counts {
		if n.Verdict != "identical" {
			t.Errorf("%+v", n)
		}
	}
}

func TestCompareCommandsOwnTrades(t *testing.T) {
	parse := func(text string) (int64, bool) {
		at, err := time.Parse(time.RFC3339, text)
		return at.UnixNano(), err == nil
	}
	own := func(csv string) []compare.OwnTrade {
		list, err := compare.ReadOwn(strings.NewReader(csv), parse)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	script := func(id string, bars int64, csv string) *compare.Run {
		r := stopped(t, id, all(bars), 1, time.Millisecond, nil)
		r.Signals, r.Own = nil, own(csv)
		r.File.Report.Selection.Scope = perf.ScopeCommand
		return r
	}
	a := script("a", 10_000, "entry_time,side,pnl_bps\n1970-01-01T01:00:00Z,long,3\n1970-01-01T02:00:00Z,short,-1\n1970-01-06T23:00:00Z,long,7\n")
	b := script("b", 8000, "pnl_bps,side,entry_time\n-2,sell,1970-01-01T02:00:00Z\n4,buy,1970-01-01T03:00:00Z\n")
	c, err := compare.Compare(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []compare.CauseRow{{Cause: "only in A", OnlyA: 1, PnlBps: -3}, {Cause: "only in B", OnlyB: 1, PnlBps: 4}, {Cause: "changed", Changed: 1, PnlBps: -1}}
	// The trade of 6 January entered after B's last common bar of that chunk.
	if tr := c.Trades; tr.A != 2 || tr.B != 2 || tr.Same != 0 || tr.Pnl != 0 || len(tr.Causes) != 3 || tr.Causes[0] != want[0] || tr.Causes[1] != want[1] || tr.Causes[2] != want[2] {
		t.Errorf("%+v (want %+v)", c.Trades, want)
	}
}

func TestReadOwnRefuses(t *testing.T) {
	parse := func(text string) (int64, bool) { return int64(len(text)), text != "" }
	for text, want := range map[string]string{
		"":                                        "header",
		"time,pnl\n1,2\n":                         "want entry_time and pnl_bps",
		"entry_time,pnl_bps\n,2\n":                "line 2: entry_time",
		"entry_time,pnl_bps\n1,2\n1,\n":           "line 3: pnl_bps",
		"entry_time,pnl_bps\n1,NaN\n":             "line 2: pnl_bps",
		"entry_time,pnl_bps,side\n1,2,up\n":       `line 2: side is "up"`,
		"entry_time,pnl_bps\n1,2,3\n":             "wrong number of fields",
		"entry_time,pnl_bps,side\n1,1e300,long\n": "line 2: pnl_bps",
	} {
		if list, err := compare.ReadOwn(strings.NewReader(text), parse); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v (want %q)", text, list, err, want)
		}
	}
}

// Several runs a side are judged whatever their policies differ in.
func TestCompareSides(t *testing.T) {
	var a, b []*compare.Run
	for i, drift := range []time.Duration{0, 20, 40} {
		a = append(a, stopped(t, "a"+string(rune('1'+i)), all(10_000), 1, time.Millisecond+drift*time.Microsecond, nil))
		x := stopped(t, "b"+string(rune('1'+i)), all(9000), 1, time.Millisecond/2+drift*time.Microsecond, nil)
		x.File.Report.PolicyValues = []byte(`{"policy_name":"p","risk":{"max_open_trades":1},"exit":{"stop_bps":7}}`)
		b = append(b, x)
	}
	c, err := compare.CompareSides(a, b, compare.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Speed; s.Verdict != "faster" || !(s.Low < s.Ratio && s.Ratio < s.High && s.Ratio > 1.8 && s.Ratio < 2.1) {
		t.Errorf("%+v", s)
	}
	if c, err := compare.CompareSides(a[:2], b[:2], compare.Options{}); err != nil || c.Speed.Verdict != "cannot say (fewer than 3 runs on a side)" {
		t.Errorf("two a side: %s, %v", c.Speed.Verdict, err)
	}
	if _, err := compare.CompareSides([]*compare.Run{a[0], b[0]}, b[1:], compare.Options{}); !errors.Is(err, compare.ErrRefused) {
		t.Errorf("a side of two policies: %v", err)
	}
}
