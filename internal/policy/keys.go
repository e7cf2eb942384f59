package policy

import (
	"slices"
	"strings"
	"time"
)

// Defaults of what a policy leaves out.
const (
	DefaultMaxOpenTrades = 1
	// DefaultFollowBars is twenty days of M5 bars: more than a trade with a
	// bound lasts, and little beside a year's data set of 70,000.
	DefaultFollowBars     = 5760
	DefaultEOFCloseReason = "REPLAY_EOF"
	DefaultEOFPriceSource = "side"
	// DefaultPSideMin asks that the model finds a side likelier than not.
	DefaultPSideMin = 0.5
)

// Bounds that only keep arithmetic and memory sane; no real policy is near.
const (
	maxBars     = 10_000_000
	maxLatency  = 10 * time.Second
	maxGap      = 366 * 24 * time.Hour
	maxTrades   = 1_000_000
	maxFeatures = 1000
	maxBps      = 10_000 // a price move of 100 %
	// maxModelName bounds the name of a model file: no system's paths are
	// longer, and it stands in messages.
	maxModelName = 4096
)

// MaxModelBytes is the largest model file: 50 times one of a thousand deep
// trees, and little enough to be held in memory.
const MaxModelBytes = 256 << 20

// The keys that name other files.
const (
	entryConfig = "entry_config"
	exitConfig  = "exit_config"
)

const (
	gatePath    = "replay_config.replay_pregate"
	wantBps     = "a number > 0 and < 10000"
	wantFeature = "a lower-case name such as atr_bps"
)

// read fills d.p from the merged document.
func (d *document) read() {
	d.p.Sessions = defaultSessions()
	d.p.Entry.PSideMin = Sides{Long: DefaultPSideMin, Short: DefaultPSideMin}
	d.p.Risk.MaxOpenTrades = DefaultMaxOpenTrades
	d.p.Replay = Replay{
		Fill: FillNextOpen, FollowBars: DefaultFollowBars, CloseOpenTradesAtEnd: true,
		EOFCloseReason: DefaultEOFCloseReason, EOFPriceSource: DefaultEOFPriceSource,
	}
	d.top = d.r.section(d.root, "")
	d.top.take(entryConfig) // merged, or said to be missing

	d.names()
	d.engine(d.descriptions, "instrument", "timeframe", "warmup_bars")
	d.engine(d.sessions, "sessions")
	d.gate()
	d.engine(d.model, "features", "model")
	d.engine(d.entry, "entry")
	d.engine(d.exit, "exit", "exit_config")
	d.engine(d.risk, "risk", "execution")
	d.engine(d.replay, "replay")
	d.engine(d.costs, "costs")
	d.top.done()
}

// engine reads keys of the built-in engine. With GateOnly what is wrong in
// them is another program's business: they count as unknown.
func (d *document) engine(read func(), keys ...string) {
	before, errs, others := d.p, len(d.r.errs), len(d.r.others)
	read()
	if !d.opt.GateOnly || len(d.r.errs) == errs {
		return
	}
	d.p = before
	d.r.errs = d.r.errs[:errs]
	d.r.others = d.r.others[:others]
	for _, key := range keys {
		if v := d.top.take(key); v != nil {
			d.r.others = append(d.r.others, other{path: key, key: v, val: v})
		}
	}
}

func (d *document) names() {
	d.p.Version = d.top.label("version")
	d.p.Name = d.top.label("policy_name")
	if d.p.Name == "" {
		d.p.Name = d.p.Version
	}
	if d.p.Name == "" {
		d.p.Name = fileLabel(d.name)
	}
}

func (d *document) descriptions() {
	d.p.Instrument = d.top.label("instrument")
	d.p.Timeframe = d.top.label("timeframe")
	d.p.WarmupBars = d.top.bars("warmup_bars", 0)
}

func positive(v float64) bool    { return v > 0 }
func notNegative(v float64) bool { return v >= 0 }
func bps(v float64) bool         { return v > 0 && v < maxBps }
func bpsOrZero(v float64) bool   { return v >= 0 && v < maxBps }
func signedBps(v float64) bool   { return v > -maxBps && v < maxBps }
func anyNumber(float64) bool     { return true }

// The quantities of a policy.
var (
	distance       = quantity{"a distance in bps", wantBps, bps}
	distanceOrZero = quantity{"a distance in bps", "a number >= 0 and < 10000", bpsOrZero}
	offset         = quantity{"an offset in bps", "a number between -10000 and 10000", signedBps}
	profit         = quantity{"a profit in bps", wantBps, bps}
	profitOrZero   = quantity{"a profit in bps", "a number >= 0 and < 10000", bpsOrZero}
	charge         = quantity{"a charge in bps", "a number >= 0 and < 10000", bpsOrZero}
	swap           = quantity{"a charge in bps", "a number between -10000 and 10000, a credit below 0", signedBps}
	spread         = quantity{"a spread in bps", "> 0", positive}
	atr            = quantity{"an ATR in bps", ">= 0", notNegative}
	probability    = quantity{"a probability", "a number from 0 to 1", func(v float64) bool { return v >= 0 && v <= 1 }}
)

