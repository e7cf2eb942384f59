package bus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// StrangerStop is a stop that a client without credentials has published. Its
// headers are not trusted.
type StrangerStop struct {
	RunID  run.ID
	Reason string
	// MsgID is the message id to store it under: one of strangers' own, so that
	// it is never the id of another client's stop. Retries share it.
	MsgID string
	// Answer answers a request, with the sequence of the stored stop or with
	// what went wrong. It may be called from any goroutine, once.
	Answer func(seq uint64, err error)
}

// strangersReplies is where strangers may listen for an answer.
const strangersReplies = nats.InboxPrefix

// ServeStops hands the stops that strangers publish to take, until cancel,
// which ends the ctx of calls under way and waits for them. b is a connection
// in the strangers' account, where nobody else receives them.
//
// Stops of run own have a goroutine of their own: those of all others, of which
// there may be any number, do not hold them up.
func (b *Bus) ServeStops(own run.ID, take func(context.Context, StrangerStop)) (cancel func(), err error) {
	ctx, end := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	var subs []*nats.Subscription
	cancel = func() {
		for _, sub := range subs {
			if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				b.log.Warn("unsubscribing from stops of other clients failed", "error", err)
			}
		}
		end()
		owned.Wait()
	}
	for _, subject := range []string{StopSubject(own), StopSubjects} {
		// What finds the channel full is lost: it is a flood.
		msgs := make(chan *nats.Msg, 256)
		sub, err := b.nc.ChanSubscribe(subject, msgs)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("subscribing to stops of other clients on %s: %w", subject, err)
		}
		subs = append(subs, sub)
		others := subject == StopSubjects
		owned.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-msgs:
					if s, ok := b.strangerStop(m); ok && (s.RunID != own) == others {
						take(ctx, s)
					}
				}
			}
		})
	}
	if err := b.nc.FlushTimeout(requestTimeout); err != nil {
		cancel()
		return nil, fmt.Errorf("subscribing to stops of other clients: %w", err)
	}
	return cancel, nil
}

// strangerStop reads a stranger's message. One for no run is answered here.
func (b *Bus) strangerStop(m *nats.Msg) (StrangerStop, bool) {
	answer := func(seq uint64, err error) { b.answerStranger(m.Reply, seq, err) }
	id, err := parseStopSubject(m.Subject)
	if err != nil {
		b.lines.Warn("stop for an unknown run ignored", "error", err)
		answer(0, err)
		return StrangerStop{}, false
	}
	return StrangerStop{RunID: id, Reason: cleanReason(m.Data), MsgID: strangersID(id, m.Header.Get(jetstream.MsgIDHeader)), Answer: answer}, true
}

// strangersID is the message id of a stranger's stop that came with id given;
// empty: none, and no other stop has this one.
func strangersID(id run.ID, given string) string {
	if given == "" {
		return "stranger." + rand.Text()
	}
	return fmt.Sprintf("stranger.%s.%x", id, sha256.Sum256([]byte(given)))
}

// answerStranger answers as JetStream does.
func (b *Bus) answerStranger(reply string, seq uint64, err error) {
	if !strings.HasPrefix(reply, strangersReplies) {
		return // where no stranger can listen
	}
	type failure struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	}
	answer := struct {
		Stream string   `json:"stream,omitempty"`
		Seq    uint64   `json:"seq,omitempty"`
		Error  *failure `json:"error,omitempty"`
	}{Stream: StreamStop, Seq: seq}
	if err != nil {
		answer.Stream, answer.Error = "", &failure{Code: 404, Description: err.Error()}
	}
	data, err := json.Marshal(answer)
	if err == nil {
		err = b.nc.Publish(reply, data)
	}
	if err != nil {
		b.lines.Warn("answering a stop failed", "error", err)
	}
}

// NewStopID makes a message id that no other client can have before the stop is stored.
func NewStopID() string { return "stop." + rand.Text() }
