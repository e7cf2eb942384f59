package cli

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/spf13/pflag"

	"gx1replay/internal/coordinator"
)

// connectFlags follow NATS's own conventions.
type connectFlags struct {
	url, creds, nkey       string
	tlsca, tlscert, tlskey string
}

func (f *connectFlags) bind(fl *pflag.FlagSet, url, usage string) {
	fl.StringVar(&f.url, "nats", url, usage)
	fl.StringVar(&f.creds, "creds", "", "file of user credentials")
	fl.StringVar(&f.nkey, "nkey", "", "file of an nkey seed")
	fl.StringVar(&f.tlsca, "tlsca", "", "certificates to trust")
	fl.StringVar(&f.tlscert, "tlscert", "", "client certificate")
	fl.StringVar(&f.tlskey, "tlskey", "", "key of the client certificate")
}

// options turns the flags into the client's options.
func (f *connectFlags) options() ([]nats.Option, error) {
	var opts []nats.Option
	if f.creds != "" {
		opts = append(opts, nats.UserCredentials(f.creds))
	}
	if f.nkey != "" {
		opt, err := nats.NkeyOptionFromSeed(f.nkey)
		if err != nil {
			return nil, fmt.Errorf("--nkey %s: %w", f.nkey, err)
		}
		opts = append(opts, opt)
	}
	if f.tlsca != "" {
		opts = append(opts, nats.RootCAs(f.tlsca))
	}
	if (f.tlscert == "") != (f.tlskey == "") {
		return nil, &usageError{msg: "--tlscert and --tlskey go together"}
	}
	if f.tlscert != "" {
		opts = append(opts, nats.ClientCert(f.tlscert, f.tlskey))
	}
	return opts, nil
}

// forWorker is how a local worker is told of the same bus: by its
// environment, which other users cannot read.
func (f *connectFlags) forWorker(w coordinator.LocalWorker) []string {
	env := []string{envName("nats") + "=" + w.URL}
	nkey := f.nkey
	if w.KeyFile != "" {
		nkey = w.KeyFile
	}
	for flag, value := range map[string]string{
		"nkey": nkey, "creds": f.creds, "tlsca": f.tlsca, "tlscert": f.tlscert, "tlskey": f.tlskey,
	} {
		if value != "" {
			env = append(env, envName(flag)+"="+value)
		}
	}
	return env
}
