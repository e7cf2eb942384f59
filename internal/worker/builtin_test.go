package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// shelf is an object store of a test, which notes what is read.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	gets    map[string]int
}

func newShelf() *shelf { return &shelf{objects: map[string][]byte{}, gets: map[string]int{}} }

func (s *shelf) HasObject(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.objects[name]
	return ok, nil
}

func (s *shelf) PutObject(_ context.Context, name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = slices.Clone(data)
	return nil
}

func (s *shelf) GetObject(_ context.Context, name string, limit int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets[name]++
	data, ok := s.objects[name]
	if !ok || int64(len(data)) > limit {
		return nil, fmt.Errorf("object %s: %w (of %d bytes at most)", name, bus.ErrNoObject, limit)
	}
	return slices.Clone(data), nil
}

// slicesRead is how many slices were read.
func (s *shelf) slicesRead() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, k := range s.gets {
		if strings.HasPrefix(name, "slice.") {
			n += k
		}
	}
	return n
}

// loaded is a shelf with a run: data set, policy, and states if its features
// need them.
func loaded(t *testing.T, n int64, doc string) (*shelf, run.Manifest) {
	t.Helper()
	s := newShelf()
	all := bars.Generate(n, 5)
	p, err := policy.Parse("test", []byte(doc), policy.Options{NeedModel: true})
	must(t, err)
	content := sha256.Sum256(p.Content)
	m := run.Manifest{
		RunID:  "r",
		Data:   run.Data{SHA256: bars.Digest(all), Bars: n, BarLength: bars.BarLength(all), SliceBars: dataset.SliceBars},
		Policy: run.Policy{Name: p.Name, SHA256: p.SHA256, Content: hex.EncodeToString(content[:])},
	}
	m.PregateEnabled = p.Pregate.Enabled
	table := feature.NewSessionTable(p.Sessions)
	set, err := feature.New(p.Features, table)
	must(t, err)
	must(t, dataset.Publish(t.Context(), s, m.Data.SHA256, all))
	must(t, s.PutObject(t.Context(), bus.PolicyObject(m), p.Content))
	if m.FeatureStates = dataset.StatesName(m.Data, set); m.FeatureStates != "" {
		states, err := dataset.ComputeStates(m.Data, all, set)
		must(t, err)
		must(t, s.PutObject(t.Context(), m.FeatureStates, states))
	}
	return s, m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replayAll replays the run cut into so many chunks and adds up what they
// count. Each chunk has a worker of its own, which has fetched nothing yet,
// but for slices.
func replayAll(t *testing.T, s *shelf, m run.Manifest, chunks int, cache string) (sum footer.Footer) {
	t.Helper()
	var err error
	m.Plan, err = run.NewPlan(m.Data.Bars, chunks, 0, run.OrderTime)
	must(t, err)
	sum.SkipReasons = footer.Counts{}
	for i := range chunks {
		e := Builtin{Objects: s, Cache: dataset.NewCache(cache, 1<<30, nil)}
		chunk := m.Plan.Chunk(i)
		res, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: chunk}, nil)
		must(t, err)
		f := res.Footer
		if i > 0 && chunk.Bars.First > 10_000 && f.BarsSkippedWarmup != 0 {
			t.Errorf("%d chunks: chunk %d, from bar %d on, has %d bars of warm-up", chunks, i, chunk.Bars.First, f.BarsSkippedWarmup)
		}
		sum.TotalBars += f.TotalBars
		sum.BarsSkippedWarmup += f.BarsSkippedWarmup
		sum.PregateSkips += f.PregateSkips
		sum.PregatePasses += f.PregatePasses
		sum.PregateMissingInputs += f.PregateMissingInputs
		sum.NModelCalls += f.NModelCalls
		sum.NSignals += f.NSignals
		for k, v := range f.SkipReasons {
			sum.SkipReasons[k] += v
		}
	}
	return sum
}

func sameCounts(a, b footer.Footer) bool {
	return a.TotalBars == b.TotalBars && a.BarsSkippedWarmup == b.BarsSkippedWarmup && a.PregateSkips == b.PregateSkips &&
		a.PregatePasses == b.PregatePasses && a.PregateMissingInputs == b.PregateMissingInputs &&
		a.NModelCalls == b.NModelCalls && a.NSignals == b.NSignals && maps.Equal(a.SkipReasons, b.SkipReasons)
}

// everyFeaturePolicy names all features, and signals by recursive ones.
func everyFeaturePolicy() string {
	var names []string
	for _, info := range feature.Known() {
		names = append(names, info.Name)
	}
	return "features: [" + strings.Join(names, ", ") + `]
replay_config: {replay_pregate: {enabled: true, allow_sessions: [EU, OVERLAP, US], min_atr_bps: 2}}
model:
  kind: logistic
  long: {weights: {ema20_slope: 30, h1_trend: 0.5}}
  short: {weights: {pos_vs_ema200: 900, h4_trend: 0.5}}
exit: {max_bars: 20}
`
}

