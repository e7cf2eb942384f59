package execcheck

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gx1replay/internal/run"
)

// Report is what a check has found.
type Report struct {
	Emits      string `json:"emits"`
	FirstBar   int64  `json:"first_bar"`
	EndBar     int64  `json:"end_bar"` // exclusive
	FirstTS    string `json:"first_ts"`
	LastTS     string `json:"last_ts"` // of the last bar
	WarmupBars int64  `json:"warmup_bars"`
	TailBars   int64  `json:"tail_bars"`
	Cuts       []int  `json:"cuts"`    // pieces
	Borders    int    `json:"borders"` // of all cuts
	// NotCompared are columns that number rows or pieces, or were to be
	// ignored.
	NotCompared []string `json:"not_compared"`
	Same        bool     `json:"same"` // no difference was found, but for values within the tolerance
	// Tolerance is how far values might be from each other. DriftRows is how many
	// rows have such values, and Drift how far they are at most.
	Tolerance float64   `json:"tolerance"`
	DriftRows int       `json:"drift_rows"`
	Drift     float64   `json:"drift"`
	Findings  []Finding `json:"findings"`
	Advice    []Advice  `json:"advice"`
}

// Finding is what differs at one border for one reason.
type Finding struct {
	Pieces   int    `json:"pieces"` // of the cut
	Border   int64  `json:"border"` // the first bar behind it; that of the range for CauseAhead, -1 if it is not known
	BorderTS string `json:"border_ts"`
	Cause    Cause  `json:"cause"`
	Rows     int    `json:"rows"` // that differ
	// The first of them. Whole or Cut is empty where there is none.
	FirstBar int64  `json:"first_bar"`
	FirstTS  string `json:"first_ts"`
	Whole    string `json:"whole"`
	Cut      string `json:"cut"`
	// BarsBehind is how many bars from the border to the last difference, that
	// one included; AgreesAgain: rows behind it are the same.
	BarsBehind  int64 `json:"bars_behind"`
	AgreesAgain bool  `json:"agrees_again"`
	// TailBars is how many bars behind the border were needed.
	TailBars int64 `json:"tail_bars"`
	// Moved is by how much scores differ at most.
	Moved float64 `json:"moved"`
}

// Advice says of one cause what is wrong and what to do.
type Advice struct {
	Cause Cause  `json:"cause"`
	Wrong string `json:"wrong"`
	Do    string `json:"do"`
}

// causes is the order of advice: what explains most comes first.
var causes = []Cause{CauseUnknown, CauseAhead, CauseTail, CausePosition, CauseWarmup, CauseState}

// judge adds what there is to say.
func (r *Report) judge() {
	r.Same, r.Advice = len(r.Findings) == 0, []Advice{}
	for _, cause := range causes {
		if s := r.sum(cause); s.findings > 0 {
			r.Advice = append(r.Advice, r.advise(cause, s))
		}
	}
}

// summed is what the findings of a cause come to.
type summed struct {
	findings, rows int
	behind, tail   int64
}

func (r *Report) sum(cause Cause) summed {
	var s summed
	for _, f := range r.Findings {
		if f.Cause == cause {
			s.findings++
			s.rows += f.Rows
			s.behind, s.tail = max(s.behind, f.BarsBehind), max(s.tail, f.TailBars)
		}
	}
	return s
}

// rowsName is what the rows are.
func (r *Report) rowsName() string {
	if r.Emits == run.EmitsScores {
		return "scores"
	}
	return r.Emits
}

func (r *Report) advise(cause Cause, s summed) Advice {
	a := Advice{Cause: cause}
	what := r.rowsName()
	switch cause {
	case CauseUnknown:
		a.Wrong = fmt.Sprintf("The %s differ (%d of them), and they have no column of times by which they could be placed.", what, s.rows)
		a.Do = "Write entry_time and exit_time, and check again."
	case CauseAhead:
		a.Wrong = fmt.Sprintf("In the first piece, before which nothing was cut away, the %s differ (%d of them). "+
			"So the command looks at bars behind those (a mean or a scale over its whole file, say), or two replays of the same bars are not alike (random numbers without a seed, the time of day).", what, s.rows)
		a.Do = "Let a bar depend on earlier bars alone, with means over a fixed number of them; give random numbers a seed."
	case CauseTail:
		reach := fmt.Sprintf("The %s that reach over a border come out otherwise (%d of them): they need up to %d bars behind it", what, s.rows, s.tail)
		a.Wrong = fmt.Sprintf("%s, and a slice has %d (--exec-tail-bars).", reach, r.TailBars)
		a.Do = fmt.Sprintf("--exec-tail-bars %d or more, and let the command follow them into those bars.", s.tail)
		if s.tail <= r.TailBars {
			a.Wrong = fmt.Sprintf("%s. The slice has %d, which the command does not use.", reach, r.TailBars)
			a.Do = "Follow each trade to its exit, past the chunk's last own bar (slice.tail_rows of the task file is their number)."
		}
	case CausePosition:
		a.Wrong = fmt.Sprintf("Behind %s the cut replay trades where in the whole one a position from before the border is still open and keeps others out (%d trades differ). No warm-up brings a position back.", borders(s.findings), s.rows)
		a.Do = "Leave signals, each followed to its exit as if it were alone (--exec-emits signals), or scores (--exec-emits scores): which of them are taken is then decided over the whole run."
	case CauseWarmup:
		a.Wrong = fmt.Sprintf("Behind %s the %s differ, for %d bars at most, and agree again after that. What the command computes there depends on bars before its slice's first one: "+
			"an average, an EMA or a counter that restarts with each slice. A slice has %d bars before its chunk (warmup_bars of the policy).", borders(s.findings), what, s.behind, r.WarmupBars)
		a.Do = r.moreWarmup(s.behind)
	case CauseState:
		a.Wrong = fmt.Sprintf("Behind %s the %s differ up to the end of the piece, for %d bars and more. Something is carried through all bars: "+
			"an EMA with a long memory, a running sum, an equity. A slice has %d bars before its chunk (warmup_bars of the policy).", borders(s.findings), what, s.behind, r.WarmupBars)
		a.Do = fmt.Sprintf("Compute over a fixed number of bars, at most warmup_bars; or read {data}, the whole data set, in place of {slice}. If it fades like an EMA: warmup_bars well above %d.", r.WarmupBars+s.behind)
	}
	return a
}

