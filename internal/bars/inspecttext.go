package bars

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the inspection for people.
func (in Inspection) WriteText(w io.Writer) error {
	var t strings.Builder
	line := func(name, form string, args ...any) {
		fmt.Fprintf(&t, "%-14s%s\n", name, fmt.Sprintf(form, args...))
	}
	line("source", "%s", in.Source)
	in.Read.writeText(line)
	line("bars", "%d", in.Bars)
	if in.FirstTS != nil {
		line("first", "%s", stamp(*in.FirstTS))
		line("last", "%s", stamp(*in.LastTS))
		line("bar length", "%s", span(in.BarLengthSec))
	}
	if in.Point > 0 {
		line("point", "%s", formatFloat(in.Point))
	}
	if q := in.SpreadBps; q != nil {
		text := fmt.Sprintf("min %.2f, median %.2f, p95 %.2f, max %.2f bps; none in %d bars", q.Min, q.Median, q.P95, q.Max, in.NoSpread)
		if in.SpreadAssumed {
			text += "; assumed: the data has no ask prices"
		}
		line("spread", "%s", text)
	}
	in.Market.writeText(line)
	for _, f := range in.Findings {
		verdict := "odd"
		if f.Refused {
			verdict = "refused"
		}
		line(string(f.Kind), "%s: %s", verdict, f)
		for i, place := range f.First {
			if i == 0 && len(f.First) == 1 && f.LargestAt == place {
				break
			}
			if f.Kind == KindUnreadable {
				line("", "%s", place)
			} else if i == 0 {
				line("", "%s%s", strings.Join(f.First, ", "), elided(f.Count, len(f.First)))
			}
		}
		if f.Repair != "" {
			line("", "--repair %s puts that right", f.Repair)
		}
	}
	switch {
	case in.Error != "":
		line("verdict", "run refuses this data: %s", in.Error)
	case in.OK:
		line("verdict", "run accepts this data")
	default:
		line("verdict", "run refuses this data")
	}
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("writing what is wrong with %d bars: %w", in.Bars, err)
	}
	return nil
}

// writeText writes how a file was read.
func (r Reading) writeText(line func(name, form string, args ...any)) {
	if r.Format == "" {
		return
	}
	line("read as", "%s", r.Format)
	line("columns", "%s", r.Columns)
	line("times", "%s", r.Time)
	for _, n := range r.Notes {
		line("note", "%s", n)
	}
	for _, c := range r.Repairs {
		line("repaired", "%s", c)
	}
}

func (m Market) writeText(line func(name, form string, args ...any)) {
	if m.Weeks == 0 {
		return
	}
	text := fmt.Sprintf("open %.0f %% of the week", 100*m.OpenShare)
	if m.Weeks < ownWeeks {
		text = "less than three weeks: closed on Saturday and Sunday unless there are bars"
	}
	line("market", "%s; %d closures, %d holidays, %d bars missing otherwise", text, m.Closures, m.Holidays, m.MissingBars)
	for i, o := range m.WeekOpens {
		if i == listed {
			line("", "and %d more changes", len(m.WeekOpens)-i)
			break
		}
		line("week opens", "%s %s from %s on", o.Weekday, o.Clock, o.From.Format("2006-01-02"))
	}
	if len(m.WeekOpens) == 1 && m.Weeks > 60 {
		line("", "always at the same hour: the data's clock has the daylight saving time of its market, or neither has one")
	}
}
