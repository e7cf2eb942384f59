package compare

import (
	"fmt"
	"strings"

	"gx1replay/internal/judge"
	"gx1replay/internal/perf"
)

// Primary quantities, which a comparison decides about.
const (
	PrimarySpeed = "speed"
	PrimaryPnl   = "pnl"
)

// Options say how runs are compared. The zero Options compares what there is.
type Options struct {
	// Primary is PrimarySpeed or PrimaryPnl. Default: speed where the runs differ
	// in the gate only, or in nothing, else pnl.
	Primary string
	// ExpectOnly are keys; a difference in any other input is an ErrRefused. Nil:
	// all are expected.
	ExpectOnly []string
	// Follow follows open signals on the data. Nil: there is none.
	Follow Follow
	// Thresholds, if not nil, are judged: A is the run with the gate off.
	Thresholds *Limits
}

// Comparison is what two runs have in common, and in what they differ. The zero
// value is not one.
type Comparison struct {
	Schema   int    `json:"schema"`
	Sentence string `json:"sentence"` // what a person can act on
	Primary  string `json:"primary"`

	A      Facts     `json:"a"`
	B      Facts     `json:"b"`
	Inputs []Setting `json:"inputs_that_differ"`

	Common Common  `json:"common"`
	Counts []Count `json:"counts"`
	Trades Trades  `json:"trades"`
	Speed  Speed   `json:"speed"`

	Thresholds []Threshold `json:"thresholds,omitempty"`
	// Unaligned are the figures of the plain sums over each run, on whatever bars
	// it has replayed.
	Unaligned []Figure `json:"unaligned"`
	Notes     []string `json:"notes"`

	pieces []judge.Piece
}

// Common is what both runs have replayed.
type Common struct {
	Bars      int64      `json:"bars"`
	DataBars  int64      `json:"data_bars"`
	Pieces    int        `json:"pieces"`       // that figures use
	Cut       int        `json:"pieces_cut"`   // of them, cut inside a chunk
	Apart     int        `json:"pieces_apart"` // too short, or without a common checkpoint
	Judged    int64      `json:"judged_bars"`  // of the pieces
	Ranges    [][2]int64 `json:"ranges"`       // [first, end)
	TimesOnly bool       `json:"times_interpolated"`
}

// Count is an exact quantity on the judged bars.
type Count struct {
	Name    string `json:"name"`
	A       int64  `json:"a"`
	B       int64  `json:"b"`
	Verdict string `json:"verdict"`
}

// Speed is how much faster B was on the judged bars.
type Speed struct {
	Ratio    float64      `json:"ratio"` // A's time over B's
	Low      float64      `json:"low,omitempty"`
	High     float64      `json:"high,omitempty"`
	Verdict  string       `json:"verdict"`
	Smallest float64      `json:"smallest,omitempty"` // ratio that would have been shown
	Work     float64      `json:"work,omitempty"`     // A's work over B's
	Price    float64      `json:"price,omitempty"`    // ratio of times that the work leaves
	Phases   []PhasePrice `json:"phases"`

	SecondsA float64 `json:"a_sec"` // of replay, on the judged bars
	SecondsB float64 `json:"b_sec"`
	// Before are start-up and warm-up of all attempts of the run that count. They
	// are not judged.
	BeforeA float64 `json:"a_before_sec"`
	BeforeB float64 `json:"b_before_sec"`

	judged  judge.Speed
	verdict judge.Verdict
}

// PhasePrice is what a unit of work of one phase cost B, in relation to A.
type PhasePrice struct {
	Phase string  `json:"phase"`
	Ratio float64 `json:"ratio"`
}

// Compare compares run b with a, the baseline, on the bars that both have
// replayed. An ErrRefused says why they cannot be compared at all.
func Compare(a, b *Run, o Options) (Comparison, error) {
	if err := refuse(a, b); err != nil {
		return Comparison{}, err
	}
	c := Comparison{Schema: ComparisonSchema, Inputs: settings(a.File, b.File), Notes: []string{}, Counts: []Count{}}
	if o.ExpectOnly != nil {
		if list := Unexpected(c.Inputs, o.ExpectOnly); len(list) > 0 {
			return Comparison{}, fmt.Errorf("%w: they differ in more than was expected: %s", ErrRefused, settingsText(list))
		}
	}
	cover := judge.Common([]judge.Coverage{a.coverage(), b.coverage()})
	if cover.Bars == 0 {
		return Comparison{}, fmt.Errorf("%w: they have no bars in common: %s has replayed %d bars, %s %d",
			ErrRefused, a.id(), a.File.Totals.Coverage.ReplayedBars, b.id(), b.File.Totals.Coverage.ReplayedBars)
	}
	if c.Primary = o.Primary; c.Primary == "" {
		c.Primary = PrimaryPnl
		if gateOnly(c.Inputs) {
			c.Primary = PrimarySpeed
		}
	}
	left, right := Side{Path: a.Path, File: a.File}, Side{Path: b.Path, File: b.File}
	c.A, c.B = facts(left, measure("A", a.File)), facts(right, measure("B", b.File))
	c.pieces = cover.Pieces
	c.Common = commonOf(cover, a.File.Report.Data.Bars)
	c.Counts = counts(a, b, cover, c.Common)
	c.Trades = compareTrades(a, b, cover, o.Follow)
	var err error
	if c.Speed, err = compareSpeed(a, b, cover, gateOnly(c.Inputs)); err != nil {
		return Comparison{}, fmt.Errorf("judging the speed of %s and %s: %w", a.id(), b.id(), err)
	}
	limits := DefaultLimits()
	if o.Thresholds != nil {
		limits = *o.Thresholds
		if c.Thresholds, err = thresholds(a, b, cover, c, limits); err != nil {
			return Comparison{}, err
		}
	}
	c.Unaligned = Judge(left, right, limits).Figures
	c.Notes = notes(a.File, b.File, c)
	c.Sentence = c.sentence()
	return c, nil
}

