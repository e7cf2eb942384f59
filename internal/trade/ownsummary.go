package trade

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"gx1replay/internal/run"
)

// OwnSummary is a Summary of the trades that a command has made by itself.
type OwnSummary struct {
	RunID   run.ID
	Outcome string // the perf JSON's
	Policy  string // its name
	Data    run.Data
	// Bars are the replayed ones. Counted and PnlBps are the perf JSON's totals,
	// which the command may have reported by itself; WithoutRows are trades of
	// chunks whose rows are not in the file.
	Bars, Counted, WithoutRows int64
	PnlBps                     float64

	Metrics     OwnMetrics
	Attribution OwnAttribution
	Lacking     []string // of OwnTrades
	CurveFile   string   // empty: there is no curve
}

// WriteMarkdown writes s as summary_<run_id>.md holds it. A row that the trades do
// not tell is left out.
func (s OwnSummary) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	m, a := s.Metrics, s.Attribution
	fmt.Fprintf(&b, "# Trades of run %s\n\n", escape(string(s.RunID)))
	if s.Outcome != "complete" {
		fmt.Fprintf(&b, "**Not the whole data: %s, %s of %s bars replayed.**\n\n", escape(s.Outcome), whole(s.Bars), whole(s.Data.Bars))
	}
	if s.WithoutRows > 0 {
		fmt.Fprintf(&b, "**Without %s trades, whose rows are not in the trades file.** The run's log holds the reason.\n\n", whole(s.WithoutRows))
	}
	if text := s.contradiction(); text != "" {
		fmt.Fprintf(&b, "**%s**\n\n", text)
	}
	b.WriteString("The command made these trades by itself, chunk by chunk; nothing was selected. What it does not give is not listed.\n\n")
	if len(s.Lacking) > 0 {
		fmt.Fprintf(&b, "Values are missing, so nothing is made of these columns: %s.\n\n", escape(strings.Join(s.Lacking, ", ")))
	}
	rows := [][]string{{"trades", whole(m.NTrades)}}
	rows = append(rows, m.rows()...)
	if a.TradesOpen != nil {
		rows = append(rows, []string{"open trades", whole(*a.TradesOpen)})
	}
	rows = append(rows, [][]string{
		{"policy", escape(s.Policy)},
		{"data", whole(s.Data.Bars) + " bars, " + escape(s.Data.FirstTS) + " to " + escape(s.Data.LastTS)},
		{"data SHA-256", escape(s.Data.SHA256)},
	}...)
	table(&b, []string{"", ""}, rows)
	if s.CurveFile != "" {
		fmt.Fprintf(&b, "![Equity curve](%s)\n\nThe curve, the drawdown and the streak follow the order of exits.\n\n", linkTarget(s.CurveFile))
	}
	if m.BySession != nil {
		b.WriteString("## By market session\n\n")
		ownBreakdown(&b, "session", m.BySession)
	}
	if m.ByMonth != nil {
		b.WriteString("## By month of entry (UTC)\n\n")
		ownBreakdown(&b, "month", m.ByMonth)
	}
	b.WriteString("## Bars and signals\n\n")
	count := func(rows [][]string, name string, n *int64) [][]string {
		if n == nil {
			return rows
		}
		return append(rows, []string{name, whole(*n)})
	}
	bars := count(nil, "replayed", a.BarsProcessed)
	bars = count(bars, "warm-up", a.BarsSkippedWarmup)
	bars = count(bars, "passed the gate", a.PregatePasses)
	bars = count(bars, "skipped by the gate", a.PregateSkips)
	table(&b, []string{"bars", ""}, append(bars, reasons("skipped: ", a.SkipReasons)...))
	signals := count(nil, "all", a.NSignals)
	signals = append(signals, []string{"closed trades", whole(a.NTrades)})
	signals = count(signals, "open trades", a.TradesOpen)
	table(&b, []string{"signals", ""}, append(signals, reasons("dropped: ", a.DropReasons)...))
	if a.ExitReasons != nil {
		b.WriteString("## Exits\n\n")
		table(&b, []string{"exit reason", "trades"}, reasons("", a.ExitReasons))
	}
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the summary of run %s: %w", s.RunID, err)
	}
	return nil
}

// contradiction says where the command counts its trades otherwise than its rows
// do; empty: nowhere.
func (s OwnSummary) contradiction() string {
	var list []string
	if n := s.Counted - s.WithoutRows; n != s.Metrics.NTrades {
		list = append(list, fmt.Sprintf("counts %s trades, and has left %s rows", whole(n), whole(s.Metrics.NTrades)))
	}
	if total := s.Metrics.TotalPnlBps; total != nil && s.WithoutRows == 0 && math.Abs(s.PnlBps-*total) > 1e-6*(1+math.Abs(*total)) {
		list = append(list, fmt.Sprintf("reports %s, but its rows add up to %s", bps(s.PnlBps), bps(*total)))
	}
	if len(list) == 0 {
		return ""
	}
	return "The command " + strings.Join(list, "; it ") + "."
}

// rows are the figures that are there, as the summary has them.
func (f OwnFigures) rows() [][]string {
	var rows [][]string
	if f.TotalPnlBps != nil {
		rows = append(rows, [][]string{
			{"total pnl", bps(*f.TotalPnlBps)},
			{"win rate", percent(*f.WinRate)},
			{"mean, median, std pnl", bps(*f.MeanPnlBps) + ", " + bps(*f.MedianPnlBps) + ", " + bps(*f.StdPnlBps)},
			{"p1, p5 of pnl", bps(*f.P1Loss) + ", " + bps(*f.P5Loss)},
		}...)
	}
	if f.MaxDD != nil {
		rows = append(rows, []string{"maximum drawdown", bps(*f.MaxDD)}, []string{"longest losing streak", whole(*f.MaxLossStreak) + " trades"})
	}
	if f.MAEBps != nil {
		rows = append(rows, []string{"mean MAE", bps(*f.MAEBps)})
	}
	if f.MFEBps != nil {
		rows = append(rows, []string{"mean MFE", bps(*f.MFEBps)})
	}
	return rows
}

func ownBreakdown(b *strings.Builder, what string, parts map[string]OwnFigures) {
	head := []string{what, "trades"}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		f := parts[name]
		row, columns := []string{escape(name), whole(f.NTrades)}, []string{what, "trades"}
		if f.TotalPnlBps != nil {
			row = append(row, percent(*f.WinRate), bps(*f.TotalPnlBps), bps(*f.MeanPnlBps), bps(*f.P5Loss))
			columns = append(columns, "win rate", "total", "mean", "p5")
		}
		if f.MaxDD != nil {
			row = append(row, bps(*f.MaxDD), whole(*f.MaxLossStreak))
			columns = append(columns, "drawdown", "losing streak")
		}
		rows, head = append(rows, row), columns // all parts have the same
	}
	table(b, head, rows)
}
