// Package embedded runs a NATS server inside the process. It locks the store, makes
// the keys, and opens a port. It knows nothing of runs, streams or messages.
// Clients without credentials are in an account that imports nothing: no message of
// theirs, and no answer to one, reaches the streams. The process receives what they
// publish by a connection of its own in that account (Gate).
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"golang.org/x/sys/unix"

	"gx1replay/internal/access"
	"gx1replay/internal/layout"
	"gx1replay/internal/loglimit"
	"gx1replay/internal/safefile"
)

// Config says how to run a server.
type Config struct {
	// Dir holds the store, its lock and the key. It is made with mode 0700.
	Dir string
	// Listen is HOST:PORT; port 0 takes a free one. Empty: no port at all,
	// only connections from this process.
	Listen string
	// Strangers lists the subjects that clients without credentials may
	// publish to, in their own account. Empty, or an address other than
	// loopback: none, and credentials are demanded of everyone.
	Strangers []string
	// SyncAlways syncs every write before it is answered, so that a power cut loses
	// nothing acknowledged.
	SyncAlways bool
	// Examine: what an earlier server left in the store is examined first, see
	// Damage.
	Examine bool
	// Prepare, if not nil, is called before the port opens: a client that finds the
	// port open finds what Prepare made. Its connections stay.
	Prepare func(ctx context.Context, s *Server) error
	// Broken, if not nil, is called when the server cannot write a file, as on a
	// full disk: it stores nothing more in that stream, and publishers wait in
	// vain. It may be called again and must not block.
	Broken func(why string)
	Logger *slog.Logger
}

const (
	// startTimeout bounds the recovery of the store: 100,000 messages take a
	// second.
	startTimeout = 30 * time.Second
	readyStep    = 100 * time.Millisecond
	// JetStream's own limits, instead of shares of the machine: streams are
	// in files, and a run fills the disk before it fills this.
	maxMemory = 64 << 20
	maxStore  = 1 << 40
)

type Server struct {
	srv    *server.Server
	opts   *server.Options
	fatal  fatalText
	sync   bool
	lock   *os.File
	pair   nkeys.KeyPair
	key    string
	roles  map[access.Role]string // files of keys
	gate   nkeys.KeyPair          // nil: no strangers
	damage []string
	broken func(string)
	log    *slog.Logger
	lines  *loglimit.Limiter
}

// Store is the store that a server left in dir, damaged or not; empty if there is
// none or it never had a stream.
func Store(dir string) string {
	path := filepath.Join(dir, layout.BusDir)
	if _, err := os.Stat(filepath.Join(path, streamsDir)); errors.Is(err, fs.ErrNotExist) && checkStore(path) == nil {
		return ""
	}
	return path
}

