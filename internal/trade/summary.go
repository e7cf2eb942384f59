package trade

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/footer"
	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

// Summary is what a person reads first about the trades of a run.
type Summary struct {
	RunID      run.ID
	Outcome    string // the perf JSON's: complete, stopped, failed
	Scope      string // the perf JSON's selection.scope: run, stretches, chunks
	Policy     string // its name
	Fill       string
	Data       run.Data
	OpenPnlBps float64 // of open trades, at their mark prices
	// WithoutRows are closed trades whose rows are lost; the figures are
	// without them.
	WithoutRows int64
	Remarks     []string // sentences for who reads the trades first

	Metrics     Metrics
	Attribution Attribution
	// CurveFile is the name of the file beside the summary that WriteCurve
	// wrote. The curve is a file and not part of the text because viewers of
	// Markdown show a picture beside it, while the common ones take out inline
	// SVG and data: addresses.
	CurveFile string
}

// WriteMarkdown writes s as summary_<run_id>.md holds it. Texts from outside
// are escaped: they show as they are and break no table.
func (s Summary) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Trades of run %s\n\n", escape(string(s.RunID)))
	if s.Outcome != "complete" || s.Scope != "run" {
		fmt.Fprintf(&b, "**Not the whole data: %s, %s of %s bars replayed, selection over %s.** A partial total is not a prefix of the complete one.\n\n",
			escape(s.Outcome), whole(s.Attribution.BarsProcessed), whole(s.Data.Bars), escape(s.Scope))
	}
	if s.WithoutRows > 0 {
		fmt.Fprintf(&b, "**The rows of %s trades are lost.** They are in the totals of the perf JSON and in no figure below.\n\n", whole(s.WithoutRows))
	}
	for _, text := range s.Remarks {
		fmt.Fprintf(&b, "**Warning:** %s.\n\n", escape(text))
	}
	m, a := s.Metrics, s.Attribution
	head := [][]string{
		{"trades", whole(m.NTrades)},
		{"total pnl", bps(m.TotalPnlBps)},
		{"win rate", percent(m.WinRate)},
		{"mean, median, std pnl", bps(m.MeanPnlBps) + ", " + bps(m.MedianPnlBps) + ", " + bps(m.StdPnlBps)},
		{"p1, p5 of pnl", bps(m.P1Loss) + ", " + bps(m.P5Loss)},
		{"maximum drawdown", bps(m.MaxDD)},
		{"longest losing streak", whole(m.MaxLossStreak) + " trades"},
	}
	if m.Net != nil {
		head = append(head, m.Net.summary()...)
	}
	table(&b, []string{"", ""}, append(head, [][]string{
		{"mean MAE, MFE", bps(m.MAEBps) + ", " + bps(m.MFEBps)},
		{"open trades", whole(a.TradesOpen) + ", marked at " + bps(s.OpenPnlBps)},
		{"policy", escape(s.Policy) + ", fill " + escape(s.Fill)},
		{"data", whole(s.Data.Bars) + " bars, " + escape(s.Data.FirstTS) + " to " + escape(s.Data.LastTS)},
		{"data SHA-256", escape(s.Data.SHA256)},
	}...))
	fmt.Fprintf(&b, "![Equity curve](%s)\n\n", linkTarget(s.CurveFile))
	b.WriteString("Trades are counted when they are closed; the curve, the drawdown and the streak follow the order of exits.")
	if m.Net != nil {
		b.WriteString(" The curve is that of the pnl after costs; costs decide about no exit.")
	}
	b.WriteString("\n\n")
	b.WriteString("## By market session\n\n")
	breakdown(&b, "session", m.BySession)
	b.WriteString("## By month of entry (UTC)\n\n")
	breakdown(&b, "month", m.ByMonth)
	b.WriteString("## Bars and signals\n\n")
	table(&b, []string{"bars", ""}, append([][]string{
		{"replayed", whole(a.BarsProcessed)},
		{"warm-up", whole(a.BarsSkippedWarmup)},
		{"passed the gate", whole(a.PregatePasses)},
		{"skipped by the gate", whole(a.PregateSkips)},
	}, reasons("skipped: ", a.SkipReasons)...))
	table(&b, []string{"signals", ""}, append([][]string{
		{"all", whole(a.NSignals)},
		{"closed trades", whole(a.NTrades)},
		{"open trades", whole(a.TradesOpen)},
	}, reasons("dropped: ", a.DropReasons)...))
	b.WriteString("## Exits\n\n")
	table(&b, []string{"exit reason", "trades"}, reasons("", a.ExitReasons))
	// One empty line between blocks, none at the end.
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the summary of run %s: %w", s.RunID, err)
	}
	return nil
}

func (n *NetFigures) summary() [][]string {
	return [][]string{
		{"commission, swap, slippage", bps(n.CommissionBps) + ", " + bps(n.SwapBps) + ", " + bps(n.SlippageBps)},
		{"total pnl after costs", bps(n.TotalPnlBps)},
		{"win rate after costs", percent(n.WinRate)},
		{"mean, median, std pnl after costs", bps(n.MeanPnlBps) + ", " + bps(n.MedianPnlBps) + ", " + bps(n.StdPnlBps)},
		{"p1, p5 of pnl after costs", bps(n.P1Loss) + ", " + bps(n.P5Loss)},
		{"maximum drawdown after costs", bps(n.MaxDD)},
		{"longest losing streak after costs", whole(n.MaxLossStreak) + " trades"},
	}
}

func breakdown(b *strings.Builder, what string, parts map[string]Figures) {
	var rows [][]string
	head := []string{what, "trades", "win rate", "total", "mean", "p5", "drawdown", "losing streak"}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		f := parts[name]
		row := []string{
			escape(name), whole(f.NTrades), percent(f.WinRate), bps(f.TotalPnlBps), bps(f.MeanPnlBps),
			bps(f.P5Loss), bps(f.MaxDD), whole(f.MaxLossStreak),
		}
		if f.Net != nil {
			row = append(row, bps(f.Net.TotalPnlBps))
			head = append(head[:8:8], "total after costs")
		}
		rows = append(rows, row)
	}
	table(b, head, rows)
}

func reasons(prefix string, counts footer.Counts) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, []string{prefix + escape(name), whole(counts[name])})
	}
	return rows
}

// table writes cells that are escaped already; all columns but the first are
// set to the right.
func table(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		b.WriteString("None.\n\n")
		return
	}
	fmt.Fprintf(b, "| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-1))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
	b.WriteByte('\n')
}

// whole is n in groups of three digits.
func whole(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b []byte
	for i := range len(digits) {
		if left := len(digits) - i; i > 0 && digits[i-1] != '-' && left%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, digits[i])
	}
	return string(b)
}

func bps(x float64) string {
	t := strconv.FormatFloat(x, 'f', 2, 64)
	if t == "-0.00" {
		t = "0.00"
	}
	return t + " bps"
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }

// escape makes Markdown show s as it is, on one line. It puts a backslash
// before every character that can begin something in CommonMark or a table,
// but _ within words, which begins nothing there and is in most of our names.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case !printable.Is(r):
			r = ' '
		case r == '_' && i > 0 && i < len(s)-1 && wordByte(s[i-1]) && wordByte(s[i+1]):
		case strings.ContainsRune("\\`*_{}[]<>()#!|&~$", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// linkTarget is a file's name as a link holds it: all but plain characters
// are percent-encoded.
func linkTarget(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; wordByte(c) || c == '-' || c == '.' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
