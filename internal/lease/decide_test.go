package lease

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gx1replay/internal/run"
)

var allStates = []State{StateClaimed, StateReleased, StateStopped, StateFailed, StateExhausted, StateDone}

// want is the rule of design §3, written down a second time: one line a state
// for a record of the same session and one for an earlier session's.
func want(s State, session int, ok, working, deferred, mine bool) Action {
	const now = 2
	first := mine && !deferred // not by the same worker first
	switch {
	case ok:
		return Ack
	case working || session > now:
		return LetGo
	case s == StateClaimed && session == now && first:
		return Defer
	case s == StateClaimed:
		return Watch
	case s == StateFailed && first:
		return Defer
	case s == StateStopped && session == now:
		return LetGo
	case s == StateExhausted && session == now:
		return Ack
	}
	return Claim
}

func TestDecide(t *testing.T) {
	for _, s := range allStates {
		for session := 1; session <= 3; session++ {
			for bits := range 16 {
				ok, working, deferred, mine := bits&1 > 0, bits&2 > 0, bits&4 > 0, bits&8 > 0
				prev := in(s, session)
				if mine {
					prev.Holder = me
				}
				d := delivery(&prev)
				d.OK, d.Working, d.Deferred = ok, working, deferred
				name := fmt.Sprintf("%s of session %d, ok %v, working %v, deferred %v, mine %v", s, session, ok, working, deferred, mine)
				got := Decide(d)
				if w := want(s, session, ok, working, deferred, mine); got.Action != w {
					t.Errorf("%s: %s, want %s", name, got.Action, w)
				}
				if got.Action != Claim {
					if !reflect.DeepEqual(got.Next, Record{}) {
						t.Errorf("%s: a record beside %s", name, got.Action)
					}
					continue
				}
				failures := prev.Failures
				if s == StateExhausted {
					failures = 0
				}
				checkClaim(t, name, prev, got.Next, failures, prev.Releases)
			}
		}
	}
}

// checkClaim says what a claim by me over prev holds.
func checkClaim(t *testing.T, name string, prev, next Record, failures, releases int) {
	t.Helper()
	if next.State != StateClaimed || next.Holder != me || next.Session != 2 || next.Attempt != prev.Attempt+1 ||
		next.RunID != "r1" || next.ChunkIdx != 1 || next.Identity != "id" {
		t.Errorf("%s: not my claim: %+v", name, next)
	}
	if next.Failures != failures || next.Releases != releases {
		t.Errorf("%s: failures %d, releases %d, want %d, %d", name, next.Failures, next.Releases, failures, releases)
	}
	if next.Own != nil || next.Claim != 0 || !next.Stop.IsZero() {
		t.Errorf("%s: it holds what is another attempt's: %+v", name, next)
	}
	if bars(next) != 15 {
		t.Errorf("%s: best has %d bars, want 15", name, bars(next))
	}
}

func TestDecideFirstClaim(t *testing.T) {
	got := Decide(delivery(nil))
	want := Record{State: StateClaimed, RunID: "r1", Incarnation: incarnation, ChunkIdx: 1, Session: 2, Holder: me, Attempt: 1, Identity: "id"}
	if got.Action != Claim || !reflect.DeepEqual(got.Next, want) {
		t.Errorf("%+v, want a claim %+v", got, want)
	}
	for _, c := range []struct {
		change func(*Delivery)
		want   Action
	}{
		{func(d *Delivery) { d.OK = true }, Ack},
		{func(d *Delivery) { d.Working = true }, LetGo},
		{func(d *Delivery) { d.OK, d.Working = true, true }, Ack},
		{func(d *Delivery) { d.Deferred = true }, Claim},
	} {
		d := delivery(nil)
		c.change(&d)
		if got := Decide(d).Action; got != c.want {
			t.Errorf("%+v: %s, want %s", d, got, c.want)
		}
	}
}

// Whoever measured something has it carried on, also when a record holds it
// in its own footer alone.
func TestInvariant3_ClaimKeepsBest(t *testing.T) {
	for _, c := range []struct {
		own, best int // bars; -1: none
		want      int64
	}{{-1, -1, -1}, {10, -1, 10}, {-1, 15, 15}, {10, 15, 15}, {15, 10, 15}} {
		prev := in(StateReleased, 2)
		prev.Own, prev.Best = nil, nil
		if c.own >= 0 {
			prev.Own = measured(c.own, 2)
		}
		if c.best >= 0 {
			prev.Best = measured(c.best, 1)
		}
		if got := bars(Decide(delivery(&prev)).Next); got != c.want {
			t.Errorf("own %d, best %d: the claim has %d", c.own, c.best, got)
		}
	}
}

// A failed record with no attempts left, as one with a smaller max_failures
// finds it, ends the chunk.
func TestInvariant5_FailedWithoutAttemptsLeftIsExhausted(t *testing.T) {
	for failures, want := range map[int]Action{maxFailures - 1: Claim, maxFailures: Exhaust, maxFailures + 1: Exhaust} {
		prev := in(StateFailed, 2)
		prev.Failures = failures
		got := Decide(delivery(&prev))
		if got.Action != want {
			t.Errorf("%d failures: %s, want %s", failures, got.Action, want)
		}
		if want != Exhaust {
			continue
		}
		end := prev
		end.State = StateExhausted
		if !reflect.DeepEqual(got.Next, end) {
			t.Errorf("%d failures: %+v, want %+v: the last error and trace, and best", failures, got.Next, end)
		}
	}
}

