package coordinator

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

func boardManifest(t *testing.T, session, chunks int) run.Manifest {
	t.Helper()
	plan, err := run.NewPlan(int64(10*chunks), chunks, 0, run.OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	return run.Manifest{Schema: run.Schema, RunID: "r", Incarnation: testIncarnation, Session: session, Plan: plan, Data: run.Data{Bars: int64(10 * chunks)}}
}

func boardFooter(m run.Manifest, idx int, bars int64, ok bool) footer.Footer {
	c := m.Plan.Chunk(idx)
	f := footer.Footer{
		Schema: footer.Schema, RunID: "r", Incarnation: string(m.Incarnation), ChunkIdx: int64(idx), ChunkID: strconv.Itoa(idx), Attempt: 1, Claim: 5, Seq: 1,
		FirstBar: c.Bars.First, EndBar: c.Bars.End, PlannedBars: c.Bars.Len(),
		BarsProcessed: bars, TotalBars: bars, WorkerID: "w", Host: "h", Status: footer.StatusPartial,
	}
	if ok {
		f.Status, f.Final = footer.StatusOK, true
	}
	return f
}

// claimFor is the record that shows the claim of f.
func claimFor(f footer.Footer) *lease.Record {
	return &lease.Record{State: lease.StateClaimed, RunID: "r", Incarnation: testIncarnation, ChunkIdx: int(f.ChunkIdx), Session: 1,
		Attempt: int(f.Attempt), Claim: f.Claim, Holder: lease.Holder{WorkerID: f.WorkerID, Slot: int(f.Slot), Host: f.Host}}
}

func knownChunk(t *testing.T, m run.Manifest, idx int, status footer.Status, bars int64) perf.Chunk {
	t.Helper()
	c := perf.Chunk{Idx: idx, Planned: m.Plan.Chunk(idx).Bars.Len(), Status: status}
	if bars > 0 {
		e, err := perf.EncodeChunk(boardFooter(m, idx, bars, status == footer.StatusOK))
		if err != nil {
			t.Fatal(err)
		}
		c.Line = e
	}
	return c
}

// What earlier sessions have left in files and on the bus decides what a
// session replays, and what is said of a chunk until it is heard of again.
func TestBoardOfALaterSession(t *testing.T) {
	m := boardManifest(t, 2, 7)
	known := []perf.Chunk{
		knownChunk(t, m, 0, footer.StatusOK, 10),
		knownChunk(t, m, 1, footer.StatusStopped, 4),
		knownChunk(t, m, 2, footer.StatusFailed, 3),
		knownChunk(t, m, 3, footer.StatusMissing, 0),
		knownChunk(t, m, 4, footer.StatusStopped, 5),
		knownChunk(t, m, 5, footer.StatusUnresponsive, 2),
		knownChunk(t, m, 6, footer.StatusMissing, 0),
	}
	record := func(idx int, s lease.State, session int) *lease.Record {
		return &lease.Record{State: s, RunID: "r", Incarnation: testIncarnation, ChunkIdx: idx, Session: session, Attempt: 2, Holder: lease.Holder{WorkerID: "w", Host: "h"}}
	}
	for _, retry := range []bool{false, true} {
		b := newBoard(m, retry, known)
		b.TakeLease(record(4, lease.StateClaimed, 1), 1) // its last word met no bus
		b.TakeLease(record(6, lease.StateExhausted, 1), 2)
		want := []footer.Status{footer.StatusOK, footer.StatusStopped, footer.StatusFailed, footer.StatusMissing, footer.StatusStopped, footer.StatusUnresponsive, footer.StatusFailed}
		chunks, _ := b.snapshot()
		for i, c := range chunks {
			if c.Status != want[i] {
				t.Errorf("retry %v: chunk %d is %s (expected %s)", retry, i, c.Status, want[i])
			}
		}
		todo := []int{3, 1, 4, 5} // what was begun comes last
		if retry {
			todo = []int{3, 6, 1, 2, 4, 5}
		}
		if got := b.unfinished(); !slices.Equal(got, todo) {
			t.Errorf("retry %v: to be replayed are %v (expected %v)", retry, got, todo)
		}
		if b.done() {
			t.Errorf("retry %v: the board is done", retry)
		}
		for i, f := range b.fates() {
			if f.Replay != slices.Contains(todo, i) || f.Why == "" {
				t.Errorf("retry %v: fate %+v", retry, f)
			}
		}
		if l := b.lacking(); len(l) != 1 || l[0].ChunkIdx != 0 {
			t.Errorf("the bus lacks %v (expected chunk 0's footer)", l)
		}
		// A record of this very session counts, retried or not.
		b.TakeLease(record(2, lease.StateExhausted, 2), 3)
		if got := b.unfinished(); slices.Contains(got, 2) {
			t.Errorf("retry %v: chunk 2 failed in this session and is to be replayed: %v", retry, got)
		}
	}
}

// A bus that was lost knows nothing of the attempts before; they are counted
// all the same, and a run of which nothing was known before does not mind.
func TestAttemptsBeforeALostBus(t *testing.T) {
	m := boardManifest(t, 2, 2)
	for _, known := range [][]perf.Chunk{nil, {knownChunk(t, m, 0, footer.StatusStopped, 4), knownChunk(t, m, 1, footer.StatusMissing, 0)}} {
		b := newBoard(m, false, known)
		b.before = &perf.Report{Redeliveries: 3, Failures: 1, Releases: 2}
		for i := range 2 {
			b.TakeLease(&lease.Record{State: lease.StateClaimed, RunID: "r", Incarnation: testIncarnation, ChunkIdx: i, Session: 2, Attempt: 1, Holder: lease.Holder{WorkerID: "w"}}, uint64(i+1))
		}
		_, tally := b.snapshot()
		want := int64(3)
		if known != nil {
			want = 4 // chunk 0's attempt is one beyond its first
		}
		if tally.redeliveries != want || tally.failures != 1 || tally.releases != 2 {
			t.Errorf("%d known chunks: %+v (expected %d redeliveries, 1 failure, 2 releases)", len(known), tally, want)
		}
	}
}

func TestRewoundBoardKeepsWhatItKnows(t *testing.T) {
	m := boardManifest(t, 1, 2)
	b := newBoard(m, false, nil)
	f := boardFooter(m, 0, 10, true)
	b.TakeLease(claimFor(f), 5)
	b.TakeFooter(&f, 9)
	if len(b.lacking()) != 0 {
		t.Error("a footer that was read from the bus is lacking there")
	}
	b.Rewound(true)
	if _, footers, _ := b.following(); footers != 0 {
		t.Errorf("followed to %d (expected 0)", footers)
	}
	if l := b.lacking(); len(l) != 1 {
		t.Errorf("lacking %v (expected one footer)", l)
	}
	if chunks, _ := b.snapshot(); chunks[0].Status != footer.StatusOK {
		t.Errorf("chunk 0 is %s after the bus was rewound", chunks[0].Status)
	}
}

func TestSessionThatCrashedEndsWhenItWasLastHeard(t *testing.T) {
	at := func(sec int) time.Time { return time.Date(2026, 1, 2, 3, 0, sec, 0, time.UTC) }
	s := &Session{started: at(60)}
	for _, c := range []struct {
		name  string
		t     run.SessionTimes
		heard time.Time
		end   time.Time
	}{
		{"it wrote its end", run.SessionTimes{StartedAt: at(0), EndedAt: at(10), WallSec: 10}, at(30), at(10)},
		{"heard of later", run.SessionTimes{StartedAt: at(0)}, at(30), at(30)},
		{"never heard of", run.SessionTimes{StartedAt: at(20)}, time.Time{}, at(20)},
		{"its backup knows more", run.SessionTimes{StartedAt: at(0), WallSec: 40}, at(30), at(40)},
		{"a clock that was set back", run.SessionTimes{StartedAt: at(0)}, at(90), at(60)},
	} {
		got := c.t
		s.end(&got, c.heard)
		if !got.EndedAt.Equal(c.end) || got.WallSec != c.end.Sub(c.t.StartedAt).Seconds() {
			t.Errorf("%s: ended at %v after %v s (expected %v)", c.name, got.EndedAt, got.WallSec, c.end)
		}
	}
}
