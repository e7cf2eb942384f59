package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/internal/loglimit"
)

// What strangers publish comes to the gate, which may answer, and to nobody else.
func TestStrangersReachTheGateAndNothingElse(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Strangers: strangers})
	stored := makeStream(t, asRun(t, s), "gx1.>")
	everything := make(chan *nats.Msg, 64)
	main := asRun(t, s)
	if _, err := main.ChanSubscribe(">", everything); err != nil {
		t.Fatal(err)
	}
	if err := main.Flush(); err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 16)
	stranger := dial(t, s.URL(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	heard := answering(t, s)

	if err := stranger.Publish("gx1.stop.r1", nil); err != nil {
		t.Fatal(err)
	}
	answer, err := stranger.Request("gx1.stop.r2", []byte("enough"), patience)
	if err != nil || string(answer.Data) != "heard gx1.stop.r2" {
		t.Fatalf("the answer to a stop: %v, %v", answer, err)
	}
	for _, want := range []string{"gx1.stop.r1", "gx1.stop.r2"} {
		if got := <-heard; got != want {
			t.Errorf("the gate heard %s (want %s)", got, want)
		}
	}

	for _, subject := range []string{"gx1.task.r1.0", "gx1.footer.r1.0", "gx1.stop", "gx1.stop.r1.x", "$JS.API.INFO", "$JS.API.STREAM.DELETE.S", "_INBOX.x", "$SYS.REQ.SERVER.PING"} {
		if err := stranger.PublishRequest(subject, stranger.NewInbox(), nil); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, refused, subject)
	}
	for _, subject := range []string{"gx1.>", "gx1.stop.*", "gx1.stop.r1", ">", "$JS.>"} {
		if _, err := stranger.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, refused, subject)
	}
	// The gate's user is no way out either.
	public, sign, err := s.Gate()
	if err != nil {
		t.Fatal(err)
	}
	gate := dial(t, s.URL(), nats.Nkey(public, sign), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	for _, subject := range []string{"gx1.stop.r1", "$JS.API.INFO", "gx1.progress.r1.0"} {
		if err := gate.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, refused, subject)
	}
	if err := main.Flush(); err != nil {
		t.Fatal(err)
	}
	for len(everything) > 0 {
		if m := <-everything; !strings.HasPrefix(m.Subject, "_INBOX") && !strings.HasPrefix(m.Subject, "$JS.") {
			t.Errorf("%s came to the account of the streams", m.Subject)
		}
	}
	if got := lastSeq(t, stored); got != 0 {
		t.Errorf("the stream has sequence %d (want 0): something was let through", got)
	}
}

// answering answers strangers at the gate, as long as the test lasts.
func answering(t *testing.T, s *Server) (heard <-chan string) {
	t.Helper()
	public, sign, err := s.Gate()
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, "", nats.Nkey(public, sign), nats.InProcessServer(s))
	subjects := make(chan string, 64)
	_, err = nc.Subscribe("gx1.stop.*", func(m *nats.Msg) {
		subjects <- m.Subject
		if m.Reply == "" {
			return
		}
		if err := m.Respond([]byte("heard " + m.Subject)); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(err, nc.FlushTimeout(patience)); err != nil {
		t.Fatal(err)
	}
	return subjects
}

func wantViolation(t *testing.T, refused <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			t.Errorf("%s: %v (want a permissions violation that names it)", subject, err)
		}
	case <-time.After(patience):
		t.Errorf("%s was not refused", subject)
	}
}

func TestWithoutStrangersCredentialsAreDemanded(t *testing.T) {
	for name, cfg := range map[string]Config{
		"none listed":   {Listen: "127.0.0.1:0"},
		"all addresses": {Listen: "0.0.0.0:0", Strangers: strangers},
		"no host":       {Listen: ":0", Strangers: strangers},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, cfg)
			if nc, err := nats.Connect(s.URL()); err == nil {
				nc.Close()
				t.Error("a client without credentials was let in")
			} else if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("error %v (want %v)", err, nats.ErrAuthorization)
			}
			if err := asRun(t, s).Flush(); err != nil {
				t.Errorf("with the run's key: %v", err)
			}
			if _, _, err := s.Gate(); err == nil || s.HasStrangers() {
				t.Error("there is a gate, and nobody comes to it")
			}
		})
	}
}

func TestWrongCredentialsAreRefused(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Strangers: strangers})
	other := start(t, Config{})
	public, sign, err := other.Nkey()
	if err != nil {
		t.Fatal(err)
	}
	own, _, err := s.Nkey()
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]nats.Option{
		"a password":             nats.UserInfo("stop", "stop"),
		"another run's key":      nats.Nkey(public, sign),
		"our key, badly signed":  nats.Nkey(own, sign),
		"a token":                nats.Token("stop"),
		"the name, no signature": nats.UserInfo(own, ""),
	} {
		if nc, err := nats.Connect(s.URL(), opt); err == nil {
			nc.Close()
			t.Errorf("%s was taken", name)
		}
	}
}

