package bus

import (
	"errors"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

func TestFact_ALostCompareAndSetIsAConflict(t *testing.T) {
	r := newRig(t, "")
	a, b := r.busFor("a", nil), r.busFor("b", nil)
	m := testManifest("r1", 2)
	seq, err := a.StoreLease(t.Context(), claimOf(m, 0, "a"), 0)
	must(t, err)
	for _, expect := range []uint64{0, seq + 1, seq - 1} {
		_, err := b.StoreLease(t.Context(), claimOf(m, 0, "b"), expect)
		if !errors.Is(err, ErrConflict) {
			t.Errorf("expect %d: %v (want ErrConflict)", expect, err)
		}
	}
	// Another chunk is another subject.
	other, err := b.StoreLease(t.Context(), claimOf(m, 1, "b"), 0)
	must(t, err)
	renewed, err := a.StoreLease(t.Context(), claimOf(m, 0, "a"), seq)
	must(t, err)
	if renewed <= other {
		t.Errorf("sequences %d, then %d (want them to rise)", other, renewed)
	}
	// A write whose answer was lost conflicts with itself: the record says
	// whose it is.
	if _, err := a.StoreLease(t.Context(), claimOf(m, 0, "a"), seq); !errors.Is(err, ErrConflict) {
		t.Errorf("the same write again: %v (want ErrConflict)", err)
	}
	rec, at, err := b.Lease(t.Context(), m.RunID, 0)
	must(t, err)
	if at != renewed || rec.Holder.WorkerID != "a" {
		t.Errorf("record %+v at %d (want a's at %d)", rec, at, renewed)
	}
}

func TestOfManyClaimsOneIsStored(t *testing.T) {
	r := newRig(t, "")
	m := testManifest("r1", 20)
	const claimers = 4
	won := make([][]bool, claimers)
	var all sync.WaitGroup
	for c := range claimers {
		b := r.bus()
		won[c] = make([]bool, m.Plan.Chunks)
		all.Go(func() {
			for idx := range m.Plan.Chunks {
				_, err := b.StoreLease(t.Context(), claimOf(m, idx, "w"), 0)
				if err != nil && !errors.Is(err, ErrConflict) {
					t.Error(err)
				}
				won[c][idx] = err == nil
			}
		})
	}
	all.Wait()
	for idx := range m.Plan.Chunks {
		n := 0
		for c := range claimers {
			if won[c][idx] {
				n++
			}
		}
		if n != 1 {
			t.Errorf("chunk %d: %d claims were stored (want 1)", idx, n)
		}
	}
}

func TestALeaseRecordComesBackWhole(t *testing.T) {
	b := newRig(t, "").busFor("w", nil)
	m := testManifest("r1", 1)
	if rec, seq, err := b.Lease(t.Context(), m.RunID, 0); rec != nil || seq != 0 || err != nil {
		t.Errorf("before the first: %v, %d, %v (want nothing)", rec, seq, err)
	}
	own := partial(okFooter(m, 0), 10)
	best := partial(okFooter(m, 0), 60)
	rec := claimOf(m, 0, "w")
	rec.Attempt, rec.Failures, rec.Releases, rec.Claim = 3, 1, 1, 44
	rec.Stop = run.Stop{Source: run.SourceSIGTERM, Reason: "enough", Seq: 9}
	rec.State, rec.Error, rec.Traceback = lease.StateStopped, "e", "t"
	rec.Best = &best
	rec = rec.Renewed(&own)
	seq, err := b.StoreLease(t.Context(), rec, 0)
	must(t, err)
	got, at, err := b.Lease(t.Context(), m.RunID, 0)
	must(t, err)
	if at != seq || !got.Same(rec) || got.State != rec.State || got.Claim != 44 || got.Failures != 1 ||
		got.Stop.Reason != "enough" || got.Own.BarsProcessed != 10 || got.Best.BarsProcessed != 60 {
		t.Errorf("%+v (want %+v)", got, rec)
	}
	msg, err := b.last(t.Context(), StreamProgress, progressSubject(m.RunID, 0))
	must(t, err)
	if msg.Header.Get("Gx1-Schema") != "1" || msg.Header.Get("Gx1-Worker") != "w" {
		t.Errorf("headers %v", msg.Header)
	}
	// One message a chunk.
	if n := messages(t, b, StreamProgress); n != 1 {
		t.Errorf("%d records (want 1)", n)
	}
}

// A record that cannot be read is refused beside its sequence, over which a
// claim may be written.
func TestARefusedRecordCanBeClaimedOver(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 2)
	bad := garbage(encode(t, claimOf(m, 0, "w")))
	stranger := encode(t, claimOf(testManifest("other", 1), 0, "w"))
	neighbour := encode(t, claimOf(m, 1, "w"))
	bad["another run"] = func(s string) *nats.Msg { return ours(s, stranger) }
	bad["another chunk"] = func(s string) *nats.Msg { return ours(s, neighbour) }
	for name, make := range bad {
		seq := put(t, b, make(progressSubject(m.RunID, 0)))
		rec, at, err := b.Lease(t.Context(), m.RunID, 0)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Seq != seq || refused.Subject != progressSubject(m.RunID, 0) || at != seq || rec != nil {
			t.Errorf("%s: %v, %d, %v (want a RefusedError and %d)", name, rec, at, err, seq)
			continue
		}
		if _, err := b.StoreLease(t.Context(), claimOf(m, 0, "w"), at); err != nil {
			t.Errorf("%s: claiming over it: %v", name, err)
		}
	}
}

