package bus

import (
	"context"
	"testing"
	"time"
)

// TestGetObjectHeedsCancel: a stop that comes while a worker fetches bars must
// not wait for the transfer's own deadline.
func TestGetObjectHeedsCancel(t *testing.T) {
	r := newRig(t, "")
	b := r.bus()
	if err := b.PutObject(t.Context(), "x", make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(1+2*i)*time.Millisecond, cancel)
		done := make(chan error, 1)
		go func() {
			_, err := b.GetObject(ctx, "x", 64<<20)
			done <- err
		}()
		select {
		case <-done: // whole, or cancelled
		case <-time.After(10 * time.Second):
			t.Fatalf("try %d: not returned 10 s after its context was cancelled", i)
		}
		timer.Stop()
		cancel()
	}
}
