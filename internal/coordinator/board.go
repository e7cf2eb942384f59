package coordinator

import (
	"slices"
	"sync"
	"sync/atomic"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// board holds the state of the run: for each chunk the footer
// that is authoritative for it and the last lease record. Writers take turns; readers,
// the watchdog above all, load one pointer per chunk and wait for no lock.
type board struct {
	m      run.Manifest
	chunks []atomic.Pointer[chunkState]
	crew   atomic.Pointer[crew]
	// retryFailed: a chunk that failed for good in an earlier session is to be
	// replayed all the same.
	retryFailed bool
	// before counts the attempts that the bus does not hold: it was lost,
	// and what earlier sessions did on it is known from files alone. Nil: it
	// holds all.
	before *perf.Report

	refused atomic.Int64 // footers and records that could not be used
	ok      atomic.Int64 // chunks with an ok footer
	ended   atomic.Int64 // chunks that are ok or exhausted
	claimed atomic.Int64 // chunks that a worker is replaying
	claims  atomic.Int64 // claims ever seen, in this session

	mu      sync.Mutex
	leases  uint64 // sequences followed so far
	footers uint64
	changed chan struct{} // closed and replaced at every change
	// onStop is called when a record shows that its attempt was stopped: a hint to
	// read the stop. The record itself stops nothing, since every worker may
	// write one.
	onStop func()
	onBad  func(bad) // a stored final footer that must go
	// unproven are final footers on the bus, by their chunks, whose claims were
	// not seen so far: the two streams are followed side by side.
	unproven map[int]unproven
	calls    calls

	onTrouble func(Trouble)
	starts    *firstStarts // nil: not wanted
	onNoStart func(*StartError)
	// identity is what the first claim would run, with the engine exec.
	identity atomic.Pointer[string]
}

// bad is a stored final footer that must go: its sequence, its chunk (-1: of
// none that the plan has), and why.
type bad struct {
	seq uint64
	idx int
	why error
}

// chunkState is immutable.
type chunkState struct {
	line perf.Encoded
	rec  *lease.Record // without its footers
	seq  uint64        // of rec
	// past are claims of the chunk before that of rec, the latest last.
	past    []lease.Token
	left    *perf.Chunk // what files of earlier epochs hold, nil if nothing
	onBus   bool        // an ok footer was read from the bus
	refused int
	lastErr string
}

// crew holds the workers that have reported; immutable.
type crew struct {
	workers []string
	hosts   []string
	builds  []string // of their programs
}

// newBoard makes the board of a session; known is what files of earlier
// sessions hold, nothing or every chunk of the plan.
func newBoard(m run.Manifest, retryFailed bool, known []perf.Chunk) *board {
	b := &board{
		m: m, retryFailed: retryFailed, chunks: make([]atomic.Pointer[chunkState], m.Plan.Chunks), changed: make(chan struct{}),
		onStop: func() {}, onBad: func(bad) {}, onTrouble: func(Trouble) {}, unproven: map[int]unproven{},
	}
	b.crew.Store(&crew{})
	nothing := &chunkState{}
	for i := range b.chunks {
		b.chunks[i].Store(nothing)
	}
	for i := range known {
		b.store(i, nothing, &chunkState{line: known[i].Line, left: &known[i]})
		if f := known[i].Line.Footer(); f.WorkerID != "" {
			b.meet(f.WorkerID, f.Host, f.WorkerBuild)
		}
	}
	return b
}

// TakeLease notes a lease record; package bus calls it.
func (b *board) TakeLease(r *lease.Record, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.announce()
	b.leases = max(b.leases, seq)
	old := b.chunks[r.ChunkIdx].Load()
	next := *old
	if r.Best != nil {
		next.line = b.better(old.line, *r.Best)
	}
	slim := *r
	slim.Own, slim.Best = nil, nil
	if old.rec != nil && old.rec.Token() != slim.Token() {
		next.past = remember(old.past, old.rec.Token())
	}
	next.rec, next.seq = &slim, seq
	b.store(r.ChunkIdx, old, &next)
	if u, waits := b.unproven[r.ChunkIdx]; waits && next.held(lease.TokenOf(u.f)) {
		b.accept(u.f)
	}
	b.meet(r.Holder.WorkerID, r.Holder.Host, r.Build)
	if r.Session != b.m.Session {
		return
	}
	if r.State == lease.StateClaimed && (old.rec == nil || old.rec.Attempt != r.Attempt) {
		b.claims.Add(1)
	}
	if r.State == lease.StateStopped {
		b.onStop()
	}
	if r.Identity != "" && b.m.Engine == footer.EngineExec {
		b.identity.CompareAndSwap(nil, &r.Identity)
	}
	if t, ok := troubleOf(r, old.rec); ok {
		b.onTrouble(t)
	}
	if b.starts != nil {
		if err := b.starts.take(r); err != nil {
			b.onNoStart(err)
		}
	}
}

// Rewound forgets how far a stream was followed and what stood in it, not
// what it told: that was true.
func (b *board) Rewound(isFooter bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.announce()
	if !isFooter {
		b.leases = 0
		return
	}
	b.footers = 0
	clear(b.unproven)
	for i := range b.chunks {
		if c := b.chunks[i].Load(); c.onBus {
			next := *c
			next.onBus = false
			b.chunks[i].Store(&next)
		}
	}
}

// lacking lists the ok footers that are known and were not read from the bus.
func (b *board) lacking() []footer.Footer {
	var list []footer.Footer
	for i := range b.chunks {
		if c := b.chunks[i].Load(); c.line.IsOK() && !c.onBus {
			list = append(list, c.line.Footer())
		}
	}
	return list
}

// unfinished lists the chunks that have no end: in the plan's order, but those
// of which nothing was measured first, so that a run that is stopped again
// and again before its chunks end covers more each time.
func (b *board) unfinished() []int {
	var list, begun []int
	for idx := range b.m.Plan.Published() {
		switch c := b.chunks[idx].Load(); {
		case b.hasEnd(c):
		case c.line.IsZero():
			list = append(list, idx)
		default:
			begun = append(begun, idx)
		}
	}
	return append(list, begun...)
}

// TakeRefused counts what could not be read. A final footer that cannot be
// used keeps a good one out, so it is handed on to be deleted.
func (b *board) TakeRefused(idx int, isFooter bool, err *bus.RefusedError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.announce()
	b.refused.Add(1)
	if isFooter {
		b.footers = max(b.footers, err.Seq)
		b.onBad(bad{err.Seq, idx, err})
	} else {
		b.leases = max(b.leases, err.Seq)
	}
	if idx >= 0 {
		old := b.chunks[idx].Load()
		next := *old
		next.refused++
		next.lastErr = err.Error()
		b.store(idx, old, &next)
	}
}

// better is the authoritative one of a stored line and a new footer.
func (b *board) better(old perf.Encoded, f footer.Footer) perf.Encoded {
	if !old.IsZero() && !footer.Outranks(f, old.Footer()) {
		return old
	}
	e, err := perf.EncodeChunk(f)
	if err != nil {
		// It could not be read back from a perf JSON; what was held stands.
		b.refused.Add(1)
		return old
	}
	return e
}

// store replaces a chunk's state and keeps the counts in step.
func (b *board) store(idx int, old, next *chunkState) {
	b.chunks[idx].Store(next)
	count := func(c *atomic.Int64, was, is bool) {
		if is && !was {
			c.Add(1)
		}
		if was && !is {
			c.Add(-1)
		}
	}
	b.calls.note(idx, old.rec, next.rec, b.hasEnd(next))
	count(&b.ok, old.line.IsOK(), next.line.IsOK())
	count(&b.ended, b.hasEnd(old), b.hasEnd(next))
	count(&b.claimed, old.claimed(b.m.Session), next.claimed(b.m.Session))
}

// hasEnd: no worker needs to work on the chunk any more.
func (b *board) hasEnd(c *chunkState) bool {
	switch {
	case c.line.IsOK():
		return true
	case c.rec != nil:
		return c.rec.State == lease.StateExhausted && (!b.retryFailed || c.rec.Session == b.m.Session)
	case c.left != nil:
		return c.left.Status == footer.StatusFailed && !b.retryFailed
	}
	return false
}

// lapsing lists the claims of earlier sessions, and the attempts of this one
// that show that they were stopped, chunk by chunk with the sequences of their
// records. If one does not change for a whole lease, and the run is not stopped,
// nobody is left behind it.
func (b *board) lapsing() map[int]uint64 {
	list := map[int]uint64{}
	for i := range b.chunks {
		if c := b.chunks[i].Load(); !b.hasEnd(c) && c.rec != nil && idle(*c.rec, b.m.Session) {
			list[i] = c.seq
		}
	}
	return list
}

// idle reports whether no worker works on a chunk with the record r, as long as the
// run is not stopped.
func idle(r lease.Record, session int) bool {
	return r.Lapsing(session) || r.State == lease.StateStopped && r.Session == session
}

// verdict is the chunk's status and what went wrong with it.
func (c *chunkState) verdict(session int) (status footer.Status, text, trace string) {
	status = lease.Status(c.line.IsOK(), c.rec, c.refused)
	if status == footer.StatusOK {
		return status, "", ""
	}
	// Files hold more than a bus without the chunk, and than a
	// claim of an earlier epoch, whose final report may have met no bus.
	lapsed := c.rec != nil && c.rec.Lapsing(session)
	if c.left != nil && c.left.Status != footer.StatusMissing && (c.rec == nil || lapsed) {
		return c.left.Status, c.left.Error, c.left.Trace
	}
	if c.rec != nil {
		return status, c.rec.Error, c.rec.Traceback
	}
	return status, c.lastErr, ""
}

// claimed: a worker claimed the chunk in this epoch and has not released it.
func (c *chunkState) claimed(session int) bool {
	return !c.line.IsOK() && c.rec != nil && c.rec.Session == session && !c.rec.FinalReport()
}

func (b *board) meet(worker, host, build string) {
	old := b.crew.Load()
	if slices.Contains(old.workers, worker) || len(old.workers) >= maxCrew {
		return
	}
	next := &crew{workers: append(slices.Clone(old.workers), worker), hosts: old.hosts, builds: old.builds}
	if build != "" && !slices.Contains(old.builds, build) {
		next.builds = append(slices.Clone(old.builds), build)
		slices.Sort(next.builds)
	}
	if !slices.Contains(old.hosts, host) {
		next.hosts = append(slices.Clone(old.hosts), host)
		slices.Sort(next.hosts)
	}
	b.crew.Store(next)
}

// maxCrew bounds the names that are kept: they come from the bus.
const maxCrew = 10_000

func (b *board) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// following returns how far the streams were followed, and a channel that is
// closed at the next change.
func (b *board) following() (leases, footers uint64, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leases, b.footers, b.changed
}

// done reports whether every chunk has an end.
func (b *board) done() bool { return b.ended.Load() == int64(len(b.chunks)) }

// tally adds up what the lease records contain of attempts.
type tally struct {
	redeliveries, releases, failures int64
	partial                          bool // the final report of a claimed chunk is missing
}

// snapshot lists every chunk as an export needs it, with their tally. Each
// chunk is looked at once, so that both agree. It takes no lock.
func (b *board) snapshot() ([]perf.Chunk, tally) {
	list := make([]perf.Chunk, len(b.chunks))
	var t tally
	if r := b.before; r != nil {
		t.redeliveries, t.releases, t.failures = r.Redeliveries, r.Releases, r.Failures
	}
	for i := range b.chunks {
		c := b.chunks[i].Load()
		list[i] = perf.Chunk{Idx: i, Planned: b.m.Plan.Chunk(i).Bars.Len(), Line: c.line}
		list[i].Status, list[i].Error, list[i].Trace = c.verdict(b.m.Session)
		t.partial = t.partial || list[i].Status == footer.StatusUnresponsive
		if c.rec != nil {
			t.redeliveries += int64(c.rec.Attempt - 1)
			if b.before != nil && c.left != nil && !c.left.Line.IsZero() {
				t.redeliveries++ // its first attempt was on the other bus
			}
			t.releases += int64(c.rec.Releases)
			t.failures += int64(c.rec.Failures)
		}
	}
	return list, t
}
