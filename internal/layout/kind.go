package layout

import (
	"strings"

	"gx1replay/internal/run"
)

// Kind is what a file with a run_id in its name holds.
type Kind string

// The kinds. Their order in kinds is that in which a name is parsed.
const (
	Stub          Kind = "stub"
	Perf          Kind = "perf"
	TradesCSV     Kind = "trades"
	TradesParquet Kind = "trades as parquet"
	Signals       Kind = "signals"
	Decisions     Kind = "decisions"
	Metrics       Kind = "metrics"
	Attribution   Kind = "attribution"
	Summary       Kind = "summary"
	Curve         Kind = "equity curve"
)

// kinds is the one list of names of files that hold a run_id.
var kinds = []struct {
	kind           Kind
	prefix, suffix string
}{
	{Stub, "perf_", run.StubSuffix + ".json"}, // before Perf: no new run_id ends so
	{Perf, "perf_", ".json"},
	{TradesCSV, "trades_", ".csv"},
	{TradesParquet, "trades_", ".parquet"},
	{Signals, "signals_", ".parquet"},
	{Decisions, "decisions_", ".parquet"},
	{Metrics, "metrics_", ".json"},
	{Attribution, "attribution_", ".json"},
	{Summary, "summary_", ".md"},
	{Curve, "equity_", ".svg"},
}

// Name is the name of run id's file of that kind.
func (k Kind) Name(id run.ID) string {
	for _, l := range kinds {
		if l.kind == k {
			return l.prefix + string(id) + l.suffix
		}
	}
	panic("no kind of file: " + string(k))
}

// Parse takes a file's name, without directories, apart into the run and the
// kind that Name made it of.
func Parse(name string) (id run.ID, k Kind, ok bool) {
	for _, l := range kinds {
		text, isPrefix := strings.CutPrefix(name, l.prefix)
		text, isSuffix := strings.CutSuffix(text, l.suffix)
		if !isPrefix || !isSuffix {
			continue
		}
		if id, err := run.ParseID(text); err == nil {
			return id, l.kind, true
		}
	}
	return "", "", false
}
