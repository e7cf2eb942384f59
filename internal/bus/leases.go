package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/run"
)

// ErrConflict: a compare-and-set lost; the stored record is not the one that
// was expected.
var ErrConflict = errors.New("the lease record was changed by another write")

// StoreLease stores r if the last record of its chunk has sequence expect (0:
// there is none) and returns r's own sequence. After an error other than
// ErrConflict it may be stored or not: read it back.
func (b *Bus) StoreLease(ctx context.Context, r lease.Record, expect uint64) (uint64, error) {
	data, err := r.Encode()
	if err != nil {
		return 0, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, b.message(progressSubject(r.RunID, r.ChunkIdx), data),
		jetstream.WithExpectLastSequencePerSubject(expect), jetstream.WithExpectStream(StreamProgress))
	if code := apiCode(err); code == codeWrongLastSequence || code == codeInFlightConflict {
		return 0, fmt.Errorf("chunk %d: %w", r.ChunkIdx, ErrConflict)
	}
	if err != nil {
		return 0, fmt.Errorf("storing the lease record of chunk %d: %w", r.ChunkIdx, plain(err))
	}
	return ack.Sequence, nil
}

// Lease reads the lease record of a chunk and its sequence: nil and 0 if
// there is none. A record that cannot be read is a RefusedError beside its
// sequence, over which a claim may be written.
func (b *Bus) Lease(ctx context.Context, id run.ID, idx int) (*lease.Record, uint64, error) {
	msg, err := b.last(ctx, StreamProgress, progressSubject(id, idx))
	if msg == nil || err != nil {
		return nil, 0, err
	}
	r, err := decodeLease(msg)
	if err != nil {
		return nil, msg.Sequence, err
	}
	return r, msg.Sequence, nil
}

func decodeLease(msg *jetstream.RawStreamMsg) (*lease.Record, error) {
	refuse := func(err error) (*lease.Record, error) {
		return nil, &RefusedError{Subject: msg.Subject, Seq: msg.Sequence, Err: err}
	}
	id, idx, err := parseChunkSubject("progress", msg.Subject)
	if err != nil {
		return refuse(err)
	}
	if err := checkSchema(msg.Header); err != nil {
		return refuse(err)
	}
	r, err := lease.Decode(msg.Data)
	if err != nil {
		return refuse(err)
	}
	if r.RunID != id || r.ChunkIdx != idx {
		return refuse(fmt.Errorf("the record is of run %s, chunk %d", r.RunID, r.ChunkIdx))
	}
	r = r.At(msg.Sequence)
	return &r, nil
}

// last reads the last message of a subject; nil if there is none.
func (b *Bus) last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := b.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", subject, err)
	}
	return msg, nil
}

// ErrKept: the chunk has a final footer already, and it is not this one.
var ErrKept = errors.New("another final footer is stored")

// StoreFooter stores the final footer f of a chunk. The first one is kept: a
// retry of the same footer succeeds, another one gets ErrKept.
func (b *Bus) StoreFooter(ctx context.Context, f footer.Footer) error {
	data, err := f.Encode()
	if err != nil {
		return err
	}
	id, idx := run.ID(f.RunID), int(f.ChunkIdx)
	subject := footerSubject(id, idx)
	opts := []jetstream.PublishOpt{jetstream.WithExpectStream(StreamFooters), jetstream.WithMsgID(footerMsgID(f, data))}
	for {
		reqCtx, cancel := bounded(ctx)
		ack, err := b.js.PublishMsg(reqCtx, b.message(subject, data), opts...)
		cancel()
		switch {
		case err == nil && !ack.Duplicate:
			return nil
		case err != nil && !discarded(err):
			return fmt.Errorf("storing the footer of chunk %d: %w", idx, plain(err))
		}
		// One is there, or was once stored under this id, which counts for the
		// whole stream: whether it is this one, only the stored bytes show.
		msg, lost := b.last(ctx, StreamFooters, subject)
		switch {
		case lost != nil:
			return lost
		case msg != nil && checkSchema(msg.Header) == nil && bytes.Equal(msg.Data, data):
			return nil
		case msg != nil:
			return fmt.Errorf("chunk %d: %w", idx, ErrKept)
		case err != nil:
			return fmt.Errorf("storing the footer of chunk %d: the one in its place was deleted meanwhile: %w", idx, err)
		}
		// What the id stands for is not there: it was deleted, or it stands
		// elsewhere. Without an id the footer is stored, and still only once.
		opts = opts[:1]
	}
}

// footerMsgID is the message id of footer f, whose bytes are data. With their
// digest in it, no other client can store something else under it first.
func footerMsgID(f footer.Footer, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s.%s.%d.%d.%d.%s", f.RunID, f.Incarnation, f.ChunkIdx, f.Claim, f.Seq, hex.EncodeToString(sum[:]))
}

// Footer reads the final footer of a chunk and its sequence: nil and 0 if
// there is none. One that cannot be read, or does not fit m's plan, is a
// RefusedError.
func (b *Bus) Footer(ctx context.Context, m run.Manifest, idx int) (*footer.Footer, uint64, error) {
	msg, err := b.last(ctx, StreamFooters, footerSubject(m.RunID, idx))
	if msg == nil || err != nil {
		return nil, 0, err
	}
	f, err := decodeFooter(m, msg)
	if err != nil {
		return nil, msg.Sequence, err
	}
	return f, msg.Sequence, nil
}

func decodeFooter(m run.Manifest, msg *jetstream.RawStreamMsg) (*footer.Footer, error) {
	refuse := func(err error) (*footer.Footer, error) {
		return nil, &RefusedError{Subject: msg.Subject, Seq: msg.Sequence, Err: err}
	}
	_, idx, err := parseChunkSubject("footer", msg.Subject)
	if err != nil {
		return refuse(err)
	}
	if err := checkSchema(msg.Header); err != nil {
		return refuse(err)
	}
	f, err := footer.Decode(msg.Data)
	if err != nil {
		return refuse(err)
	}
	if f.ChunkIdx != int64(idx) {
		return refuse(fmt.Errorf("the footer is of chunk %d", f.ChunkIdx))
	}
	if !f.IsOK() {
		return refuse(fmt.Errorf("status %s, final %v (only ok footers are final)", f.Status, f.Final))
	}
	if err := f.Check(m); err != nil {
		return refuse(err)
	}
	return &f, nil
}

// DeleteFooter removes the stored footer with that sequence, so that a better
// one can be stored; one that is gone already is fine.
func (b *Bus) DeleteFooter(ctx context.Context, seq uint64) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := b.stream(ctx, StreamFooters)
	if err != nil {
		return err
	}
	err = s.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	// The server's refusal has one code for all reasons, so look.
	if _, gone := s.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("deleting footer %d: %w", seq, err)
}
