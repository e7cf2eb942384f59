package replay

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// treeJob is a job with the model m of files that a library has made, whose
// gate skips some market sessions.
func treeJob(t *testing.T, n int64, m policy.Model) Job {
	t.Helper()
	job := testJob(n)
	p := &job.Policy
	p.Features = []string{"atr14", "body_pct", "ema20_slope", "roc20", "session_id", "spread_bps"}
	p.Pregate = policy.Pregate{Enabled: true, MaxSpreadBps: ptr(3.5)}
	p.Entry = policy.Entry{PSideMin: policy.Sides{Long: 0.5, Short: 0.85}}
	p.Model = &m
	var err error
	job.Model, err = model.NewSet(m, p.Sessions, p.Features, func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join("..", "model", "testdata", name))
	})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// A market session without a model has no signal, and no call is made or
// counted there; the model of a session is the one that is asked.
func TestModelsOfMarketSessions(t *testing.T) {
	const n = 4000
	data := testBars(n, 3)
	paths := map[string]string{"EU": "xgb_named.json", "US": "xgb_hist.json"}
	job := treeJob(t, n, policy.Model{Kind: policy.KindXGBoost, Paths: paths})
	one := map[string]*model.XGBoost{}
	for session, file := range paths {
		content, err := os.ReadFile(filepath.Join("..", "model", "testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if one[session], err = model.ParseXGBoost(file, content, job.Policy.Features, false); err != nil {
			t.Fatal(err)
		}
	}
	e, err := newEngine(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	table := sessionTable(t)
	passes, calls := int64(0), int64(0)
	want := map[int64]trade.Side{} // bar → side
	e.job.OnBar = func(bar int64) error {
		// The gate of treeJob has one limit.
		if spread, _ := e.set.SpreadBps(); !e.set.Ready() || spread > 3.5 {
			return nil
		}
		passes++
		m := one[table.Name(e.set.Session())]
		if m == nil {
			return nil
		}
		calls++
		switch long, _ := m.Score(e.set.Values()); {
		case long > 0:
			want[bar] = trade.Long
		case model.Sigmoid(-long) >= 0.85:
			want[bar] = trade.Short
		}
		return nil
	}
	if err := e.replay(&memory{bars: data}); err != nil {
		t.Fatal(err)
	}
	res := e.result()
	f := res.Footer
	if f.NModelCalls != calls || f.PregatePasses != passes || calls == 0 || calls > passes*2/3 {
		t.Errorf("%d calls, %d passes (want %d, %d)", f.NModelCalls, f.PregatePasses, calls, passes)
	}
	got := map[int64]trade.Side{}
	for _, s := range res.Signals {
		got[s.Bar] = s.Side
	}
	if n := int64(len(want)); !reflect.DeepEqual(got, want) || n < 50 || n > calls-50 {
		t.Errorf("%d signals (want %d by the models' own scores, of %d calls)", len(got), n, calls)
	}
}

// Invariant 3 with a model of trees, of which a recursive feature is part.
func TestInvariant3_Trees(t *testing.T) {
	const n = 4000
	data := testBars(n, 3)
	for _, m := range []policy.Model{
		{Kind: policy.KindXGBoost, Path: "xgb_named.ubj"},
		{Kind: policy.KindLightGBM, Path: "lgb_nan.txt", Paths: map[string]string{"US": "lgb_none.txt"}},
	} {
		job := treeJob(t, n, m)
		job.Policy.Entry.PSideMin.Short = 0.6
		job.States, job.StateEvery = statesOf(t, job, data, 700), 700
		whole := mustRun(t, job, &memory{bars: data})
		if len(whole.Signals) < 100 || whole.Footer.NModelCalls != whole.Footer.PregatePasses {
			t.Fatalf("%s: %d signals, %d calls", m.Path, len(whole.Signals), whole.Footer.NModelCalls)
		}
		for _, chunks := range []int{3, 7} {
			plan, err := run.NewPlan(n, chunks, 0, run.OrderTime)
			if err != nil {
				t.Fatal(err)
			}
			var signals []trade.Signal
			var calls int64
			for i := range chunks {
				part := job
				part.Bars = plan.Chunk(i).Bars
				res := mustRun(t, part, &memory{bars: data})
				signals = append(signals, res.Signals...)
				calls += res.Footer.NModelCalls
			}
			if calls != whole.Footer.NModelCalls || !reflect.DeepEqual(signals, whole.Signals) {
				t.Errorf("%s, %d chunks: %d calls, %d signals (want %d, %d, each the same)", m.Path, chunks,
					calls, len(signals), whole.Footer.NModelCalls, len(whole.Signals))
			}
		}
	}
}

// Nothing is allocated a bar, whatever the model.
func TestTreesAllocateNothingABar(t *testing.T) {
	const n = 4000
	data := testBars(n, 3)
	job := treeJob(t, n, policy.Model{Kind: policy.KindXGBoost, Path: "xgb_named.json"})
	job.Policy.Entry.PSideMin = policy.Sides{Long: 1, Short: 1}
	e, err := newEngine(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	block := func() {
		if err := e.own(data[e.next : e.next+blockBars]); err != nil {
			t.Fatal(err)
		}
	}
	for e.next < 1000 {
		block()
	}
	if allocs := testing.AllocsPerRun(10, block); allocs != 0 {
		t.Errorf("%v allocations a block of %d bars (want 0)", allocs, blockBars)
	}
	if e.counts.calls == 0 {
		t.Error("the model was never called")
	}
}
