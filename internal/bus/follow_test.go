package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// notes is a Sink that keeps what it gets.
type notes struct {
	mu      sync.Mutex
	leases  []uint64
	footers []uint64
	refused []refusal
	last    map[int]lease.Record
}

type refusal struct {
	idx      int
	isFooter bool
	err      *RefusedError
}

func (n *notes) TakeLease(r *lease.Record, seq uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leases = append(n.leases, seq)
	if n.last == nil {
		n.last = map[int]lease.Record{}
	}
	n.last[r.ChunkIdx] = *r
}

func (n *notes) TakeFooter(_ *footer.Footer, seq uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.footers = append(n.footers, seq)
}

func (n *notes) Rewound(isFooter bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if isFooter {
		n.footers = nil
	} else {
		n.leases = nil
	}
}

func (n *notes) TakeRefused(idx int, isFooter bool, err *RefusedError) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = append(n.refused, refusal{idx, isFooter, err})
}

// reached reports whether both streams were followed so far.
func (n *notes) reached(leases, footers uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, b := uint64(0), uint64(0)
	if len(n.leases) > 0 {
		a = n.leases[len(n.leases)-1]
	}
	if len(n.footers) > 0 {
		b = n.footers[len(n.footers)-1]
	}
	for _, r := range n.refused {
		if r.isFooter {
			b = max(b, r.err.Seq)
		} else {
			a = max(a, r.err.Seq)
		}
	}
	return a >= leases && b >= footers
}

func (n *notes) take() (leases, footers []uint64, refused []refusal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.leases), slices.Clone(n.footers), slices.Clone(n.refused)
}

// follow follows m into a new notes until the test's end.
func follow(t *testing.T, b *Bus, m run.Manifest) *notes {
	t.Helper()
	var n notes
	why := errors.New("the test is over")
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Follow(ctx, m, &n) }()
	t.Cleanup(func() {
		cancel(why)
		if err := receive(t, "Follow's end", ended); !errors.Is(err, why) {
			t.Errorf("Follow returned %v (want the cause)", err)
		}
	})
	return &n
}

// inOrder wants each sequence once or more, none falling behind.
func inOrder(t *testing.T, what string, got, want []uint64) {
	t.Helper()
	if !slices.IsSorted(got) {
		t.Errorf("%s: not in order: %v", what, got)
	}
	if set := slices.Compact(slices.Clone(got)); !slices.Equal(set, want) {
		t.Errorf("%s: %v (want %v)", what, set, want)
	}
}

func TestFollowGivesWhatIsStoredAndThenWhatIsNew(t *testing.T) {
	b := newRig(t, "").bus()
	m, other := testManifest("r1", 10), testManifest("r2", 10)
	var leases, footers []uint64
	store := func(idx int) {
		seq, err := b.StoreLease(t.Context(), claimOf(m, idx, "w"), 0)
		must(t, err)
		leases = append(leases, seq)
		_, err = b.StoreLease(t.Context(), claimOf(other, idx, "w"), 0)
		must(t, err)
		must(t, b.StoreFooter(t.Context(), okFooter(other, idx)))
		must(t, b.StoreFooter(t.Context(), okFooter(m, idx)))
		_, seq, err = b.Footer(t.Context(), m, idx)
		must(t, err)
		footers = append(footers, seq)
	}
	for idx := range 5 {
		store(idx)
	}
	n := follow(t, b, m)
	for idx := 5; idx < 10; idx++ {
		store(idx)
	}
	a, c, err := b.Fence(t.Context(), m.RunID)
	must(t, err)
	if a != leases[9] || c != footers[9] {
		t.Errorf("fence %d, %d (want %d, %d)", a, c, leases[9], footers[9])
	}
	eventually(t, "everything up to the fence", func() bool { return n.reached(a, c) })
	gotLeases, gotFooters, refused := n.take()
	inOrder(t, "leases", gotLeases, leases)
	inOrder(t, "footers", gotFooters, footers)
	if len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
}

