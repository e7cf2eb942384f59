package execengine

import (
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// beforePeriod is how many of the chunk's bars come before the run's period.
// They are the command's warm-up, not its own bars. Scores are given for them,
// too: there the gate and the entries are ours, and leave them out.
func beforePeriod(m run.Manifest, chunk run.BarRange) int64 {
	if m.Command.Emits == run.EmitsScores {
		return 0
	}
	return min(max(m.Data.BeforeBars-chunk.First, 0), chunk.Len())
}

// countBefore adds the n bars before the period to the footer of a command that
// was not asked for them. They count from its first own bar on, as bars count in
// order.
func countBefore(f *footer.Footer, n int64) {
	if n == 0 || f.BarsProcessed == 0 {
		return
	}
	f.BarsProcessed += n
	f.TotalBars += n
	f.BarsSkippedWarmup = min(f.BarsSkippedWarmup, f.BarsProcessed-n) + n
	f.Checkpoints = slices.Clone(f.Checkpoints)
	for i := range f.Checkpoints {
		f.Checkpoints[i][0] += n
	}
}

// allBefore is the footer of a chunk of n bars that all come before the period:
// there is nothing to replay, and it takes no time.
func allBefore(n int64) footer.Footer {
	return footer.Footer{BarsProcessed: n, TotalBars: n, BarsSkippedWarmup: n, Phase: footer.PhaseReplay}
}
