package coordinator

import (
	"context"
	"fmt"
	"log/slog"

	"gx1replay/internal/bus"
	"gx1replay/internal/export"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// ReadRun reads a run's manifest and what is known of its chunks from its bus.
func ReadRun(ctx context.Context, b *bus.Bus, id run.ID, log *slog.Logger) (run.Manifest, []perf.Chunk, error) {
	m, _, err := b.Manifest(ctx, id)
	if err != nil {
		return m, nil, err
	}
	board, err := readBoard(ctx, b, m, log)
	if err != nil {
		return m, nil, fmt.Errorf("reading run %s from its bus: %w", id, err)
	}
	chunks, _ := board.snapshot()
	return m, chunks, nil
}

// Artifacts reads what workers have stored on b beside their footers.
func Artifacts(b *bus.Bus) export.Signals { return busSignals{b} }
