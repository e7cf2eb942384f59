package trade

import (
	"fmt"
	"io"

	"gx1replay/internal/footer"
)

// Attribution says where the bars and the signals of a run went. Counts are
// those of the footers, added up; drops are those of the selection over the
// run.
type Attribution struct {
	Schema int `json:"schema"`

	BarsProcessed     int64         `json:"bars_processed"`
	BarsSkippedWarmup int64         `json:"bars_skipped_warmup"`
	PregateSkips      int64         `json:"pregate_skips"`
	PregatePasses     int64         `json:"pregate_passes"`
	SkipReasons       footer.Counts `json:"skip_reasons"` // adds up to pregate_skips

	NSignals    int64         `json:"n_signals"`
	NTrades     int64         `json:"n_trades"` // closed
	TradesOpen  int64         `json:"trades_open"`
	DropReasons footer.Counts `json:"drop_reasons"` // what is left of n_signals

	ExitReasons footer.Counts `json:"exit_reasons"` // of closed trades
}

// NewAttribution is one of nothing.
func NewAttribution() Attribution {
	return Attribution{Schema: FilesSchema, SkipReasons: footer.Counts{}, DropReasons: footer.Counts{}, ExitReasons: footer.Counts{}}
}

// Count adds the bars and skips of f, the footer that speaks for a chunk.
func (a *Attribution) Count(f footer.Footer) {
	a.BarsProcessed += f.BarsProcessed
	a.BarsSkippedWarmup += f.BarsSkippedWarmup
	a.PregateSkips += f.PregateSkips
	a.PregatePasses += f.PregatePasses
	add(a.SkipReasons, f.SkipReasons)
}

// Add adds the signals and trades of b.
func (a *Attribution) Add(b Attribution) {
	a.NSignals += b.NSignals
	a.NTrades += b.NTrades
	a.TradesOpen += b.TradesOpen
	add(a.DropReasons, b.DropReasons)
	add(a.ExitReasons, b.ExitReasons)
}

func add(to, from footer.Counts) {
	for name, n := range from {
		to[name] += n
	}
}

// Attribute makes the part of an attribution that the signals of a run tell:
// all but bars and skips. taken and dropped are Taken's.
func Attribute(signals []Signal, taken Picks, dropped []Drop) Attribution {
	a := NewAttribution()
	a.NSignals = int64(len(signals))
	for s := range taken.Closed(signals) {
		a.NTrades++
		a.ExitReasons[s.ExitReason]++
	}
	a.TradesOpen = int64(taken.Len()) - a.NTrades
	for _, d := range dropped {
		a.DropReasons[d.Reason] += d.N
	}
	return a
}

// Check says whether the counts add up: signals are trades, open trades and
// drops; skips are the sum of their reasons, trades that of theirs.
func (a Attribution) Check() error {
	for _, c := range []struct {
		name      string
		got, want int64
	}{
		{"n_signals", a.NSignals, a.NTrades + a.TradesOpen + sum(a.DropReasons)},
		{"pregate_skips", a.PregateSkips, sum(a.SkipReasons)},
		{"n_trades", a.NTrades, sum(a.ExitReasons)},
	} {
		if c.got != c.want {
			return fmt.Errorf("attribution: %s is %d, its parts add up to %d", c.name, c.got, c.want)
		}
	}
	return nil
}

func sum(c footer.Counts) (n int64) {
	for _, x := range c {
		n += x
	}
	return n
}

// WriteJSON writes a as attribution_<run_id>.json holds it: indented, reasons
// in order of the alphabet, no null.
func (a Attribution) WriteJSON(w io.Writer) error {
	for _, c := range []*footer.Counts{&a.SkipReasons, &a.DropReasons, &a.ExitReasons} {
		if *c == nil {
			*c = footer.Counts{}
		}
	}
	return writeJSON(w, "attribution", a)
}
