package replay

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// everyFeature is a job with all features that there are, whose scores depend
// on recursive ones, too, and whose gate skips nothing.
func everyFeature(n int64) Job {
	job := testJob(n)
	p := &job.Policy
	p.Features = nil
	for _, info := range feature.Known() {
		p.Features = append(p.Features, info.Name)
	}
	p.Pregate.Enabled = false
	p.Model = &policy.Model{
		Kind:  policy.KindLogistic,
		Long:  policy.Logistic{Bias: -0.4, Weights: map[string]float64{"body_pct": 1, "ema20_slope": 0.7}},
		Short: policy.Logistic{Bias: -0.4, Weights: map[string]float64{"body_pct": -1, "pos_vs_ema200": -90}},
	}
	return job
}

// statesOf are the states of the job's features at every border of data.
func statesOf(t testing.TB, job Job, data []bars.Bar, every int) [][]byte {
	t.Helper()
	set, err := feature.New(job.Policy.Features, sessionTable(t))
	if err != nil {
		t.Fatal(err)
	}
	var states [][]byte
	for i := range data {
		if i > 0 && i%every == 0 {
			states = append(states, set.AppendState(nil))
		}
		set.Skip(data[i])
	}
	return states
}

// values replays a chunk, and appends what the features of its own bars are to
// seen: a row a bar, without numbers while they are not ready.
func values(t testing.TB, job Job, src Source, seen [][]uint64) ([][]uint64, Result) {
	t.Helper()
	e, err := newEngine(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.job.OnBar = func(int64) error {
		row := []uint64{uint64(e.set.Session())}
		if atr, ok := e.set.ATRBps(); ok {
			row = append(row, math.Float64bits(atr))
		}
		if e.set.Ready() {
			for _, v := range e.set.Values() {
				row = append(row, math.Float64bits(v))
			}
		}
		seen = append(seen, row)
		return nil
	}
	if err := e.replay(src); err != nil {
		t.Fatal(err)
	}
	return seen, e.result()
}

// Invariant 3 for recursive features: whatever the cut, and whichever states
// there are, every own bar has the same features to the bit.
func TestInvariant3_FeaturesOfAnyCut(t *testing.T) {
	const n = 9000
	data := testBars(n, 21)
	job := everyFeature(n)
	whole, res := values(t, job, &memory{bars: data}, nil)
	warm := res.Footer.BarsSkippedWarmup
	if warm == 0 || warm > n*2/3 || len(res.Signals) < 100 {
		t.Fatalf("%d bars of warm-up, %d signals: the fixture shows nothing", warm, len(res.Signals))
	}
	for _, every := range []int{1, 512, 4096, n, 0} {
		var states [][]byte
		if every > 0 {
			states = statesOf(t, job, data, every)
		}
		for _, chunks := range []int{2, 3, 7, 64} {
			if every == 0 && chunks > 3 {
				continue // each chunk begins with bar 0
			}
			plan, err := run.NewPlan(n, chunks, 0, run.OrderTime)
			if err != nil {
				t.Fatal(err)
			}
			var seen [][]uint64
			var signals []trade.Signal
			var sum footer.Footer
			for i := range chunks {
				part := job
				part.Bars, part.States, part.StateEvery = plan.Chunk(i).Bars, states, int64(every)
				src := &memory{bars: data}
				before := len(seen)
				var res Result
				seen, res = values(t, part, src, seen)
				if len(states) > 0 && src.asked.First < part.Bars.First-windowOf(t, job)-int64(every) {
					t.Fatalf("chunk from bar %d reads from %d, states every %d bars", part.Bars.First, src.asked.First, every)
				}
				f := res.Footer
				if part.Bars.First >= warm && f.BarsSkippedWarmup != 0 {
					t.Errorf("%d chunks, states every %d: %d bars of warm-up from bar %d on", chunks, every, f.BarsSkippedWarmup, part.Bars.First)
				}
				for k := before; k < len(seen); k++ {
					if !slices.Equal(seen[k], whole[k]) {
						t.Fatalf("%d chunks, states every %d: bar %d of the chunk from %d has %x (want %x)", chunks, every, k, part.Bars.First, seen[k], whole[k])
					}
				}
				sum.BarsProcessed += f.BarsProcessed
				sum.BarsSkippedWarmup += f.BarsSkippedWarmup
				sum.NModelCalls += f.NModelCalls
				signals = append(signals, res.Signals...)
			}
			w := res.Footer
			if sum.BarsProcessed != n || sum.BarsSkippedWarmup != w.BarsSkippedWarmup || sum.NModelCalls != w.NModelCalls {
				t.Errorf("%d chunks, states every %d: bars %d, warm-up %d, calls %d (want %d, %d, %d)", chunks, every,
					sum.BarsProcessed, sum.BarsSkippedWarmup, sum.NModelCalls, n, w.BarsSkippedWarmup, w.NModelCalls)
			}
			if !reflect.DeepEqual(signals, res.Signals) {
				t.Errorf("%d chunks, states every %d: %d signals that differ from the single chunk's %d", chunks, every, len(signals), len(res.Signals))
			}
		}
	}
}

func windowOf(t testing.TB, job Job) int64 {
	t.Helper()
	set, err := feature.New(job.Policy.Features, sessionTable(t))
	if err != nil {
		t.Fatal(err)
	}
	return set.Window()
}

// A state that is not one of its border is an error before anything is read.
func TestStatesThatCannotBe(t *testing.T) {
	const n = 9000
	data := testBars(n, 21)
	good := everyFeature(n)
	good.Bars.First = 8000
	good.States, good.StateEvery = statesOf(t, good, data, 500), 500
	for name, c := range map[string]struct {
		change func(*Job)
		want   string
	}{
		"no distance":    {func(j *Job) { j.StateEvery = 0 }, "states every 0 bars"},
		"of other bars":  {func(j *Job) { j.StateEvery = 400 }, "is one after"},
		"damaged":        {func(j *Job) { cut(j.States) }, "the state at bar 2000: feature state"},
		"other features": {func(j *Job) { j.Policy.Features = []string{"body_pct", "ema20_slope", "pos_vs_ema200"} }, "the features differ"},
	} {
		job := good
		job.States = slices.Clone(good.States)
		c.change(&job)
		src := &memory{bars: data}
		_, err := Run(context.Background(), job, src, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || src.read != 0 {
			t.Errorf("%s: %v after reading to bar %d (want %q in it, nothing read)", name, err, src.read, c.want)
		}
	}
	// A policy without recursive features does not look at them.
	job := testJob(n)
	job.States, job.StateEvery = [][]byte{nil}, 1
	mustRun(t, job, &memory{bars: data})
}

func cut(states [][]byte) {
	for i, s := range states {
		states[i] = s[:len(s)-1]
	}
}
