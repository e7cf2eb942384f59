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

// Summary is what a person reads first about the trades of a run. What the
// metrics and the attribution of a command's own trades do not give is left out.
type Summary struct {
	RunID      run.ID
	Outcome    string // the perf JSON's: complete, stopped, failed
	Scope      string // the perf JSON's selection.scope: run, stretches, chunks, command
	Policy     string // its name
	Fill       string
	Data       run.Data
	Bars       int64   // replayed
	OpenPnlBps float64 // of open trades, at their mark prices
	// WithoutRows are closed trades whose rows are lost, or not in the file; the
	// figures are without them.
	WithoutRows int64
	Remarks     []string // sentences for who reads the trades first
	// Own: a command made the trades by itself; nil: they were selected.
	Own *OwnCounts

	Metrics     Metrics
	Attribution Attribution
	// CurveFile is the name of the file beside the summary that WriteCurve
	// wrote; empty: there is no curve. The curve is a file and not part of the
	// text because viewers of Markdown show a picture beside it, while the common
	// ones take out inline SVG and data: addresses.
	CurveFile string
}

// OwnCounts are what the perf JSON has of a command's own trades, which the
// command may have reported by itself.
type OwnCounts struct {
	Trades  int64
	PnlBps  float64
	Lacking []string // of OwnTrades
}

// WriteMarkdown writes s as summary_<run_id>.md holds it. Texts from outside
// are escaped: they show as they are and break no table.
func (s Summary) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Trades of run %s\n\n", escape(string(s.RunID)))
	s.warnings(&b)
	m, a := s.Metrics, s.Attribution
	table(&b, []string{"", ""}, s.head())
	if s.CurveFile != "" {
		fmt.Fprintf(&b, "![Equity curve](%s)\n\n", linkTarget(s.CurveFile))
		if s.Own != nil {
			b.WriteString("The curve, the drawdown and the streak follow the order of exits.\n\n")
		}
	}
	if s.Own == nil {
		b.WriteString("Trades are counted when they are closed; the curve, the drawdown and the streak follow the order of exits.")
		if m.Net != nil {
			b.WriteString(" The curve is that of the pnl after costs; costs decide about no exit.")
		}
		b.WriteString("\n\n")
	}
	if m.BySession != nil {
		b.WriteString("## By market session\n\n")
		breakdown(&b, "session", m.BySession)
	}
	if m.ByMonth != nil {
		b.WriteString("## By month of entry (UTC)\n\n")
		breakdown(&b, "month", m.ByMonth)
	}
	b.WriteString("## Bars and signals\n\n")
	table(&b, []string{"bars", ""}, append(counts([]countRow{
		{"replayed", a.BarsProcessed}, {"warm-up", a.BarsSkippedWarmup}, {"passed the gate", a.PregatePasses}, {"skipped by the gate", a.PregateSkips},
	}), reasons("skipped: ", a.SkipReasons)...))
	table(&b, []string{"signals", ""}, append(counts([]countRow{
		{"all", a.NSignals}, {"closed trades", &a.NTrades}, {"open trades", a.TradesOpen},
	}), reasons("dropped: ", a.DropReasons)...))
	if a.ExitReasons != nil {
		b.WriteString("## Exits\n\n")
		table(&b, []string{"exit reason", "trades"}, reasons("", a.ExitReasons))
	}
	// One empty line between blocks, none at the end.
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the summary of run %s: %w", s.RunID, err)
	}
	return nil
}

// warnings are what comes before all figures.
func (s Summary) warnings(b *strings.Builder) {
	replayed := fmt.Sprintf("%s, %s of %s bars replayed", escape(s.Outcome), whole(s.Bars), whole(s.Data.Bars))
	switch {
	case s.Own == nil && (s.Outcome != "complete" || s.Scope != "run"):
		fmt.Fprintf(b, "**Not the whole data: %s, selection over %s.** A partial total is not a prefix of the complete one.\n\n", replayed, escape(s.Scope))
	case s.Own != nil && s.Outcome != "complete":
		fmt.Fprintf(b, "**Not the whole data: %s.**\n\n", replayed)
	}
	switch {
	case s.WithoutRows == 0:
	case s.Own == nil:
		fmt.Fprintf(b, "**The rows of %s trades are lost.** They are in the totals of the perf JSON and in no figure below.\n\n", whole(s.WithoutRows))
	default:
		fmt.Fprintf(b, "**Without %s trades, whose rows are not in the trades file.** The run's log holds the reason.\n\n", whole(s.WithoutRows))
	}
	for _, text := range s.Remarks {
		fmt.Fprintf(b, "**Warning:** %s.\n\n", escape(text))
	}
	if s.Own == nil {
		return
	}
	if text := s.contradiction(); text != "" {
		fmt.Fprintf(b, "**%s**\n\n", text)
	}
	b.WriteString("The command made these trades by itself, chunk by chunk; nothing was selected. What it does not give is not listed.\n\n")
	if len(s.Own.Lacking) > 0 {
		fmt.Fprintf(b, "Values are missing, so nothing is made of these columns: %s.\n\n", escape(strings.Join(s.Own.Lacking, ", ")))
	}
}

