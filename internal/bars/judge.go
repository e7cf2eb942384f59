package bars

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is what is wrong or odd in bars.
type Kind string

// Kinds of what is wrong with bars, and of what is odd.
const (
	KindUnreadable Kind = "unreadable" // a cell that is no time or number
	KindTime       Kind = "time"       // missing, or out of the years 1900 to 2189
	KindOrder      Kind = "order"      // a time before that of an earlier bar
	KindDuplicate  Kind = "duplicate"  // a bar once more
	KindSameTime   Kind = "same_time"  // another bar of the same time
	KindPrice      Kind = "price"      // missing, zero, negative or not finite
	KindVolume     Kind = "volume"     // negative or not finite
	KindHighLow    Kind = "high_low"   // open or close outside of high and low
	KindULP        Kind = "ulp"        // the same, by one unit in the last place
	KindCrossed    Kind = "crossed"    // a bid above its ask

	KindPoint     Kind = "within_point" // high_low, by one point at most
	KindGap       Kind = "gap"          // bars missing where the market is usually open
	KindIrregular Kind = "irregular"    // not a whole number of bar lengths after the bar before
	KindStale     Kind = "stale"        // prices that stand still
	KindSpike     Kind = "spike"        // a close far from both neighbours
)

// kindFacts are what is known of a kind of finding.
type kindFacts struct {
	unit   string // of Finding.Largest
	repair string // that helps; empty: none does
	odd    bool   // and no reason to refuse the data
}

var kindsOfFindings = map[Kind]kindFacts{
	KindOrder:     {unit: "s", repair: "sort"},
	KindDuplicate: {repair: "duplicates"},
	KindULP:       {unit: "price", repair: "ulp"},
	KindCrossed:   {unit: "price", repair: "crossed"},
	KindHighLow:   {unit: "price"},
	KindPoint:     {unit: "price"},
	KindGap:       {unit: "s", odd: true},
	KindIrregular: {unit: "s", odd: true},
	KindStale:     {unit: "bars", odd: true},
	KindSpike:     {unit: "bps", odd: true},
}

// Finding is a kind of what is wrong or odd in a data set.
type Finding struct {
	Kind Kind `json:"kind"`
	// Refused: a run refuses the data for it.
	Refused bool   `json:"refused"`
	Count   int    `json:"count"`
	Unit    string `json:"unit"` // of Largest: price, s, bars, bps; empty: Largest has no meaning
	// Largest is the worst of them, and LargestAt its place.
	Largest   float64  `json:"largest"`
	LargestAt string   `json:"largest_at"`
	First     []string `json:"first"` // the places of the first ten
	Repair    string   `json:"repair,omitempty"`
}

// finding is what is reported of the bars of one kind.
func (r *rawBars) finding(f *faults) Finding {
	facts := kindsOfFindings[f.kind]
	found := Finding{Kind: f.kind, Refused: !facts.odd, Count: f.rows.count, Unit: facts.unit, First: []string{}, Repair: facts.repair}
	if facts.unit != "" {
		found.Largest, found.LargestAt = f.largest, r.at(r.was(f.at))
	}
	for _, row := range f.rows.first {
		found.First = append(found.First, r.at(r.was(row)))
	}
	return found
}

// faults are the bars of one kind.
type faults struct {
	kind    Kind
	rows    placeList
	largest float64 // of an excess in prices, or of a step back in seconds
	at      int     // its row
}

func (f *faults) see(row int, by float64) {
	if f.rows.count == 0 || by > f.largest {
		f.largest, f.at = by, row
	}
	f.rows.add(row)
}

// verdict is all that is wrong with bars.
type verdict struct {
	first *CellError
	list  []*faults // by their first row
}

func (v *verdict) of(k Kind) *faults {
	for _, f := range v.list {
		if f.kind == k {
			return f
		}
	}
	f := &faults{kind: k}
	v.list = append(v.list, f)
	return f
}

// look finds all that is wrong with bars. A bar counts for each kind of which
// it is.
func look(raw *rawBars) verdict {
	var v verdict
	var c checker
	var last *Bar // the last whose time rose
	for i := range raw.bars {
		b := &raw.bars[i]
		bad := c.next(b)
		if bad == nil {
			last = b
			continue
		}
		if v.first == nil {
			v.first = bad
		}
		v.kinds(i, b, last)
		if inTime(b) && (last == nil || b.TimeNS > last.TimeNS) {
			last = b
			c.lastNS = b.TimeNS
		}
	}
	return v
}