// Counters and signals are the same for any cut, with features that depend on
// every bar since the data set's first, over several slices.
func TestBuiltinCountsTheSameForAnyCut(t *testing.T) {
	testsize.All(t)
	const n = 2*dataset.SliceBars + 9000 // chunks of 1/64 begin where the second state can be used
	s, m := loaded(t, n, everyFeaturePolicy())
	if m.FeatureStates == "" {
		t.Fatal("the run has no states")
	}
	cache := t.TempDir()
	whole := replayAll(t, s, m, 1, cache)
	if whole.TotalBars != n || whole.BarsSkippedWarmup == 0 || whole.NSignals < 1000 || whole.PregateSkips < 1000 {
		t.Fatalf("the fixture shows nothing: %+v", whole)
	}
	for _, chunks := range []int{2, 3, 7, 64} {
		if got := replayAll(t, s, m, chunks, cache); !sameCounts(got, whole) {
			t.Errorf("%d chunks:\n%+v\none:\n%+v", chunks, got, whole)
		}
	}
	// A manifest of before there were states costs reading, not truth.
	m.FeatureStates = ""
	if got := replayAll(t, s, m, 3, cache); !sameCounts(got, whole) {
		t.Errorf("without states:\n%+v\none chunk:\n%+v", got, whole)
	}
}

// A worker fetches no slice that lies before the state it goes on from.
func TestBuiltinReadsFromTheStateOn(t *testing.T) {
	const n = 3*dataset.SliceBars + 1000
	s, m := loaded(t, n, "model: {kind: logistic, long: {weights: {ema20_slope: 30}}, short: {bias: -50}}\nexit: {max_bars: 20}\n")
	chunk := run.Chunk{Bars: run.BarRange{First: 3*dataset.SliceBars + 900, End: n}}
	m.Plan.Chunks = 1
	e := Builtin{Objects: s, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil)}
	res, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: chunk}, nil)
	must(t, err)
	f := res.Footer
	if f.TotalBars != 100 || f.BarsSkippedWarmup != 0 || s.slicesRead() != 1 || s.gets[m.FeatureStates] != 1 {
		t.Errorf("%d bars, %d of warm-up, %d slices, %d times the states (want 100, 0, 1, 1)",
			f.TotalBars, f.BarsSkippedWarmup, s.slicesRead(), s.gets[m.FeatureStates])
	}
}

// Without its states a run fails with an error that says so; nothing is
// guessed.
func TestBuiltinRefusesDamagedStates(t *testing.T) {
	const n = dataset.SliceBars + 10
	s, m := loaded(t, n, "model: {kind: logistic, long: {weights: {ema20_slope: 30}}, short: {bias: -50}}\nexit: {max_bars: 20}\n")
	m.Plan.Chunks = 1
	good := s.objects[m.FeatureStates]
	for name, c := range map[string]struct {
		data []byte
		is   error
	}{
		"cut off":  {good[:len(good)-3], dataset.ErrStates},
		"no state": {[]byte("hello"), dataset.ErrStates},
		"gone":     {nil, bus.ErrNoObject},
	} {
		if s.objects[m.FeatureStates] = c.data; c.data == nil {
			delete(s.objects, m.FeatureStates)
		}
		e := Builtin{Objects: s, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil)}
		res, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: run.Chunk{Bars: run.BarRange{First: n - 5, End: n}}}, nil)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), m.FeatureStates) || res.Footer.TotalBars != 0 {
			t.Errorf("%s: %v, %d bars (want %v, the object's name, none)", name, err, res.Footer.TotalBars, c.is)
		}
		s.objects[m.FeatureStates] = good
		if _, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: run.Chunk{Bars: run.BarRange{First: n - 5, End: n}}}, nil); err != nil {
			t.Errorf("%s, then mended: %v", name, err)
		}
	}
}

// A model file is used if its content has the digest that the manifest says.
func TestBuiltinVerifiesModelFiles(t *testing.T) {
	const doc = "features: [atr14, body_pct, ema20_slope, roc20, session_id, spread_bps]\nmodel: {kind: xgboost, path: trees.json}\nexit: {max_bars: 20}\n"
	s, m := loaded(t, 1000, doc)
	m.Plan.Chunks = 1
	content, err := os.ReadFile("../model/testdata/xgb_named.json")
	must(t, err)
	sum := sha256.Sum256(content)
	sha := hex.EncodeToString(sum[:])
	right := map[string]string{"trees.json": sha}
	for name, c := range map[string]struct {
		models map[string]string
		data   []byte // under the right name
		want   string // empty: it is replayed
	}{
		"right":          {right, content, ""},
		"other content":  {right, append(slices.Clone(content), ' '), "model.path: reading the model: object model." + sha + " has content with SHA-256"},
		"gone":           {right, nil, "model.path: reading the model: object model." + sha + ": "},
		"not in the run": {nil, content, "the run's manifest has no digest of trees.json"},
	} {
		if s.objects[run.ModelObject(sha)] = c.data; c.data == nil {
			delete(s.objects, run.ModelObject(sha))
		}
		m.Models = c.models
		e := Builtin{Objects: s, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil)}
		job := Job{Manifest: m, Chunk: run.Chunk{Bars: run.BarRange{First: 0, End: 1000}}}
		res, err := e.Replay(t.Context(), job, nil)
		switch {
		case c.want == "" && (err != nil || res.Footer.NModelCalls == 0):
			t.Errorf("%s: %v after %d calls", name, err, res.Footer.NModelCalls)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v (want %q in it)", name, err, c.want)
		}
		if c.want != "" {
			continue
		}
		// The file is fetched once for all chunks of a run.
		before := s.gets[run.ModelObject(sha)]
		if _, err := e.Replay(t.Context(), job, nil); err != nil || s.gets[run.ModelObject(sha)] != before {
			t.Errorf("a second chunk: %v, fetched %d times (want %d)", err, s.gets[run.ModelObject(sha)], before)
		}
	}
}
