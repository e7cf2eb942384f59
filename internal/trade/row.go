package trade

import (
	"fmt"
	"strconv"

	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
)

// Row is a closed trade as files hold it. Nothing in it depends on the name
// of the run, on the cut, or on a host. Columns that the original's
// trade_outcomes have keep its names, signs and meanings, the rest is ours.
//
// With b = entry_bar, bps as in Signal, and an excursion's bar the bar of the
// data that brought it:
//
//	trade_id          "T" and signal_bar in at least nine digits: the same
//	                  signal has the same id in every run on the same data
//	entry_time        opening time of entry_bar, UTC; exit_time alike
//	pnl_bps           side · (exit_price - entry_price) / entry_price · 10^4
//	mae_bps           worst excursion as a magnitude, ≥ 0
//	mfe_bps           best excursion, ≥ 0
//	time_to_mae_bars  the worst excursion's bar - b; 0 if there was none
//	time_to_mfe_bars  the best excursion's bar - b; 0 if there was none
//	close_to_mfe_bps  mfe_bps - pnl_bps, what was given back; 0 if mfe_bps is 0
//	exit_efficiency   pnl_bps / mfe_bps, at most 1; 1 if mfe_bps is 0
//	duration_bars     exit_bar - b
//	side              long | short
//	session           market session of the signal's bar
//	exit_reason       see the exit reasons
//	entry_price       ask for a long, bid for a short; exit_price the reverse
//	score             the model's probability for the side
//	signal_bar        index into the data set; entry_bar and exit_bar alike
//
// Where the policy has costs, the columns of Charges follow.
type Row struct {
	TradeID        string  `parquet:"trade_id,plain"`
	EntryTimeNS    int64   `parquet:"entry_time,timestamp(nanosecond)"`
	ExitTimeNS     int64   `parquet:"exit_time,timestamp(nanosecond)"`
	PnlBps         float64 `parquet:"pnl_bps"`
	MAEBps         float64 `parquet:"mae_bps"`
	MFEBps         float64 `parquet:"mfe_bps"`
	TimeToMAEBars  int64   `parquet:"time_to_mae_bars"`
	TimeToMFEBars  int64   `parquet:"time_to_mfe_bars"`
	CloseToMFEBps  float64 `parquet:"close_to_mfe_bps"`
	ExitEfficiency float64 `parquet:"exit_efficiency"`
	DurationBars   int64   `parquet:"duration_bars"`
	Side           string  `parquet:"side,dict"`
	Session        string  `parquet:"session,dict"`
	ExitReason     string  `parquet:"exit_reason,dict"`
	EntryPrice     float64 `parquet:"entry_price"`
	ExitPrice      float64 `parquet:"exit_price"`
	Score          float64 `parquet:"score"`
	SignalBar      int64   `parquet:"signal_bar"`
	EntryBar       int64   `parquet:"entry_bar"`
	ExitBar        int64   `parquet:"exit_bar"`

	Charged bool    `parquet:"-"` // the policy has costs; else files have no such columns
	Charges Charges `parquet:"-"`
}

// NewRow makes the row of a closed signal. A signal that has no exit, or one
// of whose figures is not finite, is an error: files hold neither. costs are
// the policy's, nil if it has none.
func NewRow(s *Signal, sessions feature.SessionTable, costs *policy.Costs) (Row, error) {
	if !s.Closed() {
		return Row{}, fmt.Errorf("the signal of bar %d has no exit (want a closed trade)", s.Bar)
	}
	r := Row{
		TradeID:     tradeID(s.Bar),
		EntryTimeNS: s.EntryTimeNS, ExitTimeNS: s.ExitTimeNS,
		PnlBps: plus(s.PnlBps()), MAEBps: plus(-s.MAEBps), MFEBps: plus(s.MFEBps),
		TimeToMAEBars: barsAfterEntry(s, s.MAEBars), TimeToMFEBars: barsAfterEntry(s, s.MFEBars),
		CloseToMFEBps: plus(closeToMFE(s)), ExitEfficiency: plus(exitEfficiency(s)),
		DurationBars: s.ExitBar - s.EntryBar,
		Side:         s.Side.String(), Session: sessions.Name(sessions.At(s.TimeNS)), ExitReason: s.ExitReason,
		EntryPrice: s.EntryPrice, ExitPrice: s.ExitPrice, Score: plus(s.Score),
		SignalBar: s.Bar, EntryBar: s.EntryBar, ExitBar: s.ExitBar,
	}
	if costs != nil {
		r.Charged, r.Charges = true, Charge(costs, s)
	}
	for _, x := range []float64{r.PnlBps, r.MAEBps, r.MFEBps, r.CloseToMFEBps, r.ExitEfficiency, r.EntryPrice, r.ExitPrice, r.Score, r.Charges.NetPnlBps} {
		if !finite(x) {
			return Row{}, fmt.Errorf("the trade of bar %d has a figure that is not finite: %+v", s.Bar, r)
		}
	}
	return r, nil
}

func tradeID(bar int64) string {
	digits := strconv.FormatInt(bar, 10)
	return "T" + "000000000"[min(len(digits), 9):] + digits
}

// closeToMFE is how far below its best excursion a trade left, in bps.
func closeToMFE(s *Signal) float64 {
	if pnl := s.PnlBps(); s.MFEBps > 0 && pnl < s.MFEBps {
		return s.MFEBps - pnl
	}
	return 0
}

// exitEfficiency is the part of its best excursion that a trade kept.
func exitEfficiency(s *Signal) float64 {
	if s.MFEBps > 0 {
		return s.PnlBps() / s.MFEBps
	}
	return 1
}

// barsAfterEntry turns the number of a trade's bar (0: none) into its distance
// from the entry bar. Bar 1 is the entry bar, except where a trade enters at
// its signal's close: there it is the next.
func barsAfterEntry(s *Signal, n int64) int64 {
	if n > 0 && s.EntryBar != s.Bar {
		return n - 1
	}
	return n
}

// plus turns -0 into 0.
func plus(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x
}
