package compare

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Lines are the comparison for a terminal: the sentence, what is common, the
// trades, the speed, and the inputs that differ. With thresholds there is a line
// for each of them.
func (c *Comparison) Lines() []string {
	lines := []string{
		Plain(c.Sentence),
		"common  " + c.commonText(),
		"trades  " + c.tradesText(),
		"speed   " + c.speedText(),
		"inputs  " + c.inputsText(2),
	}
	for _, t := range c.Thresholds {
		lines = append(lines, fmt.Sprintf("%-14s %s, want %s: %s", t.label, t.shown(), t.wanted(), t.Verdict))
	}
	return lines
}

func (c *Comparison) commonText() string {
	n := c.Common
	text := fmt.Sprintf("%s of %s bars (%s %%) in %d %s", whole(n.Bars), whole(n.DataBars), figure3(100*float64(n.Bars)/float64(n.DataBars)), n.Pieces, plural(n.Pieces, "piece"))
	if n.Cut > 0 {
		text += fmt.Sprintf(", %d cut", n.Cut)
	}
	if n.Apart > 0 {
		text += fmt.Sprintf(", %d more stand apart", n.Apart)
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func (c *Comparison) tradesText() string {
	t := c.Trades
	if t.Error != "" {
		return "not compared: " + Plain(t.Error)
	}
	same := whole(int64(t.Same)) + " the same"
	if !t.Matched {
		same = "not matched one by one"
	}
	text := fmt.Sprintf("%s against %s, %s; %s against %s bps", whole(int64(t.B)), whole(int64(t.A)), same, bpsText(t.PnlB), bpsText(t.PnlA))
	for i, r := range t.Causes {
		sep := ", "
		if i == 0 {
			sep = "; by cause: "
		}
		text += fmt.Sprintf("%s%s %s bps", sep, r.Cause, bpsText(r.PnlBps))
	}
	if n := len(t.Censored); n > 0 {
		text += fmt.Sprintf("; %d censored", n)
	}
	return text
}

func (c *Comparison) speedText() string {
	s := c.Speed
	if s.Ratio <= 0 {
		return s.Verdict
	}
	text := fmt.Sprintf("%s, %s times", s.Verdict, figure3(s.Ratio))
	if s.High > 0 {
		text += fmt.Sprintf(" (%s to %s)", figure3(s.Low), figure3(s.High))
	}
	if s.Work > 0 {
		text += fmt.Sprintf("; work %s, price %s", figure3(s.Work), figure3(1/s.Price))
	}
	return text
}

// inputsText lists the first inputs that differ.
func (c *Comparison) inputsText(most int) string {
	if len(c.Inputs) == 0 {
		return "equal"
	}
	var texts []string
	for _, s := range c.Inputs[:min(most, len(c.Inputs))] {
		texts = append(texts, fmt.Sprintf("%s %s → %s", Plain(s.Key), orNone(s.A), orNone(s.B)))
	}
	text := fmt.Sprintf("%d %s: %s", len(c.Inputs), plural(len(c.Inputs), "difference"), strings.Join(texts, "; "))
	if more := len(c.Inputs) - most; more > 0 {
		text += fmt.Sprintf("; %d more", more)
	}
	return text
}

// shown is the value of t with its interval.
func (t Threshold) shown() string {
	text := t.Value.String() + space(t.unit)
	if t.Low.Known {
		text += fmt.Sprintf(" (%s to %s)", t.Low, t.High)
	}
	return text
}

func (t Threshold) wanted() string {
	return Figure{Bound: t.Bound, Threshold: t.Limit, sign: t.unit}.threshold()
}

// JSON is the comparison for scripts, indented, with a line feed at its end.
func (c *Comparison) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("comparison of %s and %s as JSON: %w", c.A.Path, c.B.Path, err)
	}
	return append(b, '\n'), nil
}

// Markdown is the comparison for people.
func (c *Comparison) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", escaped(c.Sentence))
	fmt.Fprintf(&b, "A is %s, the baseline; B is %s.\n", escaped(c.A.RunID), escaped(c.B.RunID))
	c.inputsMarkdown(&b)
	fmt.Fprintf(&b, "\n## Common bars\n\n%s.\n\n```text\n%s\n```\n", upper(c.commonText()), c.strip())
	if len(c.Thresholds) > 0 {
		b.WriteString("\n## Thresholds\n\n| figure | value | threshold | verdict |\n|---|--:|--:|---|\n")
		for _, t := range c.Thresholds {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.label, t.shown(), t.wanted(), escaped(t.Verdict))
		}
	}
	c.tradesMarkdown(&b)
	c.speedMarkdown(&b)
	b.WriteString("\n## Plain sums\n\nEach run on the bars that it has replayed, not on common bars.\n\n| figure | A | B | ratio |\n|---|--:|--:|--:|\n")
	for _, f := range c.Unaligned {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.row(), f.Off, f.On, f.shown())
	}
	if len(c.Notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, n := range c.Notes {
			fmt.Fprintf(&b, "- %s.\n", escaped(upper(n)))
		}
	}
	b.WriteString("\n## The runs\n\n| | A | B |\n|---|---|---|\n")
	for _, row := range (Result{Off: c.A, On: c.B}).rows() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row[0], escaped(row[1]), escaped(row[2]))
	}
	return []byte(b.String())
}