// moreWarmup is the advice of a warm-up that is too short by so many bars.
func (r *Report) moreWarmup(behind int64) string {
	atLeast := ""
	if r.Emits != run.EmitsScores {
		atLeast = " or more (trades show a difference only where there is one)"
	}
	return fmt.Sprintf("warmup_bars: %d in the policy%s, and check again. An EMA fades and never ends: exact is only what is computed over a fixed number of bars, or from {data}, the whole data set, in place of {slice}.", r.WarmupBars+behind, atLeast)
}

func borders(n int) string {
	if n == 1 {
		return "one border"
	}
	return fmt.Sprintf("%d borders", n)
}

// textColumn is how wide text is broken.
const textColumn = 96

// WriteText writes r for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(r.NotCompared) > 0 {
		fmt.Fprintf(&b, "not compared: %s\n", strings.Join(r.NotCompared, ", "))
	}
	if r.Same {
		what := "no difference"
		if r.DriftRows > 0 {
			what = fmt.Sprintf("entries and exits equal, values differ by at most %.2g (tolerance %g)", r.Drift, r.Tolerance)
		}
		fmt.Fprintf(&b, "%s at %s: the %s do not depend on where bars %d to %d are cut\n", what, borders(r.Borders), r.rowsName(), r.FirstBar, r.EndBar-1)
		_, err := io.WriteString(w, b.String())
		return err
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PIECES\tBORDER AT BAR\tTIME\tDIFFER\tFIRST\tEQUAL AGAIN\tCAUSE")
	for _, f := range r.Findings {
		fmt.Fprintln(t, strings.Join([]string{fmt.Sprint(f.Pieces), f.place(), f.BorderTS, fmt.Sprint(f.Rows), f.first(), f.again(), string(f.Cause)}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	shown := map[Cause]bool{}
	for _, f := range r.Findings {
		if shown[f.Cause] {
			continue
		}
		shown[f.Cause] = true
		fmt.Fprintf(&b, "\nthe first (%s), bar %d, %s\n  whole: %s\n  cut:   %s\n", f.Cause, f.FirstBar, f.FirstTS, cmp.Or(f.Whole, "(none)"), cmp.Or(f.Cut, "(none)"))
		if f.Moved > 0 {
			fmt.Fprintf(&b, "  the scores of this border move by %.3g at most\n", f.Moved)
		}
	}
	for _, a := range r.Advice {
		fmt.Fprintf(&b, "\n%s\n%s\n", wrap(string(a.Cause)+": ", a.Wrong), wrap("  to do: ", a.Do))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Finding) place() string {
	switch {
	case f.Border < 0:
		return "?"
	case f.Cause == CauseAhead:
		return "(the start)"
	}
	return fmt.Sprint(f.Border)
}

func (f *Finding) first() string {
	if f.Border < 0 || f.FirstBar < 0 {
		return "?"
	}
	if d := f.FirstBar - f.Border; d < 0 {
		return fmt.Sprintf("%d bars before", -d)
	} else {
		return fmt.Sprintf("%d bars behind", d)
	}
}

func (f *Finding) again() string {
	switch {
	case f.Cause == CauseTail || f.Border < 0:
		return "-"
	case !f.AgreesAgain:
		return "not in this piece"
	}
	return fmt.Sprintf("after %d bars", f.BarsBehind)
}

// wrap breaks text into lines.
func wrap(lead, text string) string {
	var b strings.Builder
	b.WriteString(lead)
	indent := strings.Repeat(" ", len(lead))
	column := len(lead)
	for i, word := range strings.Fields(text) {
		if i > 0 && column+1+len(word) > textColumn {
			b.WriteString("\n" + indent)
			column = len(indent)
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
