// Package jwtbus is a bus whose users are known by JWTs: an operator, a system
// account, the accounts of the roles with their exports and imports, and a user
// of each role, as people make them with nsc. It is for tests.
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
	URL    string
	Server *server.Server

	t        testing.TB
	way      Way
	dir      string
	accounts map[access.Account]key
	signers  map[access.Role]key
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
	b := &Bus{t: t, way: way, dir: t.TempDir(), accounts: map[access.Account]key{}, signers: map[access.Role]key{}}
	for _, a := range access.Accounts() {
		b.accounts[a] = newKey(t, nkeys.CreateAccount)
	}
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
	for _, a := range access.Accounts() {
		store(b.claims(a))
	}
	b.serve(&server.Options{
		ServerName: "jwt", Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(b.dir, "store"),
		TrustedOperators: []*jwt.OperatorClaims{operator}, SystemAccount: system.public, AccountResolver: accounts,
	})
	return b
}

// claims are of account a.
func (b *Bus) claims(a access.Account) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(b.accounts[a].public)
	c.Name = string(a)
	if a == access.Main {
		c.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
		for _, e := range access.Exports(access.Accounts()...) {
			c.Exports.Add(export(e))
		}
	}
	for _, i := range access.Imports(a) {
		c.Imports.Add(b.imported(a, i))
	}
	for _, r := range access.Roles() {
		if access.AccountOf(r) != a {
			continue
		}
		b.signers[r] = b.accounts[a]
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

// export is private: an account needs an activation to import it.
func export(e access.Export) *jwt.Export {
	x := &jwt.Export{Name: e.Subject, Subject: jwt.Subject(e.Subject), Type: kind(e.Kind), TokenReq: true}
	if e.Kind == access.Service {
		x.ResponseType, x.ResponseThreshold = jwt.ResponseTypeSingleton, e.Threshold
		if e.Many {
			x.ResponseType = jwt.ResponseTypeStream
		}
	}
	return x
}

// imported is an import of account a, with the activation that it needs.
func (b *Bus) imported(a access.Account, i access.Import) *jwt.Import {
	b.t.Helper()
	activation := jwt.NewActivationClaims(b.accounts[a].public)
	activation.ImportSubject, activation.ImportType = jwt.Subject(i.Subject), kind(i.Kind)
	token, err := activation.Encode(b.accounts[access.Main])
	must(b.t, err)
	x := &jwt.Import{Name: i.Subject, Subject: jwt.Subject(i.Subject), Type: kind(i.Kind), Account: b.accounts[access.Main].public, Token: token}
	if i.Kind == access.Service {
		x.LocalSubject = jwt.RenamingSubject(i.Subject) // as nsc writes it
	}
	return x
}

func kind(k access.Kind) jwt.ExportType {
	if k == access.Service {
		return jwt.Service
	}
	return jwt.Stream
}

// Permissions are p as JWTs have them.
func Permissions(p access.Permissions) jwt.Permissions {
	return jwt.Permissions{Pub: jwt.Permission{Allow: p.Publish}, Sub: jwt.Permission{Allow: p.Subscribe}}
}

func (b *Bus) serve(opts *server.Options) {
	b.t.Helper()
	b.Server = natsserver.Start(b.t, opts)
	b.URL = b.Server.ClientURL()
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

// Root makes a user of the main account without permissions, which means that it
// may do everything there, and returns the path of its credentials.
func (b *Bus) Root() string {
	b.t.Helper()
	user := newKey(b.t, nkeys.CreateUser)
	path := filepath.Join(b.dir, user.public+".creds")
	b.write(jwt.NewUserClaims(user.public), b.accounts[access.Main], user, path)
	return path
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
		c.IssuerAccount = b.accounts[access.AccountOf(r)].public
	} else {
		c.Permissions = Permissions(access.For(r, user.public))
	}
	b.write(c, b.signers[r], user, path)
}

func (b *Bus) write(c *jwt.UserClaims, signer, user key, path string) {
	b.t.Helper()
	token, err := c.Encode(signer)
	must(b.t, err)
	seed, err := user.Seed()
	must(b.t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	must(b.t, err)
	must(b.t, os.WriteFile(path+".new", text, 0o600))
	must(b.t, os.Rename(path+".new", path))
}
