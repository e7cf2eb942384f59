package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Whether a run keeps decisions is settled by its first session: a resume keeps
// to it, a flag that says otherwise is refused, and where the bus is lost the
// footers tell.
func TestDecisionsAreTheRuns(t *testing.T) {
	p := loadTrees(t, t.TempDir())
	list := bars.Generate(100, 1)
	line := func(status footer.Status, names ...string) perf.Encoded {
		f := footer.Footer{Schema: footer.Schema, ChunkID: "0", Attempt: 1, Status: status, Final: status == footer.StatusOK, PlannedBars: 50, EndBar: 50, BarsProcessed: 50, TotalBars: 50, Engine: footer.EngineBuiltin}
		for _, n := range names {
			f.Artifacts = append(f.Artifacts, footer.Artifact{Name: n, Parts: 1})
		}
		l, err := perf.EncodeChunk(f)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for name, c := range map[string]struct {
		stored       string // by the bus: on, off, or nothing
		known        perf.Encoded
		given, flag  bool
		want, differ bool
	}{
		"a first session":                    {"", perf.Encoded{}, false, false, false, false},
		"a first session that asks":          {"", perf.Encoded{}, true, true, true, false},
		"the stored one holds":               {"on", perf.Encoded{}, false, false, true, false},
		"and is off":                         {"off", perf.Encoded{}, false, false, false, false},
		"the same flag":                      {"on", perf.Encoded{}, true, true, true, false},
		"another flag":                       {"off", perf.Encoded{}, true, true, false, true},
		"another flag, off":                  {"on", perf.Encoded{}, true, false, false, true},
		"files: on":                          {"", line(footer.StatusStopped, trade.ArtifactName, trade.DecisionsName), false, false, true, false},
		"files: on, and refused":             {"", line(footer.StatusOK, trade.DecisionsName), true, false, false, true},
		"files: off":                         {"", line(footer.StatusOK, trade.ArtifactName), false, false, false, false},
		"files: off, and refused":            {"", line(footer.StatusOK), true, true, false, true},
		"files: nobody knows":                {"", line(footer.StatusStopped), true, true, true, false},
		"the bus knows better than its past": {"on", line(footer.StatusOK, trade.ArtifactName), true, true, true, false},
	} {
		first := treeSession(t, "r", p, list, 2).identity
		s := treeSession(t, "r", p, list, 2)
		s.cfg.Decisions, s.asked.decisions = &c.flag, c.given
		s.identity.Decisions = c.flag
		var stored *run.Manifest
		if c.stored != "" {
			first.Decisions = c.stored == "on"
			stored = &first
		}
		if !c.known.IsZero() {
			account(t, s, perf.Report{Incarnation: first.Incarnation, Data: first.Data, Policy: first.Policy}, perf.Chunk{Planned: 50, Line: c.known}, perf.Chunk{Idx: 1, Planned: 50})
		}
		m, err := s.next(stored, time.Now())
		var differs *Differs
		switch {
		case c.differ:
			if !errors.As(err, &differs) || len(differs.Fields) != 1 || !strings.Contains(err.Error(), "decisions: ") {
				t.Errorf("%s: %v (want it to differ in decisions alone)", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case m.Decisions != c.want:
			t.Errorf("%s: decisions %v (want %v)", name, m.Decisions, c.want)
		}
	}
	s := treeSession(t, "r", p, list, 2)
	on := true
	s.cfg.Decisions = &on
	if m, err := s.first(bars.Set{Bars: list}); err != nil || !m.Decisions {
		t.Errorf("the flag does not reach the manifest: %v, %v", m.Decisions, err)
	}
}
