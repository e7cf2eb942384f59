package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/embedded"
)

// gated is a server that strangers reach, and a connection at its gate.
func gated(t *testing.T) (gate *Bus, stranger *nats.Conn) {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Strangers: []string{StopSubjects}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	public, sign, err := srv.Gate()
	must(t, err)
	gate, err = Connect(t.Context(), Config{InProcess: srv, Options: []nats.Option{nats.Nkey(public, sign)}})
	must(t, err)
	t.Cleanup(gate.Close)
	closed := make(chan struct{})
	stranger, err = nats.Connect(srv.URL(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	must(t, err)
	t.Cleanup(func() {
		stranger.Close()
		<-closed
	})
	return gate, stranger
}

// Stops of the one run and of others come with what may be believed of them,
// and the answer reaches the client that asked.
func TestServeStops(t *testing.T) {
	gate, stranger := gated(t)
	taken := make(chan StrangerStop, 16)
	cancel, err := gate.ServeStops("own", func(_ context.Context, s StrangerStop) {
		taken <- s
		if s.RunID == "own" {
			s.Answer(7, nil)
		} else {
			s.Answer(0, errors.New("not here"))
		}
	})
	must(t, err)
	defer cancel()
	for to, want := range map[string]string{
		"own":       `{"stream":"GX1_STOP","seq":7}`,
		"other":     `{"error":{"code":404,"description":"not here"}}`,
		"not~a~run": `"code":404`,
	} {
		answer, err := stranger.Request("gx1.stop."+to, []byte(" why\x1b\n"), patience)
		if err != nil || !strings.Contains(string(answer.Data), want) || !json.Valid(answer.Data) {
			t.Errorf("%s: answer %v, %v (want %s)", to, answer, err, want)
		}
		if to == "not~a~run" {
			continue
		}
		if s := receive(t, to, taken); string(s.RunID) != to || s.Reason != "why" {
			t.Errorf("%s: %+v (want it with the reason why)", to, s)
		}
	}
	// Each was taken once.
	if len(taken) != 0 {
		t.Errorf("%d stops were taken twice", len(taken))
	}
}

// A stranger's message id is one of strangers' own: no stop of anybody else has
// it, and two stops of one id are one only if they are of one run.
func TestStrangersIDs(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"stop.r1.1.sigterm", "cli.0011223344556677", "stranger.r1.x", "x", strings.Repeat("x", 1<<16), "\r\n"} {
		one, again, other := strangersID("r1", id), strangersID("r1", id), strangersID("r2", id)
		if one != again || one == other || !strings.HasPrefix(one, "stranger.") || one == id || len(one) > 200 || strings.ContainsAny(one, "\r\n ") {
			t.Errorf("%.40q became %q, then %q, and %q for another run", id, one, again, other)
		}
		if was, ok := seen[one]; ok {
			t.Errorf("%.40q and %.40q are one", was, id)
		}
		seen[one] = id
	}
	for name, draw := range map[string]func() string{"a stop without an id": func() string { return strangersID("r1", "") }, "a coordinator's": NewStopID} {
		if one, other := draw(), draw(); one == other {
			t.Errorf("%s: two ids are the same, %q", name, one)
		}
	}
}

// Stops of other runs do not delay those of the own run.
func TestAFloodOfOtherStopsDoesNotHoldUpTheOwn(t *testing.T) {
	gate, stranger := gated(t)
	own, stuck := make(chan struct{}, 1), make(chan struct{})
	cancel, err := gate.ServeStops("own", func(ctx context.Context, s StrangerStop) {
		if s.RunID == "own" {
			own <- struct{}{}
			return
		}
		select { // a look into the register that does not end
		case <-stuck:
		case <-ctx.Done():
		}
	})
	must(t, err)
	defer cancel()
	for k := range 5000 {
		must(t, stranger.Publish(fmt.Sprintf("gx1.stop.r%d", k), nil))
	}
	must(t, stranger.Publish("gx1.stop.own", nil))
	must(t, stranger.FlushTimeout(patience))
	receive(t, "the own stop", own)
	close(stuck)
}

// What a stranger names for a reply is answered only where strangers listen.
func TestAStrangerIsAnsweredInAnInboxOnly(t *testing.T) {
	gate, stranger := gated(t)
	cancel, err := gate.ServeStops("own", func(_ context.Context, s StrangerStop) { s.Answer(1, nil) })
	must(t, err)
	defer cancel()
	heard := make(chan string, 64)
	_, err = gate.nc.Subscribe("gx1.stop.*", func(m *nats.Msg) { heard <- m.Subject + " " + m.Reply })
	must(t, err)
	must(t, gate.nc.Flush())
	for _, reply := range []string{"gx1.stop.own", "gx1.stop.x", "_INBOX_GX1.x", "gx1.progress.own.0"} {
		must(t, stranger.PublishRequest("gx1.stop.own", reply, nil))
	}
	_, err = stranger.Request("gx1.stop.own", nil, patience)
	must(t, err)
	must(t, gate.nc.Flush())
	for range 5 {
		if text := receive(t, "a stop", heard); strings.HasSuffix(text, " ") {
			t.Errorf("an answer came as %q", text)
		}
	}
	if len(heard) != 0 {
		t.Errorf("more was heard: %s", <-heard)
	}
	if err := gate.nc.LastError(); err != nil {
		t.Errorf("the server refused an answer: %v", err)
	}
}
