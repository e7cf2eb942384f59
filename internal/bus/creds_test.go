package bus

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/test/jwtbus"
	"gx1replay/test/testsize"
)

// writeFile writes a file of the test's and returns its path.
func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// A file of credentials that is not whole is named, with what is wrong, before
// any server is asked; what it holds is not told.
func TestDamagedCredentials(t *testing.T) {
	s := jwtbus.Start(t, jwtbus.InUsers)
	read := func(r access.Role) []byte {
		_, path := s.User(r)
		text, err := os.ReadFile(path)
		must(t, err)
		return text
	}
	whole, other := read(access.Observer), read(access.Observer)
	token, seed, _ := bytes.Cut(whole, []byte("\n\n"))
	_, otherSeed, _ := bytes.Cut(other, []byte("\n\n"))
	at := bytes.LastIndexByte(token, '.') // the signature begins there
	forged := bytes.Clone(whole)
	forged[at-3] ^= 1
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":                {nil, "its JWT: "},
		"something else":       {[]byte("{}"), "its JWT: "},
		"cut in the JWT":       {whole[:at], "its JWT: "},
		"cut in the seed":      {whole[:bytes.LastIndex(whole, []byte("\nSU"))+20], "its seed: "},
		"without a seed":       {token, "its JWT: "},
		"the JWT's line alone": {bytes.Split(whole, []byte("\n"))[1], "its seed: "},
		"the seed alone":       {seed, "its JWT: "},
		"another's seed":       {append(bytes.Clone(token), append([]byte("\n\n"), otherSeed...)...), "its seed is the user "},
		"changed":              {forged, "its JWT: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "user.creds", c.text)
			in := writeFile(t, "context.json", []byte(`{"url": "nats://127.0.0.1:1", "creds": "`+path+`"}`))
			for _, a := range []Access{{URL: "nats://127.0.0.1:1", Creds: path}, {Context: in}} {
				_, err := Connect(t.Context(), Config{Access: a})
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v (want the file and %q)", err, c.want)
				}
				if len(err.Error()) > 500 || strings.Contains(err.Error(), "eyJ") {
					t.Errorf("error %v", err)
				}
				if Unreachable(err) {
					t.Errorf("%v: it passes for a server that is not there yet", err)
				}
			}
		})
	}
}

// Answers to users with JWTs go where each of them alone may listen.
func TestInboxOfCredentials(t *testing.T) {
	s := jwtbus.Start(t, jwtbus.InSigningKeys)
	public, creds := s.User(access.Observer)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("CREDS_DIR", filepath.Dir(creds))
	named := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "nats", "context")
	must(t, os.MkdirAll(named, 0o700))
	must(t, os.WriteFile(filepath.Join(named, "mine.json"), []byte(`{"url": "`+s.URL+`", "creds": "$CREDS_DIR/`+filepath.Base(creds)+`"}`), 0o600))
	another := writeFile(t, "another.json", []byte(`{"url": "`+s.URL+`", "user": "u", "password": "p", "inbox_prefix": "_INBOX_u"}`))
	own := writeFile(t, "own.json", []byte(`{"url": "`+s.URL+`", "creds": "`+creds+`", "inbox_prefix": "_INBOX_GX1_`+public+`.mine"}`))
	onlyInbox := writeFile(t, "inbox.json", []byte(`{"url": "`+s.URL+`", "inbox_prefix": "_INBOX_GX1_`+public+`.mine"}`))
	for name, c := range map[string]struct {
		Access
		want string
	}{
		"given":                       {Access{URL: s.URL, Creds: creds}, access.Inbox(public) + "."},
		"a context's":                 {Access{Context: "mine"}, access.Inbox(public) + "."},
		"in place of a context's":     {Access{Context: another, Creds: creds}, access.Inbox(public) + "."},
		"with a context's prefix":     {Access{Context: own}, access.Inbox(public) + ".mine."},
		"with a prefix of no user is": {Access{Context: onlyInbox, Creds: creds}, access.Inbox(public) + ".mine."},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Connect(t.Context(), Config{Access: c.Access})
			must(t, err)
			defer b.Close()
			if inbox := b.nc.NewInbox(); !strings.HasPrefix(inbox, c.want) {
				t.Errorf("inbox %s (want %s…)", inbox, c.want)
			}
			if r, err := b.Rights(t.Context()); err != nil || r.User != public {
				t.Errorf("the user %s, %v (want %s)", r.User, err, public)
			}
		})
	}
}

// Who lacks the right to hear answers is told so, and not left to wait.
func TestRequireOfTheDeaf(t *testing.T) {
	testsize.All(t)
	s := jwtbus.Start(t, jwtbus.InUsers)
	_, creds := s.User(access.Observer)
	b, err := Connect(t.Context(), Config{Access: Access{Context: writeFile(t, "c.json", []byte(`{"url": "`+s.URL+`", "creds": "`+creds+`", "inbox_prefix": "_INBOX_other"}`))}})
	must(t, err)
	defer b.Close()
	err = b.Require(t.Context(), access.Observer)
	var unfit *UnsuitableError
	if !errors.As(err, &unfit) || !strings.Contains(err.Error(), "may not subscribe to _INBOX_other.> ") {
		t.Errorf("error %v (want what it may not listen to)", err)
	}
}

func TestTwoUsers(t *testing.T) {
	if _, err := Connect(t.Context(), Config{Access: Access{URL: "nats://127.0.0.1:1", Creds: "a", NKey: writeFile(t, "a.nk", nil)}}); err == nil || !strings.Contains(err.Error(), "--creds and --nkey") {
		t.Errorf("error %v (want that they are two users)", err)
	}
}

// A server does not say why it refuses credentials whose time is over.
func TestExpiredCredentials(t *testing.T) {
	s := jwtbus.Start(t, jwtbus.InUsers)
	_, creds := s.User(access.Observer)
	s.Renew(access.Observer, creds, time.Now().Add(-time.Hour))
	_, err := Connect(t.Context(), Config{Access: Access{URL: s.URL, Creds: creds}})
	if !errors.Is(err, nats.ErrAuthorization) || !strings.Contains(err.Error(), creds+" expired at ") {
		t.Errorf("error %v (want that the credentials expired)", err)
	}
}

// Credentials that end are renewed sooner or later: a connection goes on with the
// new ones, also when the server has refused the old ones again and again.
func TestRenewedCredentials(t *testing.T) {
	testsize.All(t)
	s := jwtbus.Start(t, jwtbus.InUsers)
	_, creds := s.User(access.Observer)
	s.Renew(access.Observer, creds, time.Now().Add(2*time.Second))
	b, err := Connect(t.Context(), Config{Access: Access{URL: s.URL, Creds: creds}})
	must(t, err)
	defer b.Close()
	last := int64(0)
	for range 3 {
		eventually(t, "the credentials are refused", func() bool { return b.refused.Load() != last })
		last = b.refused.Load()
	}
	s.Renew(access.Observer, creds, time.Time{})
	eventually(t, "the renewed ones are taken", func() bool {
		_, err := b.Rights(t.Context())
		return err == nil
	})
}