// gate reads replay_config.replay_pregate, and that alone: the original read
// its gate from two places and so never skipped a bar.
func (d *document) gate() {
	outer := d.top.sub("replay_config")
	s := outer.sub("replay_pregate")
	outer.done()
	g := &d.p.Pregate
	g.Enabled, g.EnabledSource = s.boolean("enabled", false), SourceYAML
	g.AllowSessions = s.words("allow_sessions", "names of market sessions", d.sessionName(s, "allow_sessions"))
	g.MaxSpreadBps = s.number("max_spread_bps", spread)
	g.MinATRBps = s.number("min_atr_bps", atr)
	g.MaxATRBps = s.number("max_atr_bps", atr)
	if lo, hi := g.MinATRBps, g.MaxATRBps; lo != nil && hi != nil && *hi < *lo {
		s.bad(s.n.get("max_atr_bps"), "max_atr_bps", "an upper limit", "at least min_atr_bps, "+num(*lo))
	}
	s.done()
}

// sessionName checks that an item of a list names a market session. With
// GateOnly a command knows its own names.
func (d *document) sessionName(s *section, key string) func(*node) {
	return func(it *node) {
		if !d.opt.GateOnly && !d.isSession(it.text) {
			s.bad(it, key, "a market session", strings.Join(d.sessionNames(), ", "))
		}
	}
}

func (d *document) isSession(name string) bool { return slices.Contains(d.sessionNames(), name) }

func (d *document) sessionNames() []string {
	names := make([]string, len(d.p.Sessions))
	for i, s := range d.p.Sessions {
		names[i] = s.Name
	}
	return names
}

// entry reads when a model's output is a signal.
func (d *document) entry() {
	s := d.top.sub("entry")
	e := &d.p.Entry
	e.PSideMin = s.sides("p_side_min", e.PSideMin)
	e.MarginMin = s.sides("margin_min", e.MarginMin)
	e.Sessions = s.words("sessions", "names of market sessions", d.sessionName(s, "sessions"))
	e.MaxGap = s.duration("max_gap", maxGap)
	if v := s.take("max_gap"); v != nil && e.MaxGap == 0 && d.opt.RefuseMistakes && v.zeroDuration() {
		s.bad(v, "max_gap", "a gap that a bar can have", "more than 0s; without the key it is two bar lengths")
	}
	s.done()
}

// sides is a probability for both sides, or {long, short}.
func (s *section) sides(key string, def Sides) Sides {
	v := s.take(key)
	if v == nil {
		return def
	}
	if v.kind != mapping {
		either := probability
		either.want += ", or {long: …, short: …}"
		p := s.numberOr(key, def.Long, either)
		return Sides{Long: p, Short: p}
	}
	m := s.sub(key)
	out := Sides{Long: m.numberOr("long", def.Long, probability), Short: m.numberOr("short", def.Short, probability)}
	m.done()
	return out
}

// risk reads what limits the selection.
func (d *document) risk() {
	k := &d.p.Risk
	const what = "a number of trades"
	s := d.top.sub("execution")
	most := s.count("max_open_trades", what, DefaultMaxOpenTrades, 1, maxTrades)
	s.done()
	s = d.top.sub("risk")
	k.MaxOpenTrades = int(s.count("max_open_trades", what, most, 1, maxTrades))
	k.MaxOpenTradesPerSide = int(max(0, s.count("max_open_trades_per_side", what, 0, -1, maxTrades)))
	k.CooldownBarsAfterEntry, k.CooldownAfterEntryIsSet = s.cooldown("cooldown_bars_after_entry")
	k.CooldownBarsAfterExit, k.CooldownAfterExitIsSet = s.cooldown("cooldown_bars_after_exit")
	s.done()
}

// cooldown is a number of bars; -1 is as good as no rule.
func (s *section) cooldown(key string) (bars int64, set bool) {
	bars = s.count(key, "a number of bars", -1, -1, maxBars)
	return max(bars, 0), bars >= 0
}

// replay reads how fills and the data's end are treated.
func (d *document) replay() {
	s := d.top.sub("replay")
	r := &d.p.Replay
	r.Fill = Fill(s.oneOf("fill", "a fill rule", string(r.Fill), string(FillNextOpen), string(FillSignalClose)))
	r.FollowBars = s.count("follow_bars", "a number of bars", r.FollowBars, 1, maxBars)
	r.CloseOpenTradesAtEnd = s.boolean("close_open_trades_at_end", r.CloseOpenTradesAtEnd)
	if reason := s.label("eof_close_reason"); reason != "" {
		r.EOFCloseReason = reason
	}
	r.EOFPriceSource = s.oneOf("eof_price_source", "a price", r.EOFPriceSource, "side", "mid", "bid", "ask")
	s.done()
}
