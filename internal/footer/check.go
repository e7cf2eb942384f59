package footer

import (
	"fmt"
	"strconv"

	"gx1replay/internal/run"
)

// EngineBuiltin is the engine whose counters obey the identities that Check
// demands.
const EngineBuiltin = "builtin"

// EngineExec is the engine that has the user's command replay a chunk; its
// counters are as the command gives them.
const EngineExec = "exec"

// Check says whether f may speak for a chunk of m's plan: it belongs to the
// run, its borders are the plan's, it claims no more bars than the chunk has,
// and its counters agree with one another. The error names field, value and
// what was expected.
func (f Footer) Check(m run.Manifest) error {
	switch {
	case f.Schema != Schema:
		return fmt.Errorf("footer: schema %d is unknown (want %d)", f.Schema, Schema)
	case f.RunID != string(m.RunID):
		return fmt.Errorf("footer: run_id %.70q (want %s)", f.RunID, m.RunID)
	case f.Incarnation != string(m.Incarnation):
		return fmt.Errorf("footer of chunk %d: %w (%.40q, want %q)", f.ChunkIdx, run.ErrOtherIncarnation, f.Incarnation, m.Incarnation)
	case f.ChunkIdx < 0 || f.ChunkIdx >= int64(m.Plan.Chunks):
		return fmt.Errorf("footer: chunk_idx %d (want 0 to %d)", f.ChunkIdx, m.Plan.Chunks-1)
	}
	if err := f.checkPlan(m.Plan.Chunk(int(f.ChunkIdx)).Bars); err != nil {
		return fmt.Errorf("footer of chunk %d: %w", f.ChunkIdx, err)
	}
	switch {
	case f.ChunksTotal != 0 && (f.ChunksTotal != int64(m.Plan.Chunks) || f.DataBars != m.Plan.Bars):
		return fmt.Errorf("footer of chunk %d: of a plan of %d bars in %d chunks (want %d in %d)", f.ChunkIdx, f.DataBars, f.ChunksTotal, m.Plan.Bars, m.Plan.Chunks)
	case f.Engine != m.Engine:
		return fmt.Errorf("footer of chunk %d: engine %.40q (want %s)", f.ChunkIdx, f.Engine, m.Engine)
	case !run.SameEngine(int(f.EngineVersion), m.EngineVersion):
		return fmt.Errorf("footer of chunk %d: engine_version %d (want %d)", f.ChunkIdx, f.EngineVersion, run.EngineOf(m.EngineVersion))
	}
	if err := f.checkCounters(m.PregateEnabled); err != nil {
		return fmt.Errorf("footer of chunk %d: %w", f.ChunkIdx, err)
	}
	return nil
}

func (f Footer) checkPlan(bars run.BarRange) error {
	if want := strconv.FormatInt(f.ChunkIdx, 10); f.ChunkID != want {
		return fmt.Errorf("chunk_id %.40q (want %q)", f.ChunkID, want)
	}
	if f.FirstBar != bars.First || f.EndBar != bars.End || f.PlannedBars != bars.Len() {
		return fmt.Errorf("bars [%d, %d), planned %d (the plan has [%d, %d))", f.FirstBar, f.EndBar, f.PlannedBars, bars.First, bars.End)
	}
	if f.BarsProcessed > f.PlannedBars {
		return fmt.Errorf("bars_processed %d (at most %d are planned)", f.BarsProcessed, f.PlannedBars)
	}
	switch f.Status {
	case StatusOK, StatusPartial, StatusStopped, StatusFailed:
	default:
		return fmt.Errorf("status %.40q is not one of an attempt", string(f.Status))
	}
	if f.Final != (f.Status == StatusOK) {
		return fmt.Errorf("final %v with status %s (only ok is final)", f.Final, f.Status)
	}
	if f.Attempt < 1 {
		return fmt.Errorf("attempt %d (want 1 or more)", f.Attempt)
	}
	return nil
}

// maxCount bounds every counter: it is exact as a JSON number, and sums of a
// few of them do not overflow.
const maxCount = 1 << 53

func (f Footer) checkCounters(gate bool) error {
	for d, p := range f.all() {
		switch p := p.(type) {
		case *int64:
			if *p < 0 || *p > maxCount {
				return fmt.Errorf("%s %d (want 0 to 2^53)", d.Name, *p)
			}
		case *float64:
			if *p < 0 && !d.Signed {
				return fmt.Errorf("%s %v is negative", d.Name, *p)
			}
		case *Counts:
			for name, n := range *p {
				if n < 0 || n > maxCount {
					return fmt.Errorf("%s: %.40q %d (want 0 to 2^53)", d.Name, name, n)
				}
			}
		}
	}
	for i, a := range f.Artifacts {
		if a.Bytes < 0 || a.Bytes > maxCount || a.Parts < 0 {
			return fmt.Errorf("artifacts[%d]: %d bytes in %d parts (want 0 or more)", i, a.Bytes, a.Parts)
		}
	}
	var last Checkpoint
	for i, c := range f.Checkpoints {
		for k := range c {
			if c[k] < last[k] {
				return fmt.Errorf("checkpoints[%d] %v falls below %v (they are cumulative)", i, c, last)
			}
		}
		last = c
	}
	if f.Engine != EngineBuiltin {
		return nil
	}
	return f.checkBuiltin(gate)
}

// checkBuiltin holds the identities of the built-in engine's counters.
func (f Footer) checkBuiltin(gate bool) error {
	if f.TotalBars != f.BarsProcessed {
		return fmt.Errorf("total_bars %d (want bars_processed, %d)", f.TotalBars, f.BarsProcessed)
	}
	if f.Final && f.BarsProcessed != f.PlannedBars {
		return fmt.Errorf("bars_processed %d of an ok footer (want planned_bars, %d)", f.BarsProcessed, f.PlannedBars)
	}
	gated := f.PregateSkips + f.PregatePasses
	switch {
	case !gate && gated > 0:
		return fmt.Errorf("pregate_skips %d and pregate_passes %d with the pregate off", f.PregateSkips, f.PregatePasses)
	case gate && gated+f.BarsSkippedWarmup != f.TotalBars:
		return fmt.Errorf("bars_skipped_warmup %d + pregate_skips %d + pregate_passes %d do not make total_bars %d",
			f.BarsSkippedWarmup, f.PregateSkips, f.PregatePasses, f.TotalBars)
	case f.BarsSkippedWarmup > f.TotalBars:
		return fmt.Errorf("bars_skipped_warmup %d (at most total_bars, %d)", f.BarsSkippedWarmup, f.TotalBars)
	case f.PregateMissingInputs > f.PregatePasses:
		return fmt.Errorf("pregate_missing_inputs %d (at most pregate_passes, %d)", f.PregateMissingInputs, f.PregatePasses)
	}
	if most := f.TotalBars - f.BarsSkippedWarmup - f.PregateSkips; f.NModelCalls > most {
		return fmt.Errorf("n_model_calls %d (at most %d bars passed)", f.NModelCalls, most)
	}
	var skips int64
	for _, n := range f.SkipReasons {
		skips += n
	}
	if skips != f.PregateSkips {
		return fmt.Errorf("skip_reasons add up to %d (want pregate_skips, %d)", skips, f.PregateSkips)
	}
	return nil
}
