// Package keybus is a bus whose users are known by nkeys, configured as
// `coordinator auth init` does it, on one server or on a cluster of three. It
// is for tests.
package keybus

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/test/natsserver"
)

// startTime is how long a cluster may take to elect a leader on a busy machine.
const startTime = 30 * time.Second

// Config says which bus to start.
type Config struct {
	// Servers is 1 or 3; 0 means 1.
	Servers int
	// Users writes users.conf; nil means access.WriteUsers.
	Users func(io.Writer, []access.User) error
	// Change, if not nil, changes the text of users.conf before the start.
	Change func(text string) string
}

// Bus is the running servers and the keys of their users.
type Bus struct {
	Servers []*server.Server

	t     testing.TB
	dir   string
	confs []string // of the servers
	keys  map[access.Role]nkeys.KeyPair
	users []access.User
	root  nkeys.KeyPair
}

// Start starts the servers, which end with the test.
func Start(t testing.TB, cfg Config) *Bus {
	t.Helper()
	b := newBus(t)
	b.Configure(cfg)
	n := max(cfg.Servers, 1)
	var routes []string
	if n > 1 {
		routes = freeAddresses(t, n)
	}
	for i := range n {
		s := access.Server{Name: fmt.Sprintf("key-%d", i+1), Listen: "127.0.0.1:-1", StoreDir: filepath.Join(b.dir, fmt.Sprintf("store-%d", i+1)), Users: "users.conf"}
		path := filepath.Join(b.dir, s.Name+".conf")
		if n > 1 {
			s.Cluster, s.ClusterListen, s.Routes = "key", routes[i], routes
		}
		var text bytes.Buffer
		must(t, access.WriteServer(&text, s))
		must(t, os.WriteFile(path, text.Bytes(), 0o600))
		b.confs = append(b.confs, path)
		b.Servers = append(b.Servers, natsserver.FromFile(t, path))
	}
	if n > 1 {
		b.waitForLeader()
	}
	return b
}

func newBus(t testing.TB) *Bus {
	t.Helper()
	b := &Bus{t: t, dir: t.TempDir(), keys: map[access.Role]nkeys.KeyPair{}, root: newUser(t)}
	for _, r := range access.Roles() {
		b.keys[r] = newUser(t)
		b.users = append(b.users, access.User{Role: r, Public: b.Public(r)})
	}
	return b
}

// Configure writes users.conf anew, which a server reads when it is told to
// reload. The first account gets a user who may do everything in it.
func (b *Bus) Configure(cfg Config) {
	b.t.Helper()
	write := access.WriteUsers
	if cfg.Users != nil {
		write = cfg.Users
	}
	var text bytes.Buffer
	must(b.t, write(&text, b.users))
	conf := strings.Replace(text.String(), "users: [\n", fmt.Sprintf("users: [\n      { nkey: %s }\n", public(b.t, b.root)), 1)
	if cfg.Change != nil {
		conf = cfg.Change(conf)
	}
	must(b.t, os.WriteFile(filepath.Join(b.dir, "users.conf"), []byte(conf), 0o600))
}

// Restart ends the servers and starts them again on their files, with other
// users. They get other ports.
func (b *Bus) Restart(cfg Config) {
	b.t.Helper()
	b.Configure(cfg)
	for _, s := range b.Servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
	for i, path := range b.confs {
		b.Servers[i] = natsserver.FromFile(b.t, path)
	}
	if len(b.Servers) > 1 {
		b.waitForLeader()
	}
}

// waitForLeader returns when a server leads and knows all of them.
func (b *Bus) waitForLeader() {
	b.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(startTime); time.Now().Before(end); <-tick.C {
		for _, s := range b.Servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(b.Servers) {
				return
			}
		}
	}
	b.t.Fatalf("the cluster has no leader after %v", startTime)
}

// URL is the address of server i.
func (b *Bus) URL(i int) string { return b.Servers[i%len(b.Servers)].ClientURL() }

// Public is the public key of the user of role r.
func (b *Bus) Public(r access.Role) string { return public(b.t, b.keys[r]) }

// Key logs a client in as the user of role r.
func (b *Bus) Key(r access.Role) nats.Option { return nats.Nkey(b.Public(r), b.keys[r].Sign) }

// Root logs a client in as a user of the main account without permissions,
// which means that it may do everything there.
func (b *Bus) Root() nats.Option { return nats.Nkey(public(b.t, b.root), b.root.Sign) }

// Connect connects the user of role r to server i.
func (b *Bus) Connect(i int, r access.Role, opts ...nats.Option) *nats.Conn {
	b.t.Helper()
	return b.dial(b.URL(i), append([]nats.Option{b.Key(r), nats.CustomInboxPrefix(access.Inbox(b.Public(r)))}, opts...)...)
}

// ConnectRoot connects the user who may do everything to server i.
func (b *Bus) ConnectRoot(i int) *nats.Conn {
	b.t.Helper()
	return b.dial(b.URL(i), b.Root())
}

func (b *Bus) dial(url string, opts ...nats.Option) *nats.Conn {
	b.t.Helper()
	nc, err := nats.Connect(url, append(opts, nats.Timeout(startTime))...)
	must(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

// SeedFile writes the seed of the user of role r and returns the file's path.
func (b *Bus) SeedFile(r access.Role) string {
	b.t.Helper()
	seed, err := b.keys[r].Seed()
	must(b.t, err)
	path := filepath.Join(b.dir, string(r)+".nk")
	must(b.t, os.WriteFile(path, seed, 0o600))
	return path
}

// Flat writes users.conf as auth init did before roles had accounts: all users
// are in one account. It is there to prove that tests of accounts can fail.
func Flat(w io.Writer, users []access.User) error {
	var b strings.Builder
	fmt.Fprintf(&b, "accounts {\n  %s {\n    jetstream: enabled\n    users: [\n", access.Main)
	for _, u := range users {
		p := access.For(u.Role, u.Public)
		fmt.Fprintf(&b, "      { nkey: %s, permissions: { publish: { allow: [%s] }, subscribe: { allow: [%s] } } }\n", u.Public, quoted(p.Publish), quoted(p.Subscribe))
	}
	b.WriteString("    ]\n  }\n  SYS {}\n}\nsystem_account: SYS\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }

func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var list []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

func newUser(t testing.TB) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateUser()
	must(t, err)
	return pair
}

func public(t testing.TB, pair nkeys.KeyPair) string {
	t.Helper()
	text, err := pair.PublicKey()
	must(t, err)
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
