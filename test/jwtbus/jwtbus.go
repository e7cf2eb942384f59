// Package jwtbus is a bus whose users are known by JWTs: an operator, a system
// account, an account with JetStream, and a user of each role, as people make
// them with nsc. It is for tests.
package jwtbus

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/test/natsserver"
)

// Way is where the permissions of users stand.
type Way string

// The ways.
const (
	// InUsers: in the JWT of each user.
	InUsers Way = "in users"
	// InSigningKeys: in the account, a scoped signing key for each role.
	InSigningKeys Way = "in signing keys"
)

// Bus is a server, and what its users need.
type Bus struct {
	URL string

	t       testing.TB
	way     Way
	dir     string
	account key
	signers map[access.Role]key
}

// key is an nkey, and its public half.
type key struct {
	nkeys.KeyPair
	public string
}

func newKey(t testing.TB, create func() (nkeys.KeyPair, error)) key {
	t.Helper()
	pair, err := create()
	must(t, err)
	public, err := pair.PublicKey()
	must(t, err)
	return key{pair, public}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Start starts a server, which ends with the test.
func Start(t testing.TB, way Way) *Bus {
	t.Helper()
	b := &Bus{t: t, way: way, dir: t.TempDir(), account: newKey(t, nkeys.CreateAccount), signers: map[access.Role]key{}}
	root, system := newKey(t, nkeys.CreateOperator), newKey(t, nkeys.CreateAccount)
	operator := jwt.NewOperatorClaims(root.public)
	operator.Name, operator.SystemAccount = "test", system.public
	text, err := operator.Encode(root)
	must(t, err)
	operator, err = jwt.DecodeOperatorClaims(text)
	must(t, err)

	accounts := &server.MemAccResolver{}
	store := func(c *jwt.AccountClaims) {
		text, err := c.Encode(root)
		must(t, err)
		must(t, accounts.Store(c.Subject, text))
	}
	sys := jwt.NewAccountClaims(system.public)
	sys.Name = "SYS"
	store(sys)
	store(b.claims())
	b.serve(&server.Options{
		ServerName: "jwt", Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(b.dir, "store"),
		TrustedOperators: []*jwt.OperatorClaims{operator}, SystemAccount: system.public, AccountResolver: accounts,
	})
	return b
}

// claims are of the account that runs meet on.
func (b *Bus) claims() *jwt.AccountClaims {
	c := jwt.NewAccountClaims(b.account.public)
	c.Name = "GX1"
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	for _, r := range access.Roles() {
		b.signers[r] = b.account
		if b.way != InSigningKeys {
			continue
		}
		b.signers[r] = newKey(b.t, nkeys.CreateAccount)
		scope := jwt.NewUserScope()
		scope.Key, scope.Role = b.signers[r].public, string(r)
		scope.Template.Permissions = Permissions(access.For(r, access.SubjectTemplate))
		c.SigningKeys.AddScopedSigner(scope)
	}
	return c
}

// Permissions are p as JWTs have them.
func Permissions(p access.Permissions) jwt.Permissions {
	return jwt.Permissions{Pub: jwt.Permission{Allow: p.Publish}, Sub: jwt.Permission{Allow: p.Subscribe}}
}

func (b *Bus) serve(opts *server.Options) {
	b.t.Helper()
	b.URL = natsserver.Start(b.t, opts).ClientURL()
}

// User makes a user of role r and returns its public key, and the path of its
// credentials.
func (b *Bus) User(r access.Role) (public, creds string) {
	b.t.Helper()
	user := newKey(b.t, nkeys.CreateUser)
	creds = filepath.Join(b.dir, user.public+".creds")
	b.issue(r, user, creds, time.Time{})
	return user.public, creds
}

// Renew writes the credentials of a user of role r anew, good until end.
func (b *Bus) Renew(r access.Role, creds string, end time.Time) {
	b.t.Helper()
	text, err := os.ReadFile(creds)
	must(b.t, err)
	user := newKey(b.t, func() (nkeys.KeyPair, error) { return nkeys.ParseDecoratedUserNKey(text) })
	b.issue(r, user, creds, end)
}

// issue writes credentials; a zero end is none. They are whole at any moment.
func (b *Bus) issue(r access.Role, user key, path string, end time.Time) {
	b.t.Helper()
	c := jwt.NewUserClaims(user.public)
	c.Name = string(r)
	if !end.IsZero() {
		c.Expires = end.Unix()
	}
	if b.way == InSigningKeys {
		c.SetScoped(true)
		c.IssuerAccount = b.account.public
	} else {
		c.Permissions = Permissions(access.For(r, user.public))
	}
	token, err := c.Encode(b.signers[r])
	must(b.t, err)
	seed, err := user.Seed()
	must(b.t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	must(b.t, err)
	must(b.t, os.WriteFile(path+".new", text, 0o600))
	must(b.t, os.Rename(path+".new", path))
}
