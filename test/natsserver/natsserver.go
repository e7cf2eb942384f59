// Package natsserver starts NATS servers inside tests: an operator's own, with
// the options that the test gives. It never starts the product's embedded one
// (internal/embedded), and makes no stream.
package natsserver

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTime is how long a server may take to start on a busy machine.
const startTime = 20 * time.Second

// Start starts a server that neither logs nor catches signals and waits until
// it takes connections. It is shut down when t ends.
func Start(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	opts.NoLog, opts.NoSigs = true, true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatalf("making a NATS server: %v", err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(startTime) {
		t.Fatalf("the NATS server takes no connections after %v", startTime)
	}
	return srv
}

// FromFile starts the server of a configuration file.
func FromFile(t testing.TB, path string) *server.Server {
	t.Helper()
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Start(t, opts)
}
