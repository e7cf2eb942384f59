package selection_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gx1replay/internal/perf"
	"gx1replay/internal/replay"
	"gx1replay/internal/trade"
)

const chargedPolicy = tradedPolicy + "costs: {commission_bps: 0.3, swap_long_bps_per_night: 1, swap_short_bps_per_night: -0.5, triple_swap_weekday: wednesday}\n"

// What trades were charged does not depend on the cut, and the total after
// costs is there if every row is.
func TestSelectChargesTheSameForAnyCut(t *testing.T) {
	one := newRun(t, 1, whole, chargedPolicy, false)
	want := one.selected(one.selector())
	if want.NetPnlBps == nil || *want.NetPnlBps >= want.TotalPnlBps {
		t.Fatalf("net %v of %v", want.NetPnlBps, want.TotalPnlBps)
	}
	for _, n := range []int{2, 60} {
		w := newRun(t, n, whole, chargedPolicy, false)
		got := w.selected(w.selector())
		if got.NetPnlBps == nil || *got.NetPnlBps != *want.NetPnlBps || got.Trades.SHA256 != want.Trades.SHA256 {
			t.Errorf("%d chunks: net %v, %+v (want %v, %+v)", n, got.NetPnlBps, got.Trades, *want.NetPnlBps, want.Trades)
		}
		if !bytes.Equal(w.file(w.files().Metrics()), one.file(one.files().Metrics())) {
			t.Errorf("%d chunks: other metrics", n)
		}
	}
	w := newRun(t, 6, whole, chargedPolicy, false)
	if err := os.Remove(filepath.Join(w.attempt(2), trade.ArtifactName)); err != nil {
		t.Fatal(err)
	}
	w.report.Selection = w.selected(w.selector())
	if sel := w.report.Selection; sel.Trades.WithoutRows == 0 || sel.NetPnlBps != nil {
		t.Errorf("%d trades without rows, net %v (want none)", sel.Trades.WithoutRows, sel.NetPnlBps)
	}
	b := appended(t, w.report, w.chunks)
	if _, err := perf.ParseVerified(b); err != nil || bytes.Contains(b, []byte("total_net_pnl_bps")) {
		t.Errorf("the total after costs stands in the file, though some are not known: %v", err)
	}
	if plain := newTraded(t, 2, whole); plain.selected(plain.selector()).NetPnlBps != nil {
		t.Error("a policy without costs has a pnl after costs")
	}
}

// Signals of an engine of another version are not followed on by this one's
// rules.
func TestSelectOfAnotherEngineVersion(t *testing.T) {
	for version, exact := range map[int]bool{0: true, replay.Version: true, replay.Version + 1: false} {
		w := newTraded(t, 7, whole)
		w.report.EngineVersion = version
		if sel := w.selected(w.selector()); sel.Exact != exact || sel.Scope != perf.ScopeRun {
			t.Errorf("engine version %d: exact %v, scope %s (want %v)", version, sel.Exact, sel.Scope, exact)
		}
	}
}
