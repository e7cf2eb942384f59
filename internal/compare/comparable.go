package compare

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// compareRuns says what keeps two runs from being compared, and what a reader
// should know besides.
func (r *Result) compareRuns(off, on perf.File, a, b sample) {
	r.compareGates(off.Report, on.Report, a)
	r.compareOne("OFF", off)
	r.compareOne("ON", on)
	r.compareInputs(off.Report, on.Report)
	r.compareEngines(off, on)
	r.compareTrades(off, on)
	r.Notes = append(r.Notes, machines(off, on, "OFF", "ON")...)
}

// lonely says of the one file that could be read what is wrong with it, so
// that both are mended at once.
func (r *Result) lonely(off, on Side) {
	if off.Err == nil {
		r.compareOne("OFF", off.File)
	}
	if on.Err == nil {
		r.compareOne("ON", on.File)
	}
}

func (r *Result) compareGates(off, on perf.Report, a sample) {
	switch {
	case off.PregateEnabled && !on.PregateEnabled:
		r.problem("the files are exchanged: the gate is on in OFF and off in ON")
	case off.PregateEnabled:
		r.problem("OFF was replayed with its gate on (pregate_enabled is true)")
	case !on.PregateEnabled:
		r.problem("ON was replayed with its gate off (pregate_enabled is false)")
	case a.skips.known && a.skips.value > 0:
		r.problem(fmt.Sprintf("OFF contradicts itself: its gate is off, and pregate_skips add up to %v", a.skips.value))
	case !a.skips.known:
		r.Notes = append(r.Notes, a.skips.why+"; its gate is off, so nothing is judged by that")
	}
}

// compareOne says what is wrong with one run alone.
func (r *Result) compareOne(side string, f perf.File) {
	if t := f.Totals; t.Outcome != perf.OutcomeComplete {
		r.problem(side + " is not complete: " + incomplete(f))
	}
	if f.Report.Data.SHA256 == "" {
		r.problem(side + " does not name its data (data.sha256 is empty)")
	}
	if f.Report.Policy.SHA256WithoutGate == "" {
		r.problem(side + " does not name its policy (policy.sha256_without_gate is empty)")
	}
	engine := f.Report.Env.Engine
	if engine == "" {
		r.problem(side + " does not name its engine (env_info.engine is empty)")
	}
	for _, c := range f.Chunks {
		if c.Line.IsZero() {
			continue
		}
		ft := c.Line.Footer()
		if ft.Engine != engine {
			r.problem(fmt.Sprintf("%s mixes engines: env_info.engine is %q, that of chunk %d is %q", side, engine, c.Idx, ft.Engine))
			break
		}
	}
	for _, c := range f.Chunks {
		if ft := c.Line.Footer(); f.Report.PregateEnabled && ft.PregateSkips > ft.BarsProcessed {
			r.problem(fmt.Sprintf("%s: pregate_skips of chunk %d is %d (at most bars_processed, %d)", side, c.Idx, ft.PregateSkips, ft.BarsProcessed), SkipPercent)
			break
		}
	}
	if n := f.Report.Selection.Trades.WithoutRows; n > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: the rows of %d trades that it counts were lost (trades.without_rows)", side, n))
	}
}

// incomplete tells how far a run came.
func incomplete(f perf.File) string {
	t := f.Totals
	text := string(t.Outcome)
	if s := f.Report.Stop.Source; s != "" {
		text += " by " + string(s)
	}
	text += fmt.Sprintf(", %d of %d bars, %d of %d chunks ok", t.Coverage.ReplayedBars, t.Coverage.PlannedBars, t.ChunksCompleted, t.ChunksTotal)
	var others []string
	for _, s := range slices.Sorted(maps.Keys(t.Coverage.ByStatus)) {
		if s != footer.StatusOK {
			others = append(others, fmt.Sprintf("%d %s", t.Coverage.ByStatus[s].Chunks, s))
		}
	}
	if len(others) > 0 {
		text += " (" + strings.Join(others, ", ") + ")"
	}
	if f.Report.Partial {
		text += "; some workers had not sent their final report (export_partial)"
	}
	return text
}

// compareInputs holds what goes into a replay. An input that one side does not
// name is that side's problem.
func (r *Result) compareInputs(off, on perf.Report) {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(off.Data.SHA256, on.Data.SHA256) {
		r.problem(fmt.Sprintf("the data differ: data.sha256 is %s (%d bars of %q) in OFF, %s (%d bars of %q) in ON",
			digest(off.Data.SHA256), off.Data.Bars, off.Data.Source, digest(on.Data.SHA256), on.Data.Bars, on.Data.Source))
	}
	if a, b := off.Data.BeforeBars, on.Data.BeforeBars; a != b {
		r.problem(fmt.Sprintf("the periods differ: data.before_bars is %d in OFF, %d in ON", a, b))
	}
	if differ(off.Policy.SHA256WithoutGate, on.Policy.SHA256WithoutGate) {
		r.problem(fmt.Sprintf("the policies differ in more than the gate: policy.sha256_without_gate is %s (%q) in OFF, %s (%q) in ON",
			digest(off.Policy.SHA256WithoutGate), off.Policy.Name, digest(on.Policy.SHA256WithoutGate), on.Policy.Name))
	}
	// Model files and a command are not part of the policy's digests.
	if a, b := off.Model, on.Model; a.Kind != b.Kind || a.Latency != b.Latency || !maps.Equal(a.Digests, b.Digests) {
		r.problem(fmt.Sprintf("the models differ: %s in OFF, %s in ON", model(a), model(b)))
	}
	if list := off.Command.Differences(on.Command); len(list) > 0 {
		r.problem("the commands differ, OFF's first: " + strings.Join(list, "; "))
	}
	if off.Fill != on.Fill {
		r.problem(fmt.Sprintf("trades are filled differently: fill is %q in OFF, %q in ON", off.Fill, on.Fill))
	}
}

