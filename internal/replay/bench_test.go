package replay

import (
	"context"
	"testing"

	"gx1replay/internal/footer"
)

// BenchmarkRun says bars/s and, as allocs/bar, what a bar costs in
// allocations beyond those of a run and of its signals.
func BenchmarkRun(b *testing.B) {
	const n = 200_000
	data := testBars(n, 1)
	sparse := testPolicy()
	sparse.Entry.PSideMin.Long, sparse.Entry.PSideMin.Short = 0.7, 0.7
	full := sparse
	full.Features = append([]string{}, full.Features...)
	full.Features = append(full.Features, "atr14", "spread_bps", "roc100", "ema20_slope", "ema100_slope", "pos_vs_ema200")
	full.Pregate.Enabled = false
	open := sparse
	open.Pregate.Enabled = false
	for _, c := range []struct {
		name string
		p    func() Job
	}{
		{"6features-gate", func() Job { j := testJob(n); j.Policy = sparse; return j }},
		{"6features-nogate", func() Job { j := testJob(n); j.Policy = open; return j }},
		{"12features-nogate", func() Job { j := testJob(n); j.Policy = full; return j }},
		{"dense-gate", func() Job { return testJob(n) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			job := c.p()
			var res Result
			for b.Loop() {
				var err error
				res, err = Run(context.Background(), job, &memory{bars: data}, func(footer.Footer) {})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mbars/s")
			f := res.Footer
			b.Logf("signals %d, passes %d, feature %.3f pregate %.3f model %.3f policy %.3f io %.3f of wall %.3f, reasons %v",
				f.NSignals, f.PregatePasses, f.TFeatureBuildSec, f.TPregateTotalSec, f.TModelTotalSec, f.TPolicyTotalSec, f.TIOTotalSec, f.WallClockSec, f.SkipReasons)
		})
	}
}
