package perf_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func drawSessions(t *rapid.T, label string) []run.SessionTimes {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) run.SessionTimes {
		s := run.SessionTimes{
			Session: rapid.IntRange(1, 4).Draw(t, "n"), StartedAt: at.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "start")) * time.Second),
			WallSec: rapid.SampledFrom([]float64{0, 1, 2.5, math.NaN()}).Draw(t, "sec"),
		}
		if rapid.Bool().Draw(t, "ended") {
			s.EndedAt = s.StartedAt.Add(time.Minute)
		}
		return s
	}), 0, 5).Draw(t, label)
}

// sameSessions compares with NaN equal to itself.
func sameSessions(a, b []run.SessionTimes) bool {
	return slices.EqualFunc(a, b, func(x, y run.SessionTimes) bool {
		if math.IsNaN(x.WallSec) && math.IsNaN(y.WallSec) {
			x.WallSec, y.WallSec = 0, 0
		}
		return x == y
	})
}

func TestMergeSessionsLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := drawSessions(rt, "a"), drawSessions(rt, "b"), drawSessions(rt, "c")
		ab := perf.MergeSessions(a, b)
		if !sameSessions(ab, perf.MergeSessions(b, a)) {
			rt.Fatal("not commutative")
		}
		if !sameSessions(perf.MergeSessions(ab, c), perf.MergeSessions(a, perf.MergeSessions(b, c))) {
			rt.Fatal("not associative")
		}
		if !sameSessions(ab, perf.MergeSessions(ab, b)) {
			rt.Fatal("not idempotent")
		}
		for i, s := range ab {
			if i > 0 && ab[i-1].Session >= s.Session {
				rt.Fatalf("%+v is not in order, each once", ab)
			}
			for _, o := range slices.Concat(a, b) {
				if o.Session == s.Session && o.WallSec > s.WallSec {
					rt.Fatalf("%+v stands, %+v is longer", s, o)
				}
			}
		}
	})
}

func TestEndSession(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	sec := func(n int) time.Time { return at.Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		s    run.SessionTimes
		at   time.Time
		want run.SessionTimes
	}{
		"it lived on after it was heard of": {run.SessionTimes{Session: 2, StartedAt: at, WallSec: 3}, sec(5), run.SessionTimes{Session: 2, StartedAt: at, EndedAt: sec(5), WallSec: 5}},
		"it was heard of later":             {run.SessionTimes{Session: 2, StartedAt: at, WallSec: 3}, sec(1), run.SessionTimes{Session: 2, StartedAt: at, EndedAt: sec(3), WallSec: 3}},
		"not started":                       {run.SessionTimes{Session: 2, StartedAt: at}, time.Time{}, run.SessionTimes{Session: 2, StartedAt: at, EndedAt: at}},
		"it has ended later":                {run.SessionTimes{Session: 2, StartedAt: at, EndedAt: sec(9), WallSec: 9}, sec(5), run.SessionTimes{Session: 2, StartedAt: at, EndedAt: sec(9), WallSec: 9}},
		"another":                           {run.SessionTimes{Session: 1, StartedAt: at, WallSec: 3}, sec(5), run.SessionTimes{Session: 1, StartedAt: at, WallSec: 3}},
	} {
		in := []run.SessionTimes{c.s}
		if got := perf.EndSession(in, 2, c.at); got[0] != c.want {
			t.Errorf("%s: %+v, want %+v", name, got[0], c.want)
		}
		if in[0] != c.s {
			t.Errorf("%s: the argument was changed", name)
		}
	}
}

func TestInheritKeepsWhatWas(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	old := aReport(3)
	old.Stop = run.Stop{Source: run.SourceSubject, Seq: 7}
	old.Sessions = []run.SessionTimes{{Session: 1, StartedAt: at, EndedAt: at.Add(time.Second), WallSec: 1}}
	now := aReport(3)
	now.Sessions = []run.SessionTimes{{Session: 2, StartedAt: at.Add(time.Minute), WallSec: 2.5}}
	now.Wall, now.Stop, now.Redeliveries = 2500*time.Millisecond, run.Stop{}, 0
	got := now.Inherit(old)
	if got.Stop.Seq != 7 || !got.Stop.IsZero() {
		t.Errorf("stop %+v, want none, done with up to 7", got.Stop)
	}
	if len(got.Sessions) != 2 || got.Wall != 3500*time.Millisecond {
		t.Errorf("%v in %+v", got.Wall, got.Sessions)
	}
	if got.Redeliveries != 0 {
		t.Error("a session that knows the run was given earlier counts")
	}
	later := now
	later.Stop = run.Stop{Source: run.SourceSIGTERM, Seq: 9}
	if got := later.Inherit(old); got.Stop.Seq != 9 || got.Stop.Source != run.SourceSIGTERM {
		t.Errorf("%+v", got.Stop)
	}
	early := perf.Report{RunID: now.RunID, Hosts: []string{"zoo"}}
	old.FootersRefused = 5
	got = early.Inherit(old)
	if got.Redeliveries != 1 || got.Failures != 1 || got.FootersRefused != 5 || got.WorkersSeen != 3 || !slices.Equal(got.Hosts, []string{"box", "zoo"}) {
		t.Errorf("before its plan: %+v", got)
	}
	// A report without sessions that follows one without keeps its time.
	if got := (perf.Report{Wall: time.Second}).Inherit(perf.Report{Wall: time.Hour}); got.Wall != time.Second {
		t.Errorf("%v", got.Wall)
	}
}

