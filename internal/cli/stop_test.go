package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// A cluster that is choosing a leader does not answer for a while; the stop
// that somebody asks for meanwhile is tried until it is stored.
func TestStopIsTriedWhileTheBusDoesNotAnswer(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := natsserver.Start(t, &server.Options{ServerName: "test", Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir()})
	b, err := bus.Connect(t.Context(), bus.Config{InProcess: srv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.MakeStreams(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	plan, err := run.NewPlan(100, 1, 0, run.OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.StoreManifest(t.Context(), run.Manifest{
		Schema: run.Schema, RunID: "far", Session: 1, State: run.StateRunning,
		Data: run.Data{Bars: plan.Bars, SliceBars: 1 << 16}, Plan: plan,
		Engine: footer.EngineBuiltin, LeaseDuration: 10 * time.Second, MaxFailures: 3,
	}, 0); err != nil {
		t.Fatal(err)
	}

	// The first question for the runs is led to where nobody answers.
	const asked = "$JS.API.STREAM.INFO.KV_GX1_RUNS"
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	heard := make(chan struct{}, 1)
	if _, err := nc.Subscribe("silence", func(*nats.Msg) {
		if srv.GlobalAccount().RemoveMapping(asked) {
			heard <- struct{}{}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := srv.GlobalAccount().AddMapping(asked, "silence"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := program(t, t.Context(), false, "stop", "far", "--reason", "late", "--nats", srv.ClientURL())
	if code != 0 || !strings.Contains(stdout, "is stored") {
		t.Errorf("stop: %d %s%s (want 0 and that it is stored)", code, stdout, stderr)
	}
	select {
	case <-heard:
	default:
		t.Error("no question was left without an answer")
	}
	stop, err := b.LastStop(t.Context(), "far")
	if err != nil || stop.Reason != "late" {
		t.Errorf("the bus holds the stop %+v, %v (want the reason late)", stop, err)
	}
}
