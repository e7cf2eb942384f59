package bus

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"gx1replay/test/virtual"

	"github.com/nats-io/nats-server/v2/server/ats"
)

// bubble runs f with a server and the clients of one process in virtual time.
//
// That this works is nobody's promise. It needs: no port and connections in
// the process, since a socket is not durably blocking; and the server's clock
// of access times started before the bubble, since its ticker would keep the
// bubble's time from standing still. If a new nats-server breaks it, every
// test of this kind hangs or fails, TestVirtualTime first: look for a new
// goroutine of the server that lives outside of its Start and Shutdown.
//
// The client library keeps timers in a pool of the whole process. One that was
// made inside must not be reset outside, which ends the process, nor the
// other way round, which waits in wall time; two collections empty the pool.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	ats.Register()
	defer ats.Unregister()
	dir := t.TempDir()
	emptyPools := func() {
		runtime.GC()
		runtime.GC()
	}
	emptyPools()
	defer emptyPools()
	virtual.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: dir}
		r.start()
		t.Cleanup(r.stop)
		f(t, r)
	})
}

// The pin: two connections, a task, its redelivery when the ack wait is over,
// a clean shutdown, in minutes of virtual and little wall time.
func TestVirtualTime(t *testing.T) {
	wall := time.Now()
	bubble(t, func(t *testing.T, r *rig) {
		began := time.Now()
		coordinator, worker := r.bus(), r.busFor("w", nil)
		m := testManifest("r1", 1)
		m.LeaseDuration = 20 * time.Minute
		must(t, coordinator.PublishTasks(t.Context(), tasksOf(m, 0)))
		must(t, coordinator.MakeQueue(t.Context(), m.Ref(), 1, m.LeaseDuration))
		q, err := worker.OpenQueue(t.Context(), m.Ref(), 1)
		must(t, err)
		first := next(t, q)

		// In-progress puts the ack wait, half a lease, off.
		pause(t.Context(), m.LeaseDuration/2-time.Second)
		must(t, first.InProgress(t.Context()))
		pause(t.Context(), m.LeaseDuration/2-time.Second)
		none(t, q)
		// Silence ends it.
		pause(t.Context(), 3*time.Second)
		second := next(t, q)
		must(t, second.Ack(t.Context()))
		none(t, q)
		if d := time.Since(began); d < m.LeaseDuration-time.Second {
			t.Errorf("only %v of virtual time went by", d)
		}
	})
	if d := time.Since(wall); d > patience {
		t.Errorf("it took %v of wall time: the server does not run in virtual time any more", d)
	}
}

// jetstream.md §2: within two minutes the server knows a footer's message id;
// later the stored footer itself is compared.
func TestTheFirstFooterIsKeptAfterTheDuplicateWindowToo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		b := r.bus()
		m := testManifest("r1", 1)
		first, other := okFooter(m, 0), okFooter(m, 0)
		other.Claim++
		must(t, b.StoreFooter(t.Context(), first))
		for range 3 {
			must(t, b.StoreFooter(t.Context(), first))
			if err := b.StoreFooter(t.Context(), other); !errors.Is(err, ErrKept) {
				t.Errorf("another footer: %v (want ErrKept)", err)
			}
			pause(t.Context(), duplicates+time.Minute)
		}
		f, _, err := b.Footer(t.Context(), m, 0)
		must(t, err)
		if f.Claim != first.Claim {
			t.Errorf("claim %d is stored (want %d)", f.Claim, first.Claim)
		}
	})
}

// A worker that asks for half an hour, with the coordinator gone quiet, must
// not lose its connection to virtual time.
func TestAnIdleConnectionStays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		b := r.bus()
		breaks := b.Breaks()
		pause(t.Context(), 30*time.Minute)
		must(t, b.nc.FlushTimeout(requestTimeout))
		if b.Breaks() != breaks || !b.Connected() {
			t.Errorf("%d breaks", b.Breaks()-breaks)
		}
	})
}
