package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

// StoredStop is a stop as it stands on the bus.
type StoredStop struct {
	run.Stop
	// Session is the session whose coordinator stored its own signal or
	// time-box; 0: the stop came from elsewhere.
	Session int
}

// LastStop reads the stored stop of a run; the zero StoredStop if there is
// none. RequestedAt is the server's time of storing it.
func (b *Bus) LastStop(ctx context.Context, id run.ID) (StoredStop, error) {
	msg, err := b.last(ctx, StreamStop, StopSubject(id))
	if msg == nil || err != nil {
		return StoredStop{}, err
	}
	return StoredStop{
		Stop: run.Stop{
			Source: stopSource(msg.Header), Reason: cleanReason(msg.Data), Seq: msg.Sequence, RequestedAt: msg.Time,
		},
		Session: stopSession(msg.Header),
	}, nil
}

// LastStopSeq is the sequence of the last stop of any run that was stored.
func (b *Bus) LastStopSeq(ctx context.Context) (uint64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, StreamStop)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", StreamStop, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// stopSession is the session whose coordinator stored its own stop, 0 where
// the headers name none.
func stopSession(h nats.Header) int {
	n, err := strconv.Atoi(h.Get(headerStopSession))
	if err != nil || n < 1 || !stopSource(h).Own() {
		return 0
	}
	return n
}

// stopSource is what the header contains, else the subject itself: a plain
// publish carries no header.
func stopSource(h nats.Header) run.Source {
	if s := run.Source(h.Get(headerStopSource)); s.Known() {
		return s
	}
	return run.SourceSubject
}

// StoreStop stores a stop and returns its sequence. Retries of one stop share
// msgID, so that they store one. A coordinator that repeats its own signal
// here names its session; for any other stop that is 0.
func (b *Bus) StoreStop(ctx context.Context, id run.ID, s run.Stop, session int, msgID string) (uint64, error) {
	m := b.message(StopSubject(id), []byte(s.Reason))
	m.Header.Set(headerStopSource, string(s.Source))
	if session > 0 {
		m.Header.Set(headerStopSession, strconv.Itoa(session))
	}
	for {
		reqCtx, cancel := bounded(ctx)
		ack, err := b.js.PublishMsg(reqCtx, m, jetstream.WithMsgID(msgID), jetstream.WithExpectStream(StreamStop))
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		err = fmt.Errorf("storing a stop of run %s: %w", id, err)
		if ctx.Err() != nil {
			return 0, err
		}
		if code := apiCode(err); code != 0 && code != codeDuplicateInFlight && !Transient(err) {
			return 0, err
		}
		if errors.Is(err, nats.ErrConnectionClosed) || !pause(ctx, reconnectWait) {
			return 0, err
		}
	}
}

// HeardStop is a core message on gx1.stop: a hint to read the stream.
type HeardStop struct {
	RunID  run.ID
	Source run.Source
	Reason string
	At     time.Time
	// MsgID is the message id under which its sender stores it; empty if he
	// gave none. Whoever stores it for him does so under the same id: it may be
	// the retry of a stop that was stored, and obeyed, long ago.
	MsgID string
}

// ListenStops calls heard, one call at a time, for every core message on the
// stops of run id, or of all runs with id "", until cancel, which ends the ctx
// of a call under way and waits for it. The subscription is known to the
// server when ListenStops returns. A stop that came just before is in the
// stream a moment later, and not always at once: the server stores it beside
// delivering it. So read LastStop after, and again in a while.
func (b *Bus) ListenStops(id run.ID, heard func(context.Context, HeardStop)) (cancel func(), err error) {
	subject := StopSubjects
	if id != "" {
		subject = StopSubject(id)
	}
	// What finds the channel full is lost, as any hint may be.
	msgs := make(chan *nats.Msg, 256)
	sub, err := b.nc.ChanSubscribe(subject, msgs)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", subject, err)
	}
	if err := b.nc.FlushTimeout(requestTimeout); err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", subject, err), sub.Unsubscribe())
	}
	ctx, end := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	owned.Go(func() { b.passStops(ctx, msgs, heard) })
	return func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			b.log.Warn("unsubscribing from stops failed", "error", err)
		}
		end()
		owned.Wait()
	}, nil
}

// passStops calls heard for each message until ctx ends.
func (b *Bus) passStops(ctx context.Context, msgs <-chan *nats.Msg, heard func(context.Context, HeardStop)) {
	for {
		var m *nats.Msg
		select {
		case <-ctx.Done():
			return
		case m = <-msgs:
		}
		id, err := parseStopSubject(m.Subject)
		if err != nil {
			b.lines.Warn("stop for an unknown run ignored", "error", err)
			continue
		}
		heard(ctx, HeardStop{RunID: id, Source: stopSource(m.Header), Reason: cleanReason(m.Data), At: time.Now(), MsgID: m.Header.Get(jetstream.MsgIDHeader)})
	}
}

// cleanReason makes any payload a stop's reason: valid UTF-8, bounded, on one
// line, and without what makes a terminal do or show something else.
func cleanReason(payload []byte) string {
	if len(payload) > 4*run.MaxReasonLen {
		payload = payload[:4*run.MaxReasonLen]
	}
	text := strings.TrimSpace(printable.Line(strings.ToValidUTF8(string(payload), "")))
	if len(text) > run.MaxReasonLen {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:run.MaxReasonLen], ""))
	}
	return text
}

// pause waits for d and reports whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