// ComparisonSchema is the version of the JSON of a Comparison. Added fields do not
// raise it.
const ComparisonSchema = 2

func commonOf(cover judge.Cover, dataBars int64) Common {
	c := Common{Bars: cover.Bars, DataBars: dataBars, Ranges: [][2]int64{}}
	for _, r := range cover.Ranges {
		c.Ranges = append(c.Ranges, [2]int64{r.First, r.End})
	}
	for _, p := range cover.Pieces {
		if p.Apart != "" {
			c.Apart++
			continue
		}
		c.Pieces++
		c.Judged += p.Bars.Len()
		if !p.Whole {
			c.Cut++
		}
		c.TimesOnly = c.TimesOnly || p.TimesOnly
	}
	return c
}

// counts are the exact quantities on the judged bars, as far as both runs report
// them.
func counts(a, b *Run, cover judge.Cover, common Common) []Count {
	list := []Count{}
	if common.Pieces == 0 || common.TimesOnly {
		return list
	}
	for _, q := range []struct {
		name, field string
		of          func(judge.Counters) int64
	}{
		{"model calls", "n_model_calls", func(c judge.Counters) int64 { return c.Calls }},
		{"bars skipped", "pregate_skips", func(c judge.Counters) int64 { return c.Skips }},
		{"bars of warm-up", "bars_skipped_warmup", func(c judge.Counters) int64 { return c.Warmup }},
	} {
		if unreported(a, q.field) || unreported(b, q.field) {
			continue
		}
		n := Count{Name: q.name}
		for _, p := range cover.Pieces {
			if p.Apart == "" {
				n.A += q.of(p.Counters[0])
				n.B += q.of(p.Counters[1])
			}
		}
		n.Verdict = judge.JudgeExact(float64(n.A), float64(n.B)).String()
		list = append(list, n)
	}
	return list
}

// unreported reports whether some chunk of r does not measure a field.
func unreported(r *Run, field string) bool {
	for _, c := range r.File.Chunks {
		if c.Line.IsZero() {
			continue
		}
		f := c.Line.Footer()
		for _, list := range [][]string{f.Unreported, f.NonfiniteFields} {
			for _, name := range list {
				if name == field {
					return true
				}
			}
		}
	}
	return false
}

func compareSpeed(a, b *Run, cover judge.Cover, onlyGate bool) (Speed, error) {
	list, names := timings(a, b, cover)
	of := judge.Plain
	if onlyGate {
		of = func(pieces []judge.Timing) (judge.Speed, error) { return judge.Hull(pieces, alpha) }
	}
	judged, err := of(list)
	if err != nil {
		return Speed{}, err
	}
	s := Speed{Phases: []PhasePrice{}}
	s.set(judged)
	for i, price := range judged.PhasePrices {
		if price == price && i < len(names) { // NaN: the phase took no time
			s.Phases = append(s.Phases, PhasePrice{names[i], price})
		}
	}
	for _, t := range list {
		s.SecondsA += t.A.Seconds
		s.SecondsB += t.B.Seconds
	}
	s.BeforeA, s.BeforeB = before(a.File), before(b.File)
	return s, nil
}

// set takes over what was judged.
func (s *Speed) set(judged judge.Speed) {
	s.judged, s.verdict = judged, judged.Verdict()
	s.Ratio, s.Work, s.Price, s.Verdict = judged.Estimate, judged.Work, judged.Price, s.verdict.String()
	s.Low, s.High, s.Smallest = 0, 0, 0
	if judged.Reason == "" {
		s.Low, s.High, s.Smallest = judged.Low, judged.High, judged.Smallest
	}
}

// before is the time before the first own bar of all chunks.
func before(f perf.File) (sec float64) {
	for _, c := range f.Chunks {
		if !c.Line.IsZero() {
			ft := c.Line.Footer()
			sec += ft.TStartupSec + ft.TWarmupSec
		}
	}
	return sec
}

func settingsText(list []Setting) string {
	var texts []string
	for _, s := range list {
		texts = append(texts, fmt.Sprintf("%s (%s, %s)", s.Key, orNone(s.A), orNone(s.B)))
	}
	return strings.Join(texts, "; ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return Plain(text)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
