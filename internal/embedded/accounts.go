package embedded

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
)

// A client with the run's key is in the global account, where the streams are, also
// those in stores of earlier versions. On loopback these are this user's own
// processes. A server that other hosts reach also has the accounts of the roles.

type admitted struct {
	users    []*server.NkeyUser
	accounts []*server.Account
	nobody   string // the user that a client without credentials is taken for
	roles    bool
}

// admit makes the users and accounts for a server that listens on host; empty: no
// port.
func (s *Server) admit(host string, strangers []string, dir string) (*admitted, error) {
	public, err := s.pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("the run's key: %w", err)
	}
	who := &admitted{users: []*server.NkeyUser{{Nkey: public}}}
	switch ip := net.ParseIP(host); {
	case host == "":
	case ip == nil || !ip.IsLoopback():
		return who, s.admitRoles(who, dir)
	case len(strangers) > 0:
		return who, s.admitStrangers(who, strangers)
	}
	return who, nil
}

// admitRoles makes the keys of the roles; the coordinator's is the run's key.
func (s *Server) admitRoles(who *admitted, dir string) error {
	who.roles = true
	s.roles = map[access.Role]string{}
	for _, role := range access.Roles() {
		name := access.AccountOf(role)
		if name == access.Main {
			continue
		}
		path := filepath.Join(dir, roleKeyFile(role))
		public, err := publicKey(path, "the "+string(role)+"'s key", s.log)
		if err != nil {
			return err
		}
		s.roles[role] = path
		account := server.NewAccount(string(name))
		who.accounts = append(who.accounts, account)
		who.users = append(who.users, &server.NkeyUser{Nkey: public, Account: account, Permissions: permissions(access.For(role, public))})
	}
	return nil
}

// admitStrangers makes the account of clients without credentials. They count as a
// user whose seed nobody keeps. The gate is the one other user there.
func (s *Server) admitStrangers(who *admitted, subjects []string) error {
	account := server.NewAccount(string(access.Strangers))
	nobody, err := nkeys.CreateUser()
	if err == nil {
		who.nobody, err = nobody.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("making the strangers' key: %w", err)
	}
	var gate string
	if s.gate, err = nkeys.CreateUser(); err == nil {
		gate, err = s.gate.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("making the gate's key: %w", err)
	}
	answers := access.OfStranger().Subscribe
	who.accounts = append(who.accounts, account)
	who.users = append(who.users,
		&server.NkeyUser{Nkey: who.nobody, Account: account, Permissions: permissions(access.Permissions{Publish: subjects, Subscribe: answers})},
		&server.NkeyUser{Nkey: gate, Account: account, Permissions: permissions(access.Permissions{Publish: answers, Subscribe: subjects})})
	return nil
}

func permissions(p access.Permissions) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
}

// wire has the roles' accounts import from the global one. Call it before the
// server starts: an account without an import of $JS.API.INFO by then gets a
// JetStream API of its own, which answers each request first, with an error.
func (who *admitted) wire(srv *server.Server) error {
	if !who.roles {
		return nil
	}
	ours := srv.GlobalAccount()
	accounts := map[access.Account]*server.Account{}
	for _, name := range access.Accounts() {
		if name == access.Main {
			continue
		}
		var err error
		if accounts[name], err = srv.LookupAccount(string(name)); err != nil { // not the one that was given
			return fmt.Errorf("account %s: %w", name, err)
		}
	}
	for _, e := range access.Exports(access.Accounts()...) {
		if err := export(ours, e, accounts); err != nil {
			return fmt.Errorf("exporting %s %s: %w", e.Kind, e.Subject, err)
		}
	}
	for name, account := range accounts {
		for _, i := range access.Imports(name) {
			var err error
			if i.Kind == access.Service {
				err = account.AddServiceImport(ours, i.Subject, i.Subject)
			} else {
				err = account.AddStreamImport(ours, i.Subject, "")
			}
			if err != nil {
				return fmt.Errorf("account %s: importing %s %s: %w", name, i.Kind, i.Subject, err)
			}
		}
	}
	return nil
}

// enable gives the started server's global account its streams. With a second
// account the server does so only for configured ones.
func (who *admitted) enable(srv *server.Server) error {
	if len(who.accounts) == 0 {
		return nil
	}
	if err := srv.GlobalAccount().EnableJetStream(nil, nil); err != nil {
		return fmt.Errorf("opening the bus's store: %w", err)
	}
	return nil
}

func export(ours *server.Account, e access.Export, accounts map[access.Account]*server.Account) error {
	var to []*server.Account
	for _, name := range e.Accounts {
		to = append(to, accounts[name])
	}
	if e.Kind == access.Stream {
		return ours.AddStreamExport(e.Subject, to)
	}
	answers := server.Singleton
	if e.Many {
		answers = server.Streamed
	}
	err := ours.AddServiceExportWithResponse(e.Subject, answers, to)
	if err == nil && e.Threshold > 0 {
		err = ours.SetServiceExportResponseThreshold(e.Subject, e.Threshold)
	}
	return err
}

// RoleKey is the path of the key of role, an nkey seed, on a server that other
// hosts reach; "" on others.
func (s *Server) RoleKey(role access.Role) string { return s.roles[role] }

var errNoGate = errors.New("the bus has no gate for clients without credentials")

// HasStrangers reports whether clients without credentials are let in.
func (s *Server) HasStrangers() bool { return s.gate != nil }

// Gate is the public key of the user that receives what strangers publish, and may
// answer them. Sign answers the server's challenge. It connects without a socket.
func (s *Server) Gate() (public string, sign func(nonce []byte) ([]byte, error), err error) {
	if s.gate == nil {
		return "", nil, errNoGate
	}
	public, err = s.gate.PublicKey()
	return public, s.gate.Sign, err
}
