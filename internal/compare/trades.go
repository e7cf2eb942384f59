package compare

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/judge"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// Trades are the trades of two runs on their common bars.
type Trades struct {
	// Error is why there is nothing below.
	Error string `json:"error,omitempty"`
	// Selected: trades were selected anew from the signals. Matched: they were
	// compared one by one. Without, two complete runs have their own numbers, and
	// which trades are the same is not known.
	Selected bool `json:"selected"`
	Matched  bool `json:"matched"`

	A    int `json:"a"`    // closed
	B    int `json:"b"`    //
	Same int `json:"same"` // in both, with the same pnl
	// PnlA, PnlB and Pnl, B − A, are exact sums in bps, rounded once.
	PnlA float64 `json:"pnl_a_bps"`
	PnlB float64 `json:"pnl_b_bps"`
	Pnl  float64 `json:"pnl_difference_bps"`
	// Causes of the differences; their pnl adds up to Pnl exactly before it is
	// rounded.
	Causes []CauseRow `json:"causes"`
	// Censored could not be followed to their exits and are in no sum.
	Censored []CensoredTrade `json:"censored"`
	Days     *Days           `json:"days,omitempty"`

	Episodes []judge.Episode `json:"-"`
}

// CauseRow is one row of the table of causes.
type CauseRow struct {
	Cause    string  `json:"cause"`
	Episodes int     `json:"episodes"`
	OnlyA    int     `json:"only_a"`
	OnlyB    int     `json:"only_b"`
	Changed  int     `json:"changed"`
	PnlBps   float64 `json:"pnl_bps"` // B − A
}

// CensoredTrade is one whose exit neither a record nor the data tells.
type CensoredTrade struct {
	SignalBar int64   `json:"signal_bar"`
	InA       bool    `json:"in_a"`
	InB       bool    `json:"in_b"`
	MarkBar   int64   `json:"mark_bar"` // followed up to there
	MarkBps   float64 `json:"mark_bps"` // its pnl there
}

// Days is the mean daily difference in pnl, B − A.
type Days struct {
	Days     int     `json:"days"`
	Differ   int     `json:"differ"` // of them, days whose difference is not 0
	MeanBps  float64 `json:"mean_bps"`
	LowBps   float64 `json:"low_bps"` // of the interval; without one as the mean
	HighBps  float64 `json:"high_bps"`
	Verdict  string  `json:"verdict"`
	Smallest float64 `json:"smallest_bps,omitempty"`

	verdict judge.Verdict
}

// Follow follows a signal that a run left open to its end. An error leaves it as
// it is.
type Follow func(r *Run, s *trade.Signal) error

// compareTrades compares the trades of two runs on the common bars.
func compareTrades(a, b *Run, cover judge.Cover, follow Follow) Trades {
	switch {
	case a.ownTrades() != b.ownTrades():
		return Trades{Error: "the trades of one run were selected from signals, those of the other made by its command"}
	case a.ownTrades():
		return compareOwn(a, b, cover)
	}
	x, errA := signalsOn(a, cover.Ranges, follow)
	y, errB := signalsOn(b, cover.Ranges, follow)
	if err := errors.Join(errA, errB); err != nil {
		return totals(a, b, err)
	}
	m := judge.Match(x, y)
	t := Trades{Selected: true, Matched: true, A: len(m.A), B: len(m.B), Same: m.Same, Causes: []CauseRow{}, Censored: []CensoredTrade{}, Episodes: m.Episodes}
	var sumA, sumB, both judge.Sum
	daily := map[string]*judge.Sum{}
	add := func(s *trade.Signal, sum *judge.Sum, sign float64) {
		sum.Add(s.PnlBps())
		both.Add(sign * s.PnlBps())
		day := dayOf(s.EntryTimeNS)
		if daily[day] == nil {
			daily[day] = &judge.Sum{}
		}
		daily[day].Add(sign * s.PnlBps())
	}
	for _, s := range m.A {
		add(s, &sumA, -1)
	}
	for _, s := range m.B {
		add(s, &sumB, 1)
	}
	t.PnlA, t.PnlB, t.Pnl = sumA.Value(), sumB.Value(), both.Value()
	for _, row := range m.ByCause() {
		t.Causes = append(t.Causes, CauseRow{string(row.Cause), row.Episodes, row.OnlyA, row.OnlyB, row.Changed, row.Pnl.Value()})
	}
	for _, d := range m.Censored {
		t.Censored = append(t.Censored, censored(d))
	}
	weekdays := map[time.Weekday]bool{}
	for _, list := range [][]trade.Signal{x.List, y.List} {
		for i := range list {
			weekdays[time.Unix(0, list[i].TimeNS).UTC().Weekday()] = true
		}
	}
	t.Days = days(commonDays(a, b, cover, weekdays), daily)
	return t
}

