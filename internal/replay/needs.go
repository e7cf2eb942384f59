package replay

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// Needs is what a policy asks of any data set, and what may end its trades.
type Needs struct {
	// TimeframeSec is the bar length of the policy's timeframe; that of M5
	// where TimeframeAssumed, because the policy names none or one that is
	// unknown.
	TimeframeSec     float64       `json:"timeframe_sec"`
	TimeframeAssumed bool          `json:"timeframe_assumed"`
	Features         []FeatureNeed `json:"features"`
	// WarmupBars are the bars at the start of a data set at which no entry is
	// looked for; WarmupBy names the feature that needs them, or warmup_bars,
	// or is empty where there are none.
	WarmupBars int64   `json:"warmup_bars"`
	WarmupDays float64 `json:"warmup_days"` // of an open market: 24 hours each
	WarmupBy   string  `json:"warmup_by"`
	// LookbackBars is the most that the features and the gate look back.
	LookbackBars int64             `json:"lookback_bars"`
	Exits        []policy.ExitRule `json:"exits"`
	// BoundedExits: every trade ends within max_bars.
	BoundedExits bool `json:"bounded_exits"`
}

// FeatureNeed is one feature's need in bars of the policy's timeframe, in a
// market without gaps.
type FeatureNeed struct {
	Name      string `json:"name"`
	Unit      string `json:"unit"`
	Warmup    int64  `json:"warmup_bars"` // before its first usable value
	Lookback  int64  `json:"lookback_bars"`
	Recursive bool   `json:"recursive"` // depends on all bars; beyond Lookback by less than 1e-8
}

// Level says how bad a finding is.
type Level string

// Levels. A problem makes a policy, or what is computed from it, unfit; a
// warning is what its author should know.
const (
	LevelProblem Level = "problem"
	LevelWarning Level = "warning"
)

// Finding is a sentence about a policy.
type Finding struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

func warn(format string, args ...any) Finding {
	return Finding{LevelWarning, fmt.Sprintf(format, args...)}
}

func problem(format string, args ...any) Finding {
	return Finding{LevelProblem, fmt.Sprintf(format, args...)}
}

// Inspect says what p needs, without data. The error holds every feature that
// does not exist.
func Inspect(p policy.Policy) (Needs, []Finding, error) {
	sessions := feature.NewSessionTable(p.Sessions)
	n := Needs{Features: []FeatureNeed{}, Exits: p.Exit.Rules(), BoundedExits: p.Exit.MaxBars > 0}
	length, known := timeframe(p.Timeframe)
	n.TimeframeSec, n.TimeframeAssumed = length.Seconds(), !known
	n.WarmupBars = p.WarmupBars
	if p.WarmupBars > 0 {
		n.WarmupBy = "warmup_bars"
	}
	var errs []error
	for _, name := range p.Features {
		f, err := featureNeed(name, sessions, length)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n.Features = append(n.Features, f)
		if f.Warmup > n.WarmupBars {
			n.WarmupBars, n.WarmupBy = f.Warmup, name
		}
		n.LookbackBars = max(n.LookbackBars, f.Lookback)
	}
	if err := errors.Join(errs...); err != nil {
		return Needs{}, nil, err
	}
	all, err := feature.New(p.Features, sessions)
	if err != nil {
		return Needs{}, nil, err
	}
	n.LookbackBars = max(n.LookbackBars, all.Window()) // the gate's, too
	n.WarmupDays = float64(n.WarmupBars) * n.TimeframeSec / 86400
	found := slices.Concat(exitFindings(p), gateFindings(p), modelFindings(p))
	if n.TimeframeAssumed {
		found = append(found, warn("timeframe %q names no bar length: warm-up in days, and that of H1 and H4 trends, is said for M5", p.Timeframe))
	}
	return n, found, nil
}

// flatBars bounds how long a feature is waited for.
const flatBars = 1 << 20

