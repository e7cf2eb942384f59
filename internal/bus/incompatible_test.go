package bus

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNotesOfWorkersThatDoNotServe(t *testing.T) {
	r := newRig(t, "")
	worker, reader := r.busFor("w", nil), r.bus()
	before := time.Now().Add(-time.Second)
	for _, u := range []Incompatible{
		{WorkerID: "w2", Host: "b", Identity: "x", Why: "file a.py: one"},
		{WorkerID: "w1", Host: "a", Identity: "x", Why: "file a.py: two"},
		{WorkerID: "w3", Host: "b", Identity: "x", Why: "file a.py: three"}, // the same host and command: it stands for w2's
		{WorkerID: "w4", Host: "b", Identity: "y", Why: strings.Repeat("ü", maxIncompatibleText)},
	} {
		must(t, worker.StoreIncompatible(t.Context(), "r1", u))
	}
	must(t, worker.StoreIncompatible(t.Context(), "r2", Incompatible{WorkerID: "w9", Host: "a", Identity: "x", Why: "of another run"}))
	storeParts(t, worker, "r1", 0, 7, 0, [][]byte{[]byte("an artifact is no note")})
	// What is no note is passed over.
	for i, junk := range [][]byte{nil, []byte("{"), []byte(`{"worker_id":"w5"}`), slices.Repeat([]byte("x"), maxIncompatibleBytes+1)} {
		subject := noteSubject("r1", string(rune('a'+i)))
		if _, err := worker.js.PublishMsg(t.Context(), worker.message(subject, junk)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := reader.Incompatibles(t.Context(), "r1")
	must(t, err)
	if len(got) != 3 || got[0].WorkerID != "w1" || got[1].WorkerID != "w3" || got[1].Why != "file a.py: three" || got[2].WorkerID != "w4" || len(got[2].Why) > maxIncompatibleText+len("…") {
		t.Fatalf("%+.300v", got)
	}
	for _, u := range got {
		if u.At.Before(before) || u.At.After(time.Now().Add(time.Second)) {
			t.Errorf("the note of %s is of %v", u.WorkerID, u.At)
		}
	}
	// They go with the run.
	must(t, reader.Clean(t.Context(), "r1"))
	if got, err := reader.Incompatibles(t.Context(), "r1"); err != nil || len(got) > 0 {
		t.Errorf("after the cleaning: %+v, %v", got, err)
	}
	if got, err := reader.Incompatibles(t.Context(), "r2"); err != nil || len(got) != 1 {
		t.Errorf("of the other run: %+v, %v", got, err)
	}
}

// Whoever leaves notes again and again has few of them.
func TestNotesOfOneUserAreBounded(t *testing.T) {
	r := newRig(t, "")
	worker := r.busFor("w", nil)
	for i := range 3 * maxNotesPerUser {
		must(t, worker.StoreIncompatible(t.Context(), "r1", Incompatible{WorkerID: "w", Host: "h", Identity: string(rune('a' + i)), Why: "other"}))
	}
	if n := messages(t, worker, StreamNotes); n != maxNotesPerUser {
		t.Errorf("%d notes are stored (want %d)", n, maxNotesPerUser)
	}
	if got, err := worker.Incompatibles(t.Context(), "r1"); err != nil || len(got) != maxNotesPerUser {
		t.Errorf("%d notes, %v (want %d)", len(got), err, maxNotesPerUser)
	}
}
