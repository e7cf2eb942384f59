package worker

import (
	"errors"
	"testing"
	"time"

	"gx1replay/internal/run"
)

// pickyEngine serves no run.
type pickyEngine struct {
	stillEngine
	why error
}

func (e *pickyEngine) Fits(run.Manifest) error { return e.why }

// A worker that does not serve a run says so on the bus, again and again as
// long as that holds and the run goes on.
func TestARunThatIsNotServedIsNoted(t *testing.T) {
	x := newBench(t)
	e := &pickyEngine{why: errors.New("the run has file a.py: one, not two")}
	w := x.a.w
	w.cfg.Engine = e
	noted := func(want string) {
		t.Helper()
		list, err := x.b.Incompatibles(t.Context(), "r")
		must(t, err)
		if len(list) != 1 || list[0].WorkerID != "w1" || list[0].Host != "h" || list[0].Why != want {
			t.Fatalf("notes %+v (want one that says %q)", list, want)
		}
	}
	w.readRuns(t.Context())
	if len(w.open()) != 0 {
		t.Fatal("the run is served")
	}
	noted(e.why.Error())
	first := w.incompatible["r"].noted

	// Not each time the runs are read, but at once if it is another reason.
	w.readRuns(t.Context())
	if w.incompatible["r"].noted != first {
		t.Error("it is noted with each reading")
	}
	e.why = errors.New("the run has file b.py: one, not two")
	w.readRuns(t.Context())
	noted(e.why.Error())
	w.incompatible["r"] = incompatible{e.why.Error(), time.Now().Add(-2 * NoteEvery)}
	w.readRuns(t.Context())
	if time.Since(w.incompatible["r"].noted) > NoteEvery {
		t.Error("it is not noted again")
	}

	// Of a run that is over nothing more is reported.
	m, rev, err := x.b.Manifest(t.Context(), "r")
	must(t, err)
	m.State = run.StateStopped
	_, err = x.b.StoreManifest(t.Context(), m, rev)
	must(t, err)
	w.readRuns(t.Context())
	if len(w.incompatible) != 0 {
		t.Errorf("still to be said: %+v", w.incompatible)
	}

	m.State = run.StateRunning
	_, rev, err = x.b.Manifest(t.Context(), "r")
	must(t, err)
	_, err = x.b.StoreManifest(t.Context(), m, rev)
	must(t, err)
	e.why = nil
	w.readRuns(t.Context())
	if len(w.open()) != 1 || len(w.incompatible) != 0 {
		t.Errorf("a run that fits: %d are served, to be said %+v", len(w.open()), w.incompatible)
	}
}
