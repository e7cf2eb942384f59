package replay

import (
	"context"
	"errors"
	"iter"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/test/virtual"
)

var errTest = errors.New("the test says stop")

// Invariant 2: a cancel at any bar, from OnBar, leaves that bar as the last
// one counted, and the footer is the one that a shorter chunk would have.
func TestInvariant2_CancelAtEveryBar(t *testing.T) {
	const n = 400
	data := testBars(n, 4)
	for at := range int64(n) {
		ctx, cancel := context.WithCancelCause(context.Background())
		job := testJob(n)
		var last int64 = -1
		job.OnBar = func(bar int64) error {
			last = bar
			if bar == at {
				cancel(errTest)
			}
			return nil
		}
		res, err := Run(ctx, job, &memory{bars: data}, nil)
		if wantErr := at < n-1; errors.Is(err, errTest) != wantErr || (err != nil) != wantErr {
			t.Fatalf("cancelled at %d: %v", at, err)
		}
		f := res.Footer
		if last != at || f.BarsProcessed != at+1 {
			t.Fatalf("cancelled at %d: last bar %d, %d bars counted", at, last, f.BarsProcessed)
		}
		if err := identities(f, true); err != nil {
			t.Fatalf("cancelled at %d: %v", at, err)
		}
		job.OnBar = nil
		job.Bars.End = at + 1
		job.Policy.Replay.FollowBars = 0
		short := mustRun(t, job, &memory{bars: data})
		a, b := counted(f), counted(short.Footer)
		a.PlannedBars, a.EndBar = b.PlannedBars, b.EndBar
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(res.Signals, short.Signals) {
			t.Fatalf("cancelled at %d:\n%+v\na chunk that ends there:\n%+v", at, a, b)
		}
		cancel(nil)
	}
}

func TestOnBarError(t *testing.T) {
	job := testJob(300)
	job.OnBar = func(bar int64) error {
		if bar == 200 {
			return errTest
		}
		return nil
	}
	res, err := Run(context.Background(), job, &memory{bars: testBars(300, 5)}, nil)
	if !errors.Is(err, errTest) || res.Footer.BarsProcessed != 200 {
		t.Errorf("error %v, %d bars (want 200)", err, res.Footer.BarsProcessed)
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errTest)
	res, err := Run(ctx, testJob(300), &memory{bars: testBars(300, 5)}, nil)
	if !errors.Is(err, errTest) || res.Footer.BarsProcessed != 0 || res.Footer.PlannedBars != 300 || res.Footer.StartTS != "" || res.Footer.SkipReasons == nil {
		t.Errorf("error %v, %+v", err, res.Footer)
	}
}

// failing yields good bars, then an error or nothing.
type failing struct {
	bars []bars.Bar
	good int64
	err  error
}

func (s failing) Blocks(ctx context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	return func(yield func([]bars.Bar, error) bool) {
		for i := r.First; i < min(r.End, s.good); i++ {
			if !yield(s.bars[i:i+1], nil) {
				return
			}
		}
		if s.err != nil {
			yield(nil, s.err)
		}
	}
}

func TestSourceFails(t *testing.T) {
	data := testBars(1000, 6)
	for _, good := range []int64{0, 40, 150, 200, 333, 500} {
		job := testJob(1000)
		job.Bars = run.BarRange{First: 200, End: 600}
		want := max(0, good-200)
		res, err := Run(context.Background(), job, failing{data, good, errTest}, nil)
		if !errors.Is(err, errTest) || !errors.Is(err, ErrSource) || res.Footer.BarsProcessed != want {
			t.Errorf("an error after %d bars: %v, %d counted (want %d)", good, err, res.Footer.BarsProcessed, want)
		}
		res, err = Run(context.Background(), job, failing{data, good, nil}, nil)
		if !errors.Is(err, ErrSource) || res.Footer.BarsProcessed != want {
			t.Errorf("an end after %d bars: %v, %d counted (want %d)", good, err, res.Footer.BarsProcessed, want)
		}
	}
}

func TestJobErrors(t *testing.T) {
	for want, change := range map[string]func(*Job){
		"bars [5, 5)":                 func(j *Job) { j.Bars = run.BarRange{First: 5, End: 5} },
		"bars [-1, 5)":                func(j *Job) { j.Bars = run.BarRange{First: -1, End: 5} },
		"bars [0, 101) of a data set": func(j *Job) { j.Bars.End = 101 },
		"a checkpoint every 3 bars":   func(j *Job) { j.CheckpointEvery = 3 },
		"bar length -1ns":             func(j *Job) { j.BarLength = -1 },
		"the policy has no model":     func(j *Job) { j.Policy.Model = nil },
		"replay.follow_bars: -1":      func(j *Job) { j.Policy.Replay.FollowBars = -1 },
		`"nonsense" is unknown`:       func(j *Job) { j.Policy.Features = []string{"nonsense"} },
		"allow_sessions: \"ASIAN\"":   func(j *Job) { j.Policy.Pregate.AllowSessions = []string{"ASIAN"} },
		"entry.sessions: \"X\"":       func(j *Job) { j.Policy.Entry.Sessions = []string{"X"} },
		"p_side_min or margin_min":    func(j *Job) { j.Policy.Entry.MarginMin.Short = math.NaN() },
		"replay.fill":                 func(j *Job) { j.Policy.Replay.Fill = "" },
		"all.json was not read":       func(j *Job) { j.Policy.Model = &policy.Model{Kind: "xgboost", Path: "all.json"} },
		"model.path: is missing":      func(j *Job) { j.Policy.Model = &policy.Model{Kind: "xgboost"} },
	} {
		job := testJob(100)
		change(&job)
		res, err := Run(context.Background(), job, &memory{bars: testBars(100, 1)}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v (want one with %q)", err, want)
		}
		if res.Signals != nil || res.Footer.PlannedBars != 0 {
			t.Errorf("%s: a result of an invalid job", want)
		}
	}
}

func TestCancelDuringLatency(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		const n = 2000
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		job := testJob(n)
		job.Policy.Pregate.Enabled = false
		job.Policy.Model.Latency = 10 * time.Second // each call sleeps
		start := time.Now()
		after := time.AfterFunc(45*time.Second, func() { cancel(errTest) })
		defer after.Stop()
		var last int64
		job.OnBar = func(bar int64) error { last = bar; return nil }
		res, err := Run(ctx, job, &memory{bars: testBars(n, 12)}, nil)
		f := res.Footer
		// 49 bars of warm-up, four calls of 10 s; the fifth is cut off at 45 s.
		if !errors.Is(err, errTest) || time.Since(start) != 45*time.Second || f.NModelCalls != 4 || f.BarsProcessed != 53 || last != 52 {
			t.Errorf("error %v after %v: %d calls, %d bars, last %d", err, time.Since(start), f.NModelCalls, f.BarsProcessed, last)
		}
		if err := identities(f, false); err != nil || f.TModelTotalSec != 45 {
			t.Errorf("%v; model %v s (want 45)", err, f.TModelTotalSec)
		}
	})
}