// featureNeed tries out when a feature is usable in a market without gaps:
// for H1 and H4 trends that depends on the timeframe.
func featureNeed(name string, sessions feature.SessionTable, length time.Duration) (FeatureNeed, error) {
	set, err := feature.New([]string{name}, sessions)
	if err != nil {
		return FeatureNeed{}, err
	}
	known := feature.Known()
	info := known[slices.IndexFunc(known, func(i feature.Info) bool { return i.Name == name })]
	f := FeatureNeed{Name: name, Unit: info.Unit, Warmup: info.Warmup, Lookback: info.Lookback, Recursive: info.Recursive}
	const p = 1000
	flat := bars.Bar{BidOpen: p, BidHigh: p, BidLow: p, BidClose: p, AskOpen: p, AskHigh: p, AskLow: p, AskClose: p}
	for i := range int64(flatBars) {
		flat.TimeNS = i * int64(length)
		set.Push(flat)
		if !set.Ready() {
			continue
		}
		if i != info.Warmup && info.Warmup > 0 {
			// Both are counted in bars of H1 or H4, and declared for M5.
			f.Lookback = (info.Lookback*i + info.Warmup - 1) / info.Warmup
		}
		f.Warmup = i
		return f, nil
	}
	return FeatureNeed{}, fmt.Errorf("features: %s is not usable after %d bars of %v", name, flatBars, length)
}

var timeframeForm = regexp.MustCompile(`^([MHDW])([1-9][0-9]{0,3})$`)

// timeframe is the bar length that M5, H1, D1, W1 and their like name; M5's
// and false for what it does not know.
func timeframe(text string) (time.Duration, bool) {
	m := timeframeForm.FindStringSubmatch(strings.ToUpper(text))
	if m == nil {
		return 5 * time.Minute, false
	}
	n, _ := strconv.Atoi(m[2]) // at most four digits
	unit := map[string]time.Duration{"M": time.Minute, "H": time.Hour, "D": 24 * time.Hour, "W": 7 * 24 * time.Hour}[m[1]]
	return time.Duration(n) * unit, true
}

// exitFindings names the trades that nothing ends.
func exitFindings(p policy.Policy) []Finding {
	x := p.Exit
	if x.MaxBars > 0 {
		if x.MaxBars > p.Replay.FollowBars {
			return []Finding{warn("exit.max_bars %d is above replay.follow_bars %d: a trade can outlast what its chunk's worker follows, and the coordinator finishes it", x.MaxBars, p.Replay.FollowBars)}
		}
		return nil
	}
	held := "to the data's end"
	if !p.Replay.CloseOpenTradesAtEnd {
		held = "beyond the data's end (close_open_trades_at_end is false)"
	}
	if text := x.Unbounded(held); text != "" {
		return []Finding{warn("%s", text)}
	}
	return nil
}

func gateFindings(p policy.Policy) []Finding {
	g := p.Pregate
	var out []Finding
	if !g.Enabled {
		return nil
	}
	if len(g.AllowSessions) == 0 && g.MaxSpreadBps == nil && g.MinATRBps == nil && g.MaxATRBps == nil {
		out = append(out, warn("the gate is on and has no limit: it skips no bar"))
	}
	both := func(name string) bool { return slices.Contains(p.Entry.Sessions, name) }
	if len(g.AllowSessions) > 0 && len(p.Entry.Sessions) > 0 && !slices.ContainsFunc(g.AllowSessions, both) {
		out = append(out, warn("no market session is in allow_sessions and in entry.sessions: there can be no signal"))
	}
	return out
}

func modelFindings(p policy.Policy) []Finding {
	if p.Model == nil {
		return nil
	}
	if p.Model.Kind != policy.KindLogistic {
		return sessionFindings(p)
	}
	var idle []string
	for _, name := range p.Features {
		if p.Model.Long.Weights[name] == 0 && p.Model.Short.Weights[name] == 0 {
			idle = append(idle, name)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	return []Finding{warn("features that are computed and have no weight: %s", strings.Join(idle, ", "))}
}

// sessionFindings names the market sessions that have no model file.
func sessionFindings(p policy.Policy) []Finding {
	var without []string
	for _, s := range p.Sessions {
		if p.Model.Path == "" && p.Model.Paths[s.Name] == "" {
			without = append(without, s.Name)
		}
	}
	if len(without) == 0 {
		return nil
	}
	return []Finding{warn("market sessions without a model, so without signals: %s", strings.Join(without, ", "))}
}
