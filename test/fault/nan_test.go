//go:build linux

package fault_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// engineNumbers are the numbers of a footer that an engine reports and that
// may be no number. The worker's own (worker_time_sec and what the kernel
// counts) come from clocks.
var engineNumbers = []string{
	"wall_clock_sec", "bars_per_sec", "feature_time_mean_ms", "t_pregate_total_sec", "t_feature_build_total_sec",
	"t_feature_upkeep_sec", "t_model_total_sec", "t_policy_total_sec", "t_io_total_sec", "t_startup_sec", "t_warmup_sec", "pnl_bps", "open_pnl_bps",
}

// Each number of a footer that is not finite is written as 0 and named, and
// costs nothing else.
func TestNumbersThatAreNone(t *testing.T) {
	var faults []string
	for _, value := range []string{"NaN", "+Inf", "-Inf"} {
		for _, name := range engineNumbers {
			faults = append(faults, name+"="+value)
		}
	}
	s := setup{
		bars: 4000, latency: 0, args: []string{"--workers", "2", "--chunks", strconv.Itoa(len(faults))},
		env: []string{"GX1TEST_NAN=" + strings.Join(faults, ",")},
	}
	r, ctx := start(t, s)
	ends(ctx, t, r, 0)
	valid(t, r, r.Perf(), check.Options{Outcome: "complete"})
	b, err := os.ReadFile(r.Perf())
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Chunks []map[string]any `json:"chunks"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for i, fault := range faults {
		name, _, _ := strings.Cut(fault, "=")
		c := f.Chunks[i]
		if v := c[name]; v != 0.0 {
			t.Errorf("%s: chunks[%d].%s is %v (expected 0)", fault, i, name, v)
		}
		if list, ok := c["nonfinite_fields"].([]any); !ok || !slices.Equal(list, []any{name}) {
			t.Errorf("%s: chunks[%d].nonfinite_fields is %v (expected %s alone)", fault, i, c["nonfinite_fields"], name)
		}
	}
}

// So does a stopped run, whose footers come by the lease record.
func TestNumbersThatAreNoneAtAStop(t *testing.T) {
	testsize.All(t)
	s := slow
	s.env = []string{"GX1TEST_NAN=pnl_bps,t_model_total_sec=-Inf", "GX1_MASTER_WAIT_TIMEOUT_SEC=1.5"}
	s.latency = 5 * time.Millisecond
	r, ctx := start(t, s)
	ends(ctx, t, r, 0)
	valid(t, r, r.Perf(), check.Options{Stop: []string{"timeout"}})
}
