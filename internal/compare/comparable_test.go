package compare_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/compare"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
)

// What keeps two runs from being compared is said, and nothing passes.
func TestInvariant1_NothingPassesUncompared(t *testing.T) {
	for _, c := range []struct {
		name, says string
		figures    []string // not judged; nil: all
		change     func(off, on *aRun)
	}{
		{"ON stopped", "ON is not complete: stopped by subject, 540 of 1000 bars, 2 of 4 chunks ok (1 missing, 1 stopped); some workers had not sent their final report", nil, func(_, on *aRun) { on.stop() }},
		{"OFF stopped", "OFF is not complete: stopped by subject", nil, func(off, _ *aRun) { off.stop() }},
		{"OFF failed", "OFF is not complete: failed", nil, func(off, _ *aRun) {
			off.footers[1].Attempt = 0
			off.report.Outcome = perf.OutcomeFailed
		}},
		{"no plan", "0 of 0 bars", nil, func(off, _ *aRun) { off.footers, off.planned, off.report.Data.Bars = nil, nil, 0 }},
		{"other data", "the data differ", nil, func(_, on *aRun) { on.report.Data.SHA256 = "d2" }},
		{"unknown data", "ON does not name its data", nil, func(_, on *aRun) { on.report.Data.SHA256 = "" }},
		{"both unknown data", "OFF does not name its data", nil, func(off, on *aRun) { off.report.Data.SHA256, on.report.Data.SHA256 = "", "" }},
		{"other policy", "the policies differ in more than the gate", nil, func(off, _ *aRun) { off.report.Policy.SHA256WithoutGate = "p9" }},
		{"unknown policy", "OFF does not name its policy", nil, func(off, on *aRun) { off.report.Policy.SHA256WithoutGate, on.report.Policy.SHA256WithoutGate = "", "" }},
		{"exchanged", "the files are exchanged", nil, func(off, on *aRun) { *off, *on = *on, *off }},
		{"both on", "OFF was replayed with its gate on", nil, func(off, on *aRun) { *off = *on }},
		{"both off", "ON was replayed with its gate off", nil, func(off, on *aRun) { *on = *off }},
		{"skips with the gate off", "OFF contradicts itself", nil, func(off, _ *aRun) { off.footers[0].PregateSkips = 5 }},
		{"other engine", `the engines differ: env_info.engine is "builtin" in OFF, "exec" in ON`, nil, func(_, on *aRun) {
			on.report.Env.Engine = "exec"
			on.each(func(f *footer.Footer) { f.Engine = "exec" })
		}},
		{"no engine", "does not name its engine", nil, func(off, on *aRun) {
			for _, r := range []*aRun{off, on} {
				r.report.Env.Engine = ""
				r.each(func(f *footer.Footer) { f.Engine = "" })
			}
		}},
		{"mixed engines", `ON mixes engines: env_info.engine is "builtin", that of chunk 2 is "exec"`, nil, func(_, on *aRun) { on.footers[2].Engine = "exec" }},
		{"other version", "two builds of the program", nil, func(_, on *aRun) { on.report.Env.ModuleVersion = "v0.2.0" }},
		{"other engine version", "engine_version is 1 in OFF, 2 in ON", nil, func(_, on *aRun) { on.report.EngineVersion = 2 }},
		{"workers of another build", "env_info.worker_builds is", nil, func(off, on *aRun) {
			off.report.WorkerBuilds, on.report.WorkerBuilds = []string{"v1 a"}, []string{"v1 a", "v1 b"}
		}},
		{"other commit", "two builds of the program", nil, func(_, on *aRun) { on.report.Env.GitCommit += "+changes" }},
		{"other model kind", "the models differ", nil, func(_, on *aRun) { on.report.Model.Kind = "xgboost" }},
		{"other latency", "the models differ", nil, func(_, on *aRun) { on.report.Model.Latency = time.Millisecond }},
		{"other model file", "the models differ", nil, func(_, on *aRun) { on.report.Model.Digests = map[string]string{"m.json": "aa"} }},
		{"a command on one side", "the commands differ", nil, func(_, on *aRun) { on.report.Command = aCommand() }},
		{"other command", `command: ["python3" "replay.py"], not ["python3" "replay.py" "-v"]`, nil, func(off, on *aRun) {
			off.report.Command, on.report.Command = aCommand(), aCommand()
			on.report.Command.Argv = append(on.report.Command.Argv, "-v")
		}},
		{"other command's files", "file replay.py: SHA-256 aaaaaaaaaaaa, not SHA-256 bbbbbbbbbbbb", nil, func(off, on *aRun) {
			off.report.Command, on.report.Command = aCommand(), aCommand()
			on.report.Command.Digests = map[string]string{"replay.py": strings.Repeat("b", 64)}
		}},
		{"other parameters", `--param alpha: "1", not "2"`, nil, func(off, on *aRun) {
			off.report.Command, on.report.Command = aCommand(), aCommand()
			off.report.Command.Params, on.report.Command.Params = map[string]string{"alpha": "1"}, map[string]string{"alpha": "2"}
		}},
		{"other fill", "trades are filled differently", nil, func(_, on *aRun) { on.report.Fill = "signal_close" }},
		{"more skips than bars", "pregate_skips of chunk 1 is 251", []string{compare.SkipPercent}, func(_, on *aRun) { on.footers[1].PregateSkips = 251 }},
		{"other borders", "trades were selected differently", []string{compare.TradesDiff}, func(_, on *aRun) { on.exact = false }},
		{"other scope", "trades were selected differently", []string{compare.TradesDiff}, func(_, on *aRun) { on.scope = perf.ScopeChunks }},
		{"other cut, inexact", "the data was cut differently: 4 chunks in OFF, 4 in ON, and trades depend on the cut", []string{compare.TradesDiff}, func(off, on *aRun) {
			off.exact, on.exact = false, false
			on.recut()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			off, on := offRun(), onRun()
			c.change(&off, &on)
			r := compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
			want := c.figures
			if want == nil {
				want = names
			}
			if r.Verdict != compare.CannotCompare || !slices.Equal(notJudged(r), want) {
				t.Errorf("%s, not judged %v (want cannot_compare, %v)", r.Verdict, notJudged(r), want)
			}
			if !slices.ContainsFunc(r.Problems, func(p compare.Problem) bool {
				return strings.Contains(p.Text, c.says) && slices.Equal(p.Figures, want)
			}) {
				t.Errorf("nobody says %q of %v: %+v", c.says, want, r.Problems)
			}
		})
	}
}

