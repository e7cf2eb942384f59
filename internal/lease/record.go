package lease

import (
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// State is the state of a chunk in its lease record.
type State string

const (
	StateClaimed   State = "claimed"
	StateReleased  State = "released"  // given back in order
	StateStopped   State = "stopped"   // ended by a stop of the run
	StateFailed    State = "failed"    // an attempt ended in an error, to be tried again
	StateExhausted State = "exhausted" // max_failures reached
	StateDone      State = "done"      // an ok footer is stored
)

// Holder names the maker of a claim: one slot of one process.
type Holder struct {
	WorkerID string // unique per process
	Slot     int
	Host     string
}

// Record is the lease record of one chunk.
type Record struct {
	State State
	RunID run.ID
	// Incarnation is the run's.
	Incarnation run.Incarnation
	ChunkIdx    int
	Session     int
	Holder      Holder
	Attempt     int
	// Claim is the sequence at which this attempt's claim was stored, its
	// token; 0 in the claim itself, whose sequence is not known yet.
	Claim    uint64
	Failures int
	Releases int
	Identity string // exec: digest of what the worker would run
	// Build and EngineVersion are those of the worker's program.
	Build         string
	EngineVersion int
	Stop          run.Stop
	Error         string
	Traceback     string
	// NotBegun: the attempt failed before its first bar, by the command's own
	// doing, so the next one most likely fails as well.
	NotBegun bool
	// Own is the attempt's latest footer, nil before the first one. Best is
	// the better of Own and all that the records before held; nil if nothing
	// was ever measured.
	Own  *footer.Footer
	Best *footer.Footer
}

// Same reports whether r and other are of one attempt: same session, worker,
// slot and attempt.
func (r Record) Same(other Record) bool {
	return r.RunID == other.RunID && r.Incarnation == other.Incarnation && r.ChunkIdx == other.ChunkIdx && r.Session == other.Session &&
		r.Holder.WorkerID == other.Holder.WorkerID && r.Holder.Slot == other.Holder.Slot && r.Attempt == other.Attempt
}

// MaxRecordBytes bounds an encoded record: two footers and the rest, within
// the 1 MiB that a NATS server takes by default.
const MaxRecordBytes = 2*footer.MaxEncodedBytes + 64<<10

// wire is a Record as it travels. Best is left out where it is Own.
type wire struct {
	Schema        int             `msgpack:"schema"`
	State         State           `msgpack:"state"`
	RunID         run.ID          `msgpack:"run_id"`
	Incarnation   run.Incarnation `msgpack:"incarnation"`
	ChunkIdx      int             `msgpack:"chunk_idx"`
	Session       int             `msgpack:"session"`
	WorkerID      string          `msgpack:"worker_id"`
	Slot          int             `msgpack:"slot"`
	Host          string          `msgpack:"host"`
	Attempt       int             `msgpack:"attempt"`
	Claim         uint64          `msgpack:"claim"`
	Failures      int             `msgpack:"failures"`
	Releases      int             `msgpack:"releases"`
	Identity      string          `msgpack:"identity"`
	Build         string          `msgpack:"worker_build"`
	EngineVersion int             `msgpack:"engine_version"`
	Stop          run.Stop        `msgpack:"stop"`
	Error         string          `msgpack:"error"`
	Traceback     string          `msgpack:"error_traceback"`
	NotBegun      bool            `msgpack:"not_begun,omitempty"`
	Footer        []byte          `msgpack:"footer"`
	Best          []byte          `msgpack:"best"`
}

// Encode returns r as msgpack. Error and Traceback are shortened as a
// footer's are, so that no text of a failure makes a record that Decode
// refuses; whatever else it would refuse is an error.
func (r Record) Encode() ([]byte, error) {
	texts := footer.Footer{Error: r.Error, ErrorTraceback: r.Traceback}.Normalize()
	w := wire{
		Schema: run.Schema, State: r.State, RunID: r.RunID, Incarnation: r.Incarnation, ChunkIdx: r.ChunkIdx, Session: r.Session,
		WorkerID: r.Holder.WorkerID, Slot: r.Holder.Slot, Host: r.Holder.Host, Attempt: r.Attempt, Claim: r.Claim,
		Failures: r.Failures, Releases: r.Releases, Identity: r.Identity, Build: r.Build, EngineVersion: r.EngineVersion, Stop: r.Stop,
		Error: texts.Error, Traceback: texts.ErrorTraceback, NotBegun: r.NotBegun,
	}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("encoding the lease record of chunk %d: %w", r.ChunkIdx, err)
	}
	var err error
	if r.Own != nil {
		if w.Footer, err = r.Own.Encode(); err != nil {
			return nil, fmt.Errorf("encoding the lease record of chunk %d: %w", r.ChunkIdx, err)
		}
	}
	if r.Best != nil && r.Best != r.Own {
		if w.Best, err = r.Best.Encode(); err != nil {
			return nil, fmt.Errorf("encoding the lease record of chunk %d: %w", r.ChunkIdx, err)
		}
	}
	b, err := msgpack.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the lease record of chunk %d: %w", r.ChunkIdx, err)
	}
	return b, nil
}

