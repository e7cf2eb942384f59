package replay

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/test/virtual"
)

// Invariant 5, and reports in general: they rise, each is consistent in
// itself, and none is changed later.
func TestInvariant5_Reports(t *testing.T) {
	const n = 700
	data := testBars(n, 9)
	job := testJob(n)
	job.Bars.First = 100
	job.ReportEvery = 0
	job.MaxCheckpoints, job.CheckpointEvery = 8, 4
	var reports []footer.Footer
	var texts []string
	res, err := Run(context.Background(), job, InMemory(data), func(f footer.Footer) {
		reports = append(reports, f)
		texts = append(texts, fmt.Sprintf("%+v", f))
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 601 { // the warm-up's block and every own bar
		t.Errorf("%d reports (want 601)", len(reports))
	}
	var last footer.Footer
	for i, f := range reports {
		if got := fmt.Sprintf("%+v", f); got != texts[i] {
			t.Fatalf("report %d was changed: %s (was %s)", i, got, texts[i])
		}
		if err := identities(f, true); err != nil {
			t.Fatalf("report %d: %v", i, err)
		}
		if f.BarsProcessed < last.BarsProcessed || f.WallClockSec < last.WallClockSec || f.TPolicyTotalSec < last.TPolicyTotalSec ||
			f.TFeatureBuildSec < last.TFeatureBuildSec || f.TPregateTotalSec < last.TPregateTotalSec || f.TModelTotalSec < last.TModelTotalSec {
			t.Fatalf("report %d fell behind: %+v after %+v", i, f, last)
		}
		last = f
	}
	if reports[0].Phase != footer.PhaseWarmup || last.Phase != footer.PhaseReplay {
		t.Errorf("phases %s to %s", reports[0].Phase, last.Phase)
	}
	if a, b := counted(last), counted(res.Footer); a.BarsProcessed != b.BarsProcessed || a.NSignals != b.NSignals {
		t.Errorf("the last report has %d bars, the result %d", a.BarsProcessed, b.BarsProcessed)
	}
}

func TestCheckpoints(t *testing.T) {
	const n = 3000
	data := testBars(n, 10)
	job := testJob(n)
	job.Bars = run.BarRange{First: 1001, End: 2000}
	job.CheckpointEvery, job.MaxCheckpoints = 4, 10
	job.CPU = func() time.Duration { return 5 }
	f := mustRun(t, job, &memory{bars: data}).Footer
	// 999 bars at most 10 rows: each 128th bar index, 1024 to 1920.
	var at []int64
	for i, r := range f.Checkpoints {
		at = append(at, 1001+r[0])
		if r[2] != 5 || r[1] <= 0 || r[3] > r[0] || r[3]+r[4] > r[0] || i > 0 && r[1] < f.Checkpoints[i-1][1] {
			t.Errorf("row %v", r)
		}
	}
	if want := []int64{1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920}; !slices.Equal(at, want) {
		t.Errorf("rows at bars %v (want %v)", at, want)
	}
	job.MaxCheckpoints = 0
	if rows := mustRun(t, job, &memory{bars: data}).Footer.Checkpoints; len(rows) != 0 {
		t.Errorf("%d rows where none were asked for", len(rows))
	}
}

func sumOfPhases(f footer.Footer) float64 {
	return f.TStartupSec + f.TWarmupSec + f.TPregateTotalSec + f.TFeatureBuildSec + f.TModelTotalSec + f.TPolicyTotalSec + f.TIOTotalSec
}

// Invariant 4 on real time: nothing is left over, whatever the size.
func TestInvariant4_PhasesAddUp(t *testing.T) {
	const n = 60_000
	data := testBars(n, 11)
	for _, reportEvery := range []time.Duration{time.Millisecond, time.Hour} {
		job := testJob(n)
		job.Bars.First = 5000
		job.ReportEvery = reportEvery
		check := func(f footer.Footer) {
			sum := sumOfPhases(f)
			if sum > f.WallClockSec+1e-12 || sum < 0.95*f.WallClockSec {
				t.Errorf("phases %v s of %v", sum, f.WallClockSec)
			}
			// As the original divides: by all bars, whether or not their features were built.
			want := 0.0 // a report may come before the first bar
			if f.TotalBars > 0 {
				want = 1000 * f.TFeatureBuildSec / float64(f.TotalBars)
			}
			if f.FeatureTimeMeanMS != want || f.TotalBars > 0 && f.NModelCalls == f.TotalBars {
				t.Errorf("feature_time_mean_ms is %v of %v s over %d bars, %d of them with a model call (want %v)",
					f.FeatureTimeMeanMS, f.TFeatureBuildSec, f.TotalBars, f.NModelCalls, want)
			}
		}
		res, err := Run(context.Background(), job, &memory{bars: data}, check)
		if err != nil {
			t.Fatal(err)
		}
		f := res.Footer
		check(f)
		for name, v := range map[string]float64{"warm-up": f.TWarmupSec, "features": f.TFeatureBuildSec, "gate": f.TPregateTotalSec, "model": f.TModelTotalSec, "policy": f.TPolicyTotalSec, "io": f.TIOTotalSec, "mean": f.FeatureTimeMeanMS, "bars/s": f.BarsPerSec} {
			if v <= 0 {
				t.Errorf("%s took %v", name, v)
			}
		}
	}
}

// The declared latency is kept on average and charged to the model, and a
// cancel cuts a sleep short without a further bar.
func TestLatency(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		const n = 2000
		job := testJob(n)
		job.Policy.Model.Latency = 300 * time.Microsecond
		f := mustRun(t, job, &memory{bars: testBars(n, 12)}).Footer
		want := float64(f.NModelCalls) * 300e-6
		if math.Abs(f.TModelTotalSec-want) > 1e-9 || math.Abs(f.WallClockSec-want) > 1e-9 || f.NModelCalls == 0 {
			t.Errorf("model %v s, wall %v s (want %d · 300 µs)", f.TModelTotalSec, f.WallClockSec, f.NModelCalls)
		}
	})
}

