// Package embedded runs a NATS server inside the process, so that a run on
// one box needs nothing beside it: it locks the store, makes the run's key,
// and opens a port on which strangers may publish a stop and nothing else.
//
// It knows nothing of runs, streams or messages.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"golang.org/x/sys/unix"
)

// Config says how to run a server.
type Config struct {
	// Dir holds the store, its lock and the key. It is made with mode 0700.
	Dir string
	// Listen is HOST:PORT; port 0 takes a free one. Empty: no port at all,
	// only connections from this process.
	Listen string
	// Strangers lists the subjects that clients without credentials may
	// publish to. Empty, or an address other than loopback: none, and
	// credentials are demanded of everyone.
	Strangers []string
	// SyncAlways has every write synced before it is answered: a power cut
	// then loses nothing that was acknowledged, and each write costs a sync.
	SyncAlways bool
	// Prepare, if not nil, is called with a server that has no port yet, and
	// the port opens after it has returned: whoever finds the port open finds
	// what Prepare made.
	Prepare func(ctx context.Context, s *Server) error
	Logger  *slog.Logger
}

const (
	keyFile  = "run.nk"
	lockFile = "lock"
	storeDir = "bus"
	// startTimeout bounds the recovery of the store; 100,000 messages take a
	// second.
	startTimeout = 30 * time.Second
	// readyStep is how soon a server that failed to start is noticed; it is
	// asked every 25 ms.
	readyStep = 100 * time.Millisecond
	// JetStream's own limits, instead of shares of the machine: streams are
	// in files, and a run fills the disk before it fills this.
	maxMemory = 64 << 20
	maxStore  = 1 << 40
)

// Server is a running server.
type Server struct {
	srv  *server.Server
	sync bool
	lock *os.File
	pair nkeys.KeyPair
	key  string
	log  *slog.Logger
}

// Store returns the store that a server has left in dir; "" if there is none.
func Store(dir string) string {
	path := filepath.Join(dir, storeDir)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// Start starts a server in dir and returns when it takes connections. A store
// that another process serves is an error.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := os.MkdirAll(filepath.Join(cfg.Dir, storeDir), 0o700); err != nil {
		return nil, fmt.Errorf("making the bus's directory: %w", err)
	}
	s := &Server{key: filepath.Join(cfg.Dir, keyFile), log: cfg.Logger, sync: cfg.SyncAlways}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.lock, err = lockStore(filepath.Join(cfg.Dir, storeDir, lockFile)); err != nil {
		return nil, err
	}
	if s.pair, err = loadKey(s.key); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) error {
	store := filepath.Join(cfg.Dir, storeDir)
	var host string
	var port int
	if cfg.Listen != "" {
		var err error
		if host, port, err = splitListen(cfg.Listen); err != nil {
			return err
		}
	}
	if cfg.Prepare != nil {
		if err := s.serve(ctx, store, "", 0, nil); err != nil {
			return err
		}
		if err := cfg.Prepare(ctx, s); err != nil {
			s.stop()
			return err
		}
		if host == "" {
			return nil
		}
		s.stop()
	}
	strangers := cfg.Strangers
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		strangers = nil
	}
	err := s.serve(ctx, store, host, port, strangers)
	if errors.Is(err, errPortTaken) && port != server.RANDOM_PORT {
		s.log.Info("the port is taken, using a free one", "listen", cfg.Listen)
		err = s.serve(ctx, store, host, server.RANDOM_PORT, strangers)
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

var errPortTaken = errors.New("the port is taken")

// serve runs the server on the store; host "" means without a port.
func (s *Server) serve(ctx context.Context, store, host string, port int, strangers []string) error {
	public, err := s.pair.PublicKey()
	if err != nil {
		return fmt.Errorf("the run's key: %w", err)
	}
	opts := &server.Options{
		ServerName: "gx1-embedded", NoSigs: true, DontListen: host == "", Host: host, Port: port,
		JetStream: true, StoreDir: store, JetStreamMaxMemory: maxMemory, JetStreamMaxStore: maxStore,
		SyncAlways: s.sync,
		Nkeys:      []*server.NkeyUser{{Nkey: public}},
	}
	if host != "" {
		if !portFree(host, port) {
			return fmt.Errorf("%s: %w", net.JoinHostPort(host, strconv.Itoa(port)), errPortTaken)
		}
	}
	if len(strangers) > 0 {
		// A client without credentials is taken for this nkey, whose seed
		// nobody keeps: so nobody can log in as it.
		stranger, err := nkeys.CreateUser()
		if err != nil {
			return fmt.Errorf("making the strangers' key: %w", err)
		}
		if opts.NoAuthUser, err = stranger.PublicKey(); err != nil {
			return fmt.Errorf("making the strangers' key: %w", err)
		}
		opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{
			Nkey: opts.NoAuthUser,
			Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: strangers},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}, // the answer to a request
			},
		})
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("configuring the bus: %w", err)
	}
	fatal := fatalText(make(chan string, 1))
	srv.SetLoggerV2(logAdapter{s.log, fatal}, false, false, false)
	srv.Start()
	s.srv = srv
	if err := ready(ctx, srv, fatal); err != nil {
		s.stop()
		if host != "" && !portFree(host, port) {
			err = fmt.Errorf("%s: %w (%w)", net.JoinHostPort(host, strconv.Itoa(port)), errPortTaken, err)
		}
		return err
	}
	return nil
}

// ready waits until srv takes connections. A server that failed says so in
// its log only, and is never ready.
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

// portFree tries the port: a server whose port is busy only never gets ready.
func portFree(host string, port int) bool {
	if port == server.RANDOM_PORT {
		return true
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func lockStore(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the bus's store: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the bus's store %s is served by another process: %w", filepath.Dir(path), err), f.Close())
	}
	return f, nil
}

// loadKey reads the run's key, or makes it, readable by its owner alone.
func loadKey(path string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(path)
	if err == nil {
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			return nil, fmt.Errorf("the run's key %s: %w", path, err)
		}
		return pair, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the run's key: %w", err)
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("making the run's key: %w", err)
	}
	if seed, err = pair.Seed(); err != nil {
		return nil, fmt.Errorf("making the run's key: %w", err)
	}
	if err := writePrivate(path, seed); err != nil {
		return nil, fmt.Errorf("writing the run's key: %w", err)
	}
	return pair, nil
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
}

// fatalText takes the first thing that the server called fatal. Its stock
// logger would end the process.
type fatalText chan string

type logAdapter struct {
	log   *slog.Logger
	fatal fatalText
}

func (l logAdapter) Noticef(f string, v ...any) { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Warnf(f string, v ...any)   { l.log.Warn(fmt.Sprintf(f, v...)) }
func (l logAdapter) Errorf(f string, v ...any)  { l.log.Error(fmt.Sprintf(f, v...)) }
func (l logAdapter) Debugf(f string, v ...any)  { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Tracef(f string, v ...any)  { l.log.Debug(fmt.Sprintf(f, v...)) }
func (l logAdapter) Fatalf(f string, v ...any) {
	text := fmt.Sprintf(f, v...)
	l.log.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}
