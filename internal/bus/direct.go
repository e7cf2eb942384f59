package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// headerPending is how many messages of a subject follow a batch.
const headerPending = "Nats-Num-Pending"

const (
	// directBatch is how many messages one request asks for at most, and
	// directBytes after how many bytes the server sends no more of them: small
	// messages must not cost a request for every few, and a slow link must not
	// have to carry a large answer within directPatience.
	directBatch = 1024
	directBytes = 4 << 20
	// directPatience is how long a message may be on its way before the rest
	// is asked for again.
	directPatience = 5 * time.Second
)

// each reads the messages of a stream whose subjects match subject, from its
// beginning, in order, and calls take with each until take returns false or fails.
// It reads straight from the stream: a consumer, which the library's own
// readers make, is more than a worker or an observer may ask a server for. On
// a cluster any replica may answer, so the last moments may be missing. It
// outlives losses of the connection, and ends soon after ctx.
func (b *Bus) each(ctx context.Context, stream, subject string, take func(*nats.Msg) (more bool, err error)) error {
	return b.eachFrom(ctx, stream, subject, 1, true, take)
}

// eachFrom is each from the sequence next on. Without patience a stream that
// no server answers for, as one that is not made yet, is nats.ErrNoResponders at
// once.
func (b *Bus) eachFrom(ctx context.Context, stream, subject string, next uint64, patient bool, take func(*nats.Msg) (more bool, err error)) error {
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			b.log.Debug("unsubscribing from a stream failed", "error", err)
		}
	}()
	for {
		request, err := json.Marshal(struct {
			Seq   uint64 `json:"seq"`
			Next  string `json:"next_by_subj"`
			Batch int    `json:"batch"`
			Bytes int    `json:"max_bytes"`
		}{next, subject, directBatch, directBytes})
		if err != nil {
			return fmt.Errorf("asking for messages of %s: %w", stream, err)
		}
		if err := b.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, request); err != nil {
			if errors.Is(err, nats.ErrConnectionClosed) || !pause(ctx, reconnectWait) {
				return err
			}
			continue
		}
		before := next
		for ended := false; !ended; {
			wait, cancel := context.WithTimeout(ctx, directPatience)
			msg, err := sub.NextMsgWithContext(wait)
			cancel()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if errors.Is(err, nats.ErrNoResponders) { // no server answers now, as while a leader is chosen
				if !patient || !pause(ctx, reconnectWait) {
					return err
				}
				break
			}
			if err != nil {
				break // ask for the rest again
			}
			switch status := msg.Header.Get("Status"); status {
			case "":
				seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
				if err != nil || seq < next {
					continue // of an earlier request
				}
				if more, err := take(msg); err != nil || !more {
					return err
				}
				next = seq + 1
			case "204": // the end of this batch
				if ended = true; next == before || msg.Header.Get(headerPending) == "0" {
					return nil
				}
			case "404":
				return nil
			default:
				return fmt.Errorf("the server answers %s %s", status, msg.Header.Get("Description"))
			}
		}
	}
}

// Read gives sink the lease records and footers of a run that the bus has, and
// returns. Of a cluster it may miss the last moments: it is for a user who looks
// at a run, and not for its export.
func (b *Bus) Read(ctx context.Context, m run.Manifest, sink Sink) error {
	for _, s := range []struct {
		stream, kind string
		take         func(*jetstream.RawStreamMsg)
	}{
		{StreamFooters, "footer", b.takeFooter(m, sink)},
		{StreamProgress, "progress", b.takeLease(m, sink)},
	} {
		err := b.each(ctx, s.stream, runSubjects(s.kind, m.RunID), func(msg *nats.Msg) (bool, error) {
			raw, err := rawMsg(msg)
			if err != nil {
				return false, err
			}
			s.take(raw)
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.stream, err)
		}
	}
	return nil
}

// rawMsg is what a direct answer contains of the stored message. (The server's own
// headers stand among those of the message, and take their place.)
func rawMsg(msg *nats.Msg) (*jetstream.RawStreamMsg, error) {
	seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("an answer without a sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, fmt.Errorf("an answer without a time: %w", err)
	}
	return &jetstream.RawStreamMsg{
		Subject: msg.Header.Get(jetstream.SubjectHeader), Sequence: seq, Header: msg.Header, Data: msg.Data, Time: at,
	}, nil
}