func inTime(b *Bar) bool { return b.TimeNS >= minTimeNS && b.TimeNS < maxTimeNS }

// kinds sorts bar i, of which something is wrong.
func (v *verdict) kinds(i int, b, last *Bar) {
	switch {
	case !inTime(b):
		v.of(KindTime).see(i, 0)
	case last == nil || b.TimeNS > last.TimeNS:
	case b.TimeNS < last.TimeNS:
		v.of(KindOrder).see(i, float64(last.TimeNS-b.TimeNS)/1e9)
	case *b == *last:
		v.of(KindDuplicate).see(i, 0)
	default:
		v.of(KindSameTime).see(i, 0)
	}
	for c := colBidOpen; c <= colAskClose; c++ {
		if p := *c.float(b); !(p > 0 && p <= math.MaxFloat64) {
			v.of(KindPrice).see(i, 0)
			return
		}
	}
	if !(b.Volume >= 0 && b.Volume <= math.MaxFloat64) {
		v.of(KindVolume).see(i, 0)
	}
	if by := outside(b); by > 0 {
		k := KindHighLow
		widened := *b
		if widen(&widened); outside(&widened) == 0 {
			k = KindULP
		}
		v.of(k).see(i, by)
	}
	crossed := *b
	if by := uncross(&crossed); by > 0 {
		v.of(KindCrossed).see(i, by)
	}
}

// outside is how far open, close or the other end are outside of a bar's high
// and low at most.
func outside(b *Bar) float64 {
	by := 0.0
	for side := range sides {
		by = max(by, outsideOn(b, side))
	}
	return by
}

// outsideOn is the same of one side.
func outsideOn(b *Bar, i int) float64 {
	side := sides[i]
	open, high, low, closing := *side[0].float(b), *side[1].float(b), *side[2].float(b), *side[3].float(b)
	return max(0, open-high, closing-high, low-high, low-open, low-closing)
}

// RefusedError is a data set that is refused, with all bars that are wrong in
// the way of the first.
type RefusedError struct {
	Cell *CellError // the first bad value
	Finding
	Others int // bars that are wrong in other ways
}

// Error is one line: the first bad value, then the rest in numbers.
func (e *RefusedError) Error() string {
	var t strings.Builder
	t.WriteString(e.Cell.Error())
	if e.Count > 1 || e.Repair != "" {
		fmt.Fprintf(&t, "; %s (%s%s)", countBars(e.Count, "such "), strings.Join(e.First, ", "), elided(e.Count, len(e.First)))
	}
	switch {
	case e.Largest > 0 && e.Kind == KindOrder:
		fmt.Fprintf(&t, ", %s back at most (%s)", span(e.Largest), e.LargestAt)
	case e.Largest > 0:
		fmt.Fprintf(&t, ", the largest by %s (%s)", formatPrice(e.Largest), e.LargestAt)
	}
	if e.Others > 0 {
		fmt.Fprintf(&t, "; %d more are wrong otherwise", e.Others)
	}
	if e.Repair != "" {
		fmt.Fprintf(&t, "; --repair %s puts that right", e.Repair)
	}
	return t.String()
}

func countBars(n int, which string) string {
	if n == 1 {
		return "1 " + which + "bar"
	}
	return fmt.Sprintf("%d %sbars", n, which)
}

// Unwrap is the first bad value.
func (e *RefusedError) Unwrap() error { return e.Cell }

// formatPrice is a difference of prices without the dust of arithmetic.
func formatPrice(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// judge refuses bars of which something is wrong. The error is ErrEmpty or a
// *RefusedError.
func judge(raw *rawBars) error {
	if len(raw.bars) == 0 {
		return ErrEmpty
	}
	if Validate(raw.bars) == nil {
		return nil
	}
	v := look(raw)
	if len(v.list) == 0 {
		return v.first // sound and kinds disagree: a test holds them together
	}
	e := &RefusedError{Cell: v.first, Finding: raw.finding(v.list[0])}
	for _, other := range v.list[1:] {
		e.Others += other.rows.count
	}
	e.Cell.Row = int64(raw.was(int(e.Cell.Row)-1)) + 1
	raw.place(e.Cell)
	return e
}
