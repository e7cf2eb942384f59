package trade

// Side is the direction of a trade.
type Side int8

// The sides. The values are the factors of pnl.
const (
	Long  Side = 1
	Short Side = -1
)

func (s Side) String() string {
	switch s {
	case Long:
		return "long"
	case Short:
		return "short"
	}
	return "none"
}

// NoBar stands for a bar that was not reached.
const NoBar int64 = -1

// Signal is an entry wish at a bar with what became of it so far. Bars are
// indices into the data set, times are opening times of bars in nanoseconds
// since 1970 UTC, prices are those of the data, excursions are in bps of the
// entry price.
//
// It is in one of four states: pending (EntryBar is NoBar, Expired false),
// expired, open (Open true), or closed (ExitBar is not NoBar).
//
// What the selection over a run reads comes first, together in 32 bytes: it
// waits for memory more than for anything else.
type Signal struct {
	Bar      int64
	EntryBar int64 // NoBar until entered
	ExitBar  int64 // NoBar until closed
	Side     Side
	Open     bool
	Expired  bool // no next bar, or one that came too late

	MarkBar int64 // while open: the last bar it was followed to

	TimeNS int64
	Score  float64 // the model's probability for Side

	EntryTimeNS int64
	EntryPrice  float64

	ExitTimeNS int64
	ExitPrice  float64
	ExitReason string

	BarsHeld int64   // bars whose range the trade has lived through; the first is 1
	MAEBps   float64 // worst excursion, ≤ 0
	MFEBps   float64 // best excursion, ≥ 0
	MAEBars  int64   // the number of the bar that brought it; 0: none did
	MFEBars  int64

	MarkPrice float64 // while open: the price at which it could be left at MarkBar's close

	Left *State // set by Follower.Leave for what is pending or open
}

// Pending says that the bar after the signal was not seen yet.
func (s *Signal) Pending() bool { return s.EntryBar == NoBar && !s.Expired }

// Closed says that the trade has an exit.
func (s *Signal) Closed() bool { return s.ExitBar != NoBar }

// PnlBps is side · (exit - entry) / entry · 10^4 of a closed signal, the same
// with the mark price of an open one, and 0 where there was no entry.
func (s *Signal) PnlBps() float64 {
	switch {
	case s.Closed():
		return pnlBps(s.Side, s.EntryPrice, s.ExitPrice)
	case s.Open:
		return pnlBps(s.Side, s.EntryPrice, s.MarkPrice)
	}
	return 0
}

func pnlBps(side Side, entry, price float64) float64 {
	return float64(float64(side) * ((price - entry) / entry) * 1e4)
}
