package main

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gx1replay/internal/cli"
	"gx1replay/internal/coordinator"
	"gx1replay/internal/footer"
	plan "gx1replay/internal/run"
	"gx1replay/internal/worker"
)

func env(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

// Without a variable it is the product.
func TestNoHooks(t *testing.T) {
	h, err := hooks(env(), 1, nil)
	if err != nil || h.OnBar != nil || h.Engine != nil || h.Observe != nil || h.Export.BeforeSync != nil || h.Export.BeforeRename != nil {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestBadHooks(t *testing.T) {
	for name, value := range map[string]string{
		"GX1TEST_BARLOG": "/nowhere/at/all", "GX1TEST_BAR_SLEEP": "x", "GX1TEST_HOLD": "yes", "GX1TEST_GATE": "3", "GX1TEST_NAN": "bars_processed",
	} {
		if _, err := hooks(env(name, value), 1, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: error %v, want one that names it", name, value, err)
		}
	}
	for _, bad := range []string{"", ",f", "-1,f", "x,f", "3,", "f"} {
		if _, err := parseGate(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, bad := range []string{"", "pnl", "pnl_bps=1", "pnl_bps,,"} {
		if _, err := parseFaults(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestBarLog(t *testing.T) {
	dir := t.TempDir()
	h, err := hooks(env("GX1TEST_BARLOG", dir), 42, nil)
	if err != nil {
		t.Fatal(err)
	}
	onBar := h.OnBar(worker.Job{Chunk: plan.Chunk{Idx: 3}, Attempt: 2})
	for bar := range int64(2) {
		if err := onBar(100 + bar); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "42.log"))
	if err != nil || string(b) != "3 2 100\n3 2 101\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// fakeEngine reports 1 in every number that a test spoils.
type fakeEngine struct{ worker.Engine }

var errEngine = errors.New("stopped")

func (fakeEngine) Replay(_ context.Context, _ worker.Job, report func(footer.Footer)) (worker.Result, error) {
	f := footer.Footer{PnlBps: 1, WallClockSec: 1}
	report(f)
	return worker.Result{Footer: f, Artifacts: make([]worker.Artifact, 1)}, errEngine
}

func TestNaN(t *testing.T) {
	h, err := hooks(env("GX1TEST_NAN", "pnl_bps,wall_clock_sec=-Inf"), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for idx := range 3 {
		var seen []footer.Footer
		last, err := h.Engine(fakeEngine{}).Replay(t.Context(), worker.Job{Chunk: plan.Chunk{Idx: idx}}, func(f footer.Footer) { seen = append(seen, f) })
		if err != errEngine || len(seen) != 1 || len(last.Artifacts) != 1 {
			t.Fatalf("chunk %d: %d reports, %d artifacts, error %v", idx, len(seen), len(last.Artifacts), err)
		}
		for _, f := range append(seen, last.Footer) {
			if idx%2 == 0 && (!math.IsNaN(f.PnlBps) || f.WallClockSec != 1) || idx%2 == 1 && (f.PnlBps != 1 || !math.IsInf(f.WallClockSec, -1)) {
				t.Errorf("chunk %d: pnl_bps %v, wall_clock_sec %v", idx, f.PnlBps, f.WallClockSec)
			}
		}
	}
}

// A step is one of the process that it is meant for, and of the perf JSON.
func TestDie(t *testing.T) {
	perf, backup := filepath.Join("out", ".perf_r.1-2.tmp"), filepath.Join("out", ".gx1", "r", ".perf_r.1-2.tmp")
	for _, c := range []struct {
		step                string
		sync, rename, step2 int // deaths by a sync of the perf JSON, by its rename, by the step "clean bus"
	}{{"", 0, 0, 0}, {"write", 1, 0, 0}, {"rename", 0, 1, 0}, {"clean bus", 0, 0, 1}} {
		var h cli.Hooks
		deaths := 0
		dieAt(&h, c.step, func() { deaths++ })
		at := func(f func(string) error, aside string) int {
			before := deaths
			if f != nil {
				if err := f(aside); err != nil {
					t.Error(err)
				}
			}
			return deaths - before
		}
		if n := at(h.Export.BeforeSync, backup) + at(h.Export.BeforeRename, backup); n != 0 {
			t.Errorf("%s: %d deaths at the backup", c.step, n)
		}
		if a, b := at(h.Export.BeforeSync, perf), at(h.Export.BeforeRename, perf); a != c.sync || b != c.rename {
			t.Errorf("%s: %d deaths at the sync, %d at the rename (want %d, %d)", c.step, a, b, c.sync, c.rename)
		}
		before := deaths
		if h.Observe != nil {
			o := h.Observe(coordinator.Unobserved{})
			o.Step("exported")
			o.Step("clean bus")
		}
		if n := deaths - before; n != c.step2 {
			t.Errorf("%s: %d deaths at the steps (want %d)", c.step, n, c.step2)
		}
	}
	for verb, dies := range map[string]string{"worker": "", "guardian": "GX1TEST_DIE_GUARDIAN", "run": "GX1TEST_DIE", "--policy": "GX1TEST_DIE"} {
		for _, name := range []string{"GX1TEST_DIE", "GX1TEST_DIE_GUARDIAN"} {
			h, err := hooks(env(name, "rename"), 1, []string{verb})
			if err != nil || (h.Export.BeforeRename != nil) != (name == dies) {
				t.Errorf("%s with %s: dies %v, error %v", verb, name, h.Export.BeforeRename != nil, err)
			}
		}
	}
}
