package replay

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// scored replays job and gives its result with the probabilities that its model
// had at each bar, NaN where it has none.
func scored(t *testing.T, job Job, src Source) (Result, *Scores) {
	t.Helper()
	e, err := newEngine(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &Scores{First: job.Bars.First}
	e.job.OnBar = func(int64) error {
		long, short := math.NaN(), math.NaN()
		if e.set.Ready() && e.model.Has(e.set.Session()) {
			x, y := e.model.Score(e.set.Session(), e.set.Values())
			long, short = model.Sigmoid(x), model.Sigmoid(y)
		}
		s.PLong, s.PShort = append(s.PLong, long), append(s.PShort, short)
		return nil
	}
	if err := e.replay(src); err != nil {
		t.Fatal(err)
	}
	return e.result(), s
}

// part is what s has of a chunk.
func (s *Scores) part(r run.BarRange) *Scores {
	from, to := r.First-s.First, r.End-s.First
	return &Scores{First: r.First, PLong: s.PLong[from:to], PShort: s.PShort[from:to]}
}

// scoresJob is job with scores in the place of features and model.
func scoresJob(job Job, s *Scores) Job {
	job.Scores, job.Model, job.States = s, nil, nil
	job.Policy.Model = nil
	job.Policy.Features = []string{"what_a_command_calls_it"}
	return job
}

// The probabilities of a model that is built in, given as scores, make the
// signals that it makes, for any cut.
func TestScoresMakeTheModelsSignals(t *testing.T) {
	const n = 4000
	data := testBars(n, 21)
	for name, job := range map[string]Job{
		"logistic": testJob(n),
		"signal_close": func() Job {
			job := testJob(n)
			job.Policy.Replay.Fill = policy.FillSignalClose
			job.Policy.Entry.Sessions = []string{"EU", "US"}
			return job
		}(),
		"no thresholds, no gate": func() Job {
			job := testJob(n)
			job.Policy.Pregate = policy.Pregate{}
			job.Policy.Entry = policy.Entry{}
			return job
		}(),
		"one side never": func() Job {
			job := testJob(n)
			job.Policy.Entry.PSideMin.Short = 1
			job.Policy.Model.Short.Bias = 60 // its probability is 1
			return job
		}(),
		"trees of market sessions": treeJob(t, n, policy.Model{Kind: policy.KindXGBoost, Paths: map[string]string{"EU": "xgb_named.json", "US": "xgb_hist.json"}}),
	} {
		t.Run(name, func(t *testing.T) {
			want, scores := scored(t, job, &memory{bars: data})
			if len(want.Signals) < 40 && name != "one side never" {
				t.Fatalf("%d signals are too few to tell", len(want.Signals))
			}
			for _, chunks := range []int{1, 2, 7, 64} {
				plan, err := run.NewPlan(n, chunks, 0, run.OrderTime)
				if err != nil {
					t.Fatal(err)
				}
				var got []trade.Signal
				for i := range chunks {
					part := scoresJob(job, scores.part(plan.Chunk(i).Bars))
					part.Bars = plan.Chunk(i).Bars
					res := mustRun(t, part, &memory{bars: data})
					f := res.Footer
					f.NModelCalls = f.PregatePasses
					if err := identities(f, job.Policy.Pregate.Enabled); job.Policy.Pregate.Enabled && err != nil {
						t.Errorf("chunk %d of %d: %v", i, chunks, err)
					}
					if f := res.Footer; f.NModelCalls != 0 || f.FeatureTimeMeanMS != 0 || f.TModelTotalSec != 0 {
						t.Errorf("chunk %d of %d: %d calls, %v ms a feature, %v s in the model (want none: they are the command's)",
							i, chunks, f.NModelCalls, f.FeatureTimeMeanMS, f.TModelTotalSec)
					}
					got = append(got, res.Signals...)
				}
				if !reflect.DeepEqual(got, want.Signals) {
					t.Errorf("%d chunks: %d signals by scores, %d by the model, or others", chunks, len(got), len(want.Signals))
				}
			}
		})
	}
}

// Warm-up is what the policy asks for, and counted from the data's start; the
// features that it names are nobody's.
func TestWarmupWithScores(t *testing.T) {
	const n = 300
	data := testBars(n, 22)
	job := testJob(n)
	job.Policy.Pregate = policy.Pregate{}
	job.Policy.WarmupBars = 120
	_, scores := scored(t, job, &memory{bars: data})
	for k := range scores.PLong {
		scores.PLong[k], scores.PShort[k] = 0.9, 0.1
	}
	var warm int64
	for _, r := range []run.BarRange{{First: 0, End: 100}, {First: 100, End: 200}, {First: 200, End: n}} {
		part := scoresJob(job, scores.part(r))
		part.Bars = r
		res := mustRun(t, part, &memory{bars: data})
		warm += res.Footer.BarsSkippedWarmup
		for i, s := range res.Signals {
			if s.Bar < 120 || i == 0 && s.Bar != max(120, r.First) {
				t.Errorf("chunk from %d: signal %d at bar %d", r.First, i, s.Bar)
			}
		}
	}
	if warm != 120 {
		t.Errorf("%d bars of warm-up (want 120)", warm)
	}
}

// Scores that end before their chunk are a replay that was stopped there: the
// footer and the signals of a shorter chunk that follows nothing.
func TestScoresEndEarly(t *testing.T) {
	const n = 400
	data := testBars(n, 23)
	job := testJob(n)
	job.Bars = run.BarRange{First: 40, End: 360}
	job.CheckpointEvery, job.MaxCheckpoints = 64, 100
	_, all := scored(t, job, &memory{bars: data})
	for _, rows := range []int64{0, 1, 31, 32, 33, 250, 319} {
		r := run.BarRange{First: 40, End: 40 + rows}
		src := &memory{bars: data}
		res, err := Run(context.Background(), scoresJob(job, all.part(r)), src, nil)
		if !errors.Is(err, ErrScoresEnd) {
			t.Fatalf("%d scores: %v (want ErrScoresEnd)", rows, err)
		}
		f := res.Footer
		if f.BarsProcessed != rows || f.PlannedBars != 320 || src.read > r.End {
			t.Errorf("%d scores: %d bars of %d, read to %d", rows, f.BarsProcessed, f.PlannedBars, src.read)
		}
		if rows == 0 {
			if src.read != 0 || len(res.Signals) > 0 || f.StartTS != "" {
				t.Errorf("without scores: read to %d, %d signals, start %q", src.read, len(res.Signals), f.StartTS)
			}
			continue
		}
		short := scoresJob(job, all.part(r))
		short.Bars, short.Policy.Replay.FollowBars = r, 0
		want := mustRun(t, short, &memory{bars: data})
		a, b := counted(f), counted(want.Footer)
		a.PlannedBars, a.EndBar = b.PlannedBars, b.EndBar
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(res.Signals, want.Signals) {
			t.Errorf("%d scores:\n%+v\na chunk that ends there:\n%+v", rows, a, b)
		}
	}
}

// What is written of a score is the score, and every threshold is met as it is
// written.
func TestDecideByProbability(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		long, short float64
		side        trade.Side
		why         trade.Decision
	}{
		{0.6, 0.3, trade.Long, trade.DecisionSignal},
		{0.55, 0.4, trade.Long, trade.DecisionSignal}, // at both thresholds
		{math.Nextafter(0.55, 0), 0.3, 0, trade.DecisionPSideMin},
		{0.3, 0.7, trade.Short, trade.DecisionSignal},
		{0.3, math.Nextafter(0.7, 0), 0, trade.DecisionPSideMin},
		{0.55, math.Nextafter(0.45, 0), 0, trade.DecisionMargin},
		{0.7, 0.7, 0, trade.DecisionEqual},
		{nan, 0.9, 0, trade.DecisionNoSignal},
		{0.9, nan, 0, trade.DecisionNoSignal},
		{nan, nan, 0, trade.DecisionNoSignal},
		{1, 0, trade.Long, trade.DecisionSignal},
		{0, 1, trade.Short, trade.DecisionSignal},
	} {
		r, err := newEntryRule(policy.Entry{PSideMin: policy.Sides{Long: 0.55, Short: 0.7}, MarginMin: policy.Sides{Long: 0.15}}, sessionTable(t))
		if err != nil {
			t.Fatal(err)
		}
		s := &Scores{First: 7, PLong: []float64{c.long}, PShort: []float64{c.short}}
		side, p, what := s.decide(&r, 7, 0)
		if side != c.side || what.Decision != c.why {
			t.Errorf("%v, %v: %v, %v (want %v, %v)", c.long, c.short, side, what.Decision.Reason(), c.side, c.why.Reason())
		}
		if want := max(c.long, c.short); side != 0 && p != want || what.Decision.HasScore() && what.Score != want {
			t.Errorf("%v, %v: the score is %v, that of the decision %v (want %v)", c.long, c.short, p, what.Score, want)
		}
	}
}