func (c *Comparison) inputsMarkdown(b *strings.Builder) {
	b.WriteString("\n## Inputs that differ\n\n")
	if len(c.Inputs) == 0 {
		b.WriteString("None.\n")
		return
	}
	b.WriteString("| key | A | B |\n|---|---|---|\n")
	for _, s := range c.Inputs {
		fmt.Fprintf(b, "| %s | %s | %s |\n", escaped(s.Key), escaped(orNone(s.A)), escaped(orNone(s.B)))
	}
}

// stripWidth is how many characters show the period.
const stripWidth = 72

// strip shows which parts of the data set are common: each character stands for
// as many bars as the others.
func (c *Comparison) strip() string {
	n := c.Common.DataBars
	var b strings.Builder
	for i := range int64(stripWidth) {
		first, end := i*n/stripWidth, (i+1)*n/stripWidth
		var common int64
		for _, r := range c.Common.Ranges {
			common += max(min(r[1], end)-max(r[0], first), 0)
		}
		switch {
		case common == 0:
			b.WriteByte('.')
		case common == end-first:
			b.WriteByte('#')
		default:
			b.WriteByte('+')
		}
	}
	return b.String() + "\n# all bars common   + some   . none"
}

func (c *Comparison) tradesMarkdown(b *strings.Builder) {
	b.WriteString("\n## Trades on common bars\n\n")
	t := c.Trades
	if t.Error != "" {
		fmt.Fprintf(b, "Not compared: %s.\n", escaped(t.Error))
		return
	}
	if t.Selected {
		b.WriteString("Selected again from the signals of both runs, in one pass over the common bars. Each trade is followed to its exit, wherever that lies.\n\n")
	}
	fmt.Fprintf(b, "| | A | B | B − A |\n|---|--:|--:|--:|\n")
	fmt.Fprintf(b, "| trades | %s | %s | %+d |\n", whole(int64(t.A)), whole(int64(t.B)), t.B-t.A)
	if t.Matched {
		fmt.Fprintf(b, "| in both, equal | %s | %s | |\n", whole(int64(t.Same)), whole(int64(t.Same)))
	}
	fmt.Fprintf(b, "| pnl, bps | %s | %s | %s |\n", bpsText(t.PnlA), bpsText(t.PnlB), bpsText(t.Pnl))
	if n := len(t.Censored); n > 0 {
		fmt.Fprintf(b, "| censored, in no other row | %d | %d | |\n", n, n)
	}
	if len(t.Causes) > 0 {
		b.WriteString("\n| cause | episodes | only in A | only in B | changed | pnl of B − A, bps |\n|---|--:|--:|--:|--:|--:|\n")
		for _, r := range t.Causes {
			fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %s |\n", r.Cause, r.Episodes, r.OnlyA, r.OnlyB, r.Changed, bpsText(r.PnlBps))
		}
		b.WriteString("\nThe parts add up exactly before each is rounded.\n")
	}
	if d := t.Days; d != nil {
		fmt.Fprintf(b, "\nPnl per day, B − A: %s bps over %d common days, of which %d differ: %s. On these bars the difference is exact; the interval is about days like these. Losses rarer than seen are not covered.\n",
			bpsText(d.MeanBps), d.Days, d.Differ, escaped(d.text()))
	}
}

func (c *Comparison) speedMarkdown(b *strings.Builder) {
	s := c.Speed
	fmt.Fprintf(b, "\n## Speed on common bars\n\n%s.\n\n", escaped(upper(c.speedText())))
	b.WriteString("| | A | B | A / B |\n|---|--:|--:|--:|\n")
	ratio := Number{s.Ratio, s.Ratio > 0}
	fmt.Fprintf(b, "| replay, s (judged) | %s | %s | %s |\n", figure3(s.SecondsA), figure3(s.SecondsB), ratio)
	fmt.Fprintf(b, "| start-up and warm-up of the whole runs, s | %s | %s | |\n", figure3(s.BeforeA), figure3(s.BeforeB))
	for _, n := range c.Counts {
		fmt.Fprintf(b, "| %s (exact) | %s | %s | %s |\n", n.Name, whole(n.A), whole(n.B), n.Verdict)
	}
	if len(s.Phases) > 0 {
		b.WriteString("\nPrice of one unit of work, B over A:\n\n| phase | ratio |\n|---|--:|\n")
		for _, p := range s.Phases {
			fmt.Fprintf(b, "| %s | %s |\n", p.Phase, figure3(p.Ratio))
		}
	}
}

// Table is one row for each comparison with the same baseline.
func Table(list []Comparison) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %d runs against %s\n\n", len(list), escaped(list[0].A.RunID))
	b.WriteString("| run | common bars | speed | trades | the same | pnl of B − A, bps | inputs that differ |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for i := range list {
		c := &list[i]
		trades, same, pnl := "–", "–", "–"
		if t := c.Trades; t.Error == "" {
			trades, pnl = whole(int64(t.B)), bpsText(t.Pnl)
			if t.Matched {
				same = whole(int64(t.Same))
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d |\n", escaped(c.B.RunID), whole(c.Common.Bars), escaped(c.speedText()), trades, same, pnl, len(c.Inputs))
	}
	return []byte(b.String())
}