// recut moves the border between the first two chunks.
func (r *aRun) recut() {
	a, b := &r.footers[0], &r.footers[1]
	r.planned[0], r.planned[1] = chunkBars+5, chunkBars-5
	a.EndBar, a.PlannedBars, a.BarsProcessed, a.TotalBars = chunkBars+5, chunkBars+5, chunkBars+5, chunkBars+5
	b.FirstBar, b.PlannedBars, b.BarsProcessed, b.TotalBars = chunkBars+5, chunkBars-5, chunkBars-5, chunkBars-5
}

// What changes no verdict is said.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(off, on *aRun)
	}{
		{"the data was cut differently: 4 chunks in OFF, 4 in ON", func(_, on *aRun) { on.recut() }},
		{"selection.scope is chunks", func(off, on *aRun) { off.scope, on.scope = perf.ScopeChunks, perf.ScopeChunks }},
		{`git_commit is "unknown" in both`, func(off, on *aRun) { off.report.Env.GitCommit, on.report.Env.GitCommit = "unknown", "unknown" }},
		{`git_commit is "0123abc+changes" in both`, func(off, on *aRun) {
			off.report.Env.GitCommit, on.report.Env.GitCommit = "0123abc+changes", "0123abc+changes"
		}},
		{"ON: the rows of 50 trades", func(_, on *aRun) { on.rowsLost = true }},
		{"workers 2 in OFF, 7 in ON", func(_, on *aRun) { on.report.Workers = 7 }},
		{`hosts ["box"] in OFF, ["other"] in ON`, func(_, on *aRun) { on.report.Hosts = []string{"other"} }},
		{"2 CPUs, GOMAXPROCS 2) in OFF", func(_, on *aRun) { on.report.Env.CPUs = 64 }},
	} {
		off, on := offRun(), onRun()
		c.change(&off, &on)
		r := compare.Judge(off.side(t), on.side(t), compare.DefaultLimits())
		if r.Verdict != compare.Pass || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], c.says) {
			t.Errorf("%s, notes %q, problems %v (want pass and %q)", r.Verdict, r.Notes, r.Problems, c.says)
		}
		if !strings.Contains(string(r.Markdown()), "## Notes") {
			t.Errorf("%q is not in the report", c.says)
		}
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	good := string(onRun().json(t))
	for _, c := range []struct{ name, file, says string }{
		{"stub", string(stub(t)), "this is the stub of an export that failed, not a perf JSON: no space left on device"},
		{"other schema", strings.Replace(good, `"schema": 1,`, `"schema": 2,`, 1), "schema 2 (want 1): unknown schema"},
		{"other schema_version", strings.Replace(good, `"perf_v1"`, `"perf_v2"`, 1), "schema_version is perf_v2 (expected perf_v1)"},
		{"no schema: the original's", strings.Replace(good, `"schema": 1,`, ``, 1), `"schema" is missing`},
		{"contradicts itself", strings.Replace(good, `"total_trades": 200`, `"total_trades": 201`, 1), "total_trades is 201 (expected 200)"},
		{"null", strings.Replace(good, `"fill": "next_open"`, `"fill": null`, 1), "null"},
		{"no JSON", "perf", "reading a perf JSON"},
		{"cut off", good[:len(good)/2], "reading a perf JSON"},
		{"empty", "", "reading a perf JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.file == good {
				t.Fatal("the file was not changed")
			}
			bad := compare.Read("x.json", []byte(c.file))
			if errors.Is(bad.Err, compare.ErrStub) != (c.name == "stub") {
				t.Errorf("%v: a stub?", bad.Err)
			}
			off, on := offRun().side(t), onRun().side(t)
			for _, r := range []compare.Result{
				compare.Judge(bad, on, compare.DefaultLimits()), compare.Judge(off, bad, compare.DefaultLimits()), compare.Judge(bad, bad, compare.DefaultLimits()),
			} {
				if r.Verdict != compare.CannotCompare || !slices.Equal(notJudged(r), names) {
					t.Errorf("%s, not judged %v (want cannot_compare, all)", r.Verdict, notJudged(r))
				}
				if len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Text, " cannot be used: ") || !strings.Contains(r.Problems[0].Text, c.says) {
					t.Errorf("nobody says %q: %+v", c.says, r.Problems)
				}
			}
		})
	}
}

// With one file that cannot be read, what is wrong with the other is said,
// too.
func TestBothAreSaid(t *testing.T) {
	on := onRun()
	on.stop()
	r := compare.Judge(compare.Read("off.json", stub(t)), on.side(t), compare.DefaultLimits())
	if len(r.Problems) != 2 || !strings.HasPrefix(r.Problems[0].Text, "OFF cannot be used") || !strings.HasPrefix(r.Problems[1].Text, "ON is not complete") {
		t.Errorf("problems %+v", r.Problems)
	}
}
