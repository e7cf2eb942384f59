package compare_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// smallOff is a complete run of two bars with the gate off, as small as a file
// can be: the fuzzer spends its time on making large seeds smaller.
const smallOff = `{"run_id":"r","timestamp":"","schema_version":"perf_v1","schema":1,"outcome":"complete","export_mode":"","export_partial":false,` +
	`"export_seq":1,"coverage":{"planned_bars":2,"replayed_bars":2,"missing_bars":0,"by_status":{"ok":{"chunks":1,"planned_bars":2,"replayed_bars":2}}},` +
	`"chunks_completed":1,"chunks_total":1,"total_wall_clock_sec":0,"total_bars":2,"total_model_calls":2,"total_trades":1,"total_pnl_bps":0,` +
	`"trades_open":0,"pregate_enabled":false,"stop":{},"selection":{"scope":"run","stretches":1},"data":{"sha256":"d"},"policy":{"sha256_without_gate":"p"},` +
	`"env_info":{"engine":"e"},"chunks_statuses":{"0":"ok"},"chunks":[{"run_id":"r","chunk_id":"0","status":"ok","final":true,"engine":"e","attempt":1,` +
	`"n_model_calls":2,"n_trades_closed":1,"wall_clock_sec":8,"t_feature_build_total_sec":1,"bars_processed":2,"total_bars":2,"planned_bars":2,"end_bar":2,` +
	`"chunk_local":{"n_trades_closed":1,"pnl_bps":0,"trades_open":0,"open_pnl_bps":0,"drop_reasons":{}}}]}`

// smallOn is its other half, which keeps every threshold but for the skips.
func smallOn() string {
	return strings.NewReplacer(
		`"pregate_enabled":false`, `"pregate_enabled":true`, `"wall_clock_sec":8`, `"wall_clock_sec":1,"pregate_skips":1`,
		`"n_model_calls":2`, `"n_model_calls":1`, `"total_model_calls":2`, `"total_model_calls":1`,
		`"t_feature_build_total_sec":1`, `"t_feature_build_total_sec":0.25`,
	).Replace(smallOff)
}

// The seeds are judged, or the fuzzer begins in the dark.
func TestSeeds(t *testing.T) {
	l := compare.DefaultLimits()
	l.MinSkipPercent = 50
	if r := compare.Judge(compare.Read("off", []byte(smallOff)), compare.Read("on", []byte(smallOn())), l); r.Verdict != compare.Pass {
		t.Errorf("%s: %+v", r.Verdict, r.Problems)
	}
}

// Whatever a file holds, there is a verdict and both reports, and it is no
// pass with a file that perf does not verify or a run that is not complete.
func FuzzRead(f *testing.F) {
	for _, text := range []string{smallOff, smallOn(), `{"status":"export_failed","export_error":"e"}`, `{}`, ``} {
		f.Add([]byte(text))
	}
	l := compare.DefaultLimits()
	l.MinSkipPercent = 50
	off, on := compare.Read("off", []byte(smallOff)), compare.Read("on", []byte(smallOn()))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := compare.Read("x.json", b)
		if verified := perf.Verify(b) == nil; verified != (s.Err == nil) {
			t.Errorf("perf verifies it: %v, Read says %v", verified, s.Err)
		}
		for _, r := range []compare.Result{compare.Judge(s, on, l), compare.Judge(off, s, l)} {
			if s.Err != nil && r.Verdict != compare.CannotCompare || r.Verdict == compare.Pass && s.File.Totals.Outcome != perf.OutcomeComplete {
				t.Errorf("%s with %v, outcome %s", r.Verdict, s.Err, s.File.Totals.Outcome)
			}
			checkReports(t, r)
		}
	})
}

// Whatever a chunk says of itself, a pass is one that these few lines, which
// know the rules but not the code, see too.
func FuzzJudge(f *testing.F) {
	f.Add(1.0, 0.25, int64(1), int64(1), int64(1), "")
	f.Add(1.0, 0.25, int64(2), int64(1), int64(1), "")
	f.Add(0.0, math.NaN(), int64(-1), int64(0), int64(1<<60), "pregate_skips")
	f.Add(math.Inf(1), 0.25, int64(2), int64(1), int64(1), "n_model_calls")
	off := compare.Read("off", []byte(smallOff))
	f.Fuzz(func(t *testing.T, wall, feature float64, skips, calls, trades int64, unreported string) {
		on := compare.Read("on", []byte(smallOn()))
		ft := on.File.Chunks[0].Line.Footer()
		ft.Status, ft.WallClockSec, ft.TFeatureBuildSec = footer.StatusOK, wall, feature
		ft.PregateSkips, ft.NModelCalls, ft.NTradesClosed = skips, calls, trades
		ft.Unreported = []string{unreported}
		line, err := perf.EncodeChunk(ft)
		if err != nil {
			return
		}
		on.File.Chunks[0].Line = line
		sel := perf.NewSelection(on.File.Chunks)
		sel.Scope, sel.Chunks[0] = perf.ScopeRun, perf.ChunkTrades{Known: true, Closed: trades}
		on.File.Report.Selection = sel
		r := compare.Judge(off, on, compare.DefaultLimits())
		named := false
		for _, name := range strings.Fields("wall_clock_sec t_feature_build_total_sec pregate_skips n_model_calls n_trades_closed bars_processed") {
			named = named || name == unreported
		}
		wallOK := wall > 0 && wall <= 8.0/3 && !math.IsInf(2/wall, 0) && !math.IsInf(16/(2*wall), 0)
		want := !named && wallOK && feature >= 0 && feature <= 0.30 && skips == 2 && calls >= 0 && calls <= 2 && trades == 1
		if got := r.Verdict == compare.Pass; got != want && !near(wall, 8.0/3) && !near(feature, 0.30) {
			t.Errorf("%s (a pass is expected: %v): %+v", r.Verdict, want, r.Problems)
		}
		checkReports(t, r)
	})
}

// near is as close to a threshold as rounding may decide.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func checkReports(t *testing.T, r compare.Result) {
	t.Helper()
	if b, err := r.JSON(); err != nil || !json.Valid(b) {
		t.Errorf("JSON: %v: %s", err, b)
	}
	if md := r.Markdown(); !strings.HasPrefix(string(md), "# ") {
		t.Errorf("Markdown: %s", md)
	}
}