// A probability of our own sigmoid decides as its log-odds do, whatever the
// threshold, except where rounding hides the difference.
func TestProbabilitiesDecideAsLogOdds(t *testing.T) {
	rnd := rng(5)
	uniform := func() float64 { return float64(rnd.next()>>11) / (1 << 53) }
	near, furthest := 0, 0.0
	for range 200_000 {
		e := policy.Entry{
			PSideMin:  policy.Sides{Long: math.Round(uniform()*1000) / 1000, Short: uniform()},
			MarginMin: policy.Sides{Long: math.Round(uniform()*20) / 100, Short: uniform() / 4},
		}
		r, err := newEntryRule(e, sessionTable(t))
		if err != nil {
			t.Fatal(err)
		}
		long, short := 8*uniform()-4, 8*uniform()-4
		if rnd.below(2) == 0 { // at the threshold, or next to it
			long = model.Logit(e.PSideMin.Long)
			for range rnd.below(3) {
				long = math.Nextafter(long, math.Inf(1-2*int(rnd.below(2))))
			}
			short = long - 2*uniform()
		}
		s := &Scores{PLong: []float64{model.Sigmoid(long)}, PShort: []float64{model.Sigmoid(short)}}
		side, p, what := s.decide(&r, 0, 0)
		wantSide, wantP, why := r.decide(0, long, short)
		if side == wantSide && what.Decision == why && (side == 0 || p == wantP) {
			continue
		}
		near++
		ulps := math.Abs(s.PLong[0]-e.PSideMin.Long) / (math.Nextafter(e.PSideMin.Long, 2) - e.PSideMin.Long)
		if furthest = max(furthest, ulps); ulps > 2+math.Abs(long) {
			t.Fatalf("log-odds %v, %v make %v %s, their probabilities %v %s, %v units in the last place from the threshold of %+v", long, short, wantSide, why.Reason(), side, what.Decision.Reason(), ulps, e)
		}
	}
	t.Logf("%d of 200000 decisions differ, all of them within %v units in the last place of p_side_min", near, furthest)
}