// The client library refuses a pattern here; the server answers one.
func TestFact_TheServerKnowsTheLastOfAPattern(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 3)
	fence := func(wantLeases, wantFooters uint64) {
		t.Helper()
		a, c, err := b.Fence(t.Context(), m.RunID)
		must(t, err)
		if a != wantLeases || c != wantFooters {
			t.Errorf("fence %d, %d (want %d, %d)", a, c, wantLeases, wantFooters)
		}
	}
	fence(0, 0)
	seq, err := b.StoreLease(t.Context(), claimOf(m, 2, "w"), 0)
	must(t, err)
	_, err = b.StoreLease(t.Context(), claimOf(testManifest("r10", 3), 0, "w"), 0) // r1 is no prefix of it
	must(t, err)
	fence(seq, 0)
	must(t, b.StoreFooter(t.Context(), okFooter(m, 1)))
	fence(seq, 1)
	seq, err = b.StoreLease(t.Context(), claimOf(m, 0, "w"), 0)
	must(t, err)
	fence(seq, 1)
	must(t, b.DeleteFooter(t.Context(), 1))
	fence(seq, 0)
}

// Nothing is lost or invented over a restart of the server on the same port,
// whatever is on its way.
func TestFollowOutlivesARestartOfTheServer(t *testing.T) {
	testsize.All(t)
	r := newRig(t, "127.0.0.1:0")
	reader, writer := r.bus(), r.bus()
	hints, give := reader.Hints()
	defer give()
	m := testManifest("r1", 4)
	n := follow(t, reader, m)
	var want []uint64
	var last [4]uint64
	var lost int // writes whose answer never came
	write := func() error {
		idx := len(want) % 4
		seq, err := writer.StoreLease(t.Context(), claimOf(m, idx, "w"), last[idx])
		if errors.Is(err, ErrConflict) { // our own write, whose answer was lost
			_, seq, err = writer.Lease(t.Context(), m.RunID, idx)
			lost++
		}
		if err != nil {
			return err
		}
		last[idx] = seq
		want = append(want, seq)
		return nil
	}
	for restart := range 3 {
		for range 20 {
			must(t, write())
		}
		if restart > 0 {
			eventually(t, "what came before the next restart", func() bool { return n.reached(want[len(want)-1], 0) })
		}
		breaks := reader.Breaks()
		r.stop()
		r.start()
		receive(t, "the hint after the reconnect", hints)
		if reader.Breaks() == breaks {
			t.Error("a break was not counted")
		}
		eventually(t, "a write after the restart", func() bool { return write() == nil })
	}
	eventually(t, "the last one", func() bool { return n.reached(want[len(want)-1], 0) })
	got, _, refused := n.take()
	if !slices.IsSorted(got) {
		t.Errorf("not in order: %v", got)
	}
	// One message a chunk is kept, so a reader that was away may miss what
	// was replaced meanwhile, and nothing else.
	set := slices.Compact(got)
	for _, seq := range set {
		if !slices.Contains(want, seq) {
			t.Errorf("sequence %d was never written", seq)
		}
	}
	for _, seq := range last {
		if !slices.Contains(set, seq) {
			t.Errorf("the last record of a chunk, %d, was not given", seq)
		}
	}
	if len(refused) != 0 {
		t.Errorf("refused: %v", refused)
	}
	t.Logf("%d of %d records were given, %d answers were lost", len(set), len(want), lost)
}

