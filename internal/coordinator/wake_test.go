package coordinator

import (
	"testing"
	"time"

	"gx1replay/internal/lease"
)

// A killed worker's chunk is claimed by one that has long been idle within an
// ack-wait, a whole lease of watching, and a tenth of one; no worker polls.
func TestAKilledWorkersChunkWakesTheIdle(t *testing.T) {
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(1)
		defer w.close()
		pace := func(int, int) script { return script{pace: 2 * time.Second} }
		a := w.hire("a", pace)
		ended := w.start(8 * time.Second)
		w.until("a has bars", func() bool { return w.stepped() >= 1 })
		w.hire("b", pace)
		<-time.After(5 * time.Second) // b has looked, and is idle
		killed := time.Now()
		w.crash(a)
		w.until("b has the chunk", func() bool {
			rec, _, err := w.bus.Lease(t.Context(), w.m.RunID, 0)
			return err == nil && rec != nil && rec.Holder.WorkerID == "b"
		})
		if took := time.Since(killed); took > testLease*16/10 {
			t.Errorf("claimed %v after the kill (want within 1.6 leases of %v)", took, testLease)
		} else {
			t.Logf("claimed %.2f leases after the kill", took.Seconds()/testLease.Seconds())
		}
		w.judge(w.wait(ended))
	})
}

func TestCallsAreDue(t *testing.T) {
	const of = 10 * time.Second
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for name, c := range map[string]struct {
		k    call
		want bool
	}{
		"a live claim":                         {call{claimed: true, at: ago(of / 4)}, false},
		"a claim silent for an ack-wait":       {call{claimed: true, at: ago(of * 6 / 10)}, true},
		"given back":                           {call{at: ago(0)}, true},
		"silent for long, woken just now":      {call{claimed: true, at: ago(3 * of), last: ago(of / 10)}, false},
		"silent for long, woken some time ago": {call{claimed: true, at: ago(3 * of), last: ago(of)}, true},
	} {
		calls := calls{since: map[int]call{7: c.k}}
		if got := calls.due(lease.Timing(of)); got != c.want {
			t.Errorf("%s: due %v (want %v)", name, got, c.want)
		}
	}
	var k calls
	k.note(3, nil, &lease.Record{State: lease.StateReleased}, false)
	if !k.now || !k.due(lease.Timing(of)) {
		t.Error("a chunk that was given back wakes nobody")
	}
	k.note(3, nil, nil, true)
	if k.due(lease.Timing(of)) {
		t.Error("a chunk that has ended wakes workers")
	}
}
