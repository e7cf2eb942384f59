package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"gx1replay/internal/footer"
	"gx1replay/internal/trade"
)

// Chunk is what is known of one chunk at an export. A slice of chunks holds
// every chunk of the plan in order: chunks[i].Idx is i, and the bars of a
// chunk follow those of the one before it, the first at bar 0.
type Chunk struct {
	Idx     int
	Planned int64 // bars
	// Status is decided by the lease record. An ok footer outranks it: see
	// Merge.
	Status footer.Status
	Error  string
	Trace  string  // error_traceback
	Line   Encoded // zero: nothing was measured
}

// Encoded is a footer made ready for exports: its JSON, encoded once when it
// is received, and the numbers that totals need. It is immutable and may be
// shared. The zero Encoded means that nothing was measured.
type Encoded struct{ l *line }

type line struct {
	// The numbers that every export reads stand together, apart from the
	// footer's kilobyte: with thousands of chunks cache misses are the cost.
	idx, planned, first, end, bars int64
	ok                             bool
	total, calls, closed, open     int64
	signals, expired               int64
	pnl                            float64
	lacks                          unreportedTotals
	// template is the footer's object with holes for what is decided at export.
	// Status, error and traceback stand in it as they nearly always are, so that
	// most lines are copied whole: usual, no error.
	template
	usual footer.Status
	f     footer.Footer // normalized; its status is ok or partial, its error empty
}

// maxLineBytes bounds an encoded footer: what footer.DecodeJSON takes, less
// room for the error and the traceback.
const maxLineBytes = 4*footer.MaxEncodedBytes - 16*footer.MaxTraceLen

// EncodeChunk encodes what f measured. The status of f counts only as ok or
// not; its error is the chunk's to tell. It refuses what could not be read
// back from a perf JSON, so that one footer never spoils the file of all: an
// attempt below 1 (0 in a file means that nothing was measured), a chunk_id
// that is not chunk_idx, too many bytes, a child nested too deeply.
func EncodeChunk(f footer.Footer) (Encoded, error) {
	if f.Attempt < 1 {
		return Encoded{}, fmt.Errorf("footer of chunk %d: attempt %d (want 1 or more)", f.ChunkIdx, f.Attempt)
	}
	if want := strconv.FormatInt(f.ChunkIdx, 10); f.ChunkID != want {
		return Encoded{}, fmt.Errorf("footer of chunk %d: chunk_id %.40q (want %q)", f.ChunkIdx, f.ChunkID, want)
	}
	ok, status, usual := f.IsOK(), footer.StatusPartial, footer.StatusStopped
	if ok {
		status, usual = footer.StatusOK, footer.StatusOK
	}
	f.Status, f.Error, f.ErrorTraceback = usual, "", ""
	f.Child = bytes.ToValidUTF8(f.Child, []byte("\uFFFD")) // json.Valid lets other bytes pass
	f = f.Normalize()
	if deep := slices.Concat([]byte("[[["), f.Child, []byte("]]]")); !json.Valid(deep) { // as deep as in a file
		return Encoded{}, fmt.Errorf("footer of chunk %d: child is nested too deeply", f.ChunkIdx)
	}
	t, err := newTemplate(f, valueDrops)
	if err != nil {
		return Encoded{}, err
	}
	if len(t.json) > maxLineBytes {
		return Encoded{}, fmt.Errorf("footer of chunk %d: %d bytes of JSON (at most %d)", f.ChunkIdx, len(t.json), maxLineBytes)
	}
	f.Status = status
	l := &line{
		idx: f.ChunkIdx, planned: f.PlannedBars, first: f.FirstBar, end: f.EndBar, bars: f.BarsProcessed, ok: ok,
		total: f.TotalBars, calls: f.NModelCalls, closed: f.NTradesClosed, open: f.TradesOpen, pnl: f.PnlBps,
		signals: f.NSignals, expired: f.DropReasons[trade.DropExpired], lacks: lacking(&f),
		template: t, usual: usual, f: f,
	}
	return Encoded{l}, nil
}

// SizeOf is about how many bytes a perf JSON of chunks has.
func SizeOf(chunks []Chunk) int64 {
	size := int64(0)
	for i := range chunks {
		c := &chunks[i]
		size += blankBytes + int64(len(c.Error)+len(c.Trace))
		if !c.Line.IsZero() {
			size += int64(len(c.Line.l.json)) - blankBytes
		}
	}
	return size
}

// blankBytes is about what a chunk of which nothing was measured takes.
const blankBytes = 1150

// IsZero reports whether nothing was measured.
func (e Encoded) IsZero() bool { return e.l == nil }

// IsOK reports whether e is the final footer of a chunk that was done.
func (e Encoded) IsOK() bool { return e.l != nil && e.l.ok }

// Footer returns what e encodes: as it was given to EncodeChunk, normalized,
// with status ok or partial and without error. It is zero if e is.
func (e Encoded) Footer() footer.Footer {
	if e.l == nil {
		return footer.Footer{}
	}
	return e.l.f
}

// Bars is the number of bars that e has stepped over.
func (e Encoded) Bars() int64 {
	if e.l == nil {
		return 0
	}
	return e.l.bars
}

// Trades is the number of trades that e has closed, as if nothing was open at
// its chunk's start.
func (e Encoded) Trades() int64 {
	if e.l == nil {
		return 0
	}
	return e.l.closed
}

// same reports whether a and b encode the same footer.
func (a Encoded) same(b Encoded) bool {
	if a.l == b.l || a.l == nil || b.l == nil {
		return a.l == b.l
	}
	return a.l.ok == b.l.ok && bytes.Equal(a.l.json, b.l.json)
}

// better is the one of a and b that speaks, by the rule of footer.Pick.
func better(a, b Encoded) Encoded {
	if a.IsZero() || a.same(b) || !b.IsZero() && footer.Outranks(b.l.f, a.l.f) {
		return b
	}
	return a
}

// settled makes c agree with itself and with the plan, whose chunk begins at
// bar first. Footers are checked when they are received; should one have
// slipped through, it must not take the export of all others with it.
func (c Chunk) settled(first int64) Chunk {
	if c.Line.l != nil {
		if err := c.Line.l.fits(c, first); err != nil {
			c.Line, c.Status, c.Error = Encoded{}, footer.StatusParseError, err.Error()
		}
	}
	if c.Line.IsOK() {
		c.Status, c.Error, c.Trace = footer.StatusOK, "", ""
		return c
	}
	switch c.Status {
	case footer.StatusStopped, footer.StatusFailed, footer.StatusUnresponsive, footer.StatusMissing, footer.StatusParseError:
	default: // ok without its footer, or no status of a chunk
		c.Status = footer.StatusMissing
		if !c.Line.IsZero() {
			c.Status = footer.StatusStopped
		}
	}
	return c
}

// fits says whether l is a footer of the chunk c that begins at bar first.
func (l *line) fits(c Chunk, first int64) error {
	switch {
	case l.idx != int64(c.Idx):
		return fmt.Errorf("refused: a footer of chunk %d (want %d)", l.idx, c.Idx)
	case l.planned != c.Planned || l.first != first || l.end != first+c.Planned:
		return fmt.Errorf("refused: a footer with bars [%d, %d), planned %d (the plan has [%d, %d))",
			l.first, l.end, l.planned, first, first+c.Planned)
	case l.bars < 0 || l.bars > c.Planned:
		return fmt.Errorf("refused: a footer with bars_processed %d (want 0 to %d)", l.bars, c.Planned)
	}
	return nil
}
