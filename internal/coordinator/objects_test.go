package coordinator

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/embedded"
	"gx1replay/internal/footer"
	"gx1replay/internal/ledger"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// recursive is a policy with a feature that depends on every bar.
const recursive = "model: {kind: logistic, long: {weights: {ema20_slope: 30}}, short: {bias: -50}}\nexit: {max_bars: 20}\n"

// sessionOf is a session that has read its inputs, and its manifest.
func sessionOf(t *testing.T, doc string, list []bars.Bar) (*Session, run.Manifest, error) {
	t.Helper()
	p, err := policy.Parse("p.yaml", []byte(doc), policy.Options{NeedModel: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{
		cfg: Config{RunID: "r", Policy: p, Engine: footer.EngineBuiltin, Chunks: 2, Order: run.OrderTime,
			Lease: testLease, MaxFailures: 1, Observer: Unobserved{}, Logger: slog.New(slog.DiscardHandler)},
		started: time.Now(), ledger: ledger.New("r"),
	}
	s.identity, err = s.first(bars.Set{Bars: list, Source: "test"})
	return s, s.identity, err
}

// realBus is a bus in real time, for tests beside those in bubbles: the client
// keeps timers for the whole process, and none may cross.
func realBus(t *testing.T) *embedded.Server {
	t.Helper()
	emptyPools()
	before := goleak.IgnoreCurrent()
	srv := startBus(t, t.TempDir())
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		// What closes in the background would take a later bubble's timers.
		if err := goleak.Find(before, publisherLeft()); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestManifestNamesTheStatesThatFeaturesNeed(t *testing.T) {
	list := bars.Generate(dataset.SliceBars+10, 1)
	_, m, err := sessionOf(t, recursive, list)
	if err != nil || !strings.HasPrefix(m.FeatureStates, "state."+m.Data.SHA256+".") {
		t.Errorf("states %q, %v (want a name with the data set's digest)", m.FeatureStates, err)
	}
	_, m, err = sessionOf(t, recursive, list[:100])
	if err != nil || m.FeatureStates != "" {
		t.Errorf("one slice: states %q, %v (want none)", m.FeatureStates, err)
	}
	_, m, err = sessionOf(t, strings.Replace(recursive, "ema20_slope", "roc20", 1), list)
	if err != nil || m.FeatureStates != "" {
		t.Errorf("a feature that looks back 20 bars: states %q, %v (want none)", m.FeatureStates, err)
	}
	_, _, err = sessionOf(t, strings.Replace(recursive, "ema20_slope", "ema21_slope", 1), list)
	if err == nil || !strings.Contains(err.Error(), `"ema21_slope" is unknown (want some of`) {
		t.Errorf("a feature that there is not: %v", err)
	}
}

// A session that goes on keeps the name that workers know, and gives one to a
// run of before there were states.
func TestResumeKeepsTheNameOfStates(t *testing.T) {
	list := bars.Generate(dataset.SliceBars+10, 1)
	s, m, err := sessionOf(t, recursive, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stored, want string }{{"state.as.stored", "state.as.stored"}, {"", m.FeatureStates}} {
		stored := m
		stored.FeatureStates = c.stored
		next, err := s.next(&stored, time.Now())
		if err != nil || next.Session != 2 || next.FeatureStates != c.want {
			t.Errorf("stored %q: session %d has %q, %v (want 2, %q)", c.stored, next.Session, next.FeatureStates, err, c.want)
		}
	}
}

// What workers need is stored where it is missing, and again if it was lost.
func TestObjectsAreStoredWhereTheyAreMissing(t *testing.T) {
	srv := realBus(t)
	b, err := dial(t.Context(), srv, nil, "coordinator")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	list := bars.Generate(dataset.SliceBars+10, 1)
	s, m, err := sessionOf(t, recursive, list)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	life := &Life{Bus: b, Manifest: m, Bars: list, Policy: s.cfg.Policy.Content, Logger: s.cfg.Logger}
	for _, o := range s.objects(m, list) {
		life.Objects = append(life.Objects, Object{Name: o.Name, Make: func() ([]byte, error) {
			made++
			return o.Make()
		}})
	}
	look := func() dataset.States {
		t.Helper()
		if err := life.putObjects(t.Context()); err != nil {
			t.Fatal(err)
		}
		probe, err := newFeatures(s.cfg.Policy)
		if err != nil {
			t.Fatal(err)
		}
		states, err := dataset.LoadStates(t.Context(), b, m.FeatureStates, m.Data, probe)
		if err != nil {
			t.Fatal(err)
		}
		return states
	}
	first := look()
	if again := look(); made != 1 || len(first.States) != 1 || !slices.Equal(again.States[0], first.States[0]) {
		t.Errorf("made %d times, %d states (want 1 and 1)", made, len(first.States))
	}
	if err := b.DeleteObject(t.Context(), m.FeatureStates); err != nil {
		t.Fatal(err)
	}
	if mended := look(); made != 2 || !slices.Equal(mended.States[0], first.States[0]) {
		t.Errorf("made %d times in all (want 2, and the same states)", made)
	}
	// Cleaning removes it with its run, unless another one uses it.
	other := m
	other.RunID = "other"
	if err := dropObjects(t.Context(), b, m, []run.Manifest{other}); err != nil {
		t.Fatal(err)
	}
	if there, err := b.HasObject(t.Context(), m.FeatureStates); err != nil || !there {
		t.Errorf("the states are there: %v, %v (want true: another run uses them)", there, err)
	}
	if err := dropObjects(t.Context(), b, m, nil); err != nil {
		t.Fatal(err)
	}
	if there, err := b.HasObject(t.Context(), m.FeatureStates); err != nil || there {
		t.Errorf("the states are there: %v, %v (want false)", there, err)
	}
}
