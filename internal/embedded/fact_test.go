package embedded

import (
	"context"
	"net"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// plain starts a server of the library without a port.
func plain(t *testing.T, opts *server.Options) *server.Server {
	t.Helper()
	opts.DontListen, opts.NoSigs, opts.NoLog, opts.JetStream, opts.StoreDir = true, true, true, true, t.TempDir()
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return srv
}

// A second account takes JetStream away from the global one, until it is
// enabled for it.
func TestFact_ASecondAccountLeavesTheGlobalOneWithoutJetStream(t *testing.T) {
	srv := plain(t, &server.Options{Accounts: []*server.Account{server.NewAccount("other")}})
	if srv.GlobalAccount().JetStreamEnabled() {
		t.Error("the global account has JetStream at once")
	}
	if err := srv.GlobalAccount().EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	if !srv.GlobalAccount().JetStreamEnabled() {
		t.Error("the global account has no JetStream")
	}
	nc := dial(t, "", nats.InProcessServer(srv))
	makeStream(t, nc, "x")
}

// The account that the server uses is another one than was given to it.
func TestFact_TheServerUsesAnAccountOfItsOwn(t *testing.T) {
	given := server.NewAccount("other")
	srv := plain(t, &server.Options{Accounts: []*server.Account{given}})
	used, err := srv.LookupAccount("other")
	if err != nil {
		t.Fatal(err)
	}
	if used == given {
		t.Error("it is the same: LookupAccount is not needed")
	}
}

// A server that has no port can open one later, and another one if that is
// taken: Addr tells.
func TestFact_APortMayBeOpenedLater(t *testing.T) {
	taken := busyPort(t)
	addr, err := net.ResolveTCPAddr("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	opts := &server.Options{Host: "127.0.0.1", Port: addr.Port}
	srv := plain(t, opts)
	srv.SetLoggerV2(logAdapter{fatal: make(fatalText, 1), log: discard()}, false, false, false)
	srv.AcceptLoop(make(chan struct{}))
	if srv.Addr() != nil {
		t.Fatalf("it listens on %s, which is taken", srv.Addr())
	}
	opts.Port = 0
	srv.AcceptLoop(make(chan struct{}))
	if srv.Addr() == nil || srv.Addr().String() == taken {
		t.Fatalf("it listens on %v (want another port than %s)", srv.Addr(), taken)
	}
	if err := dial(t, srv.ClientURL()).Flush(); err != nil {
		t.Error(err)
	}
}

// Connections without a socket are there before the port and stay when it
// opens.
func TestFact_AConnectionWithoutASocketOutlastsTheOpening(t *testing.T) {
	srv := plain(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT})
	nc := dial(t, "", nats.InProcessServer(srv))
	srv.AcceptLoop(make(chan struct{}))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(context.Background()); err != nil || nc.Stats().Reconnects != 0 {
		t.Errorf("%v, %d reconnects (want none)", err, nc.Stats().Reconnects)
	}
}
