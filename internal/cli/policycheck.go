package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"gx1replay/internal/bars"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

const (
	// defaultFutureCuts: a dependence on the future shows at nearly every cut
	// if it shows at all, and each costs half a replay.
	defaultFutureCuts = 8
	historyCuts       = 4
	maxFutureCuts     = 10_000
)

type policyCheckFlags struct {
	policyFlags
	data   string
	read   dataFlags
	bars   int64
	cuts   int
	seed   uint64
	asJSON bool
}

func (p Program) policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check a policy", Args: cobra.NoArgs}
	cmd.AddCommand(p.policyCheckCommand())
	return cmd
}

func (p Program) policyCheckCommand() *cobra.Command {
	var f policyCheckFlags
	cmd := &cobra.Command{
		Use:   "check POLICY",
		Short: "Check a policy for errors, its warm-up, and trades that nothing ends",
		Long: `check reads a policy as run does. It reports all errors, unused keys, the effective
gate, the model, warm-up and look-back of each feature, and which exit rule ends
which trades.

With --data it also replays these bars on this machine, without workers and without
model.latency. It reports the warm-up bars, what the gate skips, the model calls
that this avoids, and the signals. It recomputes the features with early history
removed and reports how far each value moves. It replays again without the bars
after random points and compares every earlier feature and signal with the first
replay, bit by bit. --bars limits the cost: trades that no exit rule ends are
followed to the end of the data.

Exit codes:
  0  no errors; warnings included
  1  errors`,
		Example: `  coordinator policy check examples/policies/gated.yaml
  coordinator policy check gated.yaml --data XAUUSD_M5.parquet
  coordinator policy check gated.yaml --data XAUUSD_M5.parquet --bars 20000 --cuts 50 --json`,
		Args: oneArg("POLICY", "coordinator policy check gated.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.policyCheck(cmd.Context(), args[0], f) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.data, "data", "", dataArg)
	fl.Int64Var(&f.bars, "bars", 0, "number of bars to replay, at the end of the data (default: all)")
	aboveZero(fl, "bars", "1 or more; without the flag all are replayed")
	fl.IntVar(&f.cuts, "cuts", defaultFutureCuts, "number of replays with the future cut off; each costs half a replay")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the bars to cut at")
	f.read.bind(fl)
	f.bindPregate(fl)
	f.bindKeys(fl)
	bindJSON(fl, &f.asJSON)
	p.bindEnv(cmd, nil)
	return cmd
}

// policyChecked is what policy check prints with --json.
type policyChecked struct {
	Path   string        `json:"path"`
	OK     bool          `json:"ok"`
	Errors []policyError `json:"errors"` // why the rest is not known
	// Findings are what is wrong, and what is worth knowing.
	Findings    []replay.Finding `json:"findings"`
	Name        string           `json:"name"`
	SHA256      string           `json:"sha256"`
	Timeframe   string           `json:"timeframe"`
	UnknownKeys []string         `json:"unknown_keys"`
	Gate        checkedGate      `json:"gate"`
	Model       checkedModel     `json:"model"`
	Costs       *checkedCosts    `json:"costs,omitempty"`
	Needs       *replay.Needs    `json:"needs"`
	Data        *checkedData     `json:"data"`
	Audit       *replay.Audit    `json:"audit"`
}

type policyError struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0: none
	Col  int    `json:"column"`
	Key  string `json:"key"`
	Msg  string `json:"message"`
}

type checkedGate struct {
	Enabled       bool          `json:"enabled"`
	Source        policy.Source `json:"source"`
	AllowSessions []string      `json:"allow_sessions"`
	MaxSpreadBps  *float64      `json:"max_spread_bps"`
	MinATRBps     *float64      `json:"min_atr_bps"`
	MaxATRBps     *float64      `json:"max_atr_bps"`
}

type checkedModel struct {
	Kind       string   `json:"kind"`
	Files      []string `json:"files"`
	LatencySec float64  `json:"latency_sec"`
}

type checkedCosts struct {
	CommissionBps         float64 `json:"commission_bps"`
	CommissionPerTradeBps float64 `json:"commission_per_trade_bps"`
	SwapLongBpsPerNight   float64 `json:"swap_long_bps_per_night"`
	SwapShortBpsPerNight  float64 `json:"swap_short_bps_per_night"`
	RolloverHourUTC       int     `json:"rollover_hour_utc"`
	TripleSwapWeekday     string  `json:"triple_swap_weekday"`
	SlippageBps           float64 `json:"slippage_bps"`
}

type checkedData struct {
	Source       string  `json:"source"`
	Bars         int64   `json:"bars"`
	BarLengthSec float64 `json:"bar_length_sec"`
}

func (p Program) policyCheck(ctx context.Context, path string, f policyCheckFlags) error {
	const hint = "coordinator policy check --help"
	switch {
	case f.cuts < 0 || f.cuts > maxFutureCuts:
		return usagef(hint, "--cuts %d (want 0 to %d)", f.cuts, maxFutureCuts)
	case f.bars < 0:
		return usagef(hint, "--bars %d (want 1 or more)", f.bars)
	}
	c := policyChecked{Path: path, Errors: []policyError{}, Findings: []replay.Finding{}, UnknownKeys: []string{}}
	err := p.inspectPolicy(ctx, &c, f)
	if err != nil {
		var usage *usageError
		if !f.asJSON || errors.As(err, &usage) {
			return err
		}
		c.fail(err)
	}
	c.OK = err == nil && !slices.ContainsFunc(c.Findings, func(v replay.Finding) bool { return v.Level == replay.LevelProblem })
	if f.asJSON {
		err = p.printJSON(c)
	} else {
		err = c.writeText(p.Stdout)
	}
	if err == nil && !c.OK {
		err = exitCode{code: exitUsage}
	}
	return err
}

// fail keeps an error; each of a policy's is kept separately.
func (c *policyChecked) fail(err error) {
	var all policy.Errors
	if !errors.As(err, &all) {
		c.Errors = append(c.Errors, policyError{Msg: err.Error()})
		return
	}
	for _, e := range all {
		c.Errors = append(c.Errors, policyError(e))
	}
}

// inspectPolicy fills in c. With an error, the rest of c is unknown.
func (p Program) inspectPolicy(ctx context.Context, c *policyChecked, f policyCheckFlags) error {
	f.path = c.Path
	pol, err := f.load(p, false, true)
	if err != nil {
		return err
	}
	c.Name, c.SHA256, c.Timeframe = pol.Name, pol.SHA256, pol.Timeframe
	c.UnknownKeys = append(c.UnknownKeys, pol.UnknownKeys...)
	g := pol.Pregate
	c.Gate = checkedGate{g.Enabled, g.EnabledSource, append([]string{}, g.AllowSessions...), g.MaxSpreadBps, g.MinATRBps, g.MaxATRBps}
	c.Model = checkedModel{Kind: pol.Model.Kind, Files: append([]string{}, slices.Sorted(maps.Keys(pol.ModelFiles))...), LatencySec: pol.Model.Latency.Seconds()}
	if pol.Costs != nil {
		costs := checkedCosts(*pol.Costs)
		c.Costs = &costs
	}
	for _, text := range unused(pol) {
		c.warn(text)
	}
	needs, found, err := replay.Inspect(pol)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	c.Needs = &needs
	c.Findings = append(c.Findings, found...)
	models, err := model.NewSet(*pol.Model, pol.Sessions, pol.Features, func(name string) ([]byte, error) {
		return pol.ModelFiles[name].Content, nil // Load read every file that it names
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.Path, err)
	}
	job := replay.Job{Policy: pol, Model: models}
	if f.data == "" {
		return nil
	}
	set, err := f.read.open(f.data, false)
	if err != nil {
		return err
	}
	return c.audit(ctx, job, set, f)
}

// warn adds a warning; an empty text is none.
func (c *policyChecked) warn(text string) {
	if text != "" {
		c.Findings = append(c.Findings, replay.Finding{Level: replay.LevelWarning, Text: text})
	}
}

func (c *policyChecked) audit(ctx context.Context, job replay.Job, set bars.Set, f policyCheckFlags) error {
	n := int64(len(set.Bars))
	job.DataBars, job.BarLength = n, bars.BarLength(set.Bars)
	job.Bars = run.BarRange{First: 0, End: n}
	if f.bars > 0 {
		job.Bars.First = max(0, n-f.bars)
	}
	c.Data = &checkedData{Source: set.Source, Bars: n, BarLengthSec: job.BarLength.Seconds()}
	audit, err := replay.RunAudit(ctx, job, replay.InMemory(set.Bars), replay.AuditConfig{Cuts: f.cuts, Seed: f.seed, HistoryCuts: historyCuts})
	if err != nil {
		return fmt.Errorf("checking %s on %s: %w", c.Path, set.Source, err)
	}
	c.Audit = &audit
	c.warn(otherTimeframe(job.Policy, *c.Needs, n, c.Data.BarLengthSec))
	c.warn(uselessSpread(set, f.read.spread))
	c.warn(trade.ManyExpired(audit.Dry.DropReasons[trade.DropExpired], audit.Dry.Signals))
	c.Findings = append(c.Findings, audit.Findings()...)
	c.Findings = append(c.Findings, replay.EpsilonFindings(job.Policy.Features, set.Bars)...)
	return nil
}
