package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/replay"
)

func (c *policyChecked) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "policy\t%s, %s\n\tsha256 %s\n", c.Name, c.Path, c.SHA256)
	fmt.Fprintf(t, "gate\t%s\n", c.Gate)
	fmt.Fprintf(t, "model\t%s\n", c.Model)
	if c.Costs != nil {
		fmt.Fprintf(t, "costs\t%s\n", c.Costs)
	}
	c.writeNeeds(t)
	if c.Audit != nil {
		c.writeDry(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if c.Audit != nil {
		if err := c.writeAudit(w); err != nil {
			return err
		}
	}
	problems := 0
	for _, f := range c.Findings {
		if f.Level == replay.LevelProblem {
			problems++
		}
		fmt.Fprintf(w, "%s: %s\n", f.Level, f.Text)
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", counted(problems, "problem"), counted(len(c.Findings)-problems, "warning"))
	return err
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (g checkedGate) String() string {
	var limits []string
	add := func(form string, v *float64) {
		if v != nil {
			limits = append(limits, fmt.Sprintf(form, *v))
		}
	}
	if len(g.AllowSessions) > 0 {
		limits = append(limits, "sessions "+strings.Join(g.AllowSessions, ", "))
	}
	add("spread up to %g bps", g.MaxSpreadBps)
	add("ATR from %g bps", g.MinATRBps)
	add("ATR up to %g bps", g.MaxATRBps)
	state := "off"
	if g.Enabled {
		state = "on"
	}
	return fmt.Sprintf("%s (%s): %s", state, g.Source, cmp.Or(strings.Join(limits, "; "), "no limit"))
}

func (c checkedCosts) String() string {
	nights := "every night counts once"
	if c.TripleSwapWeekday != "" {
		nights = "that of " + c.TripleSwapWeekday + " counts three nights, those of the week-end none"
	}
	return fmt.Sprintf("%g bps of each fill and %g per trade as commission, %g of each fill as slippage; per night %g bps for a long, %g for a short, at %02d:00 UTC: %s",
		c.CommissionBps, c.CommissionPerTradeBps, c.SlippageBps, c.SwapLongBpsPerNight, c.SwapShortBpsPerNight, c.RolloverHourUTC, nights)
}

func (m checkedModel) String() string {
	text := m.Kind
	if len(m.Files) > 0 {
		text += ", " + strings.Join(m.Files, ", ")
	}
	if m.LatencySec > 0 {
		text += fmt.Sprintf(", and %v of model.latency per call", time.Duration(m.LatencySec*float64(time.Second)))
	}
	return text
}

func (c *policyChecked) writeNeeds(w io.Writer) {
	n := c.Needs
	timeframe := c.Timeframe
	if n.TimeframeAssumed {
		timeframe = "M5 (assumed)"
	}
	warmup := "none"
	if n.WarmupBars > 0 {
		warmup = fmt.Sprintf("%d bars, %.1f days of an open market, for %s", n.WarmupBars, n.WarmupDays, n.WarmupBy)
	}
	fmt.Fprintf(w, "timeframe\t%s\nwarm-up\t%s\nlook-back\t%d bars\n", timeframe, warmup, n.LookbackBars)
	for i, r := range n.Exits {
		fmt.Fprintf(w, "%s\t%s ends %s\n", first(i, "exits"), r.Rule, r.Ends)
	}
	if len(n.Exits) == 0 {
		fmt.Fprintf(w, "exits\tnone\n")
	}
	for i, f := range n.Features {
		recursive := ""
		if f.Recursive {
			recursive = ", recursive"
		}
		fmt.Fprintf(w, "%s\t%s (%s): warm-up %d, look-back %d%s\n", first(i, "features"), f.Name, f.Unit, f.Warmup, f.Lookback, recursive)
	}
}

// first is a name in its list's first line alone.
func first(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func (c *policyChecked) writeDry(w io.Writer) {
	d := c.Audit.Dry
	fmt.Fprintf(w, "data\t%s: %d bars, %v apart\n", c.Data.Source, c.Data.Bars, time.Duration(c.Data.BarLengthSec*float64(time.Second)))
	fmt.Fprintf(w, "replayed\tbars %d to %d in %.3f s, without model.latency\n", d.FirstBar, d.FirstBar+d.Bars-1, d.WallClockSec)
	ready := ""
	if d.FirstReady >= 0 {
		ready = fmt.Sprintf("; from bar %d, %s, on entries are looked for", d.FirstReady, d.FirstReadyTS)
	}
	fmt.Fprintf(w, "\twarm-up %d bars%s\n", d.WarmupBars, ready)
	fmt.Fprintf(w, "\tgate skips %d%s\n", d.PregateSkips, reasons(d.SkipReasons))
	fmt.Fprintf(w, "\tmodel calls %d, %.1f %% of them avoided\n", d.ModelCalls, 100*d.ModelCallsAvoided)
	open := ""
	if d.TradesOpen > 0 {
		open = fmt.Sprintf(" and %d open", d.TradesOpen)
	}
	net := ""
	if d.NetPnlBps != nil {
		net = fmt.Sprintf(", %.2f after costs", *d.NetPnlBps)
	}
	fmt.Fprintf(w, "\tsignals %d, trades %d%s, %.2f bps%s; dropped%s\n", d.Signals, d.Trades, open, d.PnlBps, net, cmp.Or(reasons(d.DropReasons), " none"))
}

// reasons lists counts by name, the names sorted; nothing for none.
func reasons(c footer.Counts) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		words = append(words, fmt.Sprintf("%s %d", name, c[name]))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func (c *policyChecked) writeAudit(w io.Writer) error {
	a := c.Audit
	switch {
	case len(a.Cuts) == 0:
		fmt.Fprintln(w, "future    not tried")
	case len(a.Changes) == 0:
		fmt.Fprintf(w, "future    cut off at %d random bars: no feature and no signal before changed (%d bars compared)\n", len(a.Cuts), a.ComparedBars)
	default:
		fmt.Fprintf(w, "future    cut off at %d random bars: %d of them changed the past\n", len(a.Cuts), len(a.Changes))
	}
	if len(a.HistoryCuts) == 0 {
		return nil
	}
	fmt.Fprintf(w, "history   cut before bars %s; how far values move then, at most:\n", numbers(a.HistoryCuts))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  feature\tafter warm-up\trelative\tafter look-back\trelative\n")
	for _, m := range a.Moves {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", m.Feature, moved(m.AfterWarmup), moved(m.AfterLookback))
	}
	return t.Flush()
}

func moved(d replay.Difference) string {
	if d.Bars == 0 {
		return "too few bars\t"
	}
	return fmt.Sprintf("%.3g\t%.3g", d.Abs, d.Rel)
}

func numbers(list []int64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, ", ")
}