func TestFact_TheFirstFinalFooterIsKept(t *testing.T) {
	r := newRig(t, "")
	a, b := r.busFor("a", nil), r.busFor("b", nil)
	m := testManifest("r1", 2)
	first, other := okFooter(m, 0), okFooter(m, 0)
	other.Claim = 8
	if f, seq, err := a.Footer(t.Context(), m, 0); f != nil || seq != 0 || err != nil {
		t.Errorf("before the first: %v, %d, %v (want nothing)", f, seq, err)
	}
	must(t, a.StoreFooter(t.Context(), first))
	must(t, a.StoreFooter(t.Context(), first)) // a retry whose answer was lost
	must(t, b.StoreFooter(t.Context(), first))
	if err := b.StoreFooter(t.Context(), other); !errors.Is(err, ErrKept) {
		t.Errorf("another: %v (want ErrKept)", err)
	}
	got, seq, err := b.Footer(t.Context(), m, 0)
	must(t, err)
	if got.Claim != first.Claim {
		t.Errorf("claim %d is stored (want %d)", got.Claim, first.Claim)
	}
	must(t, b.StoreFooter(t.Context(), okFooter(m, 1))) // another chunk

	must(t, b.DeleteFooter(t.Context(), seq))
	must(t, b.DeleteFooter(t.Context(), seq)) // gone already: fine
	if f, _, err := b.Footer(t.Context(), m, 0); f != nil || err != nil {
		t.Errorf("after the deletion: %v, %v (want nothing)", f, err)
	}
	must(t, b.StoreFooter(t.Context(), other))
	if got, _, err = b.Footer(t.Context(), m, 0); err != nil || got.Claim != other.Claim {
		t.Errorf("after the deletion %+v, %v is stored (want claim %d)", got, err, other.Claim)
	}
}

// The way of a worker that a bad footer keeps out: it publishes the same
// footer again after the coordinator has deleted the bad one. That the server
// remembers no id of a refused message is what this leans on.
func TestFact_ARefusedFooterIsTakenOnceTheBadOneIsDeleted(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 1)
	good := okFooter(m, 0)
	for name, make := range garbage(encode(t, good)) {
		bad := put(t, b, make(footerSubject(m.RunID, 0)))
		for range 2 {
			if err := b.StoreFooter(t.Context(), good); !errors.Is(err, ErrKept) {
				t.Errorf("%s: %v (want ErrKept)", name, err)
			}
		}
		_, at, err := b.Footer(t.Context(), m, 0)
		var refused *RefusedError
		if !errors.As(err, &refused) || at != bad || refused.Seq != bad {
			t.Errorf("%s: %d, %v (want a RefusedError and %d)", name, at, err, bad)
		}
		must(t, b.DeleteFooter(t.Context(), at))
		must(t, b.StoreFooter(t.Context(), good))
		f, seq, err := b.Footer(t.Context(), m, 0)
		must(t, err)
		if f.Claim != good.Claim {
			t.Errorf("%s: then claim %d", name, f.Claim)
		}
		must(t, b.DeleteFooter(t.Context(), seq))
		good.Seq++
	}
}

func TestFootersThatContradictThePlanAreRefused(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 2)
	for name, change := range map[string]func(*footer.Footer){
		"of another run":           func(f *footer.Footer) { f.RunID = "other" },
		"of another chunk":         func(f *footer.Footer) { *f = okFooter(m, 1) },
		"partial":                  func(f *footer.Footer) { *f = partial(*f, 3) },
		"final and stopped":        func(f *footer.Footer) { f.Status = footer.StatusStopped },
		"more bars than there are": func(f *footer.Footer) { f.BarsProcessed++; f.TotalBars++ },
		"other borders":            func(f *footer.Footer) { f.FirstBar++ },
		"another engine":           func(f *footer.Footer) { f.Engine = "exec" },
		"counters that disagree":   func(f *footer.Footer) { f.NModelCalls = 101 },
	} {
		f := okFooter(m, 0)
		change(&f)
		seq := put(t, b, ours(footerSubject(m.RunID, 0), encode(t, f)))
		got, at, err := b.Footer(t.Context(), m, 0)
		var refused *RefusedError
		if !errors.As(err, &refused) || got != nil || at != seq {
			t.Errorf("%s: %v, %d, %v (want a RefusedError)", name, got, at, err)
		}
		must(t, b.DeleteFooter(t.Context(), seq))
	}
}

// Ids of messages count for the whole stream: whoever stores anything under the
// id of a footer once made the true one a duplicate, which is not stored.
func TestFooterWhoseMessageIDIsTaken(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 2)
	f := okFooter(m, 1)
	data, err := f.Encode()
	must(t, err)
	for _, id := range []string{"r1.1.7.3", footerMsgID(f, data)} {
		_, err := b.js.PublishMsg(t.Context(), ours("gx1.footer.evil.0", []byte(id)), jetstream.WithMsgID(id))
		must(t, err)
		must(t, b.purge(t.Context(), StreamFooters, "gx1.footer.evil.*"))
	}
	for range 2 {
		must(t, b.StoreFooter(t.Context(), f))
	}
	got, _, err := b.Footer(t.Context(), m, 1)
	if err != nil || got == nil || got.WorkerID != f.WorkerID {
		t.Errorf("stored is %+v, %v (want the footer)", got, err)
	}
	// One that was deleted, though it was true, is stored again.
	_, seq, err := b.Footer(t.Context(), m, 1)
	must(t, err)
	must(t, b.DeleteFooter(t.Context(), seq))
	must(t, b.StoreFooter(t.Context(), f))
	if got, _, err = b.Footer(t.Context(), m, 1); err != nil || got == nil {
		t.Errorf("after it was deleted and stored again: %+v, %v", got, err)
	}
}
