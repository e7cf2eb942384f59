package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"gx1replay/internal/access"
	"gx1replay/internal/process"
	"gx1replay/test/keybus"
)

// BenchmarkDispatch replays a run of many tiny chunks on workers of another
// host, so that nearly all of its time goes into handing out chunks: with all
// roles in one account and with an account for each role, in alternation, five
// times an iteration. ratio is the median of the rounds' ratios of time, and
// cpu-ratio that of processor time: server, coordinator and worker are in this
// process.
//
//	go test -run '^$' -bench Dispatch -benchtime 1x ./internal/cli
func BenchmarkDispatch(b *testing.B) {
	const rounds, chunks = 5, 1000
	buses := []*keybus.Bus{keybus.Start(b, keybus.Config{Users: keybus.Flat}), keybus.Start(b, keybus.Config{})}
	var times [2][]float64
	var ratios, cpuRatios []float64
	for b.Loop() {
		for range rounds {
			var took, cpu [2]float64
			for k := range buses {
				k = (k + len(ratios)) % 2 // each goes first in turn
				begun := cpuSeconds()
				took[k] = dispatched(b, buses[k], fmt.Sprintf("d%d_%d", k, len(ratios)), chunks)
				cpu[k] = cpuSeconds() - begun
				times[k] = append(times[k], chunks/took[k])
			}
			ratios = append(ratios, took[1]/took[0])
			cpuRatios = append(cpuRatios, cpu[1]/cpu[0])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(times[0]), "chunks/s/one")
	b.ReportMetric(middle(times[1]), "chunks/s/apart")
	b.ReportMetric(middle(ratios), "ratio")
	b.ReportMetric(middle(cpuRatios), "cpu-ratio")
	b.ReportMetric(ratios[0], "ratio-least")
	b.ReportMetric(ratios[len(ratios)-1], "ratio-most")
}

// middle sorts list and returns its median.
func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func cpuSeconds() float64 {
	user, sys, _ := process.SelfCPU()
	return user + sys
}

// dispatched replays a run of so many chunks and returns its seconds.
func dispatched(b *testing.B, k *keybus.Bus, id string, chunks int) float64 {
	b.Helper()
	out := b.TempDir()
	worked := make(chan int, 1)
	go func() {
		code, _, _ := program(b, b.Context(), true, "--concurrency", "16", "--work-dir", filepath.Join(out, "work"), "--cache-dir", filepath.Join(out, "cache"),
			"--exit-when-idle=1s", "--nats", k.URL(0), "--nkey", k.SeedFile(access.Worker))
		worked <- code
	}()
	code, stdout, stderr := program(b, b.Context(), false, "run", "--run-id", id, "--data", "synthetic:"+strconv.Itoa(10*chunks), "--chunks", strconv.Itoa(chunks),
		"--workers", "0", "--policy", gatedPolicy(), "--output-dir", out, "--no-guardian", "--quiet", "--nats", k.URL(0), "--nkey", k.SeedFile(access.Coordinator))
	if worker := <-worked; code != 0 || worker != 0 {
		b.Fatalf("the run: %d, its worker: %d\n%s%s", code, worker, stdout, stderr)
	}
	text, err := os.ReadFile(filepath.Join(out, "perf_"+id+".json"))
	if err != nil {
		b.Fatal(err)
	}
	var perf struct {
		Seconds float64 `json:"total_wall_clock_sec"`
	}
	if err := json.Unmarshal(text, &perf); err != nil || perf.Seconds <= 0 {
		b.Fatalf("the perf JSON says %v s, %v", perf.Seconds, err)
	}
	return perf.Seconds
}
