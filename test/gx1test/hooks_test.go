package main

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	h, err := hooks(env(), 1)
	if err != nil || h.OnBar != nil || h.Engine != nil || h.Hold != nil || h.Export.BeforeSync != nil {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestBadHooks(t *testing.T) {
	for name, value := range map[string]string{
		"GX1TEST_BARLOG": "/nowhere/at/all", "GX1TEST_BAR_SLEEP": "x", "GX1TEST_HOLD": "yes", "GX1TEST_NAN": "bars_processed",
	} {
		if _, err := hooks(env(name, value), 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: error %v, want one that names it", name, value, err)
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
	h, err := hooks(env("GX1TEST_BARLOG", dir), 42)
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

func (fakeEngine) Replay(_ context.Context, _ worker.Job, report func(footer.Footer)) (footer.Footer, error) {
	f := footer.Footer{PnlBps: 1, WallClockSec: 1}
	report(f)
	return f, errEngine
}

func TestNaN(t *testing.T) {
	h, err := hooks(env("GX1TEST_NAN", "pnl_bps,wall_clock_sec=-Inf"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for idx := range 3 {
		var seen []footer.Footer
		last, err := h.Engine(fakeEngine{}).Replay(t.Context(), worker.Job{Chunk: plan.Chunk{Idx: idx}}, func(f footer.Footer) { seen = append(seen, f) })
		if err != errEngine || len(seen) != 1 {
			t.Fatalf("chunk %d: %d reports, error %v", idx, len(seen), err)
		}
		for _, f := range append(seen, last) {
			if idx%2 == 0 && (!math.IsNaN(f.PnlBps) || f.WallClockSec != 1) || idx%2 == 1 && (f.PnlBps != 1 || !math.IsInf(f.WallClockSec, -1)) {
				t.Errorf("chunk %d: pnl_bps %v, wall_clock_sec %v", idx, f.PnlBps, f.WallClockSec)
			}
		}
	}
}