func TestScoresThatAreNone(t *testing.T) {
	for name, s := range map[string]Scores{
		"before the chunk":  {First: 9, PLong: []float64{0.5}, PShort: []float64{0.5}},
		"behind its start":  {First: 11, PLong: []float64{0.5}, PShort: []float64{0.5}},
		"too many":          {First: 10, PLong: make([]float64, 11), PShort: make([]float64, 11)},
		"one side is short": {First: 10, PLong: []float64{0.5, 0.5}, PShort: []float64{0.5}},
		"above 1":           {First: 10, PLong: []float64{0.5, math.Nextafter(1, 2)}, PShort: []float64{0.5, 0.5}},
		"below 0":           {First: 10, PLong: []float64{0.5}, PShort: []float64{-1e-300}},
		"infinite":          {First: 10, PLong: []float64{math.Inf(1)}, PShort: []float64{0.5}},
	} {
		job := scoresJob(testJob(100), &s)
		job.Bars = run.BarRange{First: 10, End: 20}
		if _, err := Run(context.Background(), job, &memory{bars: testBars(100, 1)}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Decisions of scores count what the footer counts.
func TestDecisionsOfScores(t *testing.T) {
	const n = 2000
	data := testBars(n, 24)
	job := testJob(n)
	_, scores := scored(t, job, &memory{bars: data})
	job = scoresJob(job, scores)
	job.Decisions = true
	res := mustRun(t, job, &memory{bars: data})
	f := res.Footer
	f.NModelCalls = f.PregatePasses // a score was looked at
	if err := res.Decisions.Check(f); err != nil {
		t.Error(err)
	}
}
