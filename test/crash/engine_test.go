//go:build linux

package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/replay"
)

// A worker of another engine version takes no chunk, and status names it; one of
// the run's own version then does the work, whatever its build.
func TestAWorkerOfAnotherEngineVersionClaimsNothing(t *testing.T) {
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
	same := hire(v, srv, 1, planBars)
	v.open()
	_, err := v.Wait(v.ctx)
	v.must(err)
	same.away(v, syscall.SIGTERM)
	v.ends(0)
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	if text := string(b); !strings.Contains(text, fmt.Sprintf(`"engine_version": %d`, replay.Version)) || !strings.Contains(text, `"worker_builds": [`) {
		t.Errorf("the perf JSON names neither engine version nor builds:\n%.2000s", text)
	}
}
