package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// ReadRun reads a run's manifest and what is known of its chunks from its bus.
// A coordinator's key reads what the streams' leaders have. Any other key reads
// straight from the streams, which on a cluster may miss the last moments. If
// the run is exported and footers of it are cleaned, the error is an *Exported,
// and the manifest is there.
func ReadRun(ctx context.Context, b *bus.Bus, id run.ID, log *slog.Logger) (run.Manifest, []perf.Chunk, error) {
	m, _, err := b.Manifest(ctx, id)
	if err != nil {
		return m, nil, err
	}
	read := readBoard
	if unsuitable := (*bus.UnsuitableError)(nil); errors.As(b.Require(ctx, access.Coordinator), &unsuitable) {
		read = readDirect
	}
	board, err := read(ctx, b, m, log)
	if err != nil {
		return m, nil, fmt.Errorf("reading run %s from its bus: %w", id, err)
	}
	chunks, _ := board.snapshot()
	if m, _, err = b.Manifest(ctx, id); err != nil { // it may have ended meanwhile
		return m, nil, err
	}
	if m.State == run.StateExported && slices.ContainsFunc(chunks, func(c perf.Chunk) bool { return c.Line.IsZero() }) {
		e := exportedBy(m)
		return m, nil, &e
	}
	return m, chunks, nil
}

// readDirect is readBoard for a user who may not make consumers.
func readDirect(ctx context.Context, b *bus.Bus, m run.Manifest, log *slog.Logger) (*board, error) {
	board := newBoard(m, false, nil)
	if err := b.Read(ctx, m, board); err != nil {
		return nil, err
	}
	l := &Life{Bus: b, Manifest: m, Logger: log, board: board}
	return board, l.prove(ctx)
}

// Artifacts reads what workers have stored on b beside their footers.
func Artifacts(b *bus.Bus) selection.ArtifactReader { return busArtifacts{b} }
