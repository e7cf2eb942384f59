package coordinator

import (
	"context"

	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// busSignals are the signals that workers have stored on a bus.
type busSignals struct{ bus *bus.Bus }

// Signals reads the artifact that f lists at that place.
func (k busSignals) Signals(ctx context.Context, f footer.Footer, at int) ([][]byte, error) {
	first := 0
	for _, a := range f.Artifacts[:at] {
		first += a.Parts
	}
	a := f.Artifacts[at]
	return k.bus.Artifact(ctx, run.ID(f.RunID), int(f.ChunkIdx), f.Claim, first, a.Parts, a.Bytes)
}

// selectTrades selects the trades of the run for its last export: from the
// files of local workers, and from the bus for those of other hosts.
func (s *Session) selectTrades(ctx context.Context, r perf.Report, chunks []perf.Chunk) (perf.Selection, error) {
	sel := export.Selector{
		Target: s.target, Policy: s.cfg.Policy, Config: s.cfg.Export, Logger: s.cfg.Logger,
		Kept: []export.Signals{export.AttemptFiles{Roots: []string{s.target.WorkDir()}}},
	}
	if list := s.bars.Load(); list != nil {
		sel.Bars = export.MemoryBars(*list)
	}
	if b := s.bus.Load(); b != nil {
		sel.Kept = append(sel.Kept, busSignals{b})
	}
	return sel.Select(ctx, r, chunks)
}
