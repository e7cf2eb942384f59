package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gx1replay/internal/dataset"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	// reportEvery is how often the engine hands over what it has measured:
	// a few times a record, so that records are fresh.
	reportEvery = recordEvery / 4
	// checkpointEvery is the finest distance between checkpoints in bars;
	// the engine doubles it when a chunk has more than its share.
	checkpointEvery = 64
	// runCheckpoints is how many checkpoints a whole run may keep, and
	// chunkCheckpoints one chunk, so that its record stays small.
	runCheckpoints   = 65_536
	chunkCheckpoints = 1024
)

// Builtin is the engine `builtin`: package replay on bars, policies, models
// and features' states that come from the bus by their digests.
type Builtin struct {
	// Objects holds data sets, policies, models and features' states.
	Objects Objects
	// Cache keeps what is fetched; nil: nothing is kept.
	Cache *dataset.Cache
	// Usage gives this process's CPU seconds, for checkpoints.
	Usage func() (user, sys float64, maxRSSBytes int64)
	// OnBar, if not nil, makes what is called for each bar of an attempt
	// before the bar is counted; a test's log.
	OnBar func(job Job) func(bar int64) error

	shared shared[*inputs]
}

// maxCPUSec is more than any process uses, and fits a Duration.
const maxCPUSec = 1 << 32

// inputs are what all chunks of a run share. The bars in memory are not its own:
// see dataset.Cache.
type inputs struct {
	data   *dataset.Set
	policy policy.Policy
	model  *model.Set
	states dataset.States
}

// Name is the engine's name.
func (*Builtin) Name() string { return footer.EngineBuiltin }

// Identity is empty: every worker of one version runs the same engine.
func (*Builtin) Identity() string { return "" }

// Fits is nil: it serves every run of its name.
func (*Builtin) Fits(run.Manifest) error { return nil }

// Replay replays one chunk. The signals that it found are its first artifact,
// what became of its bars the next, where the run asks for that: trades come
// before what explains them.
func (e *Builtin) Replay(ctx context.Context, job Job, report func(footer.Footer)) (Result, error) {
	in, err := e.shared.get(ctx, job, e.inputs)
	if err != nil {
		return Result{}, err
	}
	r, err := NewJob(job.Manifest, job.Chunk, in.policy)
	if err != nil {
		return Result{}, err
	}
	r.Model, r.States, r.StateEvery = in.model, in.states.States, in.states.SliceBars
	if e.Usage != nil {
		// Checkpoints are cumulative, whatever the kernel reports.
		var last time.Duration
		r.CPU = func() time.Duration {
			user, sys, _ := e.Usage()
			if sec := user + sys; sec >= 0 && sec < maxCPUSec {
				last = max(last, time.Duration(sec*float64(time.Second)))
			}
			return last
		}
	}
	if e.OnBar != nil {
		r.OnBar = e.OnBar(job)
	}
	res, err := replay.Run(ctx, r, in.data, report)
	return NewResult(res), err
}

// NewJob is the replay of a chunk of the run m, as every worker does it: an
// audit that replays the same job finds the same counters. The model and the
// features' states are the caller's to fill.
func NewJob(m run.Manifest, c run.Chunk, p policy.Policy) (replay.Job, error) {
	p, err := replay.ForVersion(m.EngineVersion, p, m.Data.BarLength)
	if err != nil {
		return replay.Job{}, err
	}
	p.WarmupBars = max(p.WarmupBars, m.Data.BeforeBars)
	return replay.Job{
		Bars: c.Bars, DataBars: m.Data.Bars, BarLength: m.Data.BarLength,
		Policy: p, Decisions: m.Decisions,
		CheckpointEvery: checkpointEvery, ReportEvery: reportEvery,
		MaxCheckpoints: min(chunkCheckpoints, runCheckpoints/m.Plan.Chunks),
	}, nil
}

// NewResult is what a replay ends with: its footer, and as artifacts its signals
// and what became of its bars.
func NewResult(res replay.Result) Result {
	out := Result{Footer: res.Footer}
	if len(res.Signals) > 0 {
		out.leave(trade.EncodeSignals(trade.ArtifactName, res.Signals))
	}
	if res.Decisions.Len() > 0 {
		out.leave(trade.EncodeDecisions(trade.DecisionsName, &res.Decisions))
	}
	return out
}

// leave adds an artifact, or the reason why it is not there.
func (r *Result) leave(a footer.Artifact, content [][]byte, err error) {
	if err != nil {
		r.Unkept = errors.Join(r.Unkept, err)
		return
	}
	r.Artifacts = append(r.Artifacts, Artifact{a, content})
}

// inputs fetches what the run's chunks share.
func (e *Builtin) inputs(ctx context.Context, m run.Manifest) (*inputs, error) {
	content, err := fetchPolicy(ctx, e.Objects, m, e.Cache)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(m.Policy.Name, content, policy.Options{NeedModel: true, PregateFlag: &m.PregateEnabled})
	if err != nil {
		return nil, fmt.Errorf("reading the run's policy: %w", err)
	}
	if err := isPolicyOf(m, p); err != nil {
		return nil, err
	}
	models, err := model.NewSet(*p.Model, p.Sessions, p.Features, func(name string) ([]byte, error) {
		sha, ok := m.Models[name]
		if !ok {
			return nil, fmt.Errorf("the run's manifest has no digest of %s", name)
		}
		return e.Cache.Get(ctx, e.Objects, run.ModelObject(sha), sha, policy.MaxModelBytes)
	})
	if err != nil {
		return nil, err
	}
	data, err := dataset.Open(ctx, e.Objects, m.Data, e.Cache)
	if err != nil {
		return nil, err
	}
	states, err := e.states(ctx, m, p)
	if err != nil {
		return nil, err
	}
	return &inputs{data: data, policy: p, model: models, states: states}, nil
}

// states fetches the state of the policy's recursive features at the borders of
// slices, if the run has that.
func (e *Builtin) states(ctx context.Context, m run.Manifest, p policy.Policy) (dataset.States, error) {
	if m.FeatureStates == "" {
		return dataset.States{}, nil
	}
	sessions := feature.NewSessionTable(p.Sessions)
	probe, err := feature.New(p.Features, sessions)
	if err != nil {
		return dataset.States{}, fmt.Errorf("reading the run's policy: %w", err)
	}
	return dataset.LoadStates(ctx, e.Objects, m.FeatureStates, m.Data, probe)
}
