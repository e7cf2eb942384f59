package worker

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
)

// signing makes a key and what signs a manifest with it.
func signing(t *testing.T) (public string, sign func(run.Manifest) run.Manifest) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	must(t, err)
	public, err = pair.PublicKey()
	must(t, err)
	return public, func(m run.Manifest) run.Manifest {
		t.Helper()
		text, err := pair.Sign(m.SignedText())
		must(t, err)
		m.Signature = run.Signature{Key: public, Bytes: text}
		return m
	}
}

func acceptManifest() run.Manifest {
	return run.Manifest{
		RunID: "r", Incarnation: benchIncarnation, Session: 1, State: run.StateRunning, Engine: footer.EngineExec,
		Data: run.Data{SHA256: "d", Bars: 10, SliceBars: 10}, Plan: run.Plan{Bars: 10, Chunks: 2, Order: run.OrderSpread},
		Policy:  run.Policy{SHA256: "p", Content: "c"},
		Models:  map[string]string{"m": "1"},
		Command: run.Command{Params: map[string]string{"a": "1"}, Files: map[string]run.CommandFile{"cfg": {Name: "cfg", SHA256: "s", Bytes: 1}}},
	}
}

// What a run is does not change under a worker that opened it.
func TestAManifestKeepsWhatItsRunReplays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*run.Manifest)
		want   string // part of the error; empty: accepted
	}{
		"nothing":                     {func(*run.Manifest) {}, ""},
		"a later session":             {func(m *run.Manifest) { m.Session = 7 }, ""},
		"another state":               {func(m *run.Manifest) { m.State = run.StateStopped }, ""},
		"the file's path and comment": {func(m *run.Manifest) { m.Data.Source, m.Policy.Content = "moved.csv", "c2" }, ""},
		"another order":               {func(m *run.Manifest) { m.Plan.Order = run.OrderTime }, ""},
		"the first claim's command": {func(m *run.Manifest) {
			m.Identity, m.Command.Argv = "id", []string{"a"}
		}, ""},
		"a later run of the name": {func(m *run.Manifest) {
			m.Incarnation = ""
			m.Data.SHA256, m.Policy.SHA256 = "other", "other"
		}, ""},
		"data":        {func(m *run.Manifest) { m.Data.SHA256 = "evil" }, `the data set changed from "d" to "evil"`},
		"bars":        {func(m *run.Manifest) { m.Data.Bars = 9 }, "changed"},
		"plan":        {func(m *run.Manifest) { m.Plan.Chunks = 3 }, "the plan changed"},
		"policy":      {func(m *run.Manifest) { m.Policy.SHA256 = "evil" }, `the policy changed from "p" to "evil"`},
		"pregate":     {func(m *run.Manifest) { m.PregateEnabled = true }, "the pregate changed"},
		"states":      {func(m *run.Manifest) { m.FeatureStates = "evil" }, "feature states changed"},
		"a model":     {func(m *run.Manifest) { m.Models = map[string]string{"m": "2"} }, "the models changed"},
		"engine":      {func(m *run.Manifest) { m.Engine = footer.EngineBuiltin }, "the engine changed"},
		"decisions":   {func(m *run.Manifest) { m.Decisions = true }, "changed"},
		"a parameter": {func(m *run.Manifest) { m.Command.Params = map[string]string{"a": "2"} }, `--param a: "1", not "2"`},
		"a shipped file": {func(m *run.Manifest) {
			m.Command.Files = map[string]run.CommandFile{"cfg": {Name: "cfg", SHA256: "evil", Bytes: 1}}
		}, "--exec-file cfg"},
		"a new file":      {func(m *run.Manifest) { m.Command.Files = map[string]run.CommandFile{} }, "--exec-file cfg"},
		"what it emits":   {func(m *run.Manifest) { m.Command.Emits = run.EmitsScores }, "--exec-emits"},
		"slices":          {func(m *run.Manifest) { m.Data.SliceBars = 5 }, "changed"},
		"its own columns": {func(m *run.Manifest) { m.Data.Extra = "x" }, "changed"},
	} {
		var a accepted
		first := acceptManifest()
		must(t, a.check(first))
		a.open(first)
		next := acceptManifest()
		c.change(&next)
		err := a.check(next)
		if c.want == "" && (err != nil || a.count != 0) {
			t.Errorf("%s: refused: %v", name, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || a.count != 1) {
			t.Errorf("%s: %v, %d refused (want an error with %q)", name, err, a.count, c.want)
		}
	}
}

