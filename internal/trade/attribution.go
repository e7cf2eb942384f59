package trade

import (
	"io"

	"gx1replay/internal/footer"
)

// Attribution says where the bars and the signals of a run went. Counts are
// those of the footers, added up; drops are those of the selection over the
// run. Where a command made the trades by itself, what it does not report is nil.
type Attribution struct {
	Schema int `json:"schema"`

	BarsProcessed     *int64        `json:"bars_processed,omitzero"`
	BarsSkippedWarmup *int64        `json:"bars_skipped_warmup,omitzero"`
	PregateSkips      *int64        `json:"pregate_skips,omitzero"`
	PregatePasses     *int64        `json:"pregate_passes,omitzero"`
	SkipReasons       footer.Counts `json:"skip_reasons,omitzero"` // adds up to pregate_skips

	NSignals    *int64        `json:"n_signals,omitzero"`
	NTrades     int64         `json:"n_trades"` // closed, or a command's rows
	TradesOpen  *int64        `json:"trades_open,omitzero"`
	DropReasons footer.Counts `json:"drop_reasons,omitzero"` // what is left of n_signals

	ExitReasons footer.Counts `json:"exit_reasons,omitzero"` // of closed trades
	// Unreported names what a command does not report; nil of selected trades.
	Unreported []string `json:"unreported,omitzero"`
}

// NewAttribution is one of nothing.
func NewAttribution() Attribution {
	return Attribution{
		Schema: FilesSchema, BarsProcessed: new(int64), BarsSkippedWarmup: new(int64), PregateSkips: new(int64), PregatePasses: new(int64),
		NSignals: new(int64), TradesOpen: new(int64), SkipReasons: footer.Counts{}, DropReasons: footer.Counts{}, ExitReasons: footer.Counts{},
	}
}

// Count adds the bars and skips of f, the footer that speaks for a chunk.
func (a *Attribution) Count(f footer.Footer) {
	*a.BarsProcessed += f.BarsProcessed
	*a.BarsSkippedWarmup += f.BarsSkippedWarmup
	*a.PregateSkips += f.PregateSkips
	*a.PregatePasses += f.PregatePasses
	add(a.SkipReasons, f.SkipReasons)
}

// AddSignals adds the signals and trades of a chunk: how many signals, how many
// of the trades that are open, and what was dropped.
func (a *Attribution) AddSignals(signals, open int64, dropped footer.Counts) {
	*a.NSignals += signals
	*a.TradesOpen += open
	add(a.DropReasons, dropped)
}

// AddTrade adds a closed trade.
func (a *Attribution) AddTrade(exitReason string) {
	a.NTrades++
	a.ExitReasons[exitReason]++
}

func add(to, from footer.Counts) {
	for name, n := range from {
		to[name] += n
	}
}

// WriteJSON writes a as attribution_<run_id>.json holds it: indented, reasons
// in order of the alphabet, no null.
func (a Attribution) WriteJSON(w io.Writer) error { return writeJSON(w, "attribution", a) }
