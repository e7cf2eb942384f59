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
	v.Config.Pregate = p.Pregate
	v.Config.Pregate.AllowSessions = listed(p.Pregate.AllowSessions)
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
		Pregate Pregate `json:"replay_pregate"`
	} `json:"replay_config"`
	*engineValues
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
	Exit       Exit              `json:"exit"`
	Risk       riskValues        `json:"risk"`
	Replay     Replay            `json:"replay"`
	Costs      *Costs            `json:"costs,omitempty"`
}

type modelValues struct {
	Kind    string            `json:"kind"`
	Long    *Logistic         `json:"long,omitempty"`
	Short   *Logistic         `json:"short,omitempty"`
	Path    string            `json:"path,omitempty"`
	Paths   map[string]string `json:"paths,omitempty"`
	Latency string            `json:"latency"`
	Newer   bool              `json:"accept_newer_version,omitempty"`
}

type entryValues struct {
	Entry
	MaxGap string `json:"max_gap"`
}

type riskValues struct {
	Risk
	CooldownBarsAfterEntry int64 `json:"cooldown_bars_after_entry"` // -1: no rule
	CooldownBarsAfterExit  int64 `json:"cooldown_bars_after_exit"`  // -1: no rule
}

func (p Policy) engineValues() *engineValues {
	v := &engineValues{
		Version: p.Version, Instrument: p.Instrument, Timeframe: p.Timeframe, WarmupBars: p.WarmupBars,
		Sessions: map[string][2]int{}, Features: listed(p.Features),
		Entry: entryValues{p.Entry, p.Entry.MaxGap.String()},
		Exit:  p.Exit,
		Risk: riskValues{
			p.Risk,
			cooldownValue(p.Risk.CooldownBarsAfterEntry, p.Risk.CooldownAfterEntryIsSet),
			cooldownValue(p.Risk.CooldownBarsAfterExit, p.Risk.CooldownAfterExitIsSet),
		},
		Replay: p.Replay,
		Costs:  p.Costs,
	}
	v.Entry.Sessions = listed(p.Entry.Sessions)
	for _, s := range p.Sessions {
		v.Sessions[s.Name] = [2]int{s.StartHour, s.EndHour}
	}
	if m := p.Model; m != nil {
		v.Model = &modelValues{Kind: m.Kind, Path: m.Path, Paths: m.Paths, Latency: m.Latency.String(), Newer: m.AcceptNewer}
		if m.Kind == KindLogistic {
			v.Model.Long, v.Model.Short = &m.Long, &m.Short
		}
	}
	return v
}

// listed is a list that JSON writes as [] and not as null where it is empty.
func listed(names []string) []string { return append([]string{}, names...) }

func cooldownValue(bars int64, set bool) int64 {
	if !set {
		return -1
	}
	return bars
}
