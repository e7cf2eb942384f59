package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/audit"
	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
	"gx1replay/internal/worker"
)

func (a *auditing) openData(ctx context.Context) error {
	if err := a.anyBars(ctx); err != nil {
		return err
	}
	if n := int64(len(a.set.Bars)); n != a.found.m.Data.Bars {
		return fmt.Errorf("the data set has %d bars (expected %d, data.bars of run %s)", n, a.found.m.Data.Bars, a.found.m.RunID)
	}
	return nil
}

func (a *auditing) anyBars(ctx context.Context) error {
	err := a.openBars()
	if err == nil || a.f.data != "" || a.found.bus == nil || a.found.m.Data.Extra != "" {
		return err
	}
	m := a.found.m
	set, errBus := dataset.Open(ctx, a.found.bus, m.Data, nil)
	if errBus != nil {
		return errors.Join(err, errBus)
	}
	list := make([]bars.Bar, 0, min(m.Data.Bars, 1<<20))
	for b, err := range set.Bars(ctx, run.BarRange{End: m.Data.Bars}) {
		if err != nil {
			return fmt.Errorf("reading the bars from the bus: %w", err)
		}
		list = append(list, b)
	}
	if sum := bars.Digest(list); sum != m.Data.SHA256 {
		return fmt.Errorf("the bars on the bus have SHA-256 %.12s (expected %.12s, the run's)", sum, m.Data.SHA256)
	}
	a.set = bars.Set{Bars: list, Source: m.Data.Source, SpreadBps: m.Data.SpreadBps}
	return nil
}

// openValues opens the policy of a run of the built-in engine, which must have the
// run's digest.
func (a *auditing) openValues(ctx context.Context) error {
	m := a.found.m
	// The run began with these model files, so their versions were accepted.
	opt := policy.Options{NeedModel: true, PregateFlag: &m.PregateEnabled, AcceptNewerModel: true}
	var err error
	switch {
	case a.f.policy != "":
		if a.policy, err = policy.Load(a.f.policy, opt); err != nil {
			return err
		}
		if a.policy.SHA256 != m.Policy.SHA256 {
			return usagef("--policy P: the run's policy", "policy %s has SHA-256 %.12s (expected %.12s, the run's)", a.f.policy, a.policy.SHA256, m.Policy.SHA256)
		}
	case len(a.found.values) > 0:
		if a.policy, err = policy.Parse("policy.values", a.found.values, opt); err != nil {
			return fmt.Errorf("reading policy.values of run %s: %w", m.RunID, err)
		}
	default:
		err = a.openPolicy(ctx)
	}
	return err
}

func (a *auditing) readyBuiltin(ctx context.Context) error {
	if err := a.openValues(ctx); err != nil {
		return err
	}
	if a.policy.Model == nil {
		return fmt.Errorf("the policy of run %s has no model (the built-in engine needs one)", a.found.m.RunID)
	}
	m := *a.policy.Model
	m.Latency = 0 // a declared cost changes times alone
	a.policy.Model = &m
	models, err := model.NewSet(m, a.policy.Sessions, a.policy.Features, func(name string) ([]byte, error) { return a.modelFile(ctx, name) })
	if err != nil {
		return err
	}
	if err := a.openData(ctx); err != nil {
		return err
	}
	states, err := a.states()
	if err != nil {
		return err
	}
	source := replay.InMemory(a.set.Bars)
	a.replay = func(ctx context.Context, _ int, c run.Chunk, was footer.Footer) ([]audit.Difference, error) {
		job, err := worker.NewJob(a.found.m, c, a.policy)
		if err != nil {
			return nil, err
		}
		job.Model, job.States, job.StateEvery = models, states.States, states.SliceBars
		job.Decisions = slices.ContainsFunc(was.Artifacts, func(l footer.Artifact) bool { return l.Name == trade.DecisionsName })
		res, err := replay.Run(ctx, job, source, nil)
		if err != nil {
			return nil, err
		}
		now := worker.NewResult(res)
		if now.Unkept != nil { // the worker could not list it either
			a.noteOnce("%v", now.Unkept)
		}
		var listed []footer.Artifact
		for _, l := range now.Artifacts {
			listed = append(listed, l.Artifact)
		}
		diffs := audit.Compare(was, now.Footer)
		diffs = append(diffs, audit.Artifact(trade.ArtifactName, was.Artifacts, listed)...)
		return append(diffs, audit.Artifact(trade.DecisionsName, was.Artifacts, listed)...), nil
	}
	return nil
}

// modelFile finds a model file by its name in the policy and checks its digest.
func (a *auditing) modelFile(ctx context.Context, name string) ([]byte, error) {
	want, known := a.found.m.Models[name]
	if !known {
		return nil, fmt.Errorf("the run has no digest of model file %s", name)
	}
	if b, err := a.policy.ModelContent(name); err == nil && sha256Hex(b) == want {
		return b, nil
	}
	paths := []string{name}
	for _, dir := range []string{a.f.models, filepath.Dir(a.f.policy), a.found.target.Dir} {
		if dir != "" {
			paths = append(paths, filepath.Join(dir, name), filepath.Join(dir, filepath.Base(name)))
		}
	}
	why := fmt.Sprintf("it is not in %s", strings.Join(paths, ", "))
	for _, path := range paths {
		b, err := safefile.ReadLinked(path, policy.MaxModelBytes)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			why = err.Error()
			continue
		}
		if sum := sha256Hex(b); sum != want {
			why = fmt.Sprintf("%s has SHA-256 %.12s (expected %.12s, the run's)", path, sum, want)
			continue
		}
		return b, nil
	}
	if a.found.bus != nil {
		return a.found.object(ctx, run.ModelObject(want), want, policy.MaxModelBytes)
	}
	return nil, fmt.Errorf("model file %s: %s; --models DIR names the directory of the run's model files", name, why)
}

// states are those of the policy's recursive features at borders of slices, so that
// a replay need not begin with the first bar.
func (a *auditing) states() (dataset.States, error) {
	sessions := feature.NewSessionTable(a.policy.Sessions)
	fresh, err := feature.New(a.policy.Features, sessions)
	if err != nil {
		return dataset.States{}, err
	}
	d := a.found.m.Data
	if d.SliceBars < 1 || dataset.StatesName(d, fresh) == "" {
		return dataset.States{}, nil
	}
	return dataset.NewStates(d, a.set.Bars, fresh)
}
