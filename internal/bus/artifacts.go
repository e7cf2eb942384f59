package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Bounds of artifacts.
const (
	// MaxArtifactPart bounds a part in bytes, so that it fits a message of a
	// server as it comes.
	MaxArtifactPart = trade.MaxPartBytes
	// MaxArtifactParts bounds the parts of one artifact, and maxClaimParts
	// those of a claim: what a footer may list in all.
	MaxArtifactParts = trade.MaxParts
	maxClaimParts    = 4096 * MaxArtifactParts

	// partsAtOnce is how many parts are on their way to a reader at a time:
	// enough to hide the way to the server, and few megabytes.
	partsAtOnce = 4
)

// ErrNoArtifact: a part of an artifact is not on the bus. The error names its
// subject.
var ErrNoArtifact = errors.New("the artifact's part does not exist")

// ErrLags: the copy of a replicated stream that has answered does not have what
// the stream's leader has. It is Transient: the copy catches up.
var ErrLags = errors.New("the copy of the stream that answers lags behind its leader")

// StoreArtifact stores one part of what the attempt with that claim leaves
// beside its footer; at most MaxArtifactPart bytes.
//
// The parts of a claim are counted through all its artifacts, in the order in
// which the footer lists them: the first artifact has the parts 0..n-1, the
// next continues with n. (The built-in engine leaves one artifact.)
//
// The first content of a part is kept. After an error, which leaves open
// whether it was stored, the same bytes are sent again and succeed; other bytes
// get ErrArtifactKept.
func (b *Bus) StoreArtifact(ctx context.Context, r run.Ref, idx int, claim uint64, part int, data []byte) error {
	subject := artifactSubject(r.ID, idx, claim, part)
	if part < 0 || part >= maxClaimParts {
		return fmt.Errorf("storing %s: part %d (want 0 to %d)", subject, part, maxClaimParts-1)
	}
	if len(data) > MaxArtifactPart {
		return fmt.Errorf("storing %s: it has %d bytes (at most %d)", subject, len(data), MaxArtifactPart)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	m := b.message(subject, data)
	m.Header.Set(headerIncarnation, string(r.Incarnation))
	_, err := b.js.PublishMsg(ctx, m, jetstream.WithExpectStream(StreamArtifacts))
	if err == nil {
		return nil
	}
	if !discarded(err) {
		return fmt.Errorf("storing %s: %w", subject, plain(err))
	}
	msg, err := b.last(ctx, StreamArtifacts, subject)
	switch {
	case err != nil:
		return err
	case msg == nil:
		// Any copy of a replicated stream answers, and this one lags.
		return fmt.Errorf("storing %s: %w", subject, ErrLags)
	case checkSchema(msg.Header) == nil && msg.Header.Get(headerIncarnation) == string(r.Incarnation) && bytes.Equal(msg.Data, data):
		return nil
	}
	return fmt.Errorf("storing %s: %w", subject, ErrArtifactKept)
}

// ErrArtifactKept: another content is stored in a part's place, and stays.
var ErrArtifactKept = errors.New("different content is already stored; only the holder of the claim may store it")

// Artifact reads an artifact that a footer with that claim lists: parts is the
// number that it lists, first the sum of the parts of those listed before it,
// limit what all its parts may have in bytes. A part that is not there is
// ErrNoArtifact, one that is not there yet where it is read is ErrLags, one of
// another schema or too large a RefusedError.
//
// The content is not compared with the footer's digest; its reader does
// that.
func (b *Bus) Artifact(ctx context.Context, r run.Ref, idx int, claim uint64, first, parts int, limit int64) ([][]byte, error) {
	name := fmt.Sprintf("artifact of run %s, chunk %d, claim %d", r.ID, idx, claim)
	if parts < 0 || parts > MaxArtifactParts || first < 0 || first > maxClaimParts-parts {
		return nil, fmt.Errorf("reading the %s: %d parts from %d on (want 0 to %d parts, below %d)", name, parts, first, MaxArtifactParts, maxClaimParts)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	list := make([][]byte, parts)
	var (
		mu    sync.Mutex
		next  int
		total int64
		bad   error
		all   sync.WaitGroup
	)
	fail := func(err error) { // with mu held; the first one is the reason
		if bad == nil {
			bad = err
		}
		cancel()
	}
	fetch := func() bool {
		mu.Lock()
		i := next
		next++
		mu.Unlock()
		if i >= parts || ctx.Err() != nil {
			return false
		}
		data, err := b.part(ctx, r.Incarnation, artifactSubject(r.ID, idx, claim, first+i))
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			fail(err)
			return false
		}
		if total += int64(len(data)); total > limit {
			fail(fmt.Errorf("it has more than %d bytes", limit))
			return false
		}
		list[i] = data
		return true
	}
	for range min(partsAtOnce, parts) {
		all.Go(func() {
			for fetch() {
			}
		})
	}
	all.Wait()
	if bad == nil && ctx.Err() != nil {
		bad = context.Cause(ctx)
	}
	if bad != nil {
		return nil, fmt.Errorf("reading the %s: %w", name, bad)
	}
	return list, nil
}

// part reads one part.
func (b *Bus) part(ctx context.Context, of run.Incarnation, subject string) ([]byte, error) {
	msg, err := b.last(ctx, StreamArtifacts, subject)
	if err != nil {
		return nil, err
	}
	if msg == nil {
		return nil, fmt.Errorf("%s: %w", subject, b.missing(ctx, StreamArtifacts, subject))
	}
	return decodePart(of, msg)
}

// missing returns what it means that a read has found nothing of a subject. Any
// copy of a stream answers a read; one that was cut off may lag for seconds. The
// leader, which alone has the stream's state, reports.
func (b *Bus) missing(ctx context.Context, stream, subject string) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := b.stream(ctx, stream)
	if err != nil {
		return err
	}
	if s.CachedInfo().Config.Replicas < 2 {
		return ErrNoArtifact
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	switch {
	case err != nil:
		return fmt.Errorf("asking the leader of stream %s: %w", stream, err)
	case info.State.Subjects[subject] > 0:
		return ErrLags
	}
	return ErrNoArtifact
}

func decodePart(of run.Incarnation, msg *jetstream.RawStreamMsg) ([]byte, error) {
	refuse := func(err error) ([]byte, error) {
		return nil, &RefusedError{Subject: msg.Subject, Seq: msg.Sequence, Err: err}
	}
	if err := checkSchema(msg.Header); err != nil {
		return refuse(err)
	}
	if got := msg.Header.Get(headerIncarnation); got != string(of) {
		return refuse(fmt.Errorf("%w (%.40q, want %q)", run.ErrOtherIncarnation, got, of))
	}
	if len(msg.Data) > MaxArtifactPart {
		return refuse(fmt.Errorf("%d bytes (at most %d)", len(msg.Data), MaxArtifactPart))
	}
	return msg.Data, nil
}
