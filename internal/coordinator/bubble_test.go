package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/run"
	"gx1replay/test/virtual"
)

func TestMain(m *testing.M) {
	// The server's clock for access times must not be started in a bubble.
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(publisherLeft()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// publisherLeft is a goroutine that the client's publisher of objects may leave
// behind when its cleaning overtakes the goroutine's start.
func publisherLeft() goleak.Option {
	return goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect")
}

// bubble runs f in virtual time with a bus.
func bubble(t *testing.T, f func(t *testing.T, newRun func(chunks int) *world)) {
	t.Helper()
	dir := t.TempDir()
	// Objects are stored outside: the client's goroutine for it can outlive
	// its connection, for which a bubble does not forgive.
	emptyPools()
	storeObjects(t, dir)
	emptyPools()
	defer emptyPools() // for tests outside
	virtual.Test(t, func(t *testing.T) {
		srv := startBus(t, dir)
		var last *world
		n := 0
		f(t, func(chunks int) *world {
			if last != nil {
				srv = last.running()
			}
			n++
			last = newWorld(t, srv, dir, run.ID("r"+strconv.Itoa(n)), chunks)
			return last
		})
		if err := last.running().Close(); err != nil {
			t.Error(err)
		}
	})
}

// emptyPools empties the process's sync.Pools, which takes two collections:
// the client keeps timers in one, and a timer made in a bubble must not be
// used outside of it.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// startBus starts a server without a port and its streams.
func startBus(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Prepare: func(ctx context.Context, s *embedded.Server) error {
		b, err := dial(ctx, s, nil, "")
		if err != nil {
			return err
		}
		defer b.Close()
		return b.MakeStreams(ctx, 1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// dial connects through link, or directly.
func dial(ctx context.Context, srv *embedded.Server, l *link, name string) (*bus.Bus, error) {
	if srv == nil {
		return nil, errors.New("the server is down")
	}
	public, sign, err := srv.Nkey()
	if err != nil {
		return nil, err
	}
	var in nats.InProcessConnProvider = srv
	if l != nil {
		in = l
	}
	return bus.Connect(ctx, bus.Config{InProcess: in, Name: name, Worker: name, Options: []nats.Option{nats.Nkey(public, sign)}})
}

// maxTestChunks is the largest number of chunks of a test's run.
const maxTestChunks = 8

func testBars(chunks int) []bars.Bar { return bars.Generate(int64(chunks*testChunk), 1) }

// testPolicy is no policy: the engines of these tests read none.
var testPolicy = []byte("none")

// storeObjects stores the data sets and the policy of all tests' runs in a
// store that a later server takes up.
func storeObjects(t *testing.T, dir string) {
	t.Helper()
	srv := startBus(t, dir)
	b, err := dial(t.Context(), srv, nil, "objects")
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= maxTestChunks; n++ {
		list := testBars(n)
		if err := dataset.Publish(t.Context(), b, bars.Digest(list), list); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PutObject(t.Context(), bus.PolicyObject(run.Manifest{Policy: run.Policy{Content: "none"}}), testPolicy); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}
