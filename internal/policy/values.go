package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
)

// Values returns what a replay reads of p, as one JSON object with the names of
// the policy file: includes merged, overrides applied, defaults filled in. The
// order of the names is fixed, so equal policies have equal bytes, and nothing
// is null: a rule without a value is left out. Parse makes a policy of it that
// replays like p. Model files are named and not contained; keys that this
// version does not read are left out. With gateOnly (the engine exec) it has the
// name and the gate alone.
func (p Policy) Values(gateOnly bool) ([]byte, error) {
	v := values{Name: p.Name}
	v.Config.Pregate = gateValues{
		Enabled: p.Pregate.Enabled, AllowSessions: append([]string{}, p.Pregate.AllowSessions...),
		MaxSpreadBps: p.Pregate.MaxSpreadBps, MinATRBps: p.Pregate.MinATRBps, MaxATRBps: p.Pregate.MaxATRBps,
	}
	if !gateOnly {
		v.engineValues = p.engineValues()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the values of policy %s: %w", p.Name, err)
	}
	return printable(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// printable escapes the characters that JSON may hold as they are and YAML may
// not. They stand in texts only.
func printable(b []byte) []byte {
	if bytes.IndexFunc(b, unprintable) < 0 {
		return b
	}
	var out []byte
	for _, r := range string(b) {
		if unprintable(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = append(out, string(r)...)
	}
	return out
}

func unprintable(r rune) bool { return r <= 0xffff && !unicode.IsPrint(r) }

type values struct {
	Name   string `json:"policy_name"`
	Config struct {
		Pregate gateValues `json:"replay_pregate"`
	} `json:"replay_config"`
	*engineValues
}

type gateValues struct {
	Enabled       bool     `json:"enabled"`
	AllowSessions []string `json:"allow_sessions"`
	MaxSpreadBps  *float64 `json:"max_spread_bps,omitempty"`
	MinATRBps     *float64 `json:"min_atr_bps,omitempty"`
	MaxATRBps     *float64 `json:"max_atr_bps,omitempty"`
}

// engineValues is what the built-in engine reads.
type engineValues struct {
	Version    string            `json:"version,omitempty"`
	Instrument string            `json:"instrument,omitempty"`
	Timeframe  string            `json:"timeframe,omitempty"`
	WarmupBars int64             `json:"warmup_bars"`
	Sessions   map[string][2]int `json:"sessions"` // hours, [start, end)
	Features   []string          `json:"features"`
	Model      *modelValues      `json:"model,omitempty"`
	Entry      entryValues       `json:"entry"`
	Exit       exitValues        `json:"exit"`
	Risk       riskValues        `json:"risk"`
	Replay     replayValues      `json:"replay"`
	Costs      *costsValues      `json:"costs,omitempty"`
}

type modelValues struct {
	Kind    string            `json:"kind"`
	Long    *logisticValues   `json:"long,omitempty"`
	Short   *logisticValues   `json:"short,omitempty"`
	Path    string            `json:"path,omitempty"`
	Paths   map[string]string `json:"paths,omitempty"`
	Latency string            `json:"latency"`
	Newer   bool              `json:"accept_newer_version,omitempty"`
}

type logisticValues struct {
	Bias    float64            `json:"bias"`
	Weights map[string]float64 `json:"weights"`
}

type sidesValues struct {
	Long  float64 `json:"long"`
	Short float64 `json:"short"`
}

type entryValues struct {
	PSideMin  sidesValues `json:"p_side_min"`
	MarginMin sidesValues `json:"margin_min"`
	Sessions  []string    `json:"sessions"`
	MaxGap    string      `json:"max_gap"`
}

type exitValues struct {
	StopBps   *float64         `json:"stop_bps,omitempty"`
	TargetBps *float64         `json:"target_bps,omitempty"`
	BreakEven *breakEvenValues `json:"break_even,omitempty"`
	Trailing  *trailingValues  `json:"trailing,omitempty"`
	RuleA     *ruleAValues     `json:"rule_a,omitempty"`
	MaxBars   int64            `json:"max_bars"`
}

type breakEvenValues struct {
	ActivateBps float64 `json:"activate_bps"`
	OffsetBps   float64 `json:"offset_bps"`
}

type trailingValues struct {
	ActivateBps float64 `json:"activate_bps"`
	DistanceBps float64 `json:"distance_bps"`
	WithinBars  int64   `json:"within_bars"`
}

type ruleAValues struct {
	ProfitMinBps         float64 `json:"profit_min_bps"`
	ProfitMaxBps         float64 `json:"profit_max_bps"`
	AdaptiveThresholdBps float64 `json:"adaptive_threshold_bps"`
	AdaptiveBars         int64   `json:"adaptive_bars"`
	TrailingStopBps      float64 `json:"trailing_stop_bps"`
}

type riskValues struct {
	MaxOpenTrades          int   `json:"max_open_trades"`
	MaxOpenTradesPerSide   int   `json:"max_open_trades_per_side"`  // 0: no limit
	CooldownBarsAfterEntry int64 `json:"cooldown_bars_after_entry"` // -1: no rule
	CooldownBarsAfterExit  int64 `json:"cooldown_bars_after_exit"`  // -1: no rule
}

type replayValues struct {
	Fill                 Fill   `json:"fill"`
	FollowBars           int64  `json:"follow_bars"`
	CloseOpenTradesAtEnd bool   `json:"close_open_trades_at_end"`
	EOFCloseReason       string `json:"eof_close_reason"`
	EOFPriceSource       string `json:"eof_price_source"`
}

func (p Policy) engineValues() *engineValues {
	v := &engineValues{
		Version: p.Version, Instrument: p.Instrument, Timeframe: p.Timeframe, WarmupBars: p.WarmupBars,
		Sessions: map[string][2]int{}, Features: append([]string{}, p.Features...),
		Entry: entryValues{
			PSideMin: sidesValues(p.Entry.PSideMin), MarginMin: sidesValues(p.Entry.MarginMin),
			Sessions: append([]string{}, p.Entry.Sessions...), MaxGap: p.Entry.MaxGap.String(),
		},
		Exit: p.Exit.values(),
		Risk: riskValues{
			MaxOpenTrades: p.Risk.MaxOpenTrades, MaxOpenTradesPerSide: p.Risk.MaxOpenTradesPerSide,
			CooldownBarsAfterEntry: cooldownValue(p.Risk.CooldownBarsAfterEntry, p.Risk.CooldownAfterEntryIsSet),
			CooldownBarsAfterExit:  cooldownValue(p.Risk.CooldownBarsAfterExit, p.Risk.CooldownAfterExitIsSet),
		},
		Replay: replayValues(p.Replay),
		Costs:  p.Costs.values(),
	}
	for _, s := range p.Sessions {
		v.Sessions[s.Name] = [2]int{s.StartHour, s.EndHour}
	}
	if m := p.Model; m != nil {
		v.Model = &modelValues{Kind: m.Kind, Path: m.Path, Paths: m.Paths, Latency: m.Latency.String(), Newer: m.AcceptNewer}
		if m.Kind == KindLogistic {
			v.Model.Long, v.Model.Short = m.Long.values(), m.Short.values()
		}
	}
	return v
}

func (l Logistic) values() *logisticValues {
	v := &logisticValues{Bias: l.Bias, Weights: l.Weights}
	if v.Weights == nil {
		v.Weights = map[string]float64{}
	}
	return v
}

func (x Exit) values() exitValues {
	v := exitValues{StopBps: x.StopBps, TargetBps: x.TargetBps, MaxBars: x.MaxBars}
	if x.BreakEven != nil {
		v.BreakEven = &breakEvenValues{x.BreakEven.ActivateBps, x.BreakEven.OffsetBps}
	}
	if t := x.Trailing; t != nil {
		v.Trailing = &trailingValues{t.ActivateBps, t.DistanceBps, t.WithinBars}
	}
	if a := x.RuleA; a != nil {
		v.RuleA = &ruleAValues{a.ProfitMinBps, a.ProfitMaxBps, a.AdaptiveThresholdBps, a.AdaptiveBars, a.TrailingStopBps}
	}
	return v
}

func cooldownValue(bars int64, set bool) int64 {
	if !set {
		return -1
	}
	return bars
}
