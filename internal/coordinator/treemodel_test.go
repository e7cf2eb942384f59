package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/worker"
	"gx1replay/test/testsize"
)

// treePolicy has a model of trees that XGBoost has made, of features one of
// which depends on every bar.
const treePolicy = `features: [atr14, body_pct, ema20_slope, roc20, session_id, spread_bps]
model: {kind: xgboost, path: trees.json, us_model_path: us.json}
entry: {p_side_min: 0.85}
exit: {max_bars: 20}
`

// loadTrees writes the policy and its model files into dir and loads it.
func loadTrees(t *testing.T, dir string) policy.Policy {
	t.Helper()
	for name, fixture := range map[string]string{"trees.json": "xgb_named.json", "us.json": "xgb_hist.json"} {
		content, err := os.ReadFile(filepath.Join("..", "model", "testdata", fixture))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(path, []byte(treePolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(path, policy.Options{NeedModel: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func treeSession(t *testing.T, id run.ID, p policy.Policy, list []bars.Bar, chunks int) *Session {
	t.Helper()
	s := &Session{
		cfg: Config{RunID: id, Policy: p, Engine: footer.EngineBuiltin, Chunks: chunks, Order: run.OrderSpread,
			Lease: testLease, MaxFailures: 1, Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)},
		started: time.Now(), ledger: ledger.New(id),
	}
	var err error
	if s.identity, err = s.first(bars.Set{Bars: list, Source: "test"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// account has the perf file of s say r of these chunks.
func account(t testing.TB, s *Session, r perf.Report, chunks ...perf.Chunk) {
	t.Helper()
	r.RunID = s.cfg.RunID
	if err := s.ledger.Add(ledger.Account{From: ledger.PerfFile, File: perf.File{Report: r, Totals: r.Count(chunks), Chunks: chunks}}); err != nil {
		t.Fatal(err)
	}
}

// A policy with model files runs on workers that have nothing but the bus:
// the same counters and signals by one worker and by three, in one chunk and
// in several.
func TestModelFilesTravel(t *testing.T) {
	testsize.All(t)
	srv := realBus(t)
	p := loadTrees(t, t.TempDir())
	list := bars.Generate(dataset.SliceBars+4000, 1)
	var first *perfSums
	for i, c := range []struct{ workers, chunks int }{{1, 1}, {3, 5}} {
		s := treeSession(t, run.ID(fmt.Sprintf("r%d", i)), p, list, c.chunks)
		got := liveTrees(t, srv, s, list, c.workers)
		if first == nil {
			first = &got
			if got.calls == 0 || got.signals < 100 || got.signals > got.calls-100 {
				t.Errorf("%+v: the fixture shows nothing", got)
			}
		} else if got != *first {
			t.Errorf("%d workers, %d chunks: %+v (want %+v)", c.workers, c.chunks, got, *first)
		}
		digests, want := s.identity.Models, modelsOf(p)
		if report, _ := s.snapshot(); len(want) != 2 || !maps.Equal(digests, want) || !maps.Equal(report.Model.Digests, want) || report.Model.Kind != policy.KindXGBoost {
			t.Errorf("the manifest has models %v, the report %+v (want %v)", digests, report.Model, want)
		}
	}
}

// perfSums is what of a run's footers does not depend on clocks, nor, while a
// selection over the run is missing, on the cut.
type perfSums struct{ bars, warmup, calls, signals int64 }

// liveTrees lives the run of s with workers in this process and adds up what
// they have counted.
func liveTrees(t *testing.T, srv *embedded.Server, s *Session, list []bars.Bar, workers int) (sums perfSums) {
	t.Helper()
	b, err := dial(t.Context(), srv, nil, "coordinator")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m := s.identity
	life := &Life{
		Manifest: m, Bars: list, Policy: s.cfg.Policy.Content,
		Logger: s.cfg.Logger, HeardStop: func(run.Stop) { t.Error("a stop was heard") },
	}
	if began, err := s.agree(t.Context(), life, b); err != nil || !began {
		t.Fatalf("began %v: %v", began, err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	var owned sync.WaitGroup
	defer owned.Wait()
	defer end(worker.ErrShutdown)
	public, sign, err := srv.Nkey()
	if err != nil {
		t.Fatal(err)
	}
	for i := range workers {
		id := fmt.Sprintf("w%d", i)
		wb, err := bus.Connect(ctx, bus.Config{InProcess: srv, Name: id, Worker: id, Options: []nats.Option{nats.Nkey(public, sign)}})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		wk := worker.New(worker.Config{
			Bus: wb, ID: id, Host: "test", PID: 1, Slots: 1, Run: m.RunID, WorkDir: dir, Logger: s.cfg.Logger,
			Engine: &worker.Builtin{Objects: wb, Cache: dataset.NewCache(dir, 1<<30, nil)},
			Usage:  func() (float64, float64, int64) { return 0, 0, 0 },
		})
		owned.Go(func() {
			defer wb.Close()
			if err := wk.Run(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("worker %s: %v", id, err)
			}
		})
	}
	if err := life.Run(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	chunks, _ := life.board.snapshot()
	for _, c := range chunks {
		f := c.Line.Footer()
		if c.Status != footer.StatusOK {
			t.Errorf("chunk %d: %s, %s (want ok)", c.Idx, c.Status, f.Error)
		}
		sums.bars += f.TotalBars
		sums.warmup += f.BarsSkippedWarmup
		sums.calls += f.NModelCalls
		sums.signals += f.NSignals
	}
	return sums
}

// Going on with a run by other model files is refused, and says which file.
func TestEditedModelFileIsAnotherRun(t *testing.T) {
	dir := t.TempDir()
	p := loadTrees(t, dir)
	list := bars.Generate(100, 1)
	first := treeSession(t, "r", p, list, 2).identity
	if _, err := treeSession(t, "r", p, list, 2).next(&first, time.Now()); err != nil {
		t.Errorf("the same files: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "us.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "us.json"), append(content, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	edited, err := policy.Load(filepath.Join(dir, "p.yaml"), policy.Options{NeedModel: true})
	if err != nil {
		t.Fatal(err)
	}
	if edited.SHA256 != p.SHA256 {
		t.Fatal("the policy's own digest covers model files, and this test shows nothing")
	}
	s := treeSession(t, "r", edited, list, 2)
	for name, stored := range map[string]*run.Manifest{"on its bus": &first, "in its files": nil} {
		s.ledger = ledger.New("r")
		if stored == nil {
			account(t, s, perf.Report{Data: first.Data, Policy: first.Policy, Model: perf.Model{Digests: first.Models}})
		}
		_, err := s.next(stored, time.Now())
		var differs *Differs
		if !errors.As(err, &differs) || len(differs.Fields) != 1 || differs.Fields[0].Name != "model file us.json" ||
			!strings.Contains(err.Error(), first.Models["us.json"][:12]) {
			t.Errorf("%s: %v (want it to differ in us.json alone)", name, err)
		}
	}
}

// What is wrong with a model file is said before anything runs.
func TestModelFileThatCannotBeUsed(t *testing.T) {
	p := loadTrees(t, t.TempDir())
	p.ModelFiles = maps.Clone(p.ModelFiles)
	p.ModelFiles["us.json"] = policy.ModelFile{Content: []byte("{}")}
	s := &Session{cfg: Config{RunID: "r", Policy: p, Engine: footer.EngineBuiltin, Chunks: 1, Order: run.OrderTime, Lease: testLease, MaxFailures: 1}}
	_, err := s.first(bars.Set{Bars: bars.Generate(100, 1)})
	if err == nil || !strings.Contains(err.Error(), "model.paths.US: us.json") {
		t.Errorf("%v (want an error that names key and file)", err)
	}
	p.Model = nil
	s.cfg.Policy = p
	if _, err := s.first(bars.Set{Bars: bars.Generate(100, 1)}); err == nil || !strings.Contains(err.Error(), "has no model") {
		t.Errorf("no model: %v", err)
	}
}
