// Package policy reads a policy, the YAML file that says how bars are
// replayed: it parses, merges includes, validates, fills in defaults and
// applies overrides, keeping where each came from.
//
// It never opens anything but the policy file and the files that it names,
// and computes nothing from bars.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is a validated policy with its defaults filled in. Zero values mean
// what the field says; optional numbers are pointers. The tags digest name the
// lines of what SHA256 is made of; see digestLines.
type Policy struct {
	Name       string `digest:"-"` // policy_name, else version, else the file's name
	Version    string `digest:"version"`
	Instrument string `digest:"instrument"`
	Timeframe  string `digest:"timeframe"`   // M5, H1, …
	WarmupBars int64  `digest:"warmup_bars"` // asked for by the policy; features may need more

	Pregate  Pregate         `digest:"-"`       // comes last
	Sessions []MarketSession `digest:"session"` // a partition of the day, in order of Start
	Features []string        `digest:"features"`
	Model    *Model          `digest:"model"` // nil where the file has none
	Entry    Entry           `digest:"entry"`
	Exit     Exit            `digest:"exit"`
	Risk     Risk            `digest:"risk"`
	Replay   Replay          `digest:"replay"`
	Costs    *Costs          `digest:"costs"` // nil: the policy has no such section

	// UnknownKeys are keys that this version does not read: dotted paths,
	// sorted, each once. A key inside an unknown map is not listed by itself.
	UnknownKeys []string `digest:"-"`
	// MissingIncludes are files that entry_config and exit_config name and
	// that are not there, as they are named; an error where an engine needs
	// them.
	MissingIncludes []string `digest:"-"`

	// Files are the policy file and its includes, byte for byte, as Load has
	// read them: the policy file first. Parse has none.
	Files []File `digest:"-"`

	// ModelFiles are the files that Model names, by the names that it has for
	// them. Load reads them where NeedModel asks for a model, Parse never.
	ModelFiles map[string]ModelFile `digest:"-"`

	// SHA256 is the digest (hex) of the policy's meaning after includes and
	// overrides, whatever the file's layout and name; unknown keys count too.
	// What is in model files does not.
	// SHA256WithoutGate leaves the pregate out, so that two runs that differ
	// in the gate alone agree.
	SHA256            string `digest:"-"`
	SHA256WithoutGate string `digest:"-"`
	// Content is the policy, includes merged and overrides applied, as one
	// self-contained YAML document: what travels to workers. Parse makes the
	// same Policy of it, with EnabledSource yaml unless it is overridden anew,
	// and without ModelFiles.
	Content []byte `digest:"-"`
}

// Source says where a value came from.
type Source string

// Where pregate_enabled came from, strongest last.
const (
	SourceYAML Source = "yaml"
	SourceEnv  Source = "env"
	SourceFlag Source = "flag"
)

// Pregate decides which bars are looked at for an entry, and nothing else.
type Pregate struct {
	Enabled       bool     `json:"enabled"`
	EnabledSource Source   `json:"-" digest:"-"`
	AllowSessions []string `json:"allow_sessions"`           // empty: filters nothing
	MaxSpreadBps  *float64 `json:"max_spread_bps,omitempty"` // skip above, strictly
	MinATRBps     *float64 `json:"min_atr_bps,omitempty"`    // skip below
	MaxATRBps     *float64 `json:"max_atr_bps,omitempty"`    // skip above
}

// MarketSession is a part of the UTC day, [StartHour, EndHour); it may run
// over midnight.
type MarketSession struct {
	Name      string
	StartHour int // 0 to 23
	EndHour   int // 0 to 24
}

// Model kinds.
const (
	KindLogistic = "logistic"
	KindXGBoost  = "xgboost"
	KindLightGBM = "lightgbm"
)

// fileKinds are the kinds of models that are files; package model has a reader
// for each.
var fileKinds = []string{KindXGBoost, KindLightGBM}

// WantKinds names all kinds of models, for a message.
func WantKinds() string {
	first, last := fileKinds[:len(fileKinds)-1], fileKinds[len(fileKinds)-1]
	return strings.Join(append([]string{KindLogistic}, first...), ", ") + " or " + last
}

// FileKinds lists the kinds of models that are files.
func FileKinds() []string { return slices.Clone(fileKinds) }

// Model says how a bar's features become probabilities.
type Model struct {
	Kind    string
	Path    string            // a model file for all market sessions
	Paths   map[string]string `digest:"model.path"` // market session → model file
	Latency time.Duration     // declared artificial cost per call
	// Logistic: p(side) = 1/(1+exp(-(bias + Σ weight·feature))), a set a side.
	Long  Logistic `digest:"model.long"`
	Short Logistic `digest:"model.short"`
	// AcceptNewer: model files of a later version than the newest known one are
	// read as that one. It changes no result of a file that is read without it.
	AcceptNewer bool `digest:"-"`
}

// ModelFile is a model file as it was read.
type ModelFile struct {
	SHA256  string // of Content, hex
	Content []byte
}

// ModelContent is what the model file name holds, if Load has read it.
func (p Policy) ModelContent(name string) ([]byte, error) {
	f, ok := p.ModelFiles[name]
	if !ok {
		return nil, fmt.Errorf("%s was not read with the policy", name)
	}
	return f.Content, nil
}

// Logistic is one linear model. A feature without a weight has weight 0.
type Logistic struct {
	Bias    float64            `json:"bias"`
	Weights map[string]float64 `json:"weights"` // feature → weight
}

// Entry says when a model's output is a signal.
type Entry struct {
	PSideMin  Sides         `json:"p_side_min"` // a side's p must be at least this
	MarginMin Sides         `json:"margin_min"` // and lead the other side's p by at least this
	Sessions  []string      `json:"sessions"`
	MaxGap    time.Duration `json:"-"` // 0: two bar lengths; from bars of a day on five days, if that is more
}

// Sides holds a number for either side.
type Sides struct {
	Long  float64 `json:"long"`
	Short float64 `json:"short"`
}

// Risk limits what the selection takes. Zero or negative limits mean none,
// except MaxOpenTrades, which is at least 1. A cooldown counts where it is set,
// also with 0 bars.
type Risk struct {
	MaxOpenTrades           int   `json:"max_open_trades"`
	MaxOpenTradesPerSide    int   `json:"max_open_trades_per_side"` // 0: not set
	CooldownBarsAfterEntry  int64 `json:"-"`
	CooldownAfterEntryIsSet bool  `json:"-"`
	CooldownBarsAfterExit   int64 `json:"-"`
	CooldownAfterExitIsSet  bool  `json:"-"`
}

// Fill is the rule for entry and exit prices.
type Fill string

const (
	FillNextOpen    Fill = "next_open"
	FillSignalClose Fill = "signal_close"
)

// Replay says how fills and the data's end are treated.
type Replay struct {
	Fill                 Fill   `json:"fill"`
	FollowBars           int64  `json:"follow_bars"` // how far past its chunk a signal is followed
	CloseOpenTradesAtEnd bool   `json:"close_open_trades_at_end"`
	EOFCloseReason       string `json:"eof_close_reason"`
	EOFPriceSource       string `json:"eof_price_source"` // mid, bid, ask, or side: the side that the trade would leave at
}
