package roles

import (
	"os"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"gx1replay/internal/access"
	"gx1replay/internal/embedded"
)

// startEmbedded starts the embedded server as other hosts reach it. The
// coordinator's key is the run's, which may do everything.
func startEmbedded(t *testing.T) *roleServer {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: "0.0.0.0:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &roleServer{url: srv.URL(), users: map[access.Role]user{}, unlimited: true}
	for _, r := range access.Roles() {
		path := srv.RoleKey(r)
		if r == access.Coordinator {
			path = srv.KeyFile()
		}
		seed, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		s.users[r] = user{public: public, key: nats.Nkey(public, pair.Sign)}
	}
	return s.ready(t)
}
