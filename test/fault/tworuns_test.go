//go:build linux

package fault_test

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// Two runs at once want one address. The plain stop command, which goes to
// that address, stops either; so does the printed one.
func TestTwoRunsAtOnce(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	for _, way := range []string{"plain", "printed"} {
		t.Run(way, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			shared := l.Addr().String()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			s := slow.with("--listen", shared)
			s.runtime = t.TempDir()
			first, ctx := start(t, s)
			if url, err := first.URL(ctx); err != nil || url != "nats://"+shared {
				t.Fatalf("the first run's bus is %s (expected %s), error %v", url, shared, err)
			}
			s.suffix = "-second"
			second, ctx := startBeside(t, s)
			printed, err := second.URL(ctx)
			if err != nil || printed == "nats://"+shared {
				t.Fatalf("the second run's bus is %s (expected another), error %v", printed, err)
			}
			moving(ctx, t, second)
			url := "nats://" + shared
			if way == "printed" {
				url = printed
			}
			nc, err := nats.Connect(url, nats.Timeout(10*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if err := nc.Publish("gx1.stop."+second.RunID, []byte("long enough")); err != nil {
				t.Fatal(err)
			}
			if err := nc.FlushTimeout(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			ends(ctx, t, second, 0)
			valid(t, second, second.Perf(), check.Options{Stop: []string{"subject"}, Outcome: "stopped"})
			select {
			case <-first.Exited():
				t.Error("the first run has ended, too")
			default:
			}
			if err := nc.Publish("gx1.stop."+first.RunID, nil); err == nil && way == "plain" {
				ends(ctx, t, first, 0)
				valid(t, first, first.Perf(), check.Options{Stop: []string{"subject"}, Outcome: "stopped"})
			}
		})
	}
}