func TestAfterWatch(t *testing.T) {
	t.Run("silence is a failure", func(t *testing.T) {
		prev := held()
		got := AfterWatch(delivery(&prev))
		if got.Action != Claim {
			t.Fatalf("%s, want %s", got.Action, Claim)
		}
		checkClaim(t, "silence", prev, got.Next, 2, 1)
		if want := "attempt 2 went silent for a whole lease (worker other on there)"; got.Next.Error != want || got.Next.Traceback != "" {
			t.Errorf("error %q, trace %q, want %q", got.Next.Error, got.Next.Traceback, want)
		}
		if !reflect.DeepEqual(prev, held()) {
			t.Error("the record that was watched was changed")
		}
	})
	t.Run("of an earlier session, a release", func(t *testing.T) {
		prev := in(StateClaimed, 1)
		prev.Failures = maxFailures - 1 // one more failure would end it
		got := AfterWatch(delivery(&prev))
		if got.Action != Claim {
			t.Fatalf("%s, want %s", got.Action, Claim)
		}
		checkClaim(t, "earlier session", prev, got.Next, maxFailures-1, 2)
		if got.Next.Error != "before" || got.Next.Traceback != "trace" {
			t.Errorf("error %q, trace %q: the last failure's are kept", got.Next.Error, got.Next.Traceback)
		}
	})
	t.Run("the last failure ends the chunk", func(t *testing.T) {
		prev := held()
		prev.Failures = maxFailures - 1
		got := AfterWatch(delivery(&prev))
		r := got.Next
		if got.Action != Exhaust || r.State != StateExhausted || r.Failures != maxFailures || r.Releases != 1 ||
			r.Session != 2 || r.Holder != other || r.Attempt != 2 || bars(r) != 15 {
			t.Errorf("%s %+v", got.Action, r)
		}
		if !strings.Contains(r.Error, "went silent") {
			t.Errorf("error %q", r.Error)
		}
	})
	t.Run("one failure allowed", func(t *testing.T) {
		prev := held()
		prev.Failures = 0
		d := delivery(&prev)
		d.MaxFailures = 1
		if got := AfterWatch(d); got.Action != Exhaust || got.Next.Failures != 1 {
			t.Errorf("%s, failures %d", got.Action, got.Next.Failures)
		}
	})
}

// The holder stores its ok footer and dies before its record says so: the
// watch ends, and neither is anything replayed nor a failure counted.
func TestInvariant6_FooterStoredDuringTheWatch(t *testing.T) {
	for _, session := range []int{1, 2} {
		prev := in(StateClaimed, session)
		prev.Failures = maxFailures - 1
		d := delivery(&prev)
		d.OK = true
		if got := AfterWatch(d); got.Action != Ack {
			t.Errorf("session %d: %s, want %s", session, got.Action, Ack)
		}
	}
}

// --retry-failed: a new session that publishes an exhausted chunk again gives
// it all its attempts; what was measured and the number of attempts stay.
func TestRetryFailedResetsFailures(t *testing.T) {
	prev := in(StateExhausted, 1)
	got := Decide(delivery(&prev))
	if got.Action != Claim {
		t.Fatalf("%s, want %s", got.Action, Claim)
	}
	checkClaim(t, "retry", prev, got.Next, 0, 1)
	r := got.Next
	for i := 1; i <= maxFailures; i++ {
		r = r.Failed(nil, "again", "", maxFailures, false)
		if exhausted := r.State == StateExhausted; exhausted != (i == maxFailures) {
			t.Errorf("after %d failures: %s", i, r.State)
		}
	}
}

func TestFinalReport(t *testing.T) {
	for _, s := range allStates {
		if got := (Record{State: s}).FinalReport(); got != (s != StateClaimed) {
			t.Errorf("%s: %v", s, got)
		}
	}
}

func TestSame(t *testing.T) {
	r := held()
	later := r.Renewed(measured(20, 2)).Stopped(nil, run.Stop{Source: run.SourceSIGTERM})
	later.Claim, later.Holder.Host = 0, "renamed" // the token is not known in the claim itself
	if !r.Same(later) || !later.Same(r) {
		t.Error("a later record of the attempt is not of the same attempt")
	}
	for name, change := range map[string]func(*Record){
		"run":     func(r *Record) { r.RunID = "r2" },
		"chunk":   func(r *Record) { r.ChunkIdx++ },
		"session": func(r *Record) { r.Session++ },
		"worker":  func(r *Record) { r.Holder.WorkerID = "me" },
		"slot":    func(r *Record) { r.Holder.Slot++ },
		"attempt": func(r *Record) { r.Attempt++ },
	} {
		o := held()
		change(&o)
		if r.Same(o) || o.Same(r) {
			t.Errorf("another %s is the same attempt", name)
		}
	}
}
