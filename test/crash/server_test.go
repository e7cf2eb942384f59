//go:build linux

package crash_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/testsize"
)

// external starts a plain server that ends with the test.
func external(t *testing.T) *drive.Server {
	t.Helper()
	binary, err := built.server()
	if err != nil {
		t.Fatal(err)
	}
	srv, err := drive.StartServer(t.Context(), binary, filepath.Join(t.TempDir(), "server"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", drive.Tail(srv.Log(), 10))
		}
	})
	return srv
}

// The server is killed and comes back; nobody has lost anything.
func TestServerKilled(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	// The lease is the product's own: it outlasts an outage, and a claim whose
	// answer is late, also on a busy machine.
	v := begin(t, holding(planBars/2).with("--nats", srv.URL(), "--lease-duration", "10s"))
	for n := range 3 {
		v.done((n + 1) * planBars / 8)
		v.must(srv.Kill())
		v.must(srv.Restart(v.ctx))
	}
	v.open()
	// A claim that an outage meets before its first bar is given back, and
	// counts as a redelivery; no bar is stepped over again.
	if rep, bars := v.completes(), v.Bars(); rep.Failures != 0 || bars != planBars {
		t.Errorf("%d failures, %d bars stepped over (expected 0, %d)", rep.Failures, bars, planBars)
	}
}

// A coordinator on an external bus is killed; the bus has it all.
func TestKilledOnAnExternalBus(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	v := begin(t, holding(planBars/3+100).with("--nats", srv.URL()))
	v.done(planBars / 3)
	v.must(v.Kill())
	v.dead()
	v.file(recovered)
	v.open()
	v.again(nil)
	v.completes()
}

// After gc nothing of the run is left on the bus: its name is free, also for
// other data, and its stop stops nobody.
func TestNameUsedAgainAfterGC(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	v := begin(t, holding(planBars/4).with("--nats", srv.URL()))
	v.done(planBars / 10)
	v.publishTo(srv.URL(), "enough")
	v.ends(0)
	v.file(stopped("subject"))
	v.command(0, "gc", v.RunID, "--output-dir", v.Out, "--nats", srv.URL())

	v.open()
	fresh := v.Config
	fresh.Dir, fresh.Out, fresh.Runtime = filepath.Join(v.Dir, "fresh"), "", ""
	fresh.Bars, fresh.Args = planBars+600, replace(fresh.Args, "--chunks", "7")
	r, err := drive.Start(fresh)
	v.must(err)
	defer r.End()
	code, err := r.Wait(v.ctx)
	if err != nil || code != 0 {
		t.Fatalf("code %d, error %v: %s\nits log ends with:\n%s", code, err, drive.Tail(r.Stderr(), 5), drive.Tail(r.Log(), 15))
	}
	rep, err := check.File(r.Perf(), check.Options{
		BarLog: r.BarLog(), RunID: r.RunID, Bars: int64(fresh.Bars), Lives: r.Lives(), Outcome: "complete",
		Artifacts: filepath.Join(r.Out, r.RunID), MaxUnreported: 0,
	})
	v.must(err)
	for _, s := range rep.Violations {
		t.Error(s)
	}
	if rep.Sessions != 1 || rep.Redeliveries != 0 {
		t.Errorf("%d sessions, %d redeliveries (expected 1, 0)", rep.Sessions, rep.Redeliveries)
	}
}

// A task is acked once the ok footer is published, and not before: else a
// worker that dies in between leaves a chunk without either. Seen from
// outside: on a plain server anybody may listen to both.
func TestAckAfterTheFooter(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	nc, err := nats.Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// One worker: the server passes on what comes over one connection in its
	// order.
	v := begin(t, setup{}.with("--nats", srv.URL(), "--workers", "1"))
	v.completes()
	v.must(nc.FlushWithContext(v.ctx)) // all of it is here
	footers, acks := map[string]bool{}, 0
	for {
		n, _, err := sub.Pending()
		v.must(err)
		if n == 0 {
			break
		}
		m, err := sub.NextMsgWithContext(v.ctx)
		v.must(err)
		switch {
		case strings.HasPrefix(m.Subject, "gx1.footer."):
			footers[m.Subject] = true
		case strings.HasPrefix(m.Subject, "$JS.ACK.GX1_TASKS.") && string(m.Data) == "+ACK":
			if acks++; acks > len(footers) {
				t.Fatalf("%d tasks were acked when %d footers had been published", acks, len(footers))
			}
		}
	}
	if acks != planChunks || len(footers) != planChunks {
		t.Errorf("%d acks and %d footers were seen (expected %d each)", acks, len(footers), planChunks)
	}
}
