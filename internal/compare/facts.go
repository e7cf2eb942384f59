package compare

// Facts are what a report tells of one side, beside the figures.
type Facts struct {
	Path  string `json:"path"`
	Error string `json:"error"` // why the file could not be used; then all below is empty

	RunID          string   `json:"run_id"`
	Outcome        string   `json:"outcome"`
	PregateEnabled bool     `json:"pregate_enabled"`
	PolicyName     string   `json:"policy_name"`
	Engine         string   `json:"engine"`
	Version        string   `json:"version"` // module version, and commit
	PlannedBars    int64    `json:"planned_bars"`
	ReplayedBars   int64    `json:"replayed_bars"`
	ChunksOK       int      `json:"chunks_ok"`
	ChunksTotal    int      `json:"chunks_total"`
	Workers        int      `json:"workers"`
	Hosts          []string `json:"hosts"`

	// Sums over the chunks, and the run's own wall clock last.
	WallSec    Number `json:"wall_clock_sec,omitzero"`
	FeatureSec Number `json:"t_feature_build_total_sec,omitzero"`
	ModelSec   Number `json:"t_model_total_sec,omitzero"`
	PolicySec  Number `json:"t_policy_total_sec,omitzero"`
	PregateSec Number `json:"t_pregate_total_sec,omitzero"`
	IOSec      Number `json:"t_io_total_sec,omitzero"`
	WarmupSec  Number `json:"t_warmup_sec,omitzero"`
	TradesOpen Number `json:"trades_open,omitzero"`
	PnlBps     Number `json:"pnl_bps,omitzero"`     // without costs
	NetPnlBps  Number `json:"net_pnl_bps,omitzero"` // after costs, if the run has any
	RunWallSec Number `json:"total_wall_clock_sec,omitzero"`
}

func facts(s Side, m sample) Facts {
	if s.Err != nil {
		return Facts{Path: s.Path, Error: s.Err.Error(), Hosts: []string{}}
	}
	r, t := s.File.Report, s.File.Totals
	f := Facts{
		Path: s.Path, RunID: string(r.RunID), Outcome: string(t.Outcome), PregateEnabled: r.PregateEnabled,
		PolicyName: r.Policy.Name, Engine: r.Env.Engine, Version: r.Env.ModuleVersion + " " + r.Env.GitCommit,
		PlannedBars: t.Coverage.PlannedBars, ReplayedBars: t.Coverage.ReplayedBars,
		ChunksOK: t.ChunksCompleted, ChunksTotal: t.ChunksTotal, Workers: r.Workers, Hosts: r.Hosts,
		WallSec: m.wallSec.number(), FeatureSec: m.featureSec.number(), ModelSec: m.modelSec.number(),
		PolicySec: m.policySec.number(), PregateSec: m.pregateSec.number(), IOSec: m.ioSec.number(),
		WarmupSec: m.warmupSec.number(), TradesOpen: m.tradesOpen.number(), PnlBps: m.pnlBps.number(),
		RunWallSec: Number{Value: r.Wall.Seconds(), Known: true},
	}
	if t.NetPnlBps != nil {
		f.NetPnlBps = Number{Value: *t.NetPnlBps, Known: true}
	}
	if f.Hosts == nil {
		f.Hosts = []string{}
	}
	return f
}
