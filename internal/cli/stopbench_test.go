package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/access"
	"gx1replay/test/keybus"
)

// BenchmarkStop stops a run of a worker of another host, as an operator does:
// with all roles in one account and with an account for each role, in
// alternation, five times an iteration. Its time is from the operator's request
// until the coordinator has exported and its program has ended; ratio is the
// median of the rounds' ratios.
//
//	go test -run '^$' -bench Stop -benchtime 1x ./internal/cli
func BenchmarkStop(b *testing.B) {
	const rounds = 5
	buses := []*keybus.Bus{keybus.Start(b, keybus.Config{Users: keybus.Flat}), keybus.Start(b, keybus.Config{})}
	for _, k := range buses {
		ctx, leave := context.WithCancel(b.Context())
		ended := make(chan int, 1)
		work := b.TempDir()
		go func() {
			code, _, _ := program(b, ctx, true, "--concurrency", "4", "--work-dir", filepath.Join(work, "work"), "--cache-dir", filepath.Join(work, "cache"),
				"--nats", k.URL(0), "--nkey", k.SeedFile(access.Worker), "--engine", "exec", "--exec-footer", "none", "--", "sleep", "600")
			ended <- code
		}()
		b.Cleanup(func() { leave(); <-ended })
	}
	var times [2][]float64
	var ratios []float64
	for b.Loop() {
		for range rounds {
			var took [2]float64
			for k := range buses {
				k = (k + len(ratios)) % 2 // each goes first in turn
				took[k] = stopped(b, buses[k], fmt.Sprintf("s%d_%d", k, len(ratios))).Seconds() * 1000
				times[k] = append(times[k], took[k])
			}
			ratios = append(ratios, took[1]/took[0])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(times[0]), "ms/one")
	b.ReportMetric(middle(times[1]), "ms/apart")
	b.ReportMetric(middle(ratios), "ratio")
	b.ReportMetric(ratios[0], "ratio-least")
	b.ReportMetric(ratios[len(ratios)-1], "ratio-most")
}

// stopped begins a run, stops it when a chunk has reported, and returns how long
// the run took to end.
func stopped(b *testing.B, k *keybus.Bus, id string) time.Duration {
	b.Helper()
	operator, root := k.Connect(0, access.Operator), k.ConnectRoot(0)
	defer operator.Close()
	defer root.Close()
	records, err := root.SubscribeSync("gx1.progress." + id + ".*")
	if err == nil {
		err = root.Flush()
	}
	if err != nil {
		b.Fatal(err)
	}
	type ended struct {
		code   int
		stderr string
	}
	done := make(chan ended, 1)
	out := b.TempDir()
	go func() {
		code, _, stderr := program(b, b.Context(), false, "run", "--run-id", id, "--data", "synthetic:4000", "--chunks", "8", "--workers", "0",
			"--policy", gatedPolicy(), "--engine", "exec", "--output-dir", out, "--no-guardian", "--quiet", "--nats", k.URL(0), "--nkey", k.SeedFile(access.Coordinator))
		done <- ended{code, stderr}
	}()
	for range 4 { // slots
		if _, err := records.NextMsg(20 * time.Second); err != nil {
			select {
			case e := <-done:
				b.Fatalf("the run ended with %d\n%s", e.code, e.stderr)
			default:
				b.Fatal("the run's chunks are not claimed: ", err)
			}
		}
	}
	begun := time.Now()
	if _, err := operator.RequestMsg(nats.NewMsg("gx1.stop."+id), 10*time.Second); err != nil {
		b.Fatal(err)
	}
	select {
	case e := <-done:
		if e.code != 0 {
			b.Fatalf("the run: %d\n%s", e.code, e.stderr)
		}
	case <-time.After(30 * time.Second):
		b.Fatal("the run does not end")
	}
	return time.Since(begun)
}
