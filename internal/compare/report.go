package compare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gx1replay/internal/printable"
)

// Schema is the version of the JSON report. Added fields do not raise it.
const Schema = 1

// JSON is the result for scripts, indented, with a line feed at its end. A
// number that is not known is left out.
func (r Result) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(struct {
		Schema   int       `json:"schema"`
		Verdict  Verdict   `json:"verdict"`
		Off      Facts     `json:"off"`
		On       Facts     `json:"on"`
		Figures  []Figure  `json:"figures"`
		Problems []Problem `json:"problems"`
		Notes    []string  `json:"notes"`
	}{Schema, r.Verdict, r.Off, r.On, r.Figures, r.Problems, r.Notes}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("comparison of %s and %s as JSON: %w", r.Off.Path, r.On.Path, err)
	}
	return append(b, '\n'), nil
}

// words of verdicts.
var words = map[Verdict]string{Pass: "pass", Fail: "FAIL", CannotCompare: "CANNOT COMPARE", NotJudged: "not judged"}

// Headline is the verdict in one sentence.
func (r Result) Headline() string {
	labels := map[Verdict][]string{}
	for _, f := range r.Figures {
		labels[f.Verdict] = append(labels[f.Verdict], f.label)
	}
	open := ""
	if n := len(labels[NotJudged]); n > 0 {
		open = fmt.Sprintf("; not judged: %s", strings.Join(labels[NotJudged], ", "))
	}
	switch r.Verdict {
	case Pass:
		return fmt.Sprintf("PASS: all %d figures keep their thresholds", len(r.Figures))
	case Fail:
		return fmt.Sprintf("FAIL: %d of %d figures miss their thresholds (%s)%s",
			len(labels[Fail]), len(r.Figures), strings.Join(labels[Fail], ", "), open)
	}
	if len(labels[NotJudged]) == len(r.Figures) {
		return "CANNOT COMPARE: no figure could be judged"
	}
	return "CANNOT COMPARE: no figure misses its threshold" + open
}

// Lines are the figures for a terminal: what it is, its value, its threshold
// and the verdict.
func (r Result) Lines() [][4]string {
	var lines [][4]string
	for _, f := range r.Figures {
		lines = append(lines, [4]string{f.label, f.shown(), f.threshold(), words[f.Verdict]})
	}
	return lines
}

// Markdown is the result for people: the verdict, the figures, what is not
// comparable and why, then what else is known of the two runs.
func (r Result) Markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Headline())
	b.WriteString("| figure | OFF | ON | ratio | threshold | verdict |\n|---|--:|--:|--:|--:|---|\n")
	for _, f := range r.Figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.row(), f.Off, f.On, f.shown(), f.threshold(), words[f.Verdict])
	}
	b.WriteString("\n## Not comparable\n\n")
	if len(r.Problems) == 0 {
		b.WriteString("Nothing: both runs are complete; data, engine and policy but for its gate are the same.\n")
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "- **%s**: %s.\n", r.concerned(p), escaped(p.Text))
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "- %s.\n", escaped(upper(n)))
		}
	}
	b.WriteString("\n## The runs\n\n| | OFF | ON |\n|---|---|---|\n")
	for _, row := range r.rows() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row[0], escaped(row[1]), escaped(row[2]))
	}
	return []byte(b.String())
}

// row is the label, and the unit of the numbers unless the label says it.
func (f Figure) row() string {
	if strings.Contains(f.label, f.Unit) {
		return f.label
	}
	return f.label + ", " + f.Unit
}

// concerned names the figures of a problem.
func (r Result) concerned(p Problem) string {
	if len(p.Figures) == len(r.Figures) {
		return "All figures"
	}
	var labels []string
	for _, f := range r.Figures {
		if slices.Contains(p.Figures, f.Name) {
			labels = append(labels, f.label)
		}
	}
	return upper(strings.Join(labels, ", "))
}

func upper(s string) string {
	c, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(c)) + s[size:]
}

// rows are what is known of the runs. Times are sums over the chunks.
func (r Result) rows() [][3]string {
	a, b := r.Off, r.On
	row := func(name string, of func(Facts) string) [3]string {
		cell := func(f Facts) string {
			if f.Error != "" {
				return "–"
			}
			return of(f)
		}
		return [3]string{name, cell(a), cell(b)}
	}
	seconds := func(name string, of func(Facts) Number) [3]string {
		return row(name, func(f Facts) string { return of(f).String() })
	}
	pnl := [][3]string{seconds("pnl of the closed, bps", func(f Facts) Number { return f.PnlBps })}
	if a.NetPnlBps.Known || b.NetPnlBps.Known {
		// Net first: it is what a user has in the end.
		pnl[0][0] = "the same before costs, bps"
		pnl = slices.Insert(pnl, 0, seconds("pnl of the closed after costs, bps", func(f Facts) Number { return f.NetPnlBps }))
	}
	return append([][3]string{
		{"file", a.Path, b.Path},
		row("run", func(f Facts) string { return f.RunID }),
		row("outcome", func(f Facts) string { return f.Outcome }),
		row("bars replayed", func(f Facts) string { return whole(f.ReplayedBars) + " of " + whole(f.PlannedBars) }),
		row("chunks ok", func(f Facts) string { return fmt.Sprintf("%d of %d", f.ChunksOK, f.ChunksTotal) }),
		row("policy", func(f Facts) string { return f.PolicyName }),
		row("engine", func(f Facts) string { return f.Engine + ", " + f.Version }),
		row("workers, hosts", func(f Facts) string { return fmt.Sprintf("%d, %s", f.Workers, strings.Join(f.Hosts, " ")) }),
		seconds("run's wall clock, s", func(f Facts) Number { return f.RunWallSec }),
		seconds("chunks' wall clocks, s", func(f Facts) Number { return f.WallSec }),
		seconds("of it features, s", func(f Facts) Number { return f.FeatureSec }),
		seconds("of it model, s", func(f Facts) Number { return f.ModelSec }),
		seconds("of it pregate, s", func(f Facts) Number { return f.PregateSec }),
		seconds("of it policy, s", func(f Facts) Number { return f.PolicySec }),
		seconds("of it reading and reporting, s", func(f Facts) Number { return f.IOSec }),
		seconds("of it warm-up, s", func(f Facts) Number { return f.WarmupSec }),
		seconds("trades still open", func(f Facts) Number { return f.TradesOpen }),
	}, pnl...)
}

func whole(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// mostText bounds one text of a file in a report, in characters.
const mostText = 1000

// Plain is text from a file, made fit for a terminal or one line of a report.
func Plain(text string) string {
	n := 0
	for i := range text {
		if n++; n > mostText {
			text = text[:i] + "…"
			break
		}
	}
	return printable.Line(text)
}

// escaped is Plain text that Markdown shows as it is, in a table, too.
func escaped(text string) string {
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "|", `\|`, "~", `\~`, "<", "&lt;", "&", "&amp;",
	).Replace(Plain(text))
}