// The command's identity is learned once, and then stays.
func TestAnIdentityIsLearnedOnce(t *testing.T) {
	var a accepted
	m := acceptManifest()
	a.open(m)
	m.Identity = "first"
	must(t, a.check(m))
	a.open(m)
	m.Identity = "second"
	if err := a.check(m); err == nil || !strings.Contains(err.Error(), `identity changed from "first" to "second"`) {
		t.Errorf("%v (want it refused)", err)
	}
}

func TestOnlySignedManifestsAreServed(t *testing.T) {
	ours, sign := signing(t)
	others, signOther := signing(t)
	good := sign(acceptManifest())
	moved := good
	moved.Session = 2
	for name, c := range map[string]struct {
		keys []string
		m    run.Manifest
		want string
	}{
		"nobody asks":               {nil, acceptManifest(), ""},
		"signed":                    {[]string{others, ours}, good, ""},
		"unsigned":                  {[]string{ours}, acceptManifest(), "it is not signed"},
		"another's":                 {[]string{ours}, signOther(acceptManifest()), "it is signed by " + others},
		"a session later":           {[]string{ours}, moved, "does not match its content"},
		"signed for that session":   {[]string{ours}, sign(moved), ""},
		"no key":                    {[]string{ours, "x"}, run.Manifest{Signature: run.Signature{Key: "x"}}, "reading the signer's key"},
		"ours, with another's text": {[]string{ours}, func() run.Manifest { m := signOther(acceptManifest()); m.Signature.Key = ours; return m }(), "does not match"},
		"the state only":            {[]string{ours}, func() run.Manifest { m := good; m.State = run.StateStopped; return m }(), ""},
		"another policy":            {[]string{ours}, func() run.Manifest { m := good; m.Policy.SHA256 = "evil"; return m }(), "does not match its content"},
	} {
		a := accepted{keys: c.keys}
		err := a.check(c.m)
		if c.want == "" && err != nil {
			t.Errorf("%s: refused: %v", name, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v (want an error with %q)", name, err, c.want)
		}
	}
}

func TestOpenedRunsAreBounded(t *testing.T) {
	var a accepted
	m := acceptManifest()
	for i := range maxOpened + 5 {
		m.Incarnation = run.NewIncarnation([16]byte{byte(i), byte(i >> 8)})
		a.open(m)
	}
	if len(a.first) != maxOpened || len(a.order) != maxOpened {
		t.Errorf("%d runs are remembered, %d in order (want %d)", len(a.first), len(a.order), maxOpened)
	}
	if _, there := a.first[m.Ref()]; !there {
		t.Error("the last one is forgotten")
	}
}

// served lists the sessions that a worker serves, as its tests read them.
func served(w *Worker) []run.Manifest {
	list, _ := w.servable()
	var out []run.Manifest
	for _, s := range list {
		out = append(out, s.m)
	}
	return out
}

// A refused manifest neither ends an open session nor opens one; a later run of
// the same name opens its own.
func TestRefusedManifestsChangeNothing(t *testing.T) {
	w := New(Config{ID: "w", Engine: stillEngine{}, Logger: slog.New(slog.DiscardHandler)})
	apply := func(rev uint64, m run.Manifest) {
		w.applyRuns(context.Background(), []bus.StoredManifest{{Manifest: m, Revision: rev}}, true)
	}
	first := acceptManifest()
	first.Engine = footer.EngineBuiltin
	apply(1, first)
	open := w.sessions["r"]
	if open == nil {
		t.Fatal("the run is not served")
	}
	evil := first
	evil.Session, evil.Policy.SHA256 = 2, "evil"
	apply(2, evil)
	if w.sessions["r"] != open || open.ctx.Err() != nil {
		t.Error("a manifest with another policy ended the session")
	}
	if w.incompatible["r"].text == "" || w.accepted.count != 1 {
		t.Errorf("%d refused, noted %q (want 1, and why)", w.accepted.count, w.incompatible["r"].text)
	}
	// Two replicas, one of which lags: the later run of the name stays.
	later := first
	later.Incarnation = run.NewIncarnation([16]byte{5})
	later.Policy.SHA256 = "later"
	apply(3, later)
	apply(1, first)
	if got := served(w); len(got) != 1 || got[0].Ref() != later.Ref() || open.ctx.Err() == nil {
		t.Errorf("served: %+v (want the later run alone)", got)
	}
	w.endSessions()
}
