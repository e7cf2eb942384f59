package replay

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// listed are decisions one by one.
func listed(d trade.Decisions) (all []trade.BarDecision) {
	for r := d.Reader(); ; {
		x, ok := r.Next()
		if !ok {
			return all
		}
		all = append(all, x)
	}
}

func decided(t testing.TB, job Job, src Source) Result {
	t.Helper()
	job.Decisions = true
	return mustRun(t, job, src)
}

// Every bar has a decision, they add up to what the footer counts, and a signal
// has the side and the score that its decision has.
func TestDecisions(t *testing.T) {
	const n = 6000
	job := testJob(n)
	job.Policy.Entry.Sessions = []string{"EU", "US"}
	job.Policy.Entry.MarginMin = policy.Sides{Long: 0.3, Short: 0.3}
	res := decided(t, job, &memory{bars: testBars(n, 1)})
	if err := res.Decisions.Check(res.Footer); err != nil {
		t.Fatal(err)
	}
	seen := map[trade.Decision]int{}
	signals := res.Signals
	for i, x := range listed(res.Decisions) {
		seen[x.Decision]++
		switch x.Decision {
		case trade.DecisionSignal:
			if s := signals[0]; s.Bar != int64(i) || s.Side != x.Side || s.Score != x.Score {
				t.Fatalf("bar %d: %+v (the next signal is of bar %d, %v, %v)", i, x, s.Bar, s.Side, s.Score)
			}
			signals = signals[1:]
		case trade.DecisionPSideMin:
			if !(x.Score > 0 && x.Score < 0.55) {
				t.Fatalf("bar %d: %+v (want a score below p_side_min, 0.55)", i, x)
			}
		case trade.DecisionMargin, trade.DecisionSession:
			if !(x.Score >= 0.55) || x.Side == 0 {
				t.Fatalf("bar %d: %+v (want a side, and a score of p_side_min, 0.55, at least)", i, x)
			}
		}
	}
	if len(signals) > 0 {
		t.Errorf("%d signals have no decision", len(signals))
	}
	for _, d := range []trade.Decision{
		trade.DecisionWarmup, trade.DecisionSkipSession, trade.DecisionSkipSpread, trade.DecisionSkipATRLow, trade.DecisionSkipATRHigh,
		trade.DecisionPSideMin, trade.DecisionSession, trade.DecisionMargin, trade.DecisionSignal,
	} {
		if seen[d] == 0 {
			t.Errorf("the fixture has no decision %d (has %v)", d, seen)
		}
	}
	without := mustRun(t, job, &memory{bars: testBars(n, 1)})
	if without.Decisions.Len() != 0 {
		t.Errorf("nobody asked for the %d decisions", without.Decisions.Len())
	}
	if !reflect.DeepEqual(without.Signals, res.Signals) || !reflect.DeepEqual(counted(without.Footer), counted(res.Footer)) {
		t.Error("keeping decisions changed the result")
	}
}

// Scores that are equal, or no numbers, and market sessions without a model.
func TestDecisionsWithoutASide(t *testing.T) {
	const n = 400
	equal := testJob(n)
	equal.Policy.Pregate.Enabled = false
	equal.Policy.Model.Long = policy.Logistic{Bias: 0.5}
	equal.Policy.Model.Short = policy.Logistic{Bias: 0.5}
	res := decided(t, equal, &memory{bars: testBars(n, 1)})
	list := listed(res.Decisions)
	if x := list[n-1]; x.Decision != trade.DecisionEqual || x.Side != 0 || !(x.Score > 0.62 && x.Score < 0.63) {
		t.Errorf("%+v (want equal scores, 0.622, and no side)", x)
	}
	if err := res.Decisions.Check(res.Footer); err != nil {
		t.Error(err)
	}
	if x := called(trade.DecisionNoSignal, 0, 1); x.Score != 0 {
		t.Errorf("%+v (want no score)", x)
	}
	for _, c := range []struct {
		ready bool
		v     verdict
		want  trade.Decision
	}{{false, pass, trade.DecisionWarmup}, {true, pass, trade.DecisionNoModel}, {true, skipATRLow, trade.DecisionSkipATRLow}} {
		if x := uncalled(c.ready, c.v); x.Decision != c.want {
			t.Errorf("ready %v, verdict %d: %+v (want %d)", c.ready, c.v, x, c.want)
		}
	}
	for v, d := range skipDecisions {
		if d.Reason() != reasonNames[v] {
			t.Errorf("verdict %d is the decision of %q (want %q)", v, d.Reason(), reasonNames[v])
		}
	}
}

// The decisions of any cut are the whole's, and those of a replay that was
// stopped end with the last bar that it counted.
func TestInvariant3_DecisionsOfAnyCut(t *testing.T) {
	const n = 2000
	data := testBars(n, 2)
	whole := listed(decided(t, testJob(n), &memory{bars: data}).Decisions)
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.Int64Range(1, n-1).Draw(t, "cut")
		stop := rapid.Int64Range(cut, n-1).Draw(t, "stop")
		var got []trade.BarDecision
		for _, r := range []run.BarRange{{First: 0, End: cut}, {First: cut, End: n}} {
			job := testJob(n)
			job.Bars, job.Decisions = r, true
			stopped := errors.New("stopped")
			job.OnBar = func(bar int64) error {
				if bar == stop {
					return stopped
				}
				return nil
			}
			res, err := Run(t.Context(), job, &memory{bars: data}, nil)
			if err != nil && !errors.Is(err, stopped) {
				t.Fatal(err)
			}
			if err := res.Decisions.Check(res.Footer); err != nil {
				t.Fatal(err)
			}
			got = append(got, listed(res.Decisions)...)
		}
		if !reflect.DeepEqual(got, whole[:stop]) {
			t.Fatalf("%d decisions of a replay cut at %d and stopped at %d differ from the whole's", len(got), cut, stop)
		}
	})
}

// What decisions cost in allocations is the growth of a list.
func TestDecisionsAllocations(t *testing.T) {
	const n = 20_000
	data := testBars(n, 1)
	allocs := func(on bool) float64 {
		job := testJob(n)
		job.Decisions = on
		return testing.AllocsPerRun(3, func() { mustRun(t, job, &memory{bars: data}) })
	}
	if off, on := allocs(false), allocs(true); on-off > 100 {
		t.Errorf("%v allocations with decisions, %v without (want a few more)", on, off)
	}
}
