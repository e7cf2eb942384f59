package coordinator

import (
	"context"
	"time"

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
	return k.bus.Artifact(ctx, run.Ref{ID: run.ID(f.RunID), Incarnation: run.Incarnation(f.Incarnation)}, int(f.ChunkIdx), f.Claim, first, a.Parts, a.Bytes)
}

const (
	// busPatience is what a selection waits in all for a bus that cannot be read
	// just now: more than a cluster takes to be whole after a link was mended.
	busPatience = time.Minute
	// busAgain is how often it is tried.
	busAgain = 250 * time.Millisecond
)

// patientSignals are signals that are asked for until a moment, while the bus
// cannot be read.
type patientSignals struct {
	from  export.Signals
	until time.Time
}

// patient takes half of ctx's time at most: a selection without some signals is
// better than none.
func patient(ctx context.Context, signals export.Signals) patientSignals {
	wait := busPatience
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	return patientSignals{signals, time.Now().Add(wait)}
}

// Signals reads the artifact that f lists at that place.
func (p patientSignals) Signals(ctx context.Context, f footer.Footer, at int) ([][]byte, error) {
	for {
		parts, err := p.from.Signals(ctx, f, at)
		if err == nil || !bus.Transient(err) || time.Now().After(p.until) || !pause(ctx, busAgain) {
			return parts, err
		}
	}
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
		sel.Kept = append(sel.Kept, patient(ctx, busSignals{b}))
	}
	return sel.Select(ctx, r, chunks)
}
