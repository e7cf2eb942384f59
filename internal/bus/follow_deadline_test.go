package bus

import (
	"context"
	"testing"
	"time"
)

// A reader whose caller has little time reads all the same.
func TestFollowWithADeadlineThatIsNear(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 3)
	for i := range 3 {
		_, err := b.StoreLease(t.Context(), claimOf(m, i, "w"), 0)
		must(t, err)
	}
	leases, _, err := b.Fence(t.Context(), m.RunID)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	var got notes
	done := make(chan error, 1)
	go func() { done <- b.Follow(ctx, m, &got) }()
	eventually(t, "the records", func() bool { return got.reached(leases, 0) || ctx.Err() != nil })
	if !got.reached(leases, 0) {
		t.Errorf("records up to %d were not read within the deadline", leases)
	}
	cancel()
	<-done
}
