package virtual

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// Timers that are due together start goroutines that run timers themselves.
func TestTimersThatStartGoroutines(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for range 20 {
		Test(t, func(*testing.T) {
			var started sync.WaitGroup
			for range 50 {
				for range 20 {
					started.Add(1)
					time.AfterFunc(time.Millisecond, func() {
						defer started.Done()
						due := time.NewTimer(0)
						for range 20 {
							select {
							case <-due.C:
							default:
							}
							due.Reset(0)
						}
					})
				}
				started.Wait()
			}
		})
	}
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("%d processors after the bubbles, %d before", after, before)
	}
}
