package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/layout"
)

// maxCreds bounds what is read of a file of credentials: one has some thousand
// bytes.
const maxCreds = 1 << 20

// credsOf reads a file of user credentials and sees that it is whole. The
// client reads it, too, but only once a server has answered, and what it says of
// a damaged one names no file.
func credsOf(path string) (*jwt.UserClaims, error) {
	text, err := readCreds(path)
	if err != nil {
		return nil, err
	}
	defer clear(text) // the seed
	token, err := nkeys.ParseDecoratedJWT(text)
	if err != nil {
		return nil, fmt.Errorf("%s holds no user credentials: its JWT: %w", path, err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, fmt.Errorf("%s holds no user credentials: its JWT: %w", path, err)
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s holds no user credentials: its seed: %w", path, err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("%s holds no user credentials: its seed: %w", path, err)
	}
	if public != claims.Subject {
		return nil, fmt.Errorf("%s: its JWT is for the user %s, its seed is the user %s's", path, claims.Subject, public)
	}
	return claims, nil
}

func readCreds(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxCreds))
}

// credsFile is the file of credentials that names the user: the one that is
// given, or the context's; "" if it is something else.
func (a Access) credsFile() string {
	if a.Creds != "" || a.NKey != "" || a.Context == "" {
		return a.Creds
	}
	return contextCreds(a.Context)
}

// checkCreds sees that the credentials are whole, if there are any.
func (a Access) checkCreds() error {
	path := a.credsFile()
	if path == "" {
		return nil
	}
	if _, err := credsOf(path); err != nil && a.Creds == "" {
		return fmt.Errorf("context %s: creds: %w", a.Context, err)
	} else if err != nil {
		return fmt.Errorf("--creds: %w", err)
	}
	return nil
}

// jwtUser is the public key of the user whom a connection's JWT is for.
func jwtUser(token nats.UserJWTHandler) (string, error) {
	text, err := token()
	if err != nil {
		return "", fmt.Errorf("reading the user's JWT: %w", err)
	}
	claims, err := jwt.DecodeUserClaims(text)
	if err != nil {
		return "", fmt.Errorf("reading the user's JWT: %w", err)
	}
	return claims.Subject, nil
}

// contextCreds is the file of credentials that a context names, "" if it names
// none. It is for messages alone: the connection goes by the client's own reading
// of the context, which also reports what is wrong with it.
func contextCreds(name string) string {
	path := name
	if !filepath.IsAbs(name) {
		dir := os.Getenv("XDG_CONFIG_HOME")
		if dir == "" {
			u, err := user.Current()
			if err != nil {
				return ""
			}
			dir = filepath.Join(u.HomeDir, ".config")
		}
		path = layout.Context(dir, name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var c struct {
		User  string `json:"user"` // goes before creds
		Creds string `json:"creds"`
	}
	if json.Unmarshal(text, &c) != nil || c.User != "" {
		return ""
	}
	creds := os.ExpandEnv(c.Creds)
	if rest, ok := strings.CutPrefix(creds, "~"); ok {
		u, err := user.Current()
		if err != nil {
			return ""
		}
		creds = u.HomeDir + rest
	}
	return creds
}

// explained adds to a server's refusal that the time of the credentials is over,
// which a server keeps to itself.
func (a Access) explained(err error) error {
	path := a.credsFile()
	if path == "" || !locksOut(err) {
		return err
	}
	claims, unread := credsOf(path)
	if unread != nil || claims.Expires == 0 {
		return err
	}
	if over := time.Unix(claims.Expires, 0); time.Now().After(over) {
		return fmt.Errorf("%w: the credentials in %s expired at %s", err, path, over.UTC().Format(time.RFC3339))
	}
	return err
}
