package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
)

// A final footer on the bus counts only under a claim that the bus has held: a
// lease record with its sequence, worker, slot and attempt, which this
// coordinator saw or can read. Footers and records are followed side by side, so
// a footer may come first; it is held back then.

// unproven is a final footer that is held back until its claim is seen.
type unproven struct {
	f   footer.Footer
	seq uint64
}

// TakeFooter notes an ok footer; package bus calls it. One whose claim the bus
// has not held, as far as is known, is held back: see Life.settle.
func (b *board) TakeFooter(f *footer.Footer, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.announce()
	b.footers = max(b.footers, seq)
	idx := int(f.ChunkIdx)
	if c := b.chunks[idx].Load(); c.held(lease.TokenOf(*f)) || c.knows(*f) {
		b.accept(*f)
		return
	}
	b.unproven[idx] = unproven{*f, seq}
}

// show notes that the bus holds a record of claim t of chunk idx.
func (b *board) show(t lease.Token, idx int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u, waits := b.unproven[idx]; waits && lease.TokenOf(u.f) == t {
		defer b.announce()
		b.accept(u.f)
	}
}

// accept lets a footer of the bus count. The caller holds b.mu.
func (b *board) accept(f footer.Footer) {
	idx := int(f.ChunkIdx)
	delete(b.unproven, idx)
	old := b.chunks[idx].Load()
	next := *old
	next.line = b.better(old.line, f)
	next.onBus = true
	b.store(idx, old, &next)
	b.meet(f.WorkerID, f.Host, f.WorkerBuild)
}

// maxPast bounds the claims that are remembered of a chunk. Nobody but a chunk
// that fails or is released again and again has more, and of those the latest
// are the ones whose footers may still come.
const maxPast = 16

func remember(past []lease.Token, t lease.Token) []lease.Token {
	if len(past) >= maxPast {
		past = past[len(past)-maxPast+1:]
	}
	return append(slices.Clip(past), t)
}

// held reports whether a record of claim t was seen.
func (c *chunkState) held(t lease.Token) bool {
	return c.rec != nil && c.rec.Token() == t || slices.Contains(c.past, t)
}

// knows reports whether f is the ok footer that is known already, from this
// user's own files or from before the bus lost its records.
func (c *chunkState) knows(f footer.Footer) bool {
	f.Error, f.ErrorTraceback = "", ""
	return c.line.IsOK() && reflect.DeepEqual(c.line.Footer(), f.Normalize())
}

// waiting lists the final footers whose claims were not seen.
func (b *board) waiting() map[int]unproven {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.unproven)
}

// refuse takes a final footer for forged: u was held back, and its claim is on
// the bus no more.
func (b *board) refuse(idx int, u unproven) {
	err := fmt.Errorf("footer of chunk %d: no lease record shows claim %d by worker %.80q, attempt %d", idx, u.f.Claim, u.f.WorkerID, u.f.Attempt)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.announce()
	if b.unproven[idx].seq != u.seq {
		return // accepted meanwhile, or another came
	}
	delete(b.unproven, idx)
	b.refused.Add(1)
	old := b.chunks[idx].Load()
	next := *old
	next.refused++
	next.lastErr = err.Error()
	b.store(idx, old, &next)
	b.onBad(bad{u.seq, idx, err})
}

// prove reads the lease records of chunks whose final footers are held back: a
// claim is stored before its footer, and may have come the other way round.
func (l *Life) prove(ctx context.Context) error {
	for idx := range l.board.waiting() {
		rec, seq, err := l.Bus.Lease(ctx, l.Manifest.RunID, idx)
		var refused *bus.RefusedError
		if err != nil && !errors.As(err, &refused) {
			return fmt.Errorf("looking for the claim of a final footer: %w", err)
		}
		if rec != nil && rec.Check(l.Manifest, seq) == nil {
			l.board.show(rec.Token(), idx)
		}
	}
	return nil
}

// settle decides about final footers that were held back for a whole lease,
// connected without a break: their claims are not to be seen any more.
func (l *Life) settle(ctx context.Context, waited map[int]unproven) {
	if len(waited) == 0 {
		return
	}
	if err := l.prove(ctx); err != nil {
		if ctx.Err() == nil {
			l.Logger.Warn("proving final footers failed", "error", err)
		}
		return
	}
	for idx, u := range l.board.waiting() {
		if waited[idx].seq == u.seq {
			l.board.refuse(idx, u)
		}
	}
}
