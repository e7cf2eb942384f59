package coordinator

import (
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// A task whose holder is at work is handed to another worker, as when the
// server has lost what it knew of deliveries. That one sees the lease renewed,
// and serves other chunks instead of watching it for as long as it lasts.
func TestALiveLeaseHoldsUpNobodyElse(t *testing.T) {
	testsize.All(t)
	bubble(t, func(t *testing.T, newRun func(int) *world) {
		w := newRun(4)
		defer w.close()
		const slow = 10 * testLease // a bar of the chunk that is held
		w.hire("a", func(int, int) script { return script{pace: slow} })
		ended := w.start(8 * time.Second)
		w.until("a holds a chunk", func() bool { return len(w.chunks()) > 0 && w.stepped() > 0 })
		if err := w.bus.DropQueue(t.Context(), w.m.Ref(), 1); err != nil {
			t.Fatal(err)
		}
		if err := w.bus.MakeQueue(t.Context(), w.m.Ref(), 1, testLease); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		w.hire("b", nil)
		w.until("b has done the other chunks", func() bool { return w.stepped() >= 3*testChunk+1 })
		if took := time.Since(begun); took > 2*slow {
			t.Errorf("the other chunks took %v: b was held up by a's (want well within %v)", took, testChunk*slow)
		}
		w.allOK(w.wait(ended))
	})
}
