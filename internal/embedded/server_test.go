package embedded

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/internal/layout"
)

func TestTwoServersOnOneStoreAreRefused(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Dir: dir})
	second, err := Start(context.Background(), Config{Dir: dir})
	if err == nil {
		shut(t, second)
		t.Fatal("a second server was started on the same store")
	}
	if !strings.Contains(err.Error(), "is served by another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q (want the directory and that another process serves it)", err)
	}
	// Once the first is gone, the store is free.
	shut(t, first)
	start(t, Config{Dir: dir})
}

func TestListenEmptyOpensNoPort(t *testing.T) {
	for name, prepare := range map[string]func(context.Context, *Server) error{
		"plain": nil, "prepared": func(context.Context, *Server) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{Prepare: prepare})
			if s.URL() != "" {
				t.Errorf("URL %q (want none)", s.URL())
			}
			if err := asRun(t, s).Flush(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPortThatIsTakenIsReplacedByAFreeOne(t *testing.T) {
	taken := busyPort(t)
	s := start(t, Config{Listen: taken})
	if s.URL() == "" || s.URL() == "nats://"+taken {
		t.Fatalf("URL %q (want another port than %s)", s.URL(), taken)
	}
	if err := asRun(t, s).Flush(); err != nil {
		t.Error(err)
	}
}

// thief takes the port between the look at it and the server's own opening:
// two runs that start at once.
type thief struct {
	slog.Handler
	addr string
	got  net.Listener
}

func (h *thief) Enabled(context.Context, slog.Level) bool { return true }
func (h *thief) Handle(_ context.Context, r slog.Record) error {
	var err error
	if h.got == nil && strings.HasPrefix(r.Message, "Starting nats-server") {
		h.got, err = net.Listen("tcp", h.addr)
	}
	return err
}

func TestAPortThatIsTakenMeanwhileIsReplacedAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	h := &thief{addr: addr}
	began := time.Now()
	s := start(t, Config{Listen: addr, Logger: slog.New(h)})
	if h.got == nil {
		t.Fatal("the port was not taken: the test shows nothing")
	}
	defer h.got.Close()
	if s.URL() == "nats://"+addr {
		t.Errorf("URL %q: that port is taken", s.URL())
	}
	if d := time.Since(began); d > startTimeout/2 {
		t.Errorf("it took %v", d)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, c := range []struct {
		listen, host string
		port         int
		bad          string // part of the error
	}{
		{listen: "127.0.0.1:4222", host: "127.0.0.1", port: 4222},
		{listen: "127.0.0.1:0", host: "127.0.0.1", port: -1},
		{listen: "localhost:4222", host: "127.0.0.1", port: 4222},
		{listen: "[::1]:1", host: "::1", port: 1},
		{listen: ":4222", host: "0.0.0.0", port: 4222},
		{listen: "box.example:65535", host: "box.example", port: 65535},
		{listen: "4222", bad: "want HOST:PORT"},
		{listen: "127.0.0.1", bad: "want HOST:PORT"},
		{listen: "::1:4222", bad: "want HOST:PORT"},
		{listen: "127.0.0.1:", bad: "want 0 to 65535"},
		{listen: "127.0.0.1:-1", bad: "want 0 to 65535"},
		{listen: "127.0.0.1:65536", bad: "want 0 to 65535"},
		{listen: "127.0.0.1:nats", bad: "want 0 to 65535"},
	} {
		host, port, err := splitListen(c.listen)
		if c.bad == "" {
			if err != nil || host != c.host || port != c.port {
				t.Errorf("%s: %s, %d, %v (want %s, %d)", c.listen, host, port, err, c.host, c.port)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), c.listen) {
			t.Errorf("%s: error %v (want the address and %q)", c.listen, err, c.bad)
		}
	}
}

func TestABadAddressIsRefusedBeforeAnythingIsPrepared(t *testing.T) {
	dir := t.TempDir()
	prepared := false
	s, err := Start(context.Background(), Config{
		Dir: dir, Listen: "127.0.0.1:port",
		Prepare: func(context.Context, *Server) error { prepared = true; return nil },
	})
	if err == nil {
		shut(t, s)
		t.Fatal("started")
	}
	if prepared {
		t.Error("Prepare was called")
	}
	start(t, Config{Dir: dir}) // the lock was given back
}

func TestAnAddressOfAnotherMachineIsAnErrorAtOnce(t *testing.T) {
	began := time.Now()
	// TEST-NET-1 (RFC 5737) is nobody's.
	s, err := Start(context.Background(), Config{Dir: t.TempDir(), Listen: "192.0.2.1:0"})
	if err == nil {
		shut(t, s)
		t.Fatal("started")
	}
	if d := time.Since(began); d > startTimeout/2 {
		t.Errorf("it took %v", d)
	}
}

func TestTheKeyIsPrivateAndStays(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir, Listen: "127.0.0.1:0", Strangers: strangers})
	if s.KeyFile() != filepath.Join(dir, "run.nk") {
		t.Errorf("key file %s", s.KeyFile())
	}
	if m := mode(t, s.KeyFile()); m != 0o600 {
		t.Errorf("the key has mode %o (want 600)", m)
	}
	if m := mode(t, filepath.Join(dir, "bus")); m != 0o700 {
		t.Errorf("the store has mode %o (want 700)", m)
	}
	opt, err := nats.NkeyOptionFromSeed(s.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, dial(t, s.URL(), opt), "x")
	before, _, _ := s.Nkey()
	shut(t, s)
	again := start(t, Config{Dir: dir})
	if after, _, _ := again.Nkey(); after != before {
		t.Error("the key changed at the second start")
	}
}