// Decode reads a record that came from the bus. Footers in it are decoded,
// but whether they fit the plan is checked by Check.
func Decode(b []byte) (Record, error) {
	if len(b) > MaxRecordBytes {
		return Record{}, fmt.Errorf("lease record has %d bytes (at most %d)", len(b), MaxRecordBytes)
	}
	var w wire
	if err := run.Unmarshal(b, &w); err != nil {
		return Record{}, fmt.Errorf("decoding a lease record: %w", err)
	}
	r := Record{
		State: w.State, RunID: w.RunID, Incarnation: w.Incarnation, ChunkIdx: w.ChunkIdx, Session: w.Session,
		Holder:  Holder{WorkerID: w.WorkerID, Slot: w.Slot, Host: w.Host},
		Attempt: w.Attempt, Claim: w.Claim, Failures: w.Failures, Releases: w.Releases,
		Identity: w.Identity, Build: w.Build, EngineVersion: w.EngineVersion, Stop: w.Stop, Error: w.Error, Traceback: w.Traceback, NotBegun: w.NotBegun,
	}
	if err := w.check(); err != nil {
		return Record{}, fmt.Errorf("lease record: %w", err)
	}
	if len(w.Footer) > 0 {
		f, err := footer.Decode(w.Footer)
		if err != nil {
			return Record{}, fmt.Errorf("lease record of chunk %d: %w", w.ChunkIdx, err)
		}
		r.Own, r.Best = &f, &f
	}
	if len(w.Best) > 0 {
		f, err := footer.Decode(w.Best)
		if err != nil {
			return Record{}, fmt.Errorf("lease record of chunk %d: best: %w", w.ChunkIdx, err)
		}
		r.Best = better(r.Own, &f)
	}
	return r, nil
}

// maxText bounds a text of a record in bytes; a traceback has 5000
// characters of up to four bytes.
const maxText = 4 * footer.MaxTraceLen

// maxCount bounds every count of a record, so that one more never overflows.
// No stream has as many messages, and Check holds attempts against those.
const maxCount = 1 << 53

func (w wire) check() error {
	if w.Schema != run.Schema {
		return fmt.Errorf("schema %d is unknown (want %d)", w.Schema, run.Schema)
	}
	if _, err := run.ParseID(string(w.RunID)); err != nil {
		return err
	}
	if err := w.Incarnation.Validate(); err != nil {
		return err
	}
	switch w.State {
	case StateClaimed, StateReleased, StateStopped, StateFailed, StateExhausted, StateDone:
	default:
		return fmt.Errorf("state %.40q is unknown", string(w.State))
	}
	if w.ChunkIdx < 0 || w.ChunkIdx >= run.MaxChunks {
		return fmt.Errorf("chunk_idx %d is out of range", w.ChunkIdx)
	}
	for _, n := range []struct {
		field     string
		is, least int
	}{
		{"session", w.Session, 1}, {"attempt", w.Attempt, 1}, {"slot", w.Slot, 0},
		{"failures", w.Failures, 0}, {"releases", w.Releases, 0}, {"engine_version", w.EngineVersion, 0},
	} {
		if n.is < n.least || n.is > maxCount {
			return fmt.Errorf("%s %d is out of range (want %d to %d)", n.field, n.is, n.least, maxCount)
		}
	}
	if w.WorkerID == "" {
		return errors.New("worker_id is empty")
	}
	for _, s := range []string{w.WorkerID, w.Host, w.Identity, w.Build, w.Error, w.Traceback, string(w.Stop.Source), w.Stop.Reason} {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d bytes (at most %d)", len(s), maxText)
		}
	}
	if w.State == StateStopped && w.Stop.IsZero() {
		return errors.New("state stopped without the stop's source")
	}
	return nil
}

