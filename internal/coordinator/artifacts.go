package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// busArtifacts reads what workers have stored on a bus beside their footers.
type busArtifacts struct{ bus *bus.Bus }

// ReadArtifact reads the artifact that f lists at that place.
func (b busArtifacts) ReadArtifact(ctx context.Context, f footer.Footer, at int) ([][]byte, error) {
	first := 0
	for _, a := range f.Artifacts[:at] {
		first += a.Parts
	}
	a := f.Artifacts[at]
	parts, err := b.bus.Artifact(ctx, run.Ref{ID: run.ID(f.RunID), Incarnation: run.Incarnation(f.Incarnation)}, int(f.ChunkIdx), f.Claim, first, a.Parts, a.Bytes)
	if err != nil && bus.Transient(err) {
		return nil, fmt.Errorf("%w: %w", selection.ErrNotNow, err)
	}
	return parts, err
}

// sessionArtifacts is busArtifacts of the session's bus, once it is connected.
type sessionArtifacts struct{ bus *atomic.Pointer[bus.Bus] }

func (s sessionArtifacts) ReadArtifact(ctx context.Context, f footer.Footer, at int) ([][]byte, error) {
	b := s.bus.Load()
	if b == nil {
		return nil, errors.New("the run is not connected to its bus")
	}
	return busArtifacts{b}.ReadArtifact(ctx, f, at)
}

// sessionBars are the bars of the session's data set, once it is read.
type sessionBars struct{ list *atomic.Pointer[[]bars.Bar] }

func (s sessionBars) Bars(ctx context.Context, r run.BarRange) iter.Seq2[bars.Bar, error] {
	list := s.list.Load()
	if list == nil {
		return func(yield func(bars.Bar, error) bool) { yield(bars.Bar{}, errors.New("the data set is not read")) }
	}
	return export.MemoryBars(*list).Bars(ctx, r)
}

// selector selects the trades of the run for its last export: from the files of
// local workers, and from the bus those of other hosts.
func (s *Session) selector() *selection.Selector {
	return &selection.Selector{
		Files: s.target, Policy: func() (policy.Policy, error) { return s.cfg.Policy, nil }, Bars: sessionBars{&s.bars},
		Artifacts: []selection.ArtifactReader{export.AttemptFiles{Roots: []string{s.target.WorkDir()}}, sessionArtifacts{&s.bus}},
		Replace:   s.cfg.Export.Replacer(s.target.RunID), Logger: s.cfg.Logger,
		NoSignals: s.cfg.NoSignals,
	}
}
