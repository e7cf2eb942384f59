package judge

import (
	"math"
	"slices"

	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

// Cause is why trades of two runs differ.
type Cause string

// The causes, in the order in which a signal is asked for them.
const (
	CauseGated Cause = "gated" // one run's pregate skipped the bar
	CauseScore Cause = "score" // only one run has the signal, or the other side
	CauseEntry Cause = "entry" // both have the signal, and enter at another bar or price
	CauseExit  Cause = "exit"  // same entry, another exit
	// CauseMixed is an episode's with roots of several causes.
	CauseMixed Cause = "mixed"
	// CauseSelection is an episode's without a root: the runs select by
	// different rules.
	CauseSelection Cause = "selection"
)

// causes are all of them in the order of a table.
var causes = [...]Cause{CauseGated, CauseScore, CauseEntry, CauseExit, CauseMixed, CauseSelection}

// Signals are those of one run on the common bars.
type Signals struct {
	// List has at most one signal per bar, in rising order, each followed to
	// its exit as far as that is possible.
	List  []trade.Signal
	Rules policy.Risk
	// Skipped reports whether the run's pregate skipped the bar; nil: it has
	// none, or that is not known.
	Skipped func(bar int64) bool
}

// Root is a signal that differs for a reason outside the selection.
type Root struct {
	Bar   int64
	Cause Cause
}

// Difference is a trade that only one run has, or that ended otherwise. A or B
// is nil where the run has not taken it.
type Difference struct {
	A, B *trade.Signal
	// Holders are the entry bars of the trades that were open in the run that
	// has not taken it although it had the signal: what held the slots. It
	// describes, and is no cause.
	Holders []int64
}

// Episode is a stretch of bars over which the trades of two runs differ. It
// begins at the first signal of which one run alone makes a trade, or the same
// trade with another exit, and ends before the first later signal at which both
// runs hold the same open trades and wait for the same cooldowns.
type Episode struct {
	First, End  int64 // bars of signals, [First, End); End is math.MaxInt64 if it does not end
	Cause       Cause
	Roots       []Root
	Differences []Difference
}

// addPnl adds what B made more than A, in bps, to sum.
func (e *Episode) addPnl(sum *Sum) {
	for _, d := range e.Differences {
		if d.B != nil {
			sum.Add(d.B.PnlBps())
		}
		if d.A != nil {
			sum.Add(-d.A.PnlBps())
		}
	}
}

// Trades are the trades of two runs on their common bars.
type Trades struct {
	A, B     []*trade.Signal // taken and closed, in order
	Same     int             // trades that both have, with the same pnl
	Episodes []Episode
	// Censored are trades that could not be followed to their exit in one run,
	// each with what the other run made of it. They are in neither A nor B.
	Censored []Difference
}

// Match selects the trades of two runs on their common bars, each by its own
// rules, in one pass in order of time, and finds out where and why they differ
// (judging.md §2).
func Match(a, b Signals) Trades {
	m := matcher{a: newSide(a), b: newSide(b)}
	for {
		x, y := m.a.next(), m.b.next()
		bar := min(barOf(x), barOf(y))
		if bar == math.MaxInt64 {
			m.close(bar)
			return m.trades
		}
		if barOf(x) != bar {
			x = nil
		}
		if barOf(y) != bar {
			y = nil
		}
		m.step(bar, x, y)
	}
}

func barOf(s *trade.Signal) int64 {
	if s == nil {
		return math.MaxInt64
	}
	return s.Bar
}

// matcher walks over the signals of both runs, one bar after the other.
type matcher struct {
	a, b    side
	trades  Trades
	episode *Episode
}

// step decides about the signals at bar; x or y is nil where the run has none.
func (m *matcher) step(bar int64, x, y *trade.Signal) {
	entry := int64(math.MaxInt64)
	for _, s := range []*trade.Signal{x, y} {
		if s != nil && s.EntryBar != trade.NoBar {
			entry = min(entry, s.EntryBar)
		}
	}
	if entry == math.MaxInt64 {
		entry = bar
	}
	m.a.leave(entry)
	m.b.leave(entry)
	if m.episode != nil && m.a.sameAs(&m.b, entry) {
		m.close(bar)
	}
	holdA, holdB := m.a.entries(), m.b.entries()
	tookA, tookB := m.a.offer(x), m.b.offer(y)
	m.root(bar, x, y, tookA || tookB)
	switch {
	case tookA && tookB && x.EntryBar == y.EntryBar && x.Side == y.Side:
		m.both(x, y)
	default:
		if tookA {
			m.only(Difference{A: x, Holders: holdersOf(y, holdB)}, x)
		}
		if tookB {
			m.only(Difference{B: y, Holders: holdersOf(x, holdA)}, y)
		}
	}
}

// holdersOf is what kept a run from taking its signal s, if it has one.
func holdersOf(s *trade.Signal, held []int64) []int64 {
	if s == nil {
		return nil
	}
	return held
}

// both counts one trade of both runs.
func (m *matcher) both(x, y *trade.Signal) {
	switch {
	case !x.Closed() || !y.Closed():
		m.trades.Censored = append(m.trades.Censored, Difference{A: x, B: y})
		return
	case x.PnlBps() == y.PnlBps():
		m.trades.Same++
	default:
		e := m.begun(x.Bar)
		e.Differences = append(e.Differences, Difference{A: x, B: y})
	}
	m.trades.A = append(m.trades.A, x)
	m.trades.B = append(m.trades.B, y)
}

// only counts a trade that one run has taken alone.
func (m *matcher) only(d Difference, s *trade.Signal) {
	e := m.begun(s.Bar)
	switch {
	case !s.Closed():
		m.trades.Censored = append(m.trades.Censored, d)
		return
	case d.A != nil:
		m.trades.A = append(m.trades.A, s)
	default:
		m.trades.B = append(m.trades.B, s)
	}
	e.Differences = append(e.Differences, d)
}

// begun is the episode under way; one begins at bar if there is none.
func (m *matcher) begun(bar int64) *Episode {
	if m.episode == nil {
		m.episode = &Episode{First: bar, End: math.MaxInt64}
	}
	return m.episode
}

// root finds out whether the signals at bar differ for a reason outside the
// selection, and notes that with the episode. It begins one where a run has
// taken its signal: then the trades differ as well, or are open for a different
// time.
func (m *matcher) root(bar int64, x, y *trade.Signal, taken bool) {
	cause := m.differ(bar, x, y)
	if cause == "" || m.episode == nil && !taken {
		return
	}
	e := m.begun(bar)
	e.Roots = append(e.Roots, Root{bar, cause})
}

func (m *matcher) differ(bar int64, x, y *trade.Signal) Cause {
	switch {
	case x == nil && m.a.skipped(bar), y == nil && m.b.skipped(bar):
		return CauseGated
	case x == nil || y == nil || x.Side != y.Side:
		return CauseScore
	case x.EntryBar != y.EntryBar || x.EntryPrice != y.EntryPrice || x.Expired != y.Expired:
		return CauseEntry
	case x.ExitBar != y.ExitBar || x.ExitPrice != y.ExitPrice:
		return CauseExit
	}
	return ""
}

// close ends the episode under way before bar.
func (m *matcher) close(bar int64) {
	if m.episode == nil {
		return
	}
	e := *m.episode
	m.episode = nil
	if len(e.Differences) == 0 { // other exits at the same pnl, or censored ones
		return
	}
	e.End = bar
	e.Cause = causeOf(e.Roots)
	m.trades.Episodes = append(m.trades.Episodes, e)
}

func causeOf(roots []Root) Cause {
	if len(roots) == 0 {
		return CauseSelection
	}
	for _, r := range roots[1:] {
		if r.Cause != roots[0].Cause {
			return CauseMixed
		}
	}
	return roots[0].Cause
}

// side is the selection of one run, and what it holds.
type side struct {
	Signals
	at   int
	sel  *trade.Selector
	held []*trade.Signal // open trades, in order of entry

	lastEntry, lastExit int64 // of trades that were taken, exits that are over
}

// never is before any bar, and no distance to it overflows.
const never = math.MinInt64 / 2

func newSide(s Signals) side {
	return side{Signals: s, sel: trade.NewSelector(s.Rules), lastEntry: never, lastExit: never}
}

func (s *side) skipped(bar int64) bool { return s.Skipped != nil && s.Skipped(bar) }

// next is the next signal; nil: there are no more.
func (s *side) next() *trade.Signal {
	if s.at == len(s.List) {
		return nil
	}
	return &s.List[s.at]
}

// offer asks the selection about x, the next signal; nil: the run has none.
func (s *side) offer(x *trade.Signal) bool {
	if x == nil {
		return false
	}
	s.at++
	if !s.sel.Offer(x) {
		return false
	}
	s.held = append(s.held, x)
	s.lastEntry = x.EntryBar
	return true
}

// leave takes out the trades that are over before bar entry.
func (s *side) leave(entry int64) {
	s.held = slices.DeleteFunc(s.held, func(x *trade.Signal) bool {
		switch {
		case x.Closed() && x.ExitBar < entry:
			s.lastExit = max(s.lastExit, x.ExitBar)
			return true
		case x.Closed():
			return false
		}
		return x.MarkBar < entry // followed no further: its exit is not known
	})
}

// entries are the entry bars of the open trades.
func (s *side) entries() []int64 {
	var list []int64
	for _, x := range s.held {
		list = append(list, x.EntryBar)
	}
	return list
}

// sameAs reports whether both runs hold the same open trades, and whether no
// cooldown distinguishes them at bar entry or later.
func (s *side) sameAs(o *side, entry int64) bool {
	return slices.EqualFunc(s.held, o.held, func(x, y *trade.Signal) bool {
		return x.EntryBar == y.EntryBar && x.Side == y.Side && x.ExitBar == y.ExitBar && x.MarkBar == y.MarkBar
	}) &&
		(s.lastEntry == o.lastEntry || s.entryFree(entry) && o.entryFree(entry)) &&
		(s.lastExit == o.lastExit || s.exitFree(entry) && o.exitFree(entry))
}

// entryFree reports whether no cooldown after an entry acts at bar or later.
func (s *side) entryFree(bar int64) bool {
	return !s.Rules.CooldownAfterEntryIsSet || bar-s.lastEntry > s.Rules.CooldownBarsAfterEntry
}

// exitFree is entryFree for exits.
func (s *side) exitFree(bar int64) bool {
	return !s.Rules.CooldownAfterExitIsSet || bar-s.lastExit > s.Rules.CooldownBarsAfterExit
}

// CauseSum is one row of the table of causes.
type CauseSum struct {
	Cause        Cause
	Episodes     int
	OnlyA, OnlyB int // trades
	Changed      int
	Pnl          Sum // bps, B − A
}

// ByCause adds the episodes up. The rows are in a fixed order, one for each
// cause that occurs.
func (t *Trades) ByCause() []CauseSum {
	var rows []CauseSum
	for _, c := range causes {
		row := CauseSum{Cause: c}
		for i := range t.Episodes {
			e := &t.Episodes[i]
			if e.Cause != c {
				continue
			}
			row.Episodes++
			e.addPnl(&row.Pnl)
			for _, d := range e.Differences {
				switch {
				case d.A == nil:
					row.OnlyB++
				case d.B == nil:
					row.OnlyA++
				default:
					row.Changed++
				}
			}
		}
		if row.Episodes > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}