// With a slow model reports still come when they are due.
func TestReportsOfASlowModel(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		const n = 300
		job := testJob(n)
		job.Policy.Pregate.Enabled = false
		job.Policy.Model.Latency = 100 * time.Millisecond
		job.ReportEvery = 250 * time.Millisecond
		var at []float64
		_, err := Run(context.Background(), job, &memory{bars: testBars(n, 12)}, func(f footer.Footer) { at = append(at, f.WallClockSec) })
		if err != nil {
			t.Fatal(err)
		}
		// 251 calls of 0.1 s; a report at the first bar border 0.25 s after the
		// one before, so each 0.3 s: 83 of them.
		if len(at) != 83 {
			t.Errorf("%d reports (want 83)", len(at))
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; d < 0.25-1e-9 || d > 0.35+1e-9 {
				t.Errorf("%v s between two reports", d)
			}
		}
	})
}

// A run allocates for itself and its signals, not for its bars.
func TestNoAllocationPerBar(t *testing.T) {
	data := testBars(40_000, 13)
	allocs := func(n int64) float64 {
		job := testJob(n)
		job.Policy.Entry.PSideMin = policy.Sides{Long: 1, Short: 1}
		return testing.AllocsPerRun(3, func() { mustRun(t, job, &memory{bars: data}) })
	}
	if few, many := allocs(2_000), allocs(40_000); many > few {
		t.Errorf("%v allocations for 40,000 bars, %v for 2,000 (want no more)", many, few)
	}
}

// The model scores no further ahead than stops and reports can wait, and always
// at least one bar.
func TestNextPiece(t *testing.T) {
	for _, c := range []struct {
		n    int
		ns   int64
		want int
	}{
		{1, 0, blockBars}, // the clock did not move
		{1, 100, blockBars},
		{blockBars, 1000, blockBars},
		{1, 2_000, 100},
		{44, 200_000, 44},
		{10, 1_000_000, 2},
		{1, 150_000, 1},
		{1, int64(time.Minute), 1},
	} {
		if got := nextPiece(c.n, c.ns); got != c.want {
			t.Errorf("%d bars in %d ns: then %d at once (want %d)", c.n, c.ns, got, c.want)
		}
	}
}