// totals are the numbers of two complete runs of which no trade can be matched,
// because of why. Other runs cannot be compared without signals.
func totals(a, b *Run, why error) Trades {
	for _, r := range []*Run{a, b} {
		if s := r.File.Report.Selection; r.File.Totals.Outcome != perf.OutcomeComplete || !s.Settled() {
			return Trades{Error: oneLine(why)}
		}
	}
	x, y := a.File.Totals, b.File.Totals
	return Trades{
		A: int(x.TotalTrades), B: int(y.TotalTrades), PnlA: x.TotalPnlBps, PnlB: y.TotalPnlBps, Pnl: y.TotalPnlBps - x.TotalPnlBps,
		Causes: []CauseRow{}, Censored: []CensoredTrade{},
	}
}

func censored(d judge.Difference) CensoredTrade {
	c := CensoredTrade{InA: d.A != nil, InB: d.B != nil}
	for _, s := range []*trade.Signal{d.A, d.B} {
		if s != nil && (!s.Closed() || c.MarkBar == 0) {
			c.SignalBar = s.Bar
			if !s.Closed() {
				c.MarkBar, c.MarkBps = s.MarkBar, s.PnlBps()
			}
		}
	}
	return c
}

// signalsOn are the signals of r on the common bars, each followed to its exit as
// far as that is possible.
func signalsOn(r *Run, ranges []run.BarRange, follow Follow) (judge.Signals, error) {
	if r.Signals == nil {
		return judge.Signals{}, fmt.Errorf("run %s has no signals: %w", r.id(), r.NoSignals)
	}
	risk, err := r.risk()
	if err != nil {
		return judge.Signals{}, fmt.Errorf("run %s: %w", r.id(), err)
	}
	s := judge.Signals{Rules: risk}
	if r.Signals.Skipped.Bars() > 0 && r.File.Report.PregateEnabled {
		s.Skipped = r.Signals.Skipped.Has
	}
	at := 0
	for i := range r.Signals.Signals {
		k := &r.Signals.Signals[i]
		for at < len(ranges) && ranges[at].End <= k.Bar {
			at++
		}
		if at == len(ranges) {
			break
		}
		if k.Bar < ranges[at].First {
			continue
		}
		sig := k.Signal
		if sig.Left != nil && follow != nil {
			if err := follow(r, &sig); err != nil {
				return judge.Signals{}, fmt.Errorf("following the signal of bar %d of run %s: %w", sig.Bar, r.id(), err)
			}
		}
		s.List = append(s.List, sig)
	}
	return s, nil
}

// Causes of trades that nothing was selected for.
const (
	causeOnlyA   = "only in A"
	causeOnlyB   = "only in B"
	causeChanged = "changed"
)

// compareOwn matches trades that commands made by themselves, by entry and side.
func compareOwn(a, b *Run, cover judge.Cover) Trades {
	for _, r := range []*Run{a, b} {
		if r.NoSignals != nil {
			return Trades{Error: fmt.Sprintf("the trades of run %s: %s", r.id(), oneLine(r.NoSignals))}
		}
	}
	spans := timeSpans(a, b, cover)
	x, y := within(a.Own, spans), within(b.Own, spans)
	t := Trades{Matched: true, A: len(x), B: len(y), Causes: []CauseRow{}, Censored: []CensoredTrade{}}
	rows := map[string]*CauseRow{causeOnlyA: {Cause: causeOnlyA}, causeOnlyB: {Cause: causeOnlyB}, causeChanged: {Cause: causeChanged}}
	sums := map[string]*judge.Sum{causeOnlyA: {}, causeOnlyB: {}, causeChanged: {}}
	var sumA, sumB, both judge.Sum
	daily := map[string]*judge.Sum{}
	weekdays := map[time.Weekday]bool{}
	add := func(cause string, o OwnTrade, sum *judge.Sum, sign float64) {
		sum.Add(o.PnlBps)
		day := dayOf(o.EntryNS)
		weekdays[time.Unix(0, o.EntryNS).UTC().Weekday()] = true
		if daily[day] == nil {
			daily[day] = &judge.Sum{}
		}
		for _, s := range []*judge.Sum{&both, daily[day]} {
			s.Add(sign * o.PnlBps)
		}
		if cause != "" {
			sums[cause].Add(sign * o.PnlBps)
		}
	}
	for i, j := 0, 0; i < len(x) || j < len(y); {
		order := 0
		switch {
		case i == len(x):
			order = 1
		case j == len(y):
			order = -1
		case x[i].EntryNS != y[j].EntryNS:
			order = -1
			if x[i].EntryNS > y[j].EntryNS {
				order = 1
			}
		default:
			order = int(x[i].Side) - int(y[j].Side)
		}
		switch {
		case order < 0:
			add(causeOnlyA, x[i], &sumA, -1)
			rows[causeOnlyA].OnlyA++
			i++
		case order > 0:
			add(causeOnlyB, y[j], &sumB, 1)
			rows[causeOnlyB].OnlyB++
			j++
		default:
			cause := ""
			if x[i].PnlBps != y[j].PnlBps {
				cause = causeChanged
				rows[causeChanged].Changed++
			} else {
				t.Same++
			}
			add(cause, x[i], &sumA, -1)
			add(cause, y[j], &sumB, 1)
			i, j = i+1, j+1
		}
	}
	t.PnlA, t.PnlB, t.Pnl = sumA.Value(), sumB.Value(), both.Value()
	for _, cause := range []string{causeOnlyA, causeOnlyB, causeChanged} {
		if r := rows[cause]; r.OnlyA+r.OnlyB+r.Changed > 0 {
			r.PnlBps = sums[cause].Value()
			t.Causes = append(t.Causes, *r)
		}
	}
	t.Days = days(commonDays(a, b, cover, weekdays), daily)
	return t
}

