package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// modelExample is what an error about a missing model shows to paste.
const modelExample = `
  model:
    kind: logistic
    long:  {bias: -3.0, weights: {roc20: 1000}}
    short: {bias: -3.0, weights: {roc20: -1000}}
    latency: 0s`

// acceptNewerKey is written into the policy that travels, where a flag says it.
const acceptNewerKey = "accept_newer_version"

// featureName is a well-formed feature; which ones exist, internal/feature
// says.
var featureName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func (d *document) checkFeature(s *section, key string, it *node) {
	if reason, ok := refused(refusedFeatures, it.text); ok {
		s.fail(it, key, "%s: %s (want it removed, or replay with --engine exec)", it.text, reason)
	} else if !featureName.MatchString(it.text) {
		s.bad(it, key, "a feature", wantFeature)
	}
}

// model reads features and model.
func (d *document) model() {
	listed := d.top.has("features")
	d.p.Features = d.top.words("features", "names of features", func(it *node) { d.checkFeature(d.top, "features", it) })
	if len(d.p.Features) > maxFeatures {
		d.top.fail(d.top.take("features"), "features", "lists %d features (want at most %d)", len(d.p.Features), maxFeatures)
	}
	s := d.top.sub("model")
	if s.n == nil {
		if d.opt.NeedModel && !d.partial && !d.top.has("model") {
			d.top.fail(d.root, "model", "is missing, and the built-in engine needs one (want, for example, these lines)%s", modelExample)
		}
		return
	}
	m := &Model{}
	d.p.Model = m
	m.Kind = s.oneOf("kind", "a kind of model", "", append([]string{KindLogistic}, fileKinds...)...)
	if !s.has("kind") {
		s.missing("kind", WantKinds())
	}
	m.Latency = s.duration("latency", maxLatency)
	m.AcceptNewer = s.boolean(acceptNewerKey, false) || d.opt.AcceptNewerModel
	switch {
	case m.Kind == KindLogistic:
		m.Long = d.logistic(s, "long", listed)
		m.Short = d.logistic(s, "short", listed)
		for _, key := range []string{"weights", "bias"} {
			if v := s.take(key); v != nil {
				s.fail(v, key, "stands for no side (want it under long and under short)")
			}
		}
	case slices.Contains(fileKinds, m.Kind):
		d.modelFiles(s, m)
		if d.opt.NeedModel && !d.partial && !listed {
			d.top.fail(s.n, "features", "is missing (want the names of what a model of kind %s looks at, in its order)", m.Kind)
		}
	default: // said above; these are keys of one kind or another
		for _, key := range []string{"long", "short", "weights", "bias", "path", "paths"} {
			s.take(key)
		}
		for _, name := range d.sessionNames() {
			s.take(sessionModelKey(name))
		}
	}
	s.done()
	if !listed {
		d.p.Features = weighted(m)
	}
}

// logistic is the model of one side.
func (d *document) logistic(model *section, side string, listed bool) Logistic {
	s := model.sub(side)
	if s.n == nil {
		if !model.has(side) {
			model.missing(side, "{bias: …, weights: {feature: …}}")
		}
		return Logistic{}
	}
	if !s.has("bias") && !s.has("weights") {
		model.fail(s.n, side, "has neither bias nor weights (want {bias: …, weights: {feature: …}})")
	}
	l := Logistic{Bias: s.numberOr("bias", 0, quantity{"a bias", "a finite number", anyNumber}), Weights: map[string]float64{}}
	w := s.sub("weights")
	if w.n != nil {
		for _, p := range w.n.pairs {
			name := p.key.text
			d.checkFeature(w, name, p.key)
			if listed && !slices.Contains(d.p.Features, name) {
				w.fail(p.key, name, "is not among the listed features (want one of features, or no features list)")
			}
			v, ok := p.val.number()
			if !ok {
				w.bad(p.val, name, "a weight", "a finite number")
			}
			l.Weights[name] = v
		}
	}
	s.done()
	return l
}

// modelFiles reads path, paths and <session>_model_path, and the files.
func (d *document) modelFiles(s *section, m *Model) {
	m.Path = s.text("path")
	d.modelFile(s, "path", m.Path)
	m.Paths = map[string]string{}
	if paths := s.sub("paths"); paths.n != nil {
		for _, p := range paths.n.pairs {
			switch {
			case !d.isSession(p.key.text):
				paths.bad(p.key, p.key.text, "a market session", strings.Join(d.sessionNames(), ", "))
			case p.val.kind != scalar || p.val.absent() || p.val.text == "":
				paths.bad(p.val, p.key.text, "a path", "the name of a model file")
			default:
				m.Paths[p.key.text] = p.val.text
				d.modelFile(paths, p.key.text, p.val.text)
			}
		}
	}
	for _, name := range d.sessionNames() {
		key := sessionModelKey(name)
		path := s.text(key)
		if path == "" {
			continue
		}
		if m.Paths[name] != "" {
			s.fail(s.take(key), key, "names a second model for %s (want it here or in paths)", name)
		}
		m.Paths[name] = path
		d.modelFile(s, key, path)
	}
	if m.Path == "" && len(m.Paths) == 0 {
		s.missing("path", "a model file in path or paths")
	}
}

// sessionModelKey is the key of a market session's own model file.
func sessionModelKey(session string) string { return strings.ToLower(session) + "_model_path" }

// modelFile reads the model file name, the value of key in s, where the engine
// needs it.
func (d *document) modelFile(s *section, key, name string) {
	if name == "" {
		return
	}
	if len(name) > maxModelName {
		s.fail(s.n.get(key), key, "is a name of %d bytes (want at most %d)", len(name), maxModelName)
		return
	}
	if _, known := d.p.ModelFiles[name]; known || !d.reads || !d.opt.NeedModel {
		return
	}
	_, content, err := d.readNamed(name)
	if err == nil && len(content) > MaxModelBytes {
		err = fmt.Errorf("has %d bytes (want at most %d)", len(content), MaxModelBytes)
	}
	if err != nil {
		s.fail(s.n.get(key), key, "%v", err)
		return
	}
	sum := sha256.Sum256(content)
	if d.p.ModelFiles == nil {
		d.p.ModelFiles = map[string]ModelFile{}
	}
	d.p.ModelFiles[name] = ModelFile{SHA256: hex.EncodeToString(sum[:]), Content: content}
}

// weighted is the names that m's weights use, sorted.
func weighted(m *Model) []string {
	all := map[string]bool{}
	for _, l := range []Logistic{m.Long, m.Short} {
		for name := range l.Weights {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
