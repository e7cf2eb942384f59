package roles

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/test/drive"
	"gx1replay/test/keybus"
	"gx1replay/test/testsize"
)

const patience = 30 * time.Second

// What docs/security.md says of reloads and restarts.
func TestFact_Reloads(t *testing.T) {
	testsize.All(t)
	binary, err := drive.BuildServer(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(nc *nats.Conn) error {
		_, err := nc.Request("$JS.API.STREAM.INFO.GX1_TASKS", nil, patience)
		return err
	}
	// An account that a reload adds has its imports with the next reload only.
	t.Run("a new account", func(t *testing.T) {
		p := keybus.StartProcess(t, binary, keybus.Config{Users: keybus.Flat})
		before := p.Connect(access.Worker)
		if err := ask(before); err != nil {
			t.Fatal(err)
		}
		p.Configure(keybus.Config{})
		p.Reload()
		nc := p.Connect(access.Worker)
		if err := ask(nc); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("after one reload: %v (want no responders; else a restart is not needed, and docs/security.md asks for one)", err)
		}
		p.Reload()
		if err := ask(nc); err != nil {
			t.Errorf("after two reloads: %v", err)
		}
	})
	// A user that a reload adds to an account is let in, and nobody is disturbed.
	t.Run("a new user", func(t *testing.T) {
		p := keybus.StartProcess(t, binary, keybus.Config{})
		worker := p.Connect(access.Worker)
		another := newUser(t)
		p.Configure(keybus.Config{Change: func(s string) string {
			at := strings.Index(s, "  GX1_WORKERS {")
			return s[:at] + strings.Replace(s[at:], "users: [\n", "users: [\n      { nkey: "+another.public+" }\n", 1)
		}})
		p.Reload()
		nc, err := nats.Connect(p.URL(), another.key)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := ask(nc); err != nil {
			t.Errorf("the new user: %v", err)
		}
		if err := ask(worker); err != nil || worker.Stats().Reconnects > 0 {
			t.Errorf("the worker: %v, %d reconnects", err, worker.Stats().Reconnects)
		}
	})
}
