package bus

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/test/jwtbus"
	"gx1replay/test/keybus"
)

// earlier writes users.conf as the version before accounts did: one account, and
// rights without those that came later.
func earlier(w io.Writer, users []access.User) error {
	var b strings.Builder
	b.WriteString("accounts {\n  GX1 {\n    jetstream: enabled\n    users: [\n")
	for _, u := range users {
		p := access.Needs(u.Role)
		p.Subscribe = append(p.Subscribe, access.Inbox(u.Public)+".>")
		fmt.Fprintf(&b, "      { nkey: %s, permissions: { publish: { allow: [\"%s\"] }, subscribe: { allow: [\"%s\"] } } }\n",
			u.Public, strings.Join(p.Publish, `", "`), strings.Join(p.Subscribe, `", "`))
	}
	b.WriteString("    ]\n  }\n  SYS {}\n}\nsystem_account: SYS\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// A bus whose roles share an account is recognised with the key of any role.
func TestSharedAccount(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  keybus.Config
		want map[access.Role]string
	}{
		"an account for each role": {keybus.Config{}, map[access.Role]string{}},
		"on three servers":         {keybus.Config{Servers: 3}, map[access.Role]string{}},
		"an earlier version": {keybus.Config{Users: earlier}, map[access.Role]string{
			access.Coordinator: "earlier version gave to role coordinator", access.Worker: "earlier version gave to role worker",
			access.Operator: "earlier version gave to role operator", access.Observer: "earlier version gave to role observer",
		}},
		"one account with today's rights": {keybus.Config{Users: keybus.Flat}, map[access.Role]string{
			access.Coordinator: `"gx1 worker w1" of the user`, access.Worker: "is in the account of the streams (GX1)",
			access.Operator: "is in the account of the streams (GX1)", access.Observer: "is in the account of the streams (GX1)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := keybus.Start(t, c.cfg)
			connect := func(r access.Role, name string) *Bus {
				b, err := Connect(t.Context(), Config{Access: Access{URL: k.URL(0)}, Name: name, Options: []nats.Option{k.Key(r)}})
				must(t, err)
				t.Cleanup(b.Close)
				return b
			}
			connect(access.Worker, "gx1 worker w1")
			for _, r := range access.Roles() {
				sign, err := connect(r, "test").SharedAccount(t.Context())
				if want := c.want[r]; err != nil || !strings.Contains(sign, want) || (want == "") != (sign == "") {
					t.Errorf("with the key of role %s: %q, %v (want %q)", r, sign, err, want)
				}
			}
		})
	}
}

// The same with JWTs; and a bus that asks nobody for a key has no roles.
func TestSharedAccountOfOthers(t *testing.T) {
	for _, way := range []jwtbus.Way{jwtbus.InUsers, jwtbus.InSigningKeys} {
		s := jwtbus.Start(t, way)
		for _, r := range access.Roles() {
			_, creds := s.User(r)
			b, err := Connect(t.Context(), Config{Access: Access{URL: s.URL, Creds: creds}})
			must(t, err)
			defer b.Close()
			if sign, err := b.SharedAccount(t.Context()); err != nil || sign != "" {
				t.Errorf("%s, role %s: %q, %v", way, r, sign, err)
			}
		}
	}
	if sign, err := newRig(t, "").bus().SharedAccount(t.Context()); err != nil || sign != "" {
		t.Errorf("the embedded bus: %q, %v", sign, err)
	}
}
