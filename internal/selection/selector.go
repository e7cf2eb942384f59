package selection

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Bars gives the bars of the data set, in order and each once.
type Bars interface {
	Bars(ctx context.Context, r run.BarRange) iter.Seq2[bars.Bar, error]
}

// Selector selects the trades of a run from the signals of its chunks, in
// order of time, whenever a last export is written, and writes the files about
// them. It decides by bars, signals and the policy alone, so whoever selects
// from the same ones finds the same trades. Where a command makes trades by
// itself it joins them instead.
type Selector struct {
	Files layout.Run
	// Policy returns the run's. It is not called for a command's own trades.
	Policy func() (policy.Policy, error)
	// Artifacts are asked one after the other for the artifacts of a chunk.
	Artifacts []ArtifactReader
	// Bars are those that signals are followed on with which a worker has left
	// open at the end of follow_bars. Nil: such signals stay open, and the
	// selection is not exact.
	Bars Bars
	// NoFiles: nothing is written; the selection names no trades file.
	NoFiles bool
	// NoSignals: no file of signals is written.
	NoSignals bool
	// Replace writes a file: aside, synced and renamed. Not needed with NoFiles.
	Replace func(path string, write func(io.Writer) error) error
	Logger  *slog.Logger
}

// Select selects the trades of the run of r, whose chunks are merged with what
// its file holds. Signals that cannot be read, or are not what their footer
// says, leave their chunk's counts as they are, as trades without rows; that
// is logged. Files that cannot be written are logged as well and are not named.
// Without a plan or data set there is no selection, and no error. An error is
// ctx's, or one of the policy.
func (s *Selector) Select(ctx context.Context, r perf.Report, chunks []perf.Chunk) (sel perf.Selection, err error) {
	emits := emitted(r, chunks)
	switch {
	case len(chunks) == 0 || r.Data.Bars == 0 || emits == "":
		return perf.Selection{}, nil
	case emits == run.EmitsTrades:
		sel, err = s.joinTrades(ctx, r, chunks)
	default:
		sel, err = s.selectSignals(ctx, r, chunks, emits == run.EmitsSignals)
	}
	if err != nil {
		return perf.Selection{}, fmt.Errorf("selecting the trades of run %s: %w", s.Files.RunID, err)
	}
	return sel, nil
}

// emitted is what the chunks of r's run leave: run.EmitsTrades, or signals that
// can be followed on by the policy's rules (run.EmitsScores, the built-in
// engine's too) or not (run.EmitsSignals). Empty: of no engine that is known.
//
// A coordinator whose workers bring the command knows its identity alone. What
// the chunks have left tells the rest; whose rules signals go by it does not,
// so then nobody follows them on.
func emitted(r perf.Report, chunks []perf.Chunk) string {
	switch {
	case r.Env.Engine == footer.EngineBuiltin:
		return run.EmitsScores
	case r.Env.Engine != footer.EngineExec:
		return ""
	case !r.Command.IsZero():
		return r.Command.Emits
	case HasSignals(chunks):
		return run.EmitsSignals
	}
	return run.EmitsTrades
}

// HasSignals reports whether some of chunks have left signals to select trades
// from.
func HasSignals(chunks []perf.Chunk) bool {
	return slices.ContainsFunc(chunks, func(c perf.Chunk) bool { return lists(c, trade.ArtifactName) >= 0 })
}

// lists is the index of the artifact of that name which the footer of c lists;
// below 0: it lists none.
func lists(c perf.Chunk, name string) int {
	return slices.IndexFunc(c.Line.Footer().Artifacts, func(a footer.Artifact) bool { return a.Name == name })
}
