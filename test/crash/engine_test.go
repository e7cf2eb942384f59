//go:build linux

package crash_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/replay"
	"gx1replay/test/testsize"
)

// A worker of another engine version takes no chunk, and status names it; workers of
// the run's own version then do the work, whatever their build, and the file names
// their builds.
func TestAWorkerOfAnotherEngineVersionClaimsNothing(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	srv := external(t)
	v := begin(t, holding(planBars).with("--nats", srv.URL(), "--workers", "0", "--chunks", "3"))
	other := hire(v, srv, 0, planBars, fmt.Sprintf("GX1TEST_ENGINE_VERSION=%d", replay.Version+1))
	v.must(v.Until(v.ctx, "status names the worker", func() bool {
		said, err := v.Command(v.ctx, "status", v.RunID, "--nats", srv.URL())
		return err == nil && strings.Contains(said.Stdout, fmt.Sprintf("the run's engine has version %d, this worker's version %d", replay.Version, replay.Version+1))
	}))
	other.away(v, syscall.SIGTERM)
	if logs, err := filepath.Glob(filepath.Join(v.BarLog(), "*.log")); err != nil || len(logs) > 0 {
		for _, l := range logs {
			if b, err := os.ReadFile(l); err != nil || len(b) > 0 {
				t.Errorf("a worker of another engine version replayed bars: %s, %v", l, err)
			}
		}
	}
	builds := []string{"v1.2.3 abc", "v1.2.4 def"}
	hands := make([]*hand, len(builds))
	for i, build := range builds {
		hands[i] = hire(v, srv, i+1, 1, "GX1TEST_BUILD="+build)
	}
	v.must(v.Until(v.ctx, "both have a chunk", func() bool { return v.Bars() >= len(hands) }))
	v.open()
	_, err := v.Wait(v.ctx)
	v.must(err)
	for _, h := range hands {
		h.away(v, syscall.SIGTERM)
	}
	v.ends(0)
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	var file struct {
		EngineVersion int `json:"engine_version"`
		EnvInfo       struct {
			WorkerBuilds []string `json:"worker_builds"`
		} `json:"env_info"`
	}
	v.must(json.Unmarshal(b, &file))
	if file.EngineVersion != replay.Version || !slices.Equal(file.EnvInfo.WorkerBuilds, builds) {
		t.Errorf("engine_version %d, worker_builds %q (expected %d and %q)", file.EngineVersion, file.EnvInfo.WorkerBuilds, replay.Version, builds)
	}
}