// Start starts a server in dir and returns when it takes connections. A store
// that another process serves is an error; one that is examined, and on which no
// server can be started, is a *Malformed.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Examine {
		if err := checkStore(filepath.Join(cfg.Dir, layout.BusDir)); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, layout.BusDir), 0o700); err != nil {
		return nil, fmt.Errorf("making the bus's directory: %w", err)
	}
	s := &Server{key: filepath.Join(cfg.Dir, layout.KeyFile), log: cfg.Logger, sync: cfg.SyncAlways, broken: cfg.Broken}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.lines = loglimit.New(s.log)
	var err error
	if s.lock, err = lockStore(filepath.Join(cfg.Dir, layout.BusDir, layout.LockFile)); err != nil {
		return nil, err
	}
	if s.pair, err = loadKey(s.key, "the run's key", s.log); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) error {
	var host string
	var port int
	if cfg.Listen != "" {
		var err error
		if host, port, err = splitListen(cfg.Listen); err != nil {
			return err
		}
	}
	who, err := s.admit(host, cfg.Strangers, cfg.Dir)
	if err != nil {
		return err
	}
	store := filepath.Join(cfg.Dir, layout.BusDir)
	var streams []string
	if cfg.Examine {
		if streams, s.damage, err = prepareStore(store); err != nil {
			return err
		}
	}
	if err := s.serve(ctx, store, host, port, who); err != nil {
		return err
	}
	var missing []string
	switch err = who.enable(s.srv); {
	case err == nil:
		missing, err = s.compare(streams)
	case len(streams) > 0:
		missing, err = []string{err.Error()}, nil
	}
	s.damage = append(s.damage, missing...)
	if err == nil && cfg.Prepare != nil {
		err = cfg.Prepare(ctx, s)
	}
	if err == nil && host != "" {
		err = s.open(host, port)
	}
	if err != nil {
		s.stop()
	}
	return err
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen address %q: %w (want HOST:PORT)", listen, err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen address %q: port %q (want 0 to 65535)", listen, text)
	}
	switch host {
	case "":
		host = "0.0.0.0" // as every server reads ":4222"
	case "localhost":
		host = "127.0.0.1"
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

func (s *Server) serve(ctx context.Context, store, host string, port int, who *admitted) error {
	s.opts = &server.Options{
		ServerName: "gx1-embedded", NoSigs: true, DontListen: true, Host: host, Port: port,
		JetStream: true, StoreDir: store, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
		SyncAlways: s.sync, Nkeys: who.users, Accounts: who.accounts, NoAuthUser: who.nobody,
	}
	srv, err := server.NewServer(s.opts)
	if err != nil {
		return fmt.Errorf("configuring the bus: %w", err)
	}
	s.fatal = make(chan string, 1)
	srv.SetLoggerV2(logAdapter{s.log, s.lines, s.fatal, s.broken}, false, false, false)
	if err := who.wire(srv); err != nil {
		return fmt.Errorf("configuring the bus: %w", err)
	}
	srv.Start()
	s.srv = srv
	if err := ready(ctx, srv, s.fatal); err != nil {
		s.stop()
		return err
	}
	return nil
}

// open opens the port, or a free one if it is taken, which can change until now.
func (s *Server) open(host string, port int) error {
	where := net.JoinHostPort(host, strconv.Itoa(port))
	if port != server.RANDOM_PORT && !portFree(where) {
		s.log.Info("the port is taken, using a free one", "listen", where)
		s.opts.Port = 0 // a free one
	}
	s.srv.AcceptLoop(make(chan struct{}))
	if s.srv.Addr() == nil && s.opts.Port != 0 && !portFree(where) { // taken meanwhile
		s.log.Info("the port is taken, using a free one", "listen", where)
		s.opts.Port = 0
		s.srv.AcceptLoop(make(chan struct{}))
	}
	if s.srv.Addr() != nil {
		return nil
	}
	select {
	case text := <-s.fatal:
		return fmt.Errorf("starting the bus: %s", text)
	default:
		return fmt.Errorf("starting the bus: no port at %s", where)
	}
}

// ready waits until srv takes connections. A server that failed is never ready, and
// only logs it.
func ready(ctx context.Context, srv *server.Server, fatal fatalText) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); {
		if srv.ReadyForConnections(readyStep) {
			return nil
		}
		select {
		case text := <-fatal:
			return fmt.Errorf("starting the bus: %s", text)
		case <-ctx.Done():
			return fmt.Errorf("starting the bus: %w", context.Cause(ctx))
		default:
		}
	}
	return fmt.Errorf("starting the bus: not ready within %v", startTimeout)
}

func portFree(where string) bool {
	l, err := net.Listen("tcp", where)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func lockStore(path string) (*os.File, error) {
	f, err := safefile.Append(path)
	if err != nil {
		return nil, fmt.Errorf("locking the bus's store: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the bus's store %s is served by another process: %w", filepath.Dir(path), err), f.Close())
	}
	return f, nil
}

// URL is where the server listens; "" without a port.
func (s *Server) URL() string {
	if s.srv.Addr() == nil {
		return ""
	}
	return s.srv.ClientURL()
}

// KeyFile is the path of the run's key, an nkey seed that may do everything.
func (s *Server) KeyFile() string { return s.key }

// Nkey is the run's public key, with Sign to answer the server's challenge.
func (s *Server) Nkey() (public string, sign func(nonce []byte) ([]byte, error), err error) {
	public, err = s.pair.PublicKey()
	return public, s.pair.Sign, err
}

// InProcessConn opens a connection without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// Close shuts the server down and waits for it. Everything that it had
// acknowledged is in its files afterwards.
func (s *Server) Close() error {
	s.stop()
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("unlocking the bus's store: %w", err)
	}
	return nil
}

func (s *Server) stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	s.lines.Close()
}
