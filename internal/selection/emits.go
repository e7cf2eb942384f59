package selection

import (
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Emits is what the chunks of r's run leave: run.EmitsTrades, or signals that
// can be followed on by the policy's rules (run.EmitsScores, the built-in
// engine's too) or not (run.EmitsSignals). Empty: of no engine that is known.
//
// A coordinator whose workers bring the command knows its identity alone. What
// the chunks have left tells the rest; whose rules signals go by it does not,
// so then nobody follows them on.
func Emits(r perf.Report, chunks []perf.Chunk) string {
	switch {
	case r.Env.Engine == footer.EngineBuiltin:
		return run.EmitsScores
	case r.Env.Engine != footer.EngineExec:
		return ""
	case !r.Command.IsZero():
		return r.Command.Emits
	}
	signals := func(c perf.Chunk) bool {
		return slices.ContainsFunc(c.Line.Footer().Artifacts, func(a footer.Artifact) bool { return a.Name == trade.ArtifactName })
	}
	if slices.ContainsFunc(chunks, signals) {
		return run.EmitsSignals
	}
	return run.EmitsTrades
}
