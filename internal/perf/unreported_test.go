package perf_test

import (
	"slices"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// A total to which one chunk contributes nothing, because it does not report the
// field, is named at the top level.
func TestTotalsUnreported(t *testing.T) {
	all := []string{"n_model_calls", "n_trades_closed", "pnl_bps", "trades_open"}
	for name, c := range map[string]struct {
		change func(f *footer.Footer)
		want   []string
	}{
		"all is reported":               {func(*footer.Footer) {}, nil},
		"other fields":                  {func(f *footer.Footer) { f.Unreported = []string{"t_io_total_sec"} }, nil},
		"pnl":                           {func(f *footer.Footer) { f.PnlBps, f.Unreported = 0, []string{"pnl_bps"} }, []string{"total_pnl_bps"}},
		"pnl, and no trades":            {func(f *footer.Footer) { f.PnlBps, f.NTradesClosed, f.Unreported = 0, 0, []string{"pnl_bps"} }, nil},
		"nothing":                       {func(f *footer.Footer) { f.Unreported = all }, []string{"total_model_calls", "total_trades", "total_pnl_bps", "trades_open"}},
		"nothing of what was no replay": {func(f *footer.Footer) { f.BarsProcessed, f.TotalBars, f.Unreported = 0, 0, all }, nil},
	} {
		r, chunks := execReport(2, run.EmitsTrades), []perf.Chunk{aChunk(t, 0, chunkBars, footer.StatusOK), aChunk(t, 1, chunkBars, footer.StatusOK)}
		f := aFooter(1, chunkBars, 1, chunkBars)
		f.Engine, f.NSignals, f.DropReasons = footer.EngineExec, 0, nil
		c.change(&f)
		chunks[1].Line = encode(t, f)
		got := r.Count(chunks).Unreported
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q (want %q)", name, got, c.want)
		}
		b, err := perf.Append(nil, r, chunks)
		if err != nil {
			t.Fatal(err)
		}
		file, err := perf.ParseVerified(b)
		if err != nil || !slices.Equal(file.Totals.Unreported, c.want) {
			t.Errorf("%s: read back as %q, %v", name, file.Totals.Unreported, err)
		}
		if has := strings.Contains(string(b), `"totals_unreported"`); has != (c.want != nil) {
			t.Errorf("%s: the field is there: %v", name, has)
		}
		if c.want == nil {
			continue
		}
		forged := strings.Replace(string(b), `"`+c.want[0]+`"`+"\n  ]", `"total_bars"`+"\n  ]", 1)
		if len(c.want) == 1 {
			if _, err := perf.ParseVerified([]byte(forged)); err == nil || !strings.Contains(err.Error(), "totals_unreported") {
				t.Errorf("%s: another list is verified: %v", name, err)
			}
		}
	}
}
