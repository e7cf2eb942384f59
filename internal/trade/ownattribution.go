package trade

import (
	"io"
	"slices"

	"gx1replay/internal/footer"
)

// OwnAttribution is an Attribution of a run whose command makes its trades by
// itself. A count is there only if all footers report it.
type OwnAttribution struct {
	Schema int `json:"schema"`

	BarsProcessed     *int64        `json:"bars_processed,omitzero"`
	BarsSkippedWarmup *int64        `json:"bars_skipped_warmup,omitzero"`
	PregateSkips      *int64        `json:"pregate_skips,omitzero"`
	PregatePasses     *int64        `json:"pregate_passes,omitzero"`
	SkipReasons       footer.Counts `json:"skip_reasons,omitzero"`

	NSignals    *int64        `json:"n_signals,omitzero"`
	NTrades     int64         `json:"n_trades"` // the rows
	TradesOpen  *int64        `json:"trades_open,omitzero"`
	DropReasons footer.Counts `json:"drop_reasons,omitzero"`

	ExitReasons footer.Counts `json:"exit_reasons,omitzero"` // by the column exit_reason
	// Unreported names what is not there.
	Unreported []string `json:"unreported"`
}

// Attribute makes the attribution of t by the footers that speak for the run's
// chunks.
func (t *OwnTrades) Attribute(footers []footer.Footer) OwnAttribution {
	a := OwnAttribution{Schema: FilesSchema, NTrades: t.Rows(), Unreported: []string{}}
	for _, c := range []struct {
		name  string
		to    **int64
		count func(*footer.Footer) int64
	}{
		{"bars_processed", &a.BarsProcessed, func(f *footer.Footer) int64 { return f.BarsProcessed }},
		{"bars_skipped_warmup", &a.BarsSkippedWarmup, func(f *footer.Footer) int64 { return f.BarsSkippedWarmup }},
		{"pregate_skips", &a.PregateSkips, func(f *footer.Footer) int64 { return f.PregateSkips }},
		{"pregate_passes", &a.PregatePasses, func(f *footer.Footer) int64 { return f.PregatePasses }},
		{"n_signals", &a.NSignals, func(f *footer.Footer) int64 { return f.NSignals }},
		{"trades_open", &a.TradesOpen, func(f *footer.Footer) int64 { return f.TradesOpen }},
	} {
		if slices.ContainsFunc(footers, func(f footer.Footer) bool { return slices.Contains(f.Unreported, c.name) }) {
			a.Unreported = append(a.Unreported, c.name)
			continue
		}
		*c.to = new(int64)
		for i := range footers {
			**c.to += c.count(&footers[i])
		}
	}
	// Reasons of skips and drops are no fields that a command can leave out; they
	// say something where their sum is reported.
	a.SkipReasons = reasonsOf(footers, a.PregateSkips != nil, func(f *footer.Footer) footer.Counts { return f.SkipReasons })
	a.DropReasons = reasonsOf(footers, a.NSignals != nil, func(f *footer.Footer) footer.Counts { return f.DropReasons })
	if t.given[ownReason] {
		a.ExitReasons = footer.Counts{}
		for i := range t.rows {
			a.ExitReasons[t.rows[i].reason]++
		}
	}
	for _, r := range []struct {
		name  string
		there bool
	}{{"skip_reasons", a.SkipReasons != nil}, {"drop_reasons", a.DropReasons != nil}, {"exit_reasons", a.ExitReasons != nil}} {
		if !r.there {
			a.Unreported = append(a.Unreported, r.name)
		}
	}
	return a
}

// reasonsOf adds up the reasons of footers; nil if they are not reported.
func reasonsOf(footers []footer.Footer, reported bool, of func(*footer.Footer) footer.Counts) footer.Counts {
	if !reported {
		return nil
	}
	sum := footer.Counts{}
	for i := range footers {
		add(sum, of(&footers[i]))
	}
	return sum
}

// WriteJSON writes a as Attribution.WriteJSON does.
func (a OwnAttribution) WriteJSON(w io.Writer) error { return writeJSON(w, "attribution", a) }