// contradiction says where the command counts its trades otherwise than its rows
// do; empty: nowhere.
func (s Summary) contradiction() string {
	var list []string
	if n := s.Own.Trades - s.WithoutRows; n != s.Metrics.NTrades {
		list = append(list, fmt.Sprintf("counts %s trades, and has left %s rows", whole(n), whole(s.Metrics.NTrades)))
	}
	if m := s.Metrics; m.PnlFigures != nil && s.WithoutRows == 0 && math.Abs(s.Own.PnlBps-m.TotalPnlBps) > 1e-6*(1+math.Abs(m.TotalPnlBps)) {
		list = append(list, fmt.Sprintf("reports %s, but its rows add up to %s", bps(s.Own.PnlBps), bps(m.TotalPnlBps)))
	}
	if len(list) == 0 {
		return ""
	}
	return "The command " + strings.Join(list, "; it ") + "."
}

// head are the rows of the first table.
func (s Summary) head() [][]string {
	m, a := s.Metrics, s.Attribution
	rows := [][]string{{"trades", whole(m.NTrades)}}
	rows = append(rows, figureRows(m.PnlFigures, m.TailFigures, m.CurveFigures, "")...)
	if n := m.Net; n != nil {
		rows = append(rows, []string{"commission, swap, slippage", bps(n.CommissionBps) + ", " + bps(n.SwapBps) + ", " + bps(n.SlippageBps)})
		rows = append(rows, figureRows(&n.PnlFigures, &n.TailFigures, &n.CurveFigures, " after costs")...)
	}
	if s.Own == nil {
		rows = append(rows, []string{"mean MAE, MFE", bps(*m.MAEBps) + ", " + bps(*m.MFEBps)})
	} else if m.MAEBps != nil {
		rows = append(rows, []string{"mean MAE", bps(*m.MAEBps)})
	}
	if s.Own != nil && m.MFEBps != nil {
		rows = append(rows, []string{"mean MFE", bps(*m.MFEBps)})
	}
	policy := escape(s.Policy)
	switch {
	case s.Own == nil:
		rows = append(rows, []string{"open trades", whole(*a.TradesOpen) + ", marked at " + bps(s.OpenPnlBps)})
		policy += ", fill " + escape(s.Fill)
	case a.TradesOpen != nil:
		rows = append(rows, []string{"open trades", whole(*a.TradesOpen)})
	}
	return append(rows,
		[]string{"policy", policy},
		[]string{"data", whole(s.Data.Bars) + " bars, " + escape(s.Data.FirstTS) + " to " + escape(s.Data.LastTS)},
		[]string{"data SHA-256", escape(s.Data.SHA256)})
}

// figureRows are the figures that are there.
func figureRows(p *PnlFigures, t *TailFigures, c *CurveFigures, of string) (rows [][]string) {
	if p != nil {
		rows = [][]string{
			{"total pnl" + of, bps(p.TotalPnlBps)},
			{"win rate" + of, percent(p.WinRate)},
			{"mean, median, std pnl" + of, bps(p.MeanPnlBps) + ", " + bps(p.MedianPnlBps) + ", " + bps(p.StdPnlBps)},
			{"p1, p5 of pnl" + of, bps(t.P1Loss) + ", " + bps(t.P5Loss)},
		}
	}
	if c != nil {
		rows = append(rows, []string{"maximum drawdown" + of, bps(c.MaxDD)}, []string{"longest losing streak" + of, whole(c.MaxLossStreak) + " trades"})
	}
	return rows
}

// countRow is a row of a table; nil: it is not reported.
type countRow struct {
	name string
	n    *int64
}

func counts(list []countRow) (rows [][]string) {
	for _, c := range list {
		if c.n != nil {
			rows = append(rows, []string{c.name, whole(*c.n)})
		}
	}
	return rows
}

// breakdown is a table of parts, which all have the same figures.
func breakdown(b *strings.Builder, what string, parts map[string]Figures) {
	var rows [][]string
	head := []string{what, "trades"}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		f := parts[name]
		row := []string{escape(name), whole(f.NTrades)}
		head = head[:2:2]
		if f.PnlFigures != nil {
			head = append(head, "win rate", "total", "mean", "p5")
			row = append(row, percent(f.WinRate), bps(f.TotalPnlBps), bps(f.MeanPnlBps), bps(f.P5Loss))
		}
		if f.CurveFigures != nil {
			head = append(head, "drawdown", "losing streak")
			row = append(row, bps(f.MaxDD), whole(f.MaxLossStreak))
		}
		if f.Net != nil {
			head = append(head, "total after costs")
			row = append(row, bps(f.Net.TotalPnlBps))
		}
		rows = append(rows, row)
	}
	table(b, head, rows)
}