// span is a stretch of time, both ends opening times of bars.
type span struct{ first, last int64 }

// timeSpans are the common pieces in time, as far as the chunks' footers tell it.
func timeSpans(a, b *Run, cover judge.Cover) []span {
	var list []span
	for _, p := range cover.Pieces {
		s := span{first: -1, last: -1}
		for _, r := range []*Run{a, b} {
			c, first := chunkAt(&r.File, p.Common.First)
			if c.Line.IsZero() {
				continue
			}
			f := c.Line.Footer()
			if first == p.Common.First {
				s.first = nanosOf(f, f.StartTS, s.first)
			}
			if first+f.BarsProcessed == p.Common.End {
				s.last = nanosOf(f, f.EndTS, s.last)
			}
		}
		if s.first >= 0 && s.last >= s.first {
			list = append(list, s)
		}
	}
	return list
}

// nanosOf reads a time of a footer; without one it is otherwise.
func nanosOf(_ footer.Footer, text string, otherwise int64) int64 {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return otherwise
	}
	return at.UnixNano()
}

// within are the trades whose entries lie in the spans. A trade that entered on
// the first bar of a chunk belongs to the signal before it only where nothing was
// selected; then the entry is all that is known.
func within(list []OwnTrade, spans []span) []OwnTrade {
	var in []OwnTrade
	at := 0
	for _, o := range list {
		for at < len(spans) && spans[at].last < o.EntryNS {
			at++
		}
		if at < len(spans) && spans[at].first <= o.EntryNS {
			in = append(in, o)
		}
	}
	return in
}

func dayOf(ns int64) string { return time.Unix(0, ns).UTC().Format(time.DateOnly) }

// commonDays are the UTC dates of the common bars on weekdays that the market
// trades, as its signals or trades show.
func commonDays(a, b *Run, cover judge.Cover, weekdays map[time.Weekday]bool) []string {
	var list []string
	for _, s := range timeSpans(a, b, cover) {
		day := time.Unix(0, s.first).UTC().Truncate(24 * time.Hour)
		for ; day.UnixNano() <= s.last; day = day.AddDate(0, 0, 1) {
			text := day.Format(time.DateOnly)
			if weekdays[day.Weekday()] && (len(list) == 0 || list[len(list)-1] != text) {
				list = append(list, text)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// days judges the daily differences on the common days.
func days(list []string, daily map[string]*judge.Sum) *Days {
	differences := make([]float64, len(list))
	for i, day := range list {
		if s := daily[day]; s != nil {
			differences[i] = s.Value()
		}
	}
	d, err := judge.Daily(differences, alpha)
	if err != nil {
		return nil // values that came this far are finite
	}
	out := &Days{Days: d.Count, Differ: d.Differ, MeanBps: d.Estimate, LowBps: d.Low, HighBps: d.High, Smallest: d.Smallest}
	out.verdict = judge.JudgeDifference(d.Interval, d.Reason, d.Smallest)
	out.Verdict = out.verdict.String()
	return out
}
