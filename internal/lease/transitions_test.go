package lease

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

func TestTransitions(t *testing.T) {
	stop := run.Stop{Source: run.SourceTimeout, Reason: "late", Seq: 3}
	for _, tc := range []struct {
		name string
		got  Record
		want func(*Record) // what it changes of held()
		bars int64
	}{
		{"renewed, nothing measured", held().Renewed(nil), func(r *Record) {}, 15},
		{"renewed, behind best", held().Renewed(measured(12, 2)), func(r *Record) { r.Own = measured(12, 2) }, 15},
		{"renewed, beyond best", held().Renewed(measured(16, 2)), func(r *Record) { r.Own = measured(16, 2); r.Best = r.Own }, 16},
		{"renewed, level with best: the later attempt", held().Renewed(measured(15, 2)), func(r *Record) { r.Own = measured(15, 2); r.Best = r.Own }, 15},
		{"released", held().Released(measured(12, 2)), func(r *Record) { r.State = StateReleased; r.Releases = 2; r.Own = measured(12, 2) }, 15},
		{"stopped", held().Stopped(measured(16, 2), stop), func(r *Record) {
			r.State, r.Stop, r.Own = StateStopped, stop, measured(16, 2)
			r.Best = r.Own
		}, 16},
		{"done", held().Done(okFooter(2)), func(r *Record) {
			r.State, r.Error, r.Traceback, r.Own = StateDone, "", "", okFooter(2)
			r.Best = r.Own
		}, 25},
		{"failed", held().Failed(measured(16, 2), "e", "t", maxFailures, false), func(r *Record) {
			r.State, r.Failures, r.Error, r.Traceback, r.Own = StateFailed, 2, "e", "t", measured(16, 2)
			r.Best = r.Own
		}, 16},
		{"failed for the last time", held().Failed(nil, "e", "t", 2, false), func(r *Record) {
			r.State, r.Failures, r.Error, r.Traceback = StateExhausted, 2, "e", "t"
		}, 15},
		{"failed beyond the last time", held().Failed(nil, "e", "t", 1, false), func(r *Record) {
			r.State, r.Failures, r.Error, r.Traceback = StateExhausted, 2, "e", "t"
		}, 15},
		{"failed fatally", held().Failed(nil, "e", "t", maxFailures, true), func(r *Record) {
			r.State, r.Failures, r.Error, r.Traceback = StateExhausted, 2, "e", "t"
		}, 15},
	} {
		want := held()
		tc.want(&want)
		if !reflect.DeepEqual(tc.got, want) {
			t.Errorf("%s: %+v, want %+v", tc.name, tc.got, want)
		}
		if bars(tc.got) != tc.bars {
			t.Errorf("%s: best has %d bars, want %d", tc.name, bars(tc.got), tc.bars)
		}
	}
}

// step makes the record that comes after r by a random event, as some worker
// would store it.
func step(t *rapid.T, r Record, session int) Record {
	f := func() *footer.Footer {
		n := rapid.IntRange(-1, 25).Draw(t, "bars")
		if n < 0 {
			return nil
		}
		return measured(n, r.Attempt)
	}
	if r.State == StateClaimed && rapid.IntRange(0, 3).Draw(t, "holder acts") > 0 {
		switch rapid.IntRange(0, 5).Draw(t, "event") {
		case 0, 1:
			return r.Renewed(f())
		case 2:
			return r.Released(f())
		case 3:
			return r.Stopped(f(), run.Stop{Source: run.SourceWeb})
		case 4:
			return r.Failed(f(), "e", "t", maxFailures, rapid.Bool().Draw(t, "fatal"))
		}
		return r.Done(okFooter(r.Attempt))
	}
	d := Delivery{
		Me: rapid.SampledFrom([]Holder{me, other}).Draw(t, "worker"), Run: run.Ref{ID: "r1"}, ChunkIdx: 1, Session: session,
		Prev: &r, Deferred: rapid.Bool().Draw(t, "deferred"), MaxFailures: maxFailures,
	}
	dec := Decide(d)
	if dec.Action == Watch {
		dec = AfterWatch(d)
	}
	if dec.Action == Claim || dec.Action == Exhaust {
		return dec.Next
	}
	return r
}

// Over any sequence of records, of whatever workers and sessions: best never
// falls, attempts rise by one a claim, failures and releases never fall within
// a session and never beyond the limit, together they are at most as many as
// attempts, and an exhausted or stopped record is its session's last.
func TestInvariants3to5And7_OverRandomSequences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		session := 1
		r := Decide(Delivery{Me: me, Run: run.Ref{ID: "r1"}, ChunkIdx: 1, Session: 1, MaxFailures: maxFailures}).Next
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			if rapid.IntRange(0, 9).Draw(t, "new session") == 0 {
				session++
			}
			next := step(t, r, session)
			if bars(next) < bars(r) || r.Best != nil && footer.Outranks(*r.Best, *next.Best) {
				t.Fatalf("best fell from %+v to %+v", r.Best, next.Best)
			}
			if next.Own != nil && footer.Outranks(*next.Own, *next.Best) {
				t.Fatalf("best %+v is worse than own %+v", next.Best, next.Own)
			}
			claim := next.State == StateClaimed && !next.Same(r)
			if claim && next.Attempt != r.Attempt+1 || !claim && next.Attempt != r.Attempt {
				t.Fatalf("attempt %d after %d", next.Attempt, r.Attempt)
			}
			if next.Session < r.Session {
				t.Fatalf("session %d over session %d", next.Session, r.Session)
			}
			if next.Session == r.Session && (next.Failures < r.Failures || next.Releases < r.Releases) {
				t.Fatalf("counts fell from %+v to %+v", r, next)
			}
			if next.Failures >= maxFailures && next.State != StateExhausted || next.Failures > maxFailures {
				t.Fatalf("%d failures, and it is %s", next.Failures, next.State)
			}
			if next.Failures+next.Releases > next.Attempt {
				t.Fatalf("%d failures and %d releases of %d attempts", next.Failures, next.Releases, next.Attempt)
			}
			if (r.State == StateExhausted || r.State == StateStopped) && session == r.Session && !reflect.DeepEqual(next, r) {
				t.Fatalf("%s is followed by %s in its session", r.State, next.State)
			}
			r = next
		}
	})
}

func TestBackoff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 5: 16 * time.Second,
		6: 30 * time.Second, 7: 30 * time.Second, 1 << 40: 30 * time.Second,
	} {
		if got := Backoff(failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		state   State // empty: no record
		refused int
		want    footer.Status
	}{
		{"", 0, footer.StatusMissing},
		{"", 1, footer.StatusParseError},
		{StateClaimed, 0, footer.StatusUnresponsive},
		{StateReleased, 0, footer.StatusStopped},
		{StateStopped, 0, footer.StatusStopped},
		{StateFailed, 0, footer.StatusStopped}, // waiting for its next attempt when the run ended
		{StateExhausted, 0, footer.StatusFailed},
		{StateDone, 0, footer.StatusStopped}, // its footer is not there
		{StateClaimed, 3, footer.StatusUnresponsive},
		{StateExhausted, 3, footer.StatusFailed},
	} {
		var rec *Record
		if tc.state != "" {
			r := in(tc.state, 2)
			rec = &r
		}
		if got := Status(false, rec, tc.refused); got != tc.want {
			t.Errorf("%q, %d refused: %s, want %s", tc.state, tc.refused, got, tc.want)
		}
		if got := Status(true, rec, tc.refused); got != footer.StatusOK {
			t.Errorf("%q, %d refused, with its ok footer: %s", tc.state, tc.refused, got)
		}
	}
}
