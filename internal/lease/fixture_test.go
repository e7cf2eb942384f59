package lease

import (
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

const (
	maxFailures                 = 3
	incarnation run.Incarnation = "00112233445566778899aabbccddeeff"
)

var (
	me    = Holder{WorkerID: "me", Slot: 1, Host: "here"}
	other = Holder{WorkerID: "other", Slot: 0, Host: "there"}
)

// measured is a partial footer of chunk 1.
func measured(bars, attempt int) *footer.Footer {
	return &footer.Footer{
		Schema: footer.Schema, RunID: "r1", ChunkIdx: 1, ChunkID: "1", Status: footer.StatusPartial,
		Incarnation: string(incarnation), WorkerID: other.WorkerID, Attempt: int64(attempt), Seq: int64(bars + 1), Engine: footer.EngineBuiltin,
		FirstBar: 25, EndBar: 50, PlannedBars: 25,
		TotalBars: int64(bars), BarsProcessed: int64(bars), BarsSkippedWarmup: int64(bars), // the gate sees none of them
	}
}

// okFooter is the final footer of chunk 1.
func okFooter(attempt int) *footer.Footer {
	f := measured(25, attempt)
	f.Status, f.Final = footer.StatusOK, true
	return f
}

// fixtureManifest plans four chunks of 25 bars.
func fixtureManifest() run.Manifest {
	return run.Manifest{
		RunID: "r1", Incarnation: incarnation, Session: 2, Engine: footer.EngineBuiltin, PregateEnabled: true,
		Plan: run.Plan{Bars: 100, Chunks: 4, Order: run.OrderSpread},
	}
}

// held is other's attempt 2 in session 2, one failure and one release behind
// it, with 10 bars measured and 15 known of an earlier attempt.
func held() Record {
	return Record{
		State: StateClaimed, RunID: "r1", Incarnation: incarnation, ChunkIdx: 1, Session: 2, Holder: other, Attempt: 2, Claim: 40,
		Failures: 1, Releases: 1, Error: "before", Traceback: "trace", Own: measured(10, 2), Best: measured(15, 1),
	}
}

// in is held in another state and session.
func in(s State, session int) Record {
	r := held()
	r.State, r.Session = s, session
	switch s {
	case StateStopped:
		r.Stop = run.Stop{Source: run.SourceSubject, Reason: "enough"}
	case StateExhausted:
		r.Failures = maxFailures
	}
	return r
}

// delivery is my delivery of session 2 that finds prev.
func delivery(prev *Record) Delivery {
	return Delivery{Me: me, Run: run.Ref{ID: "r1", Incarnation: incarnation}, ChunkIdx: 1, Session: 2, Prev: prev, MaxFailures: maxFailures, Identity: "id"}
}

func bars(r Record) int64 {
	if r.Best == nil {
		return -1
	}
	return r.Best.BarsProcessed
}

func mustEncode(t testing.TB, r Record) []byte {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
