package compare

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gx1replay/internal/judge"
	"gx1replay/internal/perf"
)

// sentence is the first line of every report.
func (c *Comparison) sentence() string {
	b, a := c.B.RunID, c.A.RunID
	on := fmt.Sprintf("on the %s bars that both replayed", whole(c.Common.Bars))
	if c.Common.Bars == c.Common.DataBars {
		on = fmt.Sprintf("on all %s bars", whole(c.Common.Bars))
	}
	var text string
	switch {
	case len(c.Thresholds) > 0:
		return c.thresholdSentence(on)
	case c.Primary == PrimarySpeed:
		text = c.speedSentence(b, a, on)
	default:
		text = c.pnlSentence(b, a, on)
	}
	if len(c.Inputs) == 0 {
		text = "Both runs have the same inputs. " + text
	}
	return text
}

func (c *Comparison) speedSentence(b, a, on string) string {
	s := c.Speed
	what := map[judge.Word]string{judge.Faster: "faster", judge.Slower: "slower"}
	for word, text := range what {
		if !s.verdict.Says(word) {
			continue
		}
		ratio, low, high := s.Ratio, s.Low, s.High
		if word == judge.Slower {
			ratio, low, high = 1/ratio, 1/high, 1/low
		}
		more := ""
		if s.verdict.Says(judge.Equivalent) {
			more = ", by less than 3 %"
		}
		return fmt.Sprintf("%s is %s times %s than %s (%s to %s)%s %s%s; trades: %s.", b, figure3(ratio), text, a, figure3(low), figure3(high), more, on, c.workText(), c.tradesWord())
	}
	switch {
	case s.verdict.Says(judge.Equivalent):
		return fmt.Sprintf("%s and %s are equally fast within ±3 %% (%s to %s) %s; trades: %s.", b, a, figure3(s.Low), figure3(s.High), on, c.tradesWord())
	case s.verdict.Says(judge.NoDifference):
		return fmt.Sprintf("No difference in speed is shown between %s and %s %s (%s to %s; %s would have been); trades: %s.", b, a, on, figure3(s.Low), figure3(s.High), figure3(s.Smallest), c.tradesWord())
	}
	return fmt.Sprintf("Whether %s is faster than %s cannot be said (%s): it took %s the time %s; trades: %s.", b, a, s.verdict.Reason, overText(s.Ratio), on, c.tradesWord())
}

// overText is how long B took in relation to A.
func overText(ratio float64) string {
	if ratio <= 0 {
		return "an unknown part of"
	}
	return figure3(1/ratio) + " times"
}

func (c *Comparison) workText() string {
	if c.Speed.Work <= 0 {
		return ""
	}
	price := figure3(1 / c.Speed.Price)
	if c.Speed.Work < 1 {
		return fmt.Sprintf(": %s times the work at %s times the price", figure3(1/c.Speed.Work), price)
	}
	return fmt.Sprintf(": %s times less work at %s times the price", figure3(c.Speed.Work), price)
}

func (c *Comparison) tradesWord() string {
	t := c.Trades
	switch {
	case t.Error != "":
		return "not compared"
	case !t.Matched:
		return fmt.Sprintf("%s against %s, not matched one by one", whole(int64(t.B)), whole(int64(t.A)))
	case t.Same == t.A && t.Same == t.B:
		return "identical"
	}
	return fmt.Sprintf("%s of %s and %s are the same", whole(int64(t.Same)), whole(int64(t.A)), whole(int64(t.B)))
}

func (c *Comparison) pnlSentence(b, a, on string) string {
	t := c.Trades
	switch {
	case t.Error != "":
		return fmt.Sprintf("The trades of %s and %s cannot be compared: %s.", b, a, strings.TrimSuffix(t.Error, "."))
	case t.Matched && t.Same == t.A && t.Same == t.B:
		return fmt.Sprintf("The trades of %s and %s are identical %s: %s, %s bps.", b, a, on, whole(int64(t.A)), bpsText(t.PnlA))
	}
	more := "more"
	if t.Pnl < 0 {
		more = "less"
	}
	text := fmt.Sprintf("%s made %s bps %s than %s %s (%s against %s trades)", b, bpsText(math.Abs(t.Pnl)), more, a, on, whole(int64(t.B)), whole(int64(t.A)))
	if t.Days == nil {
		return text + "."
	}
	return fmt.Sprintf("%s; for days like these: %s.", text, t.Days.text())
}

func (d *Days) text() string {
	switch {
	case d.verdict.Says(judge.CannotSay):
		return d.Verdict
	case d.verdict.Says(judge.NoDifference):
		return fmt.Sprintf("no difference shown (%s to %s bps a day)", bpsText(d.LowBps), bpsText(d.HighBps))
	}
	return fmt.Sprintf("%s by %s bps a day (%s to %s)", d.Verdict, bpsText(math.Abs(d.MeanBps)), bpsText(d.LowBps), bpsText(d.HighBps))
}

func (c *Comparison) thresholdSentence(on string) string {
	labels := map[judge.Holding][]string{}
	for _, t := range c.Thresholds {
		labels[t.holding] = append(labels[t.holding], t.label)
	}
	open := ""
	if list := labels[judge.Unknown]; len(list) > 0 {
		open = "; cannot say: " + strings.Join(list, ", ")
	}
	switch c.ThresholdVerdict() {
	case Pass:
		return fmt.Sprintf("PASS: the gate keeps all %d thresholds %s.", len(c.Thresholds), on)
	case Fail:
		return fmt.Sprintf("FAIL: the gate misses %d of %d thresholds %s (%s)%s.", len(labels[judge.Fails]), len(c.Thresholds), on, strings.Join(labels[judge.Fails], ", "), open)
	}
	return fmt.Sprintf("CANNOT SAY whether the gate keeps its thresholds %s: it misses none%s.", on, open)
}

// figure3 is a ratio with three significant digits.
func figure3(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "?"
	}
	return strings.TrimSuffix(strconv.FormatFloat(x, 'g', 3, 64), "e+00")
}

// bpsText is a pnl with two digits behind the point.
func bpsText(x float64) string {
	if x == 0 {
		x = 0 // no minus
	}
	return grouped(strconv.FormatFloat(x, 'f', 2, 64))
}

// notes are what a reader of the figures should know besides.
func notes(a, b perf.File, c Comparison) []string {
	list := []string{}
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, f := range []perf.File{a, b} {
		if f.Totals.Outcome != perf.OutcomeComplete {
			add("run %s: %s", f.Report.RunID, incomplete(f))
		}
		if n := f.Report.Selection.Trades.WithoutRows; n > 0 {
			add("run %s: the rows of %d trades that it counts were lost (trades.without_rows)", f.Report.RunID, n)
		}
	}
	if c.Common.Apart > 0 {
		add("%d of %d pieces stand apart from the figures of speed and counts: too short, or without a checkpoint that both runs have", c.Common.Apart, c.Common.Apart+c.Common.Pieces)
	}
	if lost := c.Common.Bars - c.Common.Judged; lost > 0 {
		add("counts and times are those of %s bars: %s common bars lie behind the last common checkpoint of a piece", whole(c.Common.Judged), whole(lost))
	}
	if c.Common.TimesOnly {
		add("the runs share no checkpoints at some cuts: times there were interpolated between neighbouring reports, and no count is compared")
	}
	if n := len(c.Trades.Censored); n > 0 {
		add("%d trades could not be followed to their exits and are in no sum; --data follows them", n)
	}
	return append(list, machines(a, b, c.A.RunID, c.B.RunID)...)
}
