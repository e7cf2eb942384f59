package coordinator

import (
	"sync/atomic"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// A session's selector is made before the data set is read and the bus is
// connected. What is not there yet is an error until it is.
func TestSelectorBeforeDataAndBus(t *testing.T) {
	var list atomic.Pointer[[]bars.Bar]
	read := func() (n int, err error) {
		for _, errBar := range (sessionBars{&list}).Bars(t.Context(), run.BarRange{First: 1, End: 3}) {
			if errBar != nil {
				return n, errBar
			}
			n++
		}
		return n, nil
	}
	if n, err := read(); n != 0 || err == nil {
		t.Errorf("before the data set is read: %d bars, %v (want an error)", n, err)
	}
	list.Store(&[]bars.Bar{{}, {}, {}})
	if n, err := read(); n != 2 || err != nil {
		t.Errorf("%d bars, %v (want 2)", n, err)
	}
	f := footer.Footer{Artifacts: []footer.Artifact{{Name: "x"}}}
	if _, err := (sessionArtifacts{new(atomic.Pointer[bus.Bus])}).ReadArtifact(t.Context(), f, 0); err == nil {
		t.Error("an artifact is read without a bus")
	}
}
