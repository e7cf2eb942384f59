package coordinator

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"gx1replay/test/testsize"
)

// The bus is lost at each request with which a run begins, its answer too, and
// comes back: the run begins then, and what it had stored is not in its way.
func TestTheBusIsLostWhileTheRunBegins(t *testing.T) {
	testsize.All(t)
	for first := range int64(4) {
		bubble(t, func(t *testing.T, newRun func(int) *world) {
			for at := first; at < 40; at += 4 {
				if !beginsAcrossALoss(t, newRun(3), at) {
					return // it had begun before
				}
			}
			t.Error("the run has not begun after 40 requests")
		})
	}
}

// beginsAcrossALoss lives a run whose coordinator loses its link at that
// request, and reports whether it was at one of the beginning.
func beginsAcrossALoss(t *testing.T, w *world, at int64) bool {
	t.Helper()
	defer w.close()
	w.hire("a", nil)
	w.bus.Close()
	var requests atomic.Int64
	var armed, lost atomic.Bool
	l := &link{world: w}
	l.sending = func(out []byte) {
		n := int64(bytes.Count(out, []byte("PUB ")))
		if !armed.Load() || lost.Load() || n == 0 {
			return
		}
		if requests.Add(n) > at && lost.CompareAndSwap(false, true) {
			l.set(true) // this one arrives; its answer does not
		}
	}
	w.link = l
	var err error
	if w.bus, err = dial(t.Context(), w.running(), l, "coordinator"); err != nil {
		t.Fatal(err)
	}
	w.life.Bus = w.bus
	armed.Store(true)
	ended := w.start(8 * time.Second)
	<-time.After(7 * time.Second)
	begun := w.stepped() > 0
	l.cut()
	l.restore()
	w.whole(w.wait(ended))
	if t.Failed() {
		t.Errorf("lost at request %d", at)
	}
	return !begun
}
