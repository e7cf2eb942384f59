package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/coordinator"
)

// connectFlags follow NATS's own conventions.
type connectFlags struct {
	given bus.Access
	flags *pflag.FlagSet
}

func (f *connectFlags) bind(fl *pflag.FlagSet, url, usage string) {
	f.flags = fl
	a := &f.given
	fl.StringVar(&a.URL, "nats", url, usage)
	fl.StringVar(&a.Context, "context", "", "name of a context of the nats command, instead of --nats and the credentials")
	fl.StringVar(&a.Creds, "creds", "", "user credentials file")
	fl.StringVar(&a.NKey, "nkey", "", "nkey seed file")
	fl.StringVar(&a.TLSCA, "tlsca", "", "CA certificates file")
	fl.StringVar(&a.TLSCert, "tlscert", "", "client certificate file")
	fl.StringVar(&a.TLSKey, "tlskey", "", "key file of the client certificate")
}

func (f *connectFlags) external() bool { return !f.given.IsZero() }

// access is how the bus is reached. Paths are absolute: the run registry keeps them
// for commands that are started elsewhere.
func (f *connectFlags) access() (bus.Access, error) {
	a := f.given
	if a.Context != "" && f.flags != nil && !f.flags.Changed("nats") {
		a.URL = "" // the default is not asked for
	}
	if (a.TLSCert == "") != (a.TLSKey == "") {
		return a, usagef("", "--tlscert and --tlskey go together")
	}
	for _, path := range []*string{&a.Creds, &a.NKey, &a.TLSCA, &a.TLSCert, &a.TLSKey} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return a, fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = abs
	}
	return a, nil
}

// dial connects to the named bus. Its user needs the rights of role; empty: none
// are asked for.
func (f *connectFlags) dial(ctx context.Context, name string, role access.Role, log *slog.Logger) (*bus.Bus, error) {
	where, err := f.access()
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(ctx, bus.Config{Access: where, Name: "gx1 " + name, Logger: log})
	if err != nil || role == "" {
		return b, err
	}
	if err := b.Require(ctx, role); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// forWorker passes the bus to a local worker by its environment, which other users
// cannot read.
func (f *connectFlags) forWorker(w coordinator.LocalWorker) []string {
	a := f.given
	if w.KeyFile != "" { // the embedded bus
		a = bus.Access{NKey: w.KeyFile}
	}
	a.URL = w.URL
	var env []string
	for _, v := range []struct{ flag, value string }{
		{"nats", a.URL}, {"context", a.Context}, {"nkey", a.NKey}, {"creds", a.Creds}, {"tlsca", a.TLSCA}, {"tlscert", a.TLSCert}, {"tlskey", a.TLSKey},
	} {
		if v.value != "" {
			env = append(env, envName(v.flag)+"="+v.value)
		}
	}
	return env
}
