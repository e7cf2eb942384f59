package selection_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

// tradedPolicy has a signal at nearly every bar, one trade at a time, and
// trades that last longer than it lets workers follow them.
const tradedPolicy = `policy_name: traded
timeframe: M5
features: [body_pct, range_pos]
model:
  kind: logistic
  long: {bias: 0.01, weights: {body_pct: 0.7, range_pos: -0.4}}
  short: {bias: 0, weights: {body_pct: -0.3}}
entry: {p_side_min: 0, max_gap: 8000h}
exit: {stop_bps: 6, target_bps: 8}
risk: {max_open_trades: 1}
replay: {follow_bars: 3}
`

// tradedBars is the size of its data set.
const tradedBars = 1200

// traded is a run of the built-in engine as its workers left it.
type traded struct {
	t      *testing.T
	target layout.Run
	list   []bars.Bar
	policy policy.Policy
	report perf.Report
	chunks []perf.Chunk
	decide bool // workers keep decisions
}

// newTraded replays the data set in chunks, each with the number of bars that it
// is given; fewer than planned is an attempt that was stopped.
func newTraded(t *testing.T, n int, replayed func(r run.BarRange) int64) *traded {
	t.Helper()
	return newRun(t, n, replayed, tradedPolicy, false)
}

func newRun(t *testing.T, n int, replayed func(r run.BarRange) int64, doc string, decide bool) *traded {
	t.Helper()
	set, err := bars.Open("synthetic:"+strconv.Itoa(tradedBars)+",seed=3", bars.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse("traded.yaml", []byte(doc), policy.Options{NeedModel: true})
	if err != nil {
		t.Fatal(err)
	}
	content := sha256.Sum256(p.Content)
	r := aReport()
	r.Data = run.Data{SHA256: bars.Digest(set.Bars), Bars: tradedBars, Source: set.Source, BarLength: bars.BarLength(set.Bars)}
	r.Policy = run.Policy{SHA256: p.SHA256, Name: p.Name, Content: hex.EncodeToString(content[:])}
	r.Env.Engine, r.PregateEnabled = footer.EngineBuiltin, p.Pregate.Enabled
	w := &traded{t: t, target: target(t), list: set.Bars, policy: p, report: r, decide: decide}
	if err := os.MkdirAll(w.target.StateDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	plan, err := run.NewPlan(tradedBars, n, 0, run.OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		w.chunk(i, plan.Chunk(i).Bars, replayed)
	}
	return w
}

func whole(r run.BarRange) int64 { return r.Len() }

// chunk replays one chunk and leaves what its attempt does: the signals and
// the footer that lists them.
func (w *traded) chunk(i int, r run.BarRange, replayed func(run.BarRange) int64) {
	c := perf.Chunk{Idx: i, Planned: r.Len(), Status: footer.StatusMissing}
	stop := errors.New("stopped")
	if most := replayed(r); most > 0 {
		job := replay.Job{Bars: r, DataBars: tradedBars, BarLength: w.report.Data.BarLength, Policy: w.policy, Decisions: w.decide}
		job.OnBar = func(bar int64) error {
			if bar >= r.First+most {
				return stop
			}
			return nil
		}
		res, err := replay.Run(w.t.Context(), job, replay.InMemory(w.list), nil)
		if err != nil && !errors.Is(err, stop) {
			w.t.Fatal(err)
		}
		f := res.Footer
		f.RunID, f.ChunkIdx, f.ChunkID = string(w.target.RunID), int64(i), strconv.Itoa(i)
		f.Schema, f.Attempt, f.Claim, f.Seq, f.WorkerID, f.Host = footer.Schema, 1, uint64(i+1), 1, "w", "box"
		f.Status, f.Final, c.Status = footer.StatusOK, true, footer.StatusOK
		if err != nil {
			f.Status, f.Final, c.Status = footer.StatusStopped, false, footer.StatusStopped
		}
		leave := func(a footer.Artifact, parts [][]byte, err error) {
			if err != nil {
				w.t.Fatal(err)
			}
			f.Artifacts = append(f.Artifacts, a)
			putFile(w.t, filepath.Join(w.attempt(i), a.Name), bytes.Join(parts, nil))
		}
		leave(trade.EncodeSignals(trade.ArtifactName, res.Signals))
		if w.decide {
			leave(trade.EncodeDecisions(trade.DecisionsName, &res.Decisions))
		}
		putFooter(w.t, w.attempt(i), f)
		if c.Line, err = perf.EncodeChunk(f); err != nil {
			w.t.Fatal(err)
		}
	}
	w.chunks = append(w.chunks, c)
}

func (w *traded) attempt(i int) string {
	return filepath.Join(w.target.WorkDir(), string(w.target.RunID), "chunk_"+strconv.Itoa(i), "attempt_1")
}

func (w *traded) selector() *selection.Selector {
	return &selection.Selector{
		Files: w.files(), Policy: func() (policy.Policy, error) { return w.policy, nil }, Bars: export.MemoryBars(w.list), Logger: quiet(),
		Replace:   export.Config{}.Replacer(w.target.RunID),
		Artifacts: []selection.ArtifactReader{export.AttemptFiles{Roots: []string{w.target.WorkDir()}}},
	}
}

func (w *traded) files() layout.Run { return w.target }

func (w *traded) selected(s *selection.Selector) perf.Selection {
	w.t.Helper()
	sel, err := s.Select(w.t.Context(), w.report, w.chunks)
	if err != nil {
		w.t.Fatal(err)
	}
	return sel
}
