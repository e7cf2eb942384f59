package bars

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Repairs are kinds of mistakes that a reader puts right if it is told to.
type Repairs uint

// Kinds of repairs, in the order in which they are made.
const (
	// RepairSort sorts the bars by time.
	RepairSort Repairs = 1 << iota
	// RepairDuplicates removes bars that are there twice, all values the same.
	RepairDuplicates
	// RepairULP widens highs and lows that are off by one unit in the last place
	// of a float64: a trace of arithmetic.
	RepairULP
	// RepairCrossed raises asks that are below their bids to the bids.
	RepairCrossed
)

var repairNames = []struct {
	kind Repairs
	name string
}{{RepairCrossed, "crossed"}, {RepairULP, "ulp"}, {RepairDuplicates, "duplicates"}, {RepairSort, "sort"}}

// ParseRepairs reads names of repairs with commas between them.
func ParseRepairs(s string) (Repairs, error) {
	var all Repairs
	for name := range strings.SplitSeq(s, ",") {
		i := slices.IndexFunc(repairNames, func(r struct {
			kind Repairs
			name string
		}) bool {
			return r.name == strings.TrimSpace(name)
		})
		if i < 0 {
			return 0, fmt.Errorf("repair %s is unknown (want crossed, ulp, duplicates or sort)", shorten(name))
		}
		all |= repairNames[i].kind
	}
	return all, nil
}

// Change says what a repair changed.
type Change struct {
	Repair  string   `json:"repair"`
	Bars    int      `json:"bars"`    // changed, moved or removed
	Largest float64  `json:"largest"` // change of a price; 0 where none changed
	First   []string `json:"first"`   // places in the file, at most ten
}

// String is a line for people.
func (c Change) String() string {
	text := c.Repair + ": " + countBars(c.Bars, "")
	if c.Largest > 0 {
		text += fmt.Sprintf(", prices by %s at most", formatPrice(c.Largest))
	}
	return text + " (" + strings.Join(c.First, ", ") + elided(c.Bars, len(c.First)) + ")"
}

func elided(all, shown int) string {
	if all > shown {
		return ", …"
	}
	return ""
}

// repair puts right in the bars what kinds says. order is where each bar was,
// nil: none moved.
func repair(raw *rawBars, kinds Repairs) (order []int, changes []Change, err error) {
	if kinds&RepairSort != 0 {
		var c Change
		if order, c = raw.sort(); c.Bars > 0 {
			changes = append(changes, c)
		}
	}
	if kinds&RepairDuplicates != 0 {
		var c Change
		if order, c = raw.dropDuplicates(order); c.Bars > 0 {
			changes = append(changes, c)
		}
	}
	raw.order = order
	for _, k := range []struct {
		kind Repairs
		name string
		fix  func(*Bar) float64
	}{{RepairULP, "ulp", widen}, {RepairCrossed, "crossed", uncross}} {
		if kinds&k.kind == 0 {
			continue
		}
		if c := raw.fix(k.name, k.fix); c.Bars > 0 {
			changes = append(changes, c)
		}
	}
	return order, changes, nil
}

// sort sorts by time; bars of the same time keep their order.
func (r *rawBars) sort() ([]int, Change) {
	c := Change{Repair: "sort", First: []string{}}
	last := int64(math.MinInt64)
	for i := range r.bars {
		if r.bars[i].TimeNS < last {
			c.see(r.at(i))
		}
		last = max(last, r.bars[i].TimeNS)
	}
	if c.Bars == 0 {
		return nil, c
	}
	order := make([]int, len(r.bars))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.bars[a].TimeNS, r.bars[b].TimeNS) })
	sorted := make([]Bar, len(r.bars))
	for i, at := range order {
		sorted[i] = r.bars[at]
	}
	r.bars = sorted
	return order, c
}

func (c *Change) see(place string) {
	c.Bars++
	if len(c.First) < listed {
		c.First = append(c.First, place)
	}
}

// dropDuplicates removes bars that are the one before once more.
func (r *rawBars) dropDuplicates(order []int) ([]int, Change) {
	c := Change{Repair: "duplicates", First: []string{}}
	kept := 0
	for i := range r.bars {
		if kept > 0 && r.bars[i] == r.bars[kept-1] {
			if c.Bars == 0 && order == nil {
				order = make([]int, len(r.bars))
				for k := range order {
					order[k] = k
				}
			}
			c.see(r.at(order[i]))
			continue
		}
		r.bars[kept] = r.bars[i]
		if order != nil {
			order[kept] = order[i]
		}
		kept++
	}
	r.bars = r.bars[:kept]
	if order != nil {
		order = order[:kept]
	}
	return order, c
}

// fix changes bars; fn says by how much it changed a price, 0: not at all.
func (r *rawBars) fix(name string, fn func(*Bar) float64) Change {
	c := Change{Repair: name, First: []string{}}
	for i := range r.bars {
		if by := fn(&r.bars[i]); by > 0 {
			c.see(r.at(r.was(i)))
			c.Largest = max(c.Largest, by)
		}
	}
	return c
}

// was is where a bar stood in the file.
func (r *rawBars) was(row int) int {
	if r.order != nil {
		return r.order[row]
	}
	return row
}

// sides are the columns of bids and asks: open, high, low, close.
var sides = [2][4]column{
	{colBidOpen, colBidHigh, colBidLow, colBidClose},
	{colAskOpen, colAskHigh, colAskLow, colAskClose},
}

// widen moves highs and lows by one unit in the last place where that lets them
// hold open and close.
func widen(b *Bar) float64 {
	by := 0.0
	for _, side := range sides {
		open, high, low, closing := side[0].float(b), side[1].float(b), side[2].float(b), side[3].float(b)
		if top := max(*open, *closing); *high < top && math.Nextafter(*high, math.Inf(1)) == top {
			by = max(by, top-*high)
			*high = top
		}
		if bottom := min(*open, *closing); *low > bottom && math.Nextafter(*low, math.Inf(-1)) == bottom {
			by = max(by, *low-bottom)
			*low = bottom
		}
	}
	return by
}

// uncross raises asks to their bids.
func uncross(b *Bar) float64 {
	by := 0.0
	for i := range sides[0] {
		bid, ask := *sides[0][i].float(b), sides[1][i].float(b)
		if bid > *ask {
			by = max(by, bid-*ask)
			*ask = bid
		}
	}
	return by
}