func TestRefit(t *testing.T) {
	plan := []perf.Chunk{aChunk(t, 0, -1, footer.StatusMissing), aChunk(t, 1, -1, footer.StatusMissing), aChunk(t, 2, -1, footer.StatusMissing)}
	known := []perf.Chunk{
		{Idx: 0, Planned: 60, Status: footer.StatusFailed, Error: "bad"}, // a guessed border
		{Idx: 1, Planned: 100, Status: footer.StatusStopped, Line: encode(t, aFooter(1, 40, 1, 1))},
		{Idx: 2, Planned: 100, Status: footer.StatusStopped, Line: encode(t, aFooter(1, 40, 1, 1))}, // of another chunk
		{Idx: 3, Planned: 100, Status: footer.StatusOK, Line: encode(t, aFooter(3, 100, 1, 1))},
	}
	got := perf.Refit(plan, known)
	want := []perf.Chunk{
		{Idx: 0, Planned: 100, Status: footer.StatusFailed, Error: "bad"},
		{Idx: 1, Planned: 100, Status: footer.StatusStopped, Line: known[1].Line},
		plan[2],
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestMergeFiles(t *testing.T) {
	at := aReport(2).Timestamp
	file := func(sec int, outcome perf.Outcome, chunks ...perf.Chunk) perf.File {
		r := aReport(len(chunks))
		r.Timestamp, r.Outcome, r.Stop.Seq = at.Add(time.Duration(sec)*time.Second), outcome, uint64(10-sec)
		return perf.File{Report: r, Totals: perf.Count(outcome, chunks), Chunks: chunks}
	}
	guess := file(1, "", aChunk(t, 0, 30, footer.StatusStopped), perf.Chunk{Idx: 1, Planned: 7, Status: footer.StatusMissing})
	guess.Report.Data = run.Data{}
	if !guess.Guessed() || file(1, "", aChunk(t, 0, 30, footer.StatusStopped)).Guessed() || (perf.File{}).Guessed() {
		t.Error("a plan without a data set is a guess, and no other is")
	}
	early := file(1, "", aChunk(t, 0, 60, footer.StatusUnresponsive), aChunk(t, 1, 10, footer.StatusFailed))
	for name, c := range map[string]struct {
		a, b    perf.File
		status  [2]footer.Status
		bars    int64
		outcome perf.Outcome
	}{
		"the later word, the better footer": {early, file(2, "", aChunk(t, 0, 40, footer.StatusStopped), aChunk(t, 1, 20, footer.StatusStopped)),
			[2]footer.Status{footer.StatusStopped, footer.StatusStopped}, 80, perf.OutcomeStopped},
		"a failed chunk that is ok by now": {file(2, perf.OutcomeFailed, aChunk(t, 0, 100, footer.StatusOK), aChunk(t, 1, 20, footer.StatusFailed)),
			file(1, "", aChunk(t, 0, 10, footer.StatusStopped), aChunk(t, 1, 100, footer.StatusOK)),
			[2]footer.Status{footer.StatusOK, footer.StatusOK}, 200, perf.OutcomeComplete},
		"given up": {early, file(2, perf.OutcomeFailed, aChunk(t, 0, 100, footer.StatusOK), aChunk(t, 1, 20, footer.StatusStopped)),
			[2]footer.Status{footer.StatusOK, footer.StatusStopped}, 120, perf.OutcomeFailed},
		"a guess gives way": {guess, file(2, "", aChunk(t, 0, 10, footer.StatusStopped), aChunk(t, 1, 20, footer.StatusStopped)),
			[2]footer.Status{footer.StatusStopped, footer.StatusStopped}, 50, perf.OutcomeStopped},
	} {
		for _, swapped := range []bool{false, true} {
			if swapped {
				c.a, c.b = c.b, c.a
			}
			got, err := perf.MergeFiles(c.a, c.b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if s := [2]footer.Status{got.Chunks[0].Status, got.Chunks[1].Status}; s != c.status || got.Totals.Coverage.ReplayedBars != c.bars || got.Totals.Outcome != c.outcome {
				t.Errorf("%s (swapped %v): %v, %+v", name, swapped, s, got.Totals)
			}
			if got.Report.Stop.Seq != 9 || got.Report.Timestamp != at.Add(2*time.Second) || got.Guessed() {
				t.Errorf("%s (swapped %v): %+v", name, swapped, got.Report)
			}
		}
	}
	other := early
	other.Report.Policy.SHA256 = "p9"
	if _, err := perf.MergeFiles(early, other); !errors.Is(err, perf.ErrOtherRun) {
		t.Errorf("another policy: %v", err)
	}
}