func model(m perf.Model) string {
	text := fmt.Sprintf("%q with latency %v", m.Kind, m.Latency)
	for _, name := range slices.Sorted(maps.Keys(m.Digests)) {
		text += fmt.Sprintf(", %q %s", name, digest(m.Digests[name]))
	}
	return text
}

// digest is as much of a digest as a person compares.
func digest(s string) string {
	const enough = 12
	if len(s) > enough {
		return fmt.Sprintf("%q…", s[:enough])
	}
	return fmt.Sprintf("%q", s)
}

// compareEngines: another build is another engine, since a change of the
// program would be taken for the gate's work.
func (r *Result) compareEngines(off, on perf.File) {
	a, b := off.Report.Env, on.Report.Env
	if a.Engine != "" && b.Engine != "" && a.Engine != b.Engine {
		r.problem(fmt.Sprintf("the engines differ: env_info.engine is %q in OFF, %q in ON", a.Engine, b.Engine))
	}
	if x, y := off.Report.EngineVersion, on.Report.EngineVersion; !run.SameEngine(x, y) {
		r.problem(fmt.Sprintf("the engines differ: engine_version is %d in OFF, %d in ON, so results may differ for that reason alone", run.EngineOf(x), run.EngineOf(y)))
		return
	}
	// Files of before builds were listed have none.
	if x, y := off.Report.WorkerBuilds, on.Report.WorkerBuilds; len(x) > 0 && len(y) > 0 && !slices.Equal(x, y) {
		r.problem(fmt.Sprintf("the workers were of other builds of the program: env_info.worker_builds is %q in OFF, %q in ON", x, y))
		return
	}
	if a.ModuleVersion != b.ModuleVersion || a.GitCommit != b.GitCommit {
		r.problem(fmt.Sprintf("the runs are of two builds of the program: %q, commit %q in OFF, %q, commit %q in ON",
			a.ModuleVersion, a.GitCommit, b.ModuleVersion, b.GitCommit))
		return
	}
	if !isRevision(a.GitCommit) {
		r.Notes = append(r.Notes, fmt.Sprintf("whether both runs are of one build is not known: git_commit is %q in both", a.GitCommit))
	}
}

// isRevision reports whether s names one state of the sources: the commit of a
// build from changed sources, or of one that does not know, is no such name.
func isRevision(s string) bool {
	return len(s) >= 7 && strings.Trim(s, "0123456789abcdef") == ""
}

// compareTrades: unless borders are exact, trades depend on where the data was
// cut.
func (r *Result) compareTrades(off, on perf.File) {
	a, b := off.Report.Selection, on.Report.Selection
	if a.Exact != b.Exact || a.ScopeName() != b.ScopeName() {
		r.problem(fmt.Sprintf("trades were selected differently: selection.scope is %q with borders_exact %v in OFF, %q with %v in ON",
			a.ScopeName(), a.Exact, b.ScopeName(), b.Exact), TradesDiff)
		return
	}
	if !sameCut(off.Chunks, on.Chunks) {
		what := fmt.Sprintf("the data was cut differently: %d chunks in OFF, %d in ON", len(off.Chunks), len(on.Chunks))
		if !a.Exact {
			r.problem(what+", and trades depend on the cut (borders_exact is false)", TradesDiff)
		} else {
			r.Notes = append(r.Notes, what+"; each chunk's warm-up is in the times")
		}
	}
	if a.ScopeName() == perf.ScopeChunks {
		r.Notes = append(r.Notes, "each chunk's trades were selected as if none was open at its start (selection.scope is chunks)")
	}
}

func sameCut(a, b []perf.Chunk) bool {
	return slices.EqualFunc(a, b, func(x, y perf.Chunk) bool { return x.Planned == y.Planned })
}

// machines tells what else than the policies may have changed the times.
func machines(off, on perf.File, nameA, nameB string) (list []string) {
	a, b := off.Report, on.Report
	note := func(what, x, y string) {
		if x != y {
			list = append(list, fmt.Sprintf("times may differ by more than the gate: %s %s in %s, %s in %s", what, x, nameA, y, nameB))
		}
	}
	note("workers", strconv.Itoa(a.Workers), strconv.Itoa(b.Workers))
	note("hosts", fmt.Sprintf("%q", a.Hosts), fmt.Sprintf("%q", b.Hosts))
	note("env_info", platform(a.Env), platform(b.Env))
	return list
}

func platform(e perf.EnvInfo) string {
	return fmt.Sprintf("%q (%d CPUs, GOMAXPROCS %d)", e.OS+"/"+e.Arch+" "+e.GoVersion, e.CPUs, e.GOMAXPROCS)
}
