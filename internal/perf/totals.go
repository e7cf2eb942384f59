package perf

import (
	"fmt"
	"slices"

	"gx1replay/internal/footer"
	"gx1replay/internal/trade"
)

// Totals is what follows from the chunks of a run.
type Totals struct {
	Outcome         Outcome
	TotalBars       int64 // sum of total_bars
	TotalModelCalls int64
	TotalTrades     int64   // closed
	TotalPnlBps     float64 // of the closed ones: see Selection; without one summed in order of chunk_idx
	// NetPnlBps is what is left of TotalPnlBps after costs: see Selection.
	NetPnlBps  *float64
	TradesOpen int64
	// Signals are those of all chunks; Expired of them found no next bar in time.
	Signals, Expired int64
	ChunksCompleted  int // with status ok
	ChunksTotal      int // 0: there is no plan yet
	Coverage         Coverage
	// Unreported (totals_unreported) names the totals that are not whole: a
	// chunk that was replayed does not report what they add up.
	Unreported []string
	// Stretches (selection.stretches) counts the longest runs of consecutive
	// replayed bars: 1 for a complete run, 0 if nothing was replayed.
	Stretches int
}

// Coverage says how much of the plan was replayed. Planned = replayed +
// missing.
type Coverage struct {
	PlannedBars  int64                         `json:"planned_bars"`
	ReplayedBars int64                         `json:"replayed_bars"` // sum of bars_processed
	MissingBars  int64                         `json:"missing_bars"`
	ByStatus     map[footer.Status]StatusCount `json:"by_status"` // statuses that occur
}

// StatusCount counts the chunks of one status and their bars.
type StatusCount struct {
	Chunks       int   `json:"chunks"`
	PlannedBars  int64 `json:"planned_bars"`
	ReplayedBars int64 `json:"replayed_bars"`
}

// OutcomeOf is the outcome of a run with these chunks: complete if there are
// chunks and all are ok; else failed if a chunk failed or said is failed (the
// run was given up, no worker could start); else stopped.
func OutcomeOf(said Outcome, c Coverage) Outcome {
	chunks := 0
	for _, n := range c.ByStatus {
		chunks += n.Chunks
	}
	switch {
	case chunks > 0 && c.ByStatus[footer.StatusOK].Chunks == chunks:
		return OutcomeComplete
	case c.ByStatus[footer.StatusFailed].Chunks > 0 || said == OutcomeFailed:
		return OutcomeFailed
	}
	return OutcomeStopped
}

// Count computes the totals that Append writes for r and chunks.
func (r Report) Count(chunks []Chunk) Totals {
	return count(r.Outcome, chunks, HoldingOf(chunks, r.Selection))
}

// Count is Report.Count without a selection of trades over the run. said is
// Report.Outcome.
func Count(said Outcome, chunks []Chunk) Totals { return count(said, chunks, Selection{}) }

// count needs a selection that holds, or none.
func count(said Outcome, chunks []Chunk, sel Selection) Totals {
	t := Totals{ChunksTotal: len(chunks)}
	t.Coverage.ByStatus = map[footer.Status]StatusCount{}
	var counts statusCounts
	var unreported unreportedTotals
	joined := false // the bar before this chunk was replayed
	for i, c := range chunks {
		c = c.settled(t.Coverage.PlannedBars)
		bars := c.Line.Bars()
		t.Coverage.PlannedBars += c.Planned
		t.Coverage.ReplayedBars += bars
		counts.add(c.Status, c.Planned, bars)
		if c.Status == footer.StatusOK {
			t.ChunksCompleted++
		}
		if bars > 0 && !joined {
			t.Stretches++
		}
		if c.Planned > 0 {
			joined = bars == c.Planned
		}
		if l := c.Line.l; l != nil {
			t.TotalBars += l.total
			t.TotalModelCalls += l.calls
			trades, open, pnl, expired := l.closed, l.open, l.pnl, l.expired
			if i < len(sel.Chunks) && sel.Chunks[i].Known {
				s := &sel.Chunks[i]
				trades, open, pnl, expired = s.Closed, s.Open, s.PnlBps, s.DropReasons[trade.DropExpired]
			}
			t.Signals += l.signals
			t.Expired += expired
			t.TotalTrades += trades
			t.TotalPnlBps += pnl
			t.TradesOpen += open
			if l.lacks != (unreportedTotals{}) {
				unreported.add(l.lacks)
			}
		}
	}
	if len(sel.lines) > 0 {
		t.TotalPnlBps, t.NetPnlBps = sel.TotalPnlBps, sel.NetPnlBps
	}
	counts.into(t.Coverage.ByStatus)
	t.Unreported = unreported.names()
	t.Coverage.MissingBars = t.Coverage.PlannedBars - t.Coverage.ReplayedBars
	t.Outcome = OutcomeOf(said, t.Coverage)
	return t
}

// totalsOf are the totals, each with the field of a footer that it adds up.
var totalsOf = [...]struct{ total, field string }{
	{"total_bars", "total_bars"}, {"total_model_calls", "n_model_calls"},
	{"total_trades", "n_trades_closed"}, {"total_pnl_bps", "pnl_bps"}, {"trades_open", "trades_open"},
}

// unreportedTotals are those totals, by their place, that a chunk says nothing
// of.
type unreportedTotals [len(totalsOf)]bool

// lacking are the totals that f says nothing of.
func lacking(f *footer.Footer) (u unreportedTotals) {
	if len(f.Unreported) == 0 || f.BarsProcessed == 0 {
		return u
	}
	for i, t := range totalsOf {
		if t.field == "pnl_bps" && f.NTradesClosed == 0 && !slices.Contains(f.Unreported, "n_trades_closed") {
			continue // the pnl of no trades is known
		}
		u[i] = slices.Contains(f.Unreported, t.field)
	}
	return u
}

func (u *unreportedTotals) add(more unreportedTotals) {
	for i := range u {
		u[i] = u[i] || more[i]
	}
}

func (u *unreportedTotals) names() []string {
	var names []string
	for i, t := range totalsOf {
		if u[i] {
			names = append(names, t.total)
		}
	}
	return names
}

// statusCounts counts without a map: an export of many chunks is on the way
// from a signal to a visible file.
type statusCounts struct {
	names  [7]footer.Status
	counts [7]StatusCount
	n      int
}

func (s *statusCounts) add(status footer.Status, planned, replayed int64) {
	i := 0
	for i < s.n && s.names[i] != status {
		i++
	}
	if i == s.n {
		s.names[i] = status
		s.n++
	}
	s.counts[i].Chunks++
	s.counts[i].PlannedBars += planned
	s.counts[i].ReplayedBars += replayed
}

func (s *statusCounts) into(m map[footer.Status]StatusCount) {
	for i := range s.n {
		m[s.names[i]] = s.counts[i]
	}
}

// checkPlan says whether chunks is a plan: every chunk once, in order.
func checkPlan(chunks []Chunk) error {
	for i, c := range chunks {
		if c.Idx != i {
			return fmt.Errorf("chunk_idx %d at place %d (want every chunk once, in order)", c.Idx, i)
		}
		if c.Planned < 0 {
			return fmt.Errorf("chunk %d: planned_bars %d is negative", i, c.Planned)
		}
	}
	return nil
}
