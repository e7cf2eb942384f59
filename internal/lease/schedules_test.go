package lease

import (
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// The numbers are those of the schedules that broke earlier drafts of the
// lease and stop rules. Here are the ones that are about the rules alone;
// model_test.go runs others of them among all interleavings.

// Session 2 finds session 1's stopped record and claims; within its own
// session nobody does.
func TestSchedule08_StoppedCountsOnlyWithinItsSession(t *testing.T) {
	prev := in(StateStopped, 1)
	got := Decide(delivery(&prev))
	if got.Action != Claim || !got.Next.Stop.IsZero() {
		t.Errorf("over session 1's stopped record: %s, stop %+v", got.Action, got.Next.Stop)
	}
	prev.Session = 2
	if got := Decide(delivery(&prev)).Action; got != LetGo {
		t.Errorf("over its own session's stopped record: %s", got)
	}
}

// A's claim is stored, its answer lost: the stored record is known as A's own,
// also after A has renewed it, and B's never is.
func TestSchedule09_AStoredClaimIsKnownAsOnesOwn(t *testing.T) {
	mine := Decide(delivery(nil)).Next
	stored, err := Decode(mustEncode(t, mine))
	if err != nil || !stored.Same(mine) {
		t.Errorf("%+v is not known as my claim, %v", stored, err)
	}
	stored, err = Decode(mustEncode(t, mine.Renewed(measured(3, 1))))
	if err != nil || !stored.Same(mine) {
		t.Errorf("%+v is not known as my claim's renewal, %v", stored, err)
	}
	d := delivery(nil)
	d.Me = other
	if Decide(d).Next.Same(mine) {
		t.Error("another worker's claim is taken for mine")
	}
}

// A claim that SIGTERM met is released without a failure, and the next worker
// has it at once.
func TestSchedule10_AReleasedClaimCountsNoFailure(t *testing.T) {
	r := Decide(delivery(nil)).Next.Released(nil)
	if r.State != StateReleased || r.Failures != 0 || r.Releases != 1 {
		t.Fatalf("%+v", r)
	}
	d := delivery(&r)
	d.Me = other
	if got := Decide(d); got.Action != Claim || got.Next.Failures != 0 || got.Next.Attempt != 2 {
		t.Errorf("%s, %+v", got.Action, got.Next)
	}
	// By the same worker too, and it does not defer to others.
	if got := Decide(delivery(&r)); got.Action != Claim {
		t.Errorf("the same worker: %s", got.Action)
	}
}

// A chunk that is done and whose footer is gone is claimed without a watch
// and without a failure.
func TestSchedule11_DoneWithoutItsFooterCountsNoFailure(t *testing.T) {
	prev := held().Done(okFooter(2))
	got := Decide(delivery(&prev))
	if got.Action != Claim || got.Next.Failures != 1 || got.Next.Releases != 1 {
		t.Errorf("%s, %+v", got.Action, got.Next)
	}
	d := delivery(&prev)
	d.OK = true
	if got := Decide(d).Action; got != Ack {
		t.Errorf("with its footer: %s", got)
	}
}

func TestSchedule12_NobodyClaimsOverALaterSession(t *testing.T) {
	for _, s := range allStates {
		prev := in(s, 3)
		d := delivery(&prev)
		d.Deferred = true
		if got := Decide(d).Action; got != LetGo {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// Early redelivery reaches another slot of the process that works on the
// chunk: it lets go, and even if it did not know, the claim is not its own and
// what was measured stays.
func TestSchedule13_AnotherSlotDoesNotAdopt(t *testing.T) {
	prev := held()
	d := delivery(&prev)
	d.Me = Holder{WorkerID: other.WorkerID, Slot: other.Slot + 1, Host: other.Host}
	d.Working = true
	if got := Decide(d).Action; got != LetGo {
		t.Errorf("while the process works on it: %s", got)
	}
	d.Working, d.Deferred = false, true
	if got := Decide(d).Action; got != Watch {
		t.Errorf("not knowing: %s", got)
	}
	next := AfterWatch(d).Next
	if next.Same(prev) || bars(next) != 15 {
		t.Errorf("the other slot's claim: same %v, best of %d bars", next.Same(prev), bars(next))
	}
}

// A dies at 10 bars, B claims, the coordinator dies: the 10 bars stand in B's
// claim, and in session 2's.
func TestSchedule19_ReportedBarsOutliveTheirWorker(t *testing.T) {
	a := Decide(delivery(nil)).Next.Renewed(measured(10, 1))
	d := delivery(&a)
	d.Me = other
	b := AfterWatch(d).Next
	if bars(b) != 10 || b.Own != nil {
		t.Errorf("B's claim: %d bars, own %v", bars(b), b.Own)
	}
	d = delivery(&b)
	d.Session = 3
	c := AfterWatch(d).Next
	if bars(c) != 10 || c.Failures != 1 || c.Releases != 1 {
		t.Errorf("session 2's claim: %d bars, %d failures, %d releases", bars(c), c.Failures, c.Releases)
	}
}

// A wakes at the stop with 5 bars of attempt 1, after B's 6 of attempt 2: the
// stored record is no longer A's, and A's footer is no final one.
func TestSchedule20_AnOvertakenAttemptDoesNotSpeak(t *testing.T) {
	a := Decide(delivery(nil)).Next.Renewed(measured(5, 1))
	d := delivery(&a)
	d.Me = other
	b := AfterWatch(d).Next.Renewed(measured(6, 2))
	late := a.Stopped(measured(5, 1), run.Stop{Source: run.SourceSubject})
	if b.Same(late) {
		t.Error("A takes B's record for its own")
	}
	if late.Own.IsOK() || !footer.Outranks(*b.Best, *late.Best) {
		t.Error("A's last footer speaks for the chunk")
	}
}