// A key that a power cut has emptied or a disk has damaged opens nothing: it does
// not keep its run from going on.
func TestADamagedKeyIsMadeAnew(t *testing.T) {
	for _, name := range []string{layout.KeyFile, roleKeyFile(access.Worker)} {
		for _, content := range []string{"", "SUNOTAKEY", "\x00\x00\x00"} {
			dir, log := t.TempDir(), &journal{}
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds a key
				shut(t, start(t, Config{Dir: dir, Listen: "0.0.0.0:0", Logger: log.logger(slog.LevelWarn)}))
			}
			seed, err := os.ReadFile(path)
			if err == nil {
				_, err = nkeys.FromSeed(seed)
			}
			if err != nil {
				t.Errorf("%s with %q: %v", name, content, err)
			}
			if said := log.String(); strings.Count(said, path) != 1 || strings.Contains(said, "NOTAKEY") {
				t.Errorf("%s with %q: the log says %q (want the file once, without what is in it)", name, content, said)
			}
		}
	}
}

// An error gives the lock back, and names what is wrong.
func TestAnErrorGivesTheLockBack(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s, err := Start(context.Background(), Config{Dir: dir, Listen: "nowhere"})
		if err == nil {
			shut(t, s)
			t.Fatal("started")
		}
		if !strings.Contains(err.Error(), `"nowhere"`) {
			t.Errorf("error %q (want the address)", err)
		}
	}
}

func TestARestartKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir})
	nc := asRun(t, s)
	makeStream(t, nc, "x")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	var futures []jetstream.PubAckFuture
	for range n {
		f, err := js.PublishAsync("x", []byte("kept"))
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			t.Fatal(err)
		case <-time.After(patience):
			t.Fatal("no answer")
		}
	}
	nc.Close()
	shut(t, s)
	again := start(t, Config{Dir: dir})
	if got := lastSeq(t, makeStream(t, asRun(t, again), "x")); got != n {
		t.Errorf("%d messages are there (want %d)", got, n)
	}
}

func TestWhatPrepareMadeIsThereWhenThePortAnswers(t *testing.T) {
	var kept jetstream.Stream
	s := start(t, Config{
		Listen: "127.0.0.1:0", Strangers: strangers,
		Prepare: func(_ context.Context, s *Server) error {
			if s.URL() != "" {
				t.Errorf("Prepare got a server with the port %s", s.URL())
			}
			kept = makeStream(t, asRun(t, s), "x")
			answering(t, s)
			return nil
		},
	})
	if _, err := dial(t, s.URL()).Request("gx1.stop.r", nil, patience); err != nil {
		t.Error(err)
	}
	if got := lastSeq(t, kept); got != 0 { // over the connection that it opened
		t.Errorf("sequence %d (want 0)", got)
	}
}

func TestAFailedPrepareLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	bad := errors.New("no")
	_, err := Start(context.Background(), Config{Dir: dir, Listen: "127.0.0.1:0", Prepare: func(context.Context, *Server) error { return bad }})
	if !errors.Is(err, bad) {
		t.Fatalf("error %v", err)
	}
	start(t, Config{Dir: dir})
}

// Goroutines are counted by TestMain.
func TestCloseLeavesNoFile(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("this system does not list a process's files")
	}
	dir := t.TempDir()
	cycle := func() {
		s, err := Start(context.Background(), Config{
			Dir: dir, Listen: "127.0.0.1:0",
			Prepare: func(context.Context, *Server) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer shut(t, s)
		nc := asRun(t, s)
		defer nc.Close()
		makeStream(t, nc, "x")
		if _, err := nc.Request("x", nil, patience); err != nil {
			t.Fatal(err)
		}
	}
	cycle() // the runtime opens some of its own once
	before := openFiles(t)
	for range 3 {
		cycle()
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open (want %d)", after, before)
	}
}

func TestANormalRunLogsNoWarning(t *testing.T) {
	var j journal
	dir := t.TempDir()
	for range 2 {
		s := start(t, Config{
			Dir: dir, Listen: "127.0.0.1:0", Strangers: strangers, Logger: j.logger(slog.LevelWarn),
			Prepare: func(_ context.Context, s *Server) error {
				makeStream(t, asRun(t, s), "gx1.stop.*")
				answering(t, s)
				return nil
			},
		})
		nc := dial(t, s.URL())
		if _, err := nc.Request("gx1.stop.r", nil, patience); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		shut(t, s)
	}
	if j.String() != "" {
		t.Errorf("the log has:\n%s", j.String())
	}
}