// Garbage on any subject is counted under its chunk and never keeps back what
// is behind it.
func TestFollowPassesGarbageOver(t *testing.T) {
	b := newRig(t, "").bus()
	m := testManifest("r1", 3)
	n := follow(t, b, m)
	type bad struct {
		idx      int
		isFooter bool
	}
	var want []bad
	for _, kind := range []string{"progress", "footer"} {
		isFooter := kind == "footer"
		good := encode(t, claimOf(m, 1, "w"))
		if isFooter {
			good = encode(t, okFooter(m, 1))
		}
		send := func(msg *nats.Msg, idx int) {
			seq := put(t, b, msg)
			want = append(want, bad{idx, isFooter})
			if isFooter {
				must(t, b.DeleteFooter(t.Context(), seq)) // so that the next one is stored
			}
		}
		for _, make := range garbage(good) {
			send(make("gx1."+kind+".r1.1"), 1)
		}
		send(ours("gx1."+kind+".r1.2", good), 2) // of chunk 1
		send(ours("gx1."+kind+".r1.3", good), -1)
		send(ours("gx1."+kind+".r1.01", good), -1)
		send(ours("gx1."+kind+".r1.x", good), -1)
		send(ours("gx1."+kind+".r1.99999999999999999999", good), -1)
		must(t, b.nc.Flush())
	}
	seq, err := b.StoreLease(t.Context(), claimOf(m, 0, "w"), 0)
	must(t, err)
	must(t, b.StoreFooter(t.Context(), okFooter(m, 0)))
	_, footerSeq, err := b.Footer(t.Context(), m, 0)
	must(t, err)
	eventually(t, "what is behind the garbage", func() bool { return n.reached(seq, footerSeq) })
	leases, footers, refused := n.take()
	inOrder(t, "leases", leases, []uint64{seq})
	inOrder(t, "footers", footers, []uint64{footerSeq})
	for _, r := range refused {
		if r.err == nil || r.err.Err == nil || r.err.Seq == 0 || r.err.Subject == "" {
			t.Errorf("refusal %+v: %v does not say what and where", r, r.err)
		}
		if i := slices.Index(want, bad{r.idx, r.isFooter}); i < 0 {
			t.Errorf("an unexpected refusal: chunk %d, footer %v: %v", r.idx, r.isFooter, r.err)
		} else {
			want = slices.Delete(want, i, i+1)
		}
	}
	// Deleted footers may be gone before they are read; records are replaced
	// by the next on their subject in the same way. The last of each subject
	// must have been seen.
	for _, r := range want {
		if !r.isFooter && r.idx != 1 {
			t.Errorf("chunk %d: a refusal is missing", r.idx)
		}
	}
}

// Readers do not stay on the server for long.
func TestFollowLeavesNoConsumer(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		b := r.bus()
		m := testManifest("r1", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var n notes
		ended := make(chan error, 1)
		go func() { ended <- b.Follow(ctx, m, &n) }()
		seq, err := b.StoreLease(t.Context(), claimOf(m, 0, "w"), 0)
		must(t, err)
		eventually(t, "the record", func() bool { return n.reached(seq, 0) })
		consumers := func() int {
			s, err := b.js.Stream(t.Context(), StreamProgress)
			must(t, err)
			return s.CachedInfo().State.Consumers
		}
		if n := consumers(); n != 1 {
			t.Errorf("%d consumers (want 1)", n)
		}
		cancel()
		if err := receive(t, "the end", ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%v (want canceled)", err)
		}
		pause(t.Context(), time.Minute)
		if n := consumers(); n != 0 {
			t.Errorf("%d consumers a minute later (want 0)", n)
		}
	})
}

// A reader that is away, in virtual time, longer than the server keeps its
// consumer goes on where it was.
func TestFollowInVirtualTimeStaysForAnHour(t *testing.T) {
	testsize.All(t)
	bubble(t, func(t *testing.T, r *rig) {
		b := r.bus()
		m := testManifest("r1", 1)
		n := follow(t, b, m)
		var want []uint64
		var last uint64
		for range 2 {
			pause(t.Context(), 30*time.Minute)
			seq, err := b.StoreLease(t.Context(), claimOf(m, 0, "w"), last)
			must(t, err)
			want, last = append(want, seq), seq
			eventually(t, "the record", func() bool { return n.reached(seq, 0) })
		}
		got, _, _ := n.take()
		inOrder(t, "leases", got, want)
	})
}
