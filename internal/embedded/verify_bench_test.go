package embedded

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A resume verifies all that the bus holds: 32 MiB in parts of an object's size.
func BenchmarkVerifyStream(b *testing.B) {
	store := b.TempDir()
	srv, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: store})
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		b.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"x"}}); err != nil {
		b.Fatal(err)
	}
	const parts, size = 256, 128 << 10
	for range parts {
		if _, err := js.Publish(b.Context(), "x", bytes.Repeat([]byte{1}, size)); err != nil {
			b.Fatal(err)
		}
	}
	nc.Close()
	srv.Shutdown()
	srv.WaitForShutdown()
	b.SetBytes(parts * size)
	for b.Loop() {
		if what, err := verifyStream(filepath.Join(store, streamsDir, "S"), "S"); what != "" || err != nil {
			b.Fatal(what, err)
		}
	}
}
