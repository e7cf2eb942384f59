package coordinator

import (
	"testing"
)

// A session that is stopped before its manifest is stored leaves a bus that is
// whole, with the marker of its heartbeat on it, or the heartbeat where it
// crashed. A lease record or a footer says that a manifest was lost.
func TestABusWithoutAManifestMayBeWhole(t *testing.T) {
	for _, c := range []struct {
		name    string
		left    func(w *world) error
		damaged bool
	}{
		{"nothing", func(*world) error { return nil }, false},
		{"a heartbeat", func(w *world) error { return w.bus.Beat(w.t.Context(), w.m.RunID, "someone") }, false},
		{"a heartbeat that ended", func(w *world) error {
			if err := w.bus.Beat(w.t.Context(), w.m.RunID, "someone"); err != nil {
				return err
			}
			return w.bus.EndBeats(w.t.Context(), w.m.RunID)
		}, false},
		{"a lease record", func(w *world) error {
			_, err := w.bus.StoreLease(w.t.Context(), w.claimed(0, "w"), 0)
			return err
		}, true},
		{"a footer", func(w *world) error { return w.bus.StoreFooter(w.t.Context(), w.forged(0, 1)) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, newRun func(int) *world) {
				w := newRun(1)
				defer w.close()
				if err := c.left(w); err != nil {
					t.Fatal(err)
				}
				if err := contradiction(t.Context(), w.bus, w.m.RunID); (err != nil) != c.damaged {
					t.Errorf("damage: %v (want any: %t)", err, c.damaged)
				}
			})
		})
	}
}
