package coordinator

import (
	"fmt"
	"os"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/execengine"
	"gx1replay/internal/feature"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// newFeatures makes the set of a policy's features, which has seen no bar.
func newFeatures(p policy.Policy) (*feature.Set, error) {
	sessions := feature.NewSessionTable(p.Sessions)
	set, err := feature.New(p.Features, sessions)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return set, nil
}

// modelsOf is the digests (hex) of a policy's model files by their names.
func modelsOf(p policy.Policy) map[string]string {
	digests := map[string]string{}
	for name, file := range p.ModelFiles {
		digests[name] = file.SHA256
	}
	return digests
}

// checkModel makes the policy's model as a worker will, so that what is wrong
// with its files is known before anything runs.
func checkModel(p policy.Policy) error {
	if p.Model == nil {
		return fmt.Errorf("policy %s: it has no model (the built-in engine needs one)", p.Name)
	}
	if _, err := model.NewSet(*p.Model, p.Sessions, p.Features, p.ModelContent); err != nil {
		return fmt.Errorf("policy %s: %w", p.Name, err)
	}
	return nil
}

// objects are what workers need of the run m on list besides data set and
// policy, by the names that m has for them.
func (s *Session) objects(m run.Manifest, list []bars.Bar) []Object {
	var out []Object
	if m.FeatureStates != "" {
		out = append(out, Object{Name: m.FeatureStates, Make: func() ([]byte, error) {
			features, err := newFeatures(s.cfg.Policy)
			if err != nil {
				return nil, err
			}
			return dataset.ComputeStates(m.Data, list, features)
		}})
	}
	for _, file := range s.cfg.Policy.ModelFiles {
		out = append(out, Object{Name: run.ModelObject(file.SHA256), Make: func() ([]byte, error) { return file.Content, nil }})
	}
	for i, file := range m.Policy.Files {
		if i < len(s.cfg.Policy.Files) { // the manifest's are this session's
			out = append(out, Object{Name: run.FileObject(file.SHA256), Make: func() ([]byte, error) { return s.cfg.Policy.Files[i].Content, nil }})
		}
	}
	for name, file := range m.Command.Files {
		path := s.cfg.Files[name]
		if path == "" || file.Bytes > execengine.MaxShipped {
			continue // found by its digest, where workers are
		}
		out = append(out, Object{Name: run.FileObject(file.SHA256), Make: func() ([]byte, error) { return os.ReadFile(path) }})
	}
	return out
}