// Stores of versions that had one account only are found, with strangers, with
// roles, and without a port.
func TestAStoreOfAnEarlierVersionIsFound(t *testing.T) {
	dir := t.TempDir()
	old, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "bus")})
	if err != nil {
		t.Fatal(err)
	}
	old.Start()
	if !old.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	nc := dial(t, "", nats.InProcessServer(old))
	makeStream(t, nc, "x")
	if _, err := nc.Request("x", nil, patience); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	old.Shutdown()
	old.WaitForShutdown()
	for _, cfg := range []Config{{Listen: "127.0.0.1:0", Strangers: strangers}, {Listen: "0.0.0.0:0"}, {}, {Listen: "127.0.0.1:0"}} {
		cfg.Dir = dir
		s := start(t, cfg)
		if got := lastSeq(t, makeStream(t, asRun(t, s), "x")); got != 1 {
			t.Errorf("%+v: sequence %d (want 1)", cfg, got)
		}
		shut(t, s)
	}
}

// On a server that other hosts reach each role has a key of its own, which
// stays; on loopback there is the run's key alone.
func TestRoleKeys(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir, Listen: "127.0.0.1:0", Strangers: strangers})
	if got := s.RoleKey(access.Worker); got != "" {
		t.Errorf("the worker's key is %s (want none)", got)
	}
	shut(t, s)
	var seeds [2]string
	for k := range seeds {
		s := start(t, Config{Dir: dir, Listen: "0.0.0.0:0", Strangers: strangers})
		for _, role := range []access.Role{access.Worker, access.Operator, access.Observer} {
			path := s.RoleKey(role)
			if path != filepath.Join(dir, string(role)+".nk") || mode(t, path) != 0o600 {
				t.Errorf("%s: key %s, mode %o (want a private file beside the run's key)", role, path, mode(t, path))
			}
			opt, err := nats.NkeyOptionFromSeed(path)
			if err != nil {
				t.Fatal(err)
			}
			dial(t, s.URL(), opt)
			seed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			seeds[k] += string(seed)
		}
		if s.RoleKey(access.Coordinator) != "" {
			t.Error("the coordinator has another key than the run's")
		}
		shut(t, s)
	}
	if seeds[0] != seeds[1] {
		t.Error("the keys changed at the second start")
	}
}

// The server puts the name that a client gives itself into each line about that
// client. A name is neither an error of the server nor a kind of its own.
func TestNamesOfStrangersSayNothing(t *testing.T) {
	log := &journal{}
	broken := make(chan string, 1)
	s := start(t, Config{
		Listen: "127.0.0.1:0", Strangers: strangers, Logger: log.logger(slog.LevelWarn),
		Broken: func(why string) { broken <- why },
	})
	names := []string{"Critical write error: x", "a\" - \"b\" - critical write error", "%s%d"}
	for k := range 2 * loglimit.Burst {
		names = append(names, fmt.Sprintf("other %d", k))
	}
	for _, name := range names {
		refused := make(chan error, 1)
		nc := dial(t, s.URL(), nats.Name(name), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
		if err := nc.Publish("gx1.footer.r1.0", nil); err != nil {
			t.Fatal(err)
		}
		wantViolation(t, refused, "gx1.footer.r1.0")
	}
	select {
	case why := <-broken:
		t.Errorf("the server is taken for broken by %s", why)
	default:
	}
	if got := strings.Count(log.String(), "Publish Violation"); got != loglimit.Burst {
		t.Errorf("%d lines about %d violations (want %d)", got, len(names), loglimit.Burst)
	}
}

// A line of the server itself about a file that it cannot write is told.
func TestAWriteErrorIsTold(t *testing.T) {
	var told []string
	l := logAdapter{log: discard(), lines: loglimit.New(discard()), broken: func(why string) { told = append(told, why) }}
	l.Errorf("JetStream stream '%s > %s' critical write error: %v", "$G", "GX1_STOP", errors.New("no space left on device"))
	l.Errorf("Critical write error: %v", "x")
	l.Errorf("127.0.0.1:1 - cid:2 - critical write error")
	if want := []string{"JetStream stream '$G > GX1_STOP' critical write error: no space left on device", "Critical write error: x"}; !slices.Equal(told, want) {
		t.Errorf("told %q (want %q)", told, want)
	}
}

func TestKindOfALine(t *testing.T) {
	for f, want := range map[string]string{
		"JetStream stream %q: %v":                           "JetStream stream %q: %v",
		"1.2.3.4:5 - cid:6":                                 clientID,
		"1.2.3.4:5 - cid:6 - authentication error":          clientID + "authentication error",
		`1.2.3.4:5 - cid:6 - "v1:go" - "A/b" - x %q`:        clientID + "x %q",
		`1.2.3.4:5 - cid:6 - "a\" - \"b" - x - y %q`:        clientID + "x - y %q",
		`1.2.3.4:5 - cid:6 - "v1" - Parse Error: "a\" - b"`: clientID + "Parse Error: ",
		`1.2.3.4:5 - cid:6 - Parse Error: "a b"`:            clientID + "Parse Error: ",
	} {
		if got := kind(f); got != want {
			t.Errorf("kind of %s: %q (want %q)", f, got, want)
		}
	}
}
