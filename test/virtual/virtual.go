// Package virtual runs tests in virtual time. It is testing/synctest, on one
// processor. It never waits by the wall's clock.
package virtual

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// processors is held while a bubble has set their number, which the whole
// process shares.
var processors sync.Mutex

// Test runs f in a bubble, as synctest.Test does. Bubbles of one process run one
// after another.
//
// One processor, since with more the race detector's runtime (go1.26) ends the
// process now and then: the bubble's timers share one context of it, and the
// loop that fires them uses it while a goroutine that one of them has started
// already runs a channel's timer by itself. What it keeps of the stack is then
// off by a step, and the next goroutine's start reads memory that is not there.
// TestTimersThatStartGoroutines does it within seconds on two processors.
func Test(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	processors.Lock()
	defer processors.Unlock()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}
