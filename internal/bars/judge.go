package bars

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is what is wrong with a bar.
type Kind string

// Kinds of what is wrong with bars.
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
)

// repairOf is the repair that helps against a kind; empty: none does.
func repairOf(k Kind) string {
	switch k {
	case KindOrder:
		return "sort"
	case KindDuplicate:
		return "duplicates"
	case KindULP:
		return "ulp"
	case KindCrossed:
		return "crossed"
	}
	return ""
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
	First *CellError
	Kind  Kind
	Count int      // bars of that kind
	Where []string // the places of the first ten
	// Largest is by how much the worst of them is wrong: a price, or seconds
	// for KindOrder; 0 where that has no meaning. It is at LargestAt.
	Largest   float64
	LargestAt string
	Others    int // bars that are wrong in other ways
}

// Error is one line: the first bad value, then the rest in numbers.
func (e *RefusedError) Error() string {
	var t strings.Builder
	t.WriteString(e.First.Error())
	if e.Count > 1 || repairOf(e.Kind) != "" {
		fmt.Fprintf(&t, "; %s (%s%s)", countBars(e.Count, "such "), strings.Join(e.Where, ", "), elided(e.Count, len(e.Where)))
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
	if r := repairOf(e.Kind); r != "" {
		fmt.Fprintf(&t, "; --repair %s puts that right", r)
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
func (e *RefusedError) Unwrap() error { return e.First }

// formatPrice is a difference of prices without the dust of arithmetic.
func formatPrice(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// judge refuses bars of which something is wrong. The error is ErrEmpty or a
// *RefusedError.
func judge(raw *rawBars) error {
	if len(raw.bars) == 0 {
		return ErrEmpty
	}
	if err := Validate(raw.bars); err == nil {
		return nil
	} else if !errors.As(err, new(*CellError)) {
		return err
	}
	v := look(raw)
	if len(v.list) == 0 {
		return v.first // sound and kinds disagree: a test holds them together
	}
	f := v.list[0]
	e := &RefusedError{First: v.first, Kind: f.kind, Count: f.rows.count, Largest: f.largest, LargestAt: raw.at(raw.was(f.at))}
	for _, row := range f.rows.first {
		e.Where = append(e.Where, raw.at(raw.was(row)))
	}
	for _, other := range v.list[1:] {
		e.Others += other.rows.count
	}
	e.First.Row = int64(raw.was(int(e.First.Row)-1)) + 1
	raw.place(e.First)
	return e
}