// ErrLaterSession: a record's session is above the manifest's that it was held
// against. Either the manifest is out of date, or no coordinator leads that epoch.
var ErrLaterSession = errors.New("no such session is known")

// Check reports whether r, stored at sequence seq of its stream, is a record of
// its chunk in m's plan, its footers included. Every attempt has stored a
// record of its own, so the stream has as many messages as there were
// attempts, and an attempt ends once. A session above m's is ErrLaterSession.
func (r Record) Check(m run.Manifest, seq uint64) error {
	if r.RunID != m.RunID {
		return fmt.Errorf("lease record: run_id %s (want %s)", r.RunID, m.RunID)
	}
	if r.Incarnation != m.Incarnation {
		return fmt.Errorf("lease record of chunk %d: %w (%q, want %q)", r.ChunkIdx, run.ErrOtherIncarnation, r.Incarnation, m.Incarnation)
	}
	if r.ChunkIdx >= m.Plan.Chunks {
		return fmt.Errorf("lease record: chunk_idx %d (want 0 to %d)", r.ChunkIdx, m.Plan.Chunks-1)
	}
	if r.Session > m.Session {
		return fmt.Errorf("lease record of chunk %d: session %d (the manifest has %d): %w", r.ChunkIdx, r.Session, m.Session, ErrLaterSession)
	}
	if uint64(r.Attempt) > seq || r.Claim > seq {
		return fmt.Errorf("lease record of chunk %d: attempt %d, claim %d at sequence %d (want at most that)", r.ChunkIdx, r.Attempt, r.Claim, seq)
	}
	if r.Failures+r.Releases > r.Attempt {
		return fmt.Errorf("lease record of chunk %d: %d failures and %d releases of %d attempts", r.ChunkIdx, r.Failures, r.Releases, r.Attempt)
	}
	if f := r.Own; f != nil && (f.WorkerID != r.Holder.WorkerID || f.Attempt != int64(r.Attempt)) {
		return fmt.Errorf("lease record of chunk %d: attempt %d of %.80q carries the footer of attempt %d of %.80q",
			r.ChunkIdx, r.Attempt, r.Holder.WorkerID, f.Attempt, f.WorkerID)
	}
	for _, f := range []*footer.Footer{r.Own, r.Best} {
		if f == nil {
			continue
		}
		if f.ChunkIdx != int64(r.ChunkIdx) {
			return fmt.Errorf("lease record of chunk %d carries a footer of chunk %d", r.ChunkIdx, f.ChunkIdx)
		}
		if err := f.Check(m); err != nil {
			return fmt.Errorf("lease record of chunk %d: %w", r.ChunkIdx, err)
		}
	}
	return nil
}

// At is r as it is stored at sequence seq: a claim's token is its own sequence,
// which is unknown before it is stored.
func (r Record) At(seq uint64) Record {
	if r.Claim == 0 && r.State == StateClaimed {
		r.Claim = seq
	}
	return r
}

// Token names a claim that the bus has held, as a final footer does.
type Token struct {
	Claim    uint64
	WorkerID string
	Slot     int64
	Attempt  int64
}

// Token is the claim that r, read from the bus, is a record of.
func (r Record) Token() Token {
	return Token{r.Claim, r.Holder.WorkerID, int64(r.Holder.Slot), int64(r.Attempt)}
}

// TokenOf is the claim under which f was measured, by its own fields. A footer counts only
// if a record has the same.
func TokenOf(f footer.Footer) Token { return Token{f.Claim, f.WorkerID, f.Slot, f.Attempt} }

// better is footer.Pick where either may be missing.
func better(a, b *footer.Footer) *footer.Footer {
	switch {
	case a == nil:
		return b
	case b == nil || a == b:
		return a
	}
	if footer.Outranks(*b, *a) {
		return b
	}
	return a
}
