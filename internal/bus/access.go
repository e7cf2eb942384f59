package bus

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/redact"
)

// Access holds how an external bus is reached: addresses, names and paths.
type Access struct {
	// URL, or several with commas; with a Context it may be empty, and else
	// goes before the context's.
	URL string
	// Context is a context of the stock nats command, by its name or the
	// absolute path of its file. What else is given goes before it.
	Context string
	// Creds and NKey are files: user credentials (a JWT with its seed), and an
	// nkey's seed.
	Creds, NKey string
	// TLSCA, TLSCert and TLSKey are files in PEM.
	TLSCA, TLSCert, TLSKey string
}

// IsZero reports that nothing names a bus.
func (a Access) IsZero() bool { return a.URL == "" && a.Context == "" }

func (a Access) String() string {
	if a.URL == "" {
		return "context " + a.Context
	}
	return redact.URLs(a.URL)
}

// checkURLs refuses URLs that cannot be read. The client's own error would hold them
// with their passwords.
func (a Access) checkURLs() error {
	for text := range strings.SplitSeq(a.URL, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text // as the client reads it
		}
		if _, err := url.Parse(text); err != nil {
			return errors.New("--nats: that is no URL (want nats://HOST:PORT; what is not a letter or digit of a password stands as %XX)")
		}
	}
	return nil
}

// options are the client's, beside the context's.
func (a Access) options() ([]nats.Option, error) {
	for _, f := range []struct{ flag, path string }{
		{"--nkey", a.NKey}, {"--tlsca", a.TLSCA}, {"--tlscert", a.TLSCert}, {"--tlskey", a.TLSKey},
	} {
		if f.path == "" {
			continue
		}
		file, err := os.Open(f.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.flag, err)
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	if a.Creds != "" && a.NKey != "" {
		return nil, errors.New("--creds and --nkey are two users (want one)")
	}
	if err := a.checkCreds(); err != nil {
		return nil, err
	}
	var opts []nats.Option
	if a.Creds != "" || a.NKey != "" {
		opts = append(opts, nobody)
	}
	if a.Creds != "" {
		opts = append(opts, nats.UserCredentials(a.Creds))
	}
	if a.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(a.NKey)
		if err != nil {
			return nil, fmt.Errorf("--nkey %s: %w", a.NKey, err)
		}
		opts = append(opts, opt)
	}
	if a.TLSCA != "" {
		opts = append(opts, nats.RootCAs(a.TLSCA))
	}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		return nil, errors.New("--tlscert and --tlskey go together")
	}
	if a.TLSCert != "" {
		opts = append(opts, nats.ClientCert(a.TLSCert, a.TLSKey))
	}
	return opts, nil
}

// nobody forgets the user that a context names, whom another goes before, and
// the inbox that is his.
func nobody(o *nats.Options) error {
	if o.User == "" && o.Token == "" && o.Nkey == "" && o.UserJWT == nil {
		return nil
	}
	o.User, o.Password, o.Token, o.Nkey, o.UserJWT, o.SignatureCB, o.InboxPrefix = "", "", "", "", nil, nil, ""
	return nil
}
