package feature

import "math"

// ranking keeps the newest values of a series in order of size, so that a
// quantile over thousands of them costs a look at one place.
//
// The values lie sorted in pages of at most pageCap, the pages one behind the
// other. To add or to drop a value is to find its page among the pages'
// greatest values, its place in the page, and to move half a page at most.
// Full pages are halved; a small one joins a neighbour. A cursor a quantile
// remembers how many values lie before its page, and a bar moves it by one
// value or two. So a bar costs about the logarithm of the window.
//
// What a rank gives is a value of the window, whatever way it took into the
// pages: nothing depends on where the series began, and nothing is rounded.
// Values are kept by their bits without the sign, which order numbers from 0
// up as their sizes do; so no input, not a number included, breaks the order.
type ranking struct {
	size    int     // values to keep; 0: not used
	recent  []int64 // a ring, in order of time
	oldest  int     // in recent, once it is full
	count   int
	pages   []*page // in order of size; at least one
	tops    []int64 // the greatest value of each page
	spare   []*page
	cursors [2]cursor
}

const (
	pageCap  = 128
	pageLow  = pageCap / 4     // a page below this joins a neighbour,
	pageJoin = pageCap * 3 / 4 // if both have no more than this, or it is empty
)

type page struct {
	n      int
	values [pageCap]int64
}

// cursor is a page and the number of values in the pages before it.
type cursor struct{ page, before int }

// use makes a ranking of the newest size values. All pages are made here: no
// page of several is empty, and of two neighbours at least one has pageLow
// values, because a page that falls below joins a neighbour that is below. So
// there are never more than size/(pageLow/2) + 1.
func (r *ranking) use(size int) {
	if r.size != 0 {
		return
	}
	pages := size/(pageLow/2) + 2
	store := make([]page, pages)
	r.size = size
	r.recent = make([]int64, size)
	r.pages = make([]*page, 0, pages)
	r.tops = make([]int64, 0, pages)
	r.spare = make([]*page, 0, pages)
	for i := range store {
		r.spare = append(r.spare, &store[i])
	}
	r.reset()
}

func (r *ranking) reset() {
	if r.size == 0 {
		return
	}
	for _, p := range r.pages {
		p.n = 0
		r.spare = append(r.spare, p)
	}
	r.pages, r.tops = r.pages[:0], r.tops[:0]
	r.oldest, r.count = 0, 0
	r.insertPage(0)
	r.tops[0] = 0
}

// push adds a value, and drops the oldest if size values were kept.
func (r *ranking) push(v float64) {
	key := int64(math.Float64bits(v) &^ (1 << 63))
	if r.count == r.size {
		r.remove(r.recent[r.oldest])
		r.recent[r.oldest] = key
		if r.oldest++; r.oldest == r.size {
			r.oldest = 0
		}
	} else {
		r.recent[r.count] = key
		r.count++
	}
	r.add(key)
}

// firstNotBelow is the place in sorted of the first value that is at least
// key, or len(sorted): it counts the values below, first in every eighth
// place, then in the eight that are left. For a hundred values that is twice
// as fast as halving, where each look waits for the one before it. No branch
// depends on values: keys are not negative, so the sign of a difference is
// the order of the two.
func firstNotBelow(sorted []int64, key int64) int {
	var eighths int
	for i := 7; i < len(sorted); i += 8 {
		eighths += int(uint64(sorted[i]-key) >> 63)
	}
	place := 8 * eighths
	for _, v := range sorted[place:min(place+7, len(sorted))] {
		place += int(uint64(v-key) >> 63)
	}
	return place
}

func (r *ranking) add(key int64) {
	at := min(firstNotBelow(r.tops, key), len(r.pages)-1)
	p := r.pages[at]
	place := firstNotBelow(p.values[:p.n], key)
	copy(p.values[place+1:p.n+1], p.values[place:p.n])
	p.values[place] = key
	p.n++
	r.tops[at] = p.values[p.n-1]
	r.shift(at, 1)
	if p.n == pageCap {
		r.halve(at)
	}
}

// remove drops a value that is there.
func (r *ranking) remove(key int64) {
	at := firstNotBelow(r.tops, key)
	p := r.pages[at]
	place := firstNotBelow(p.values[:p.n], key)
	copy(p.values[place:p.n-1], p.values[place+1:p.n])
	p.n--
	r.shift(at, -1)
	if p.n > 0 {
		r.tops[at] = p.values[p.n-1]
	}
	if p.n >= pageLow {
		return
	}
	switch {
	case at > 0 && (p.n == 0 || r.pages[at-1].n+p.n <= pageJoin):
		r.join(at - 1)
	case at+1 < len(r.pages) && (p.n == 0 || p.n+r.pages[at+1].n <= pageJoin):
		r.join(at)
	}
}

// shift tells the cursors behind a page that it has n more values.
func (r *ranking) shift(at, n int) {
	for i := range r.cursors {
		if c := &r.cursors[i]; at < c.page {
			c.before += n
		}
	}
}

// halve moves the upper half of a page to a new one behind it.
func (r *ranking) halve(at int) {
	r.insertPage(at + 1)
	low, high := r.pages[at], r.pages[at+1]
	high.n = copy(high.values[:], low.values[pageCap/2:low.n])
	low.n = pageCap / 2
	r.tops[at], r.tops[at+1] = low.values[low.n-1], high.values[high.n-1]
}

// join moves the values of the page behind at to it.
func (r *ranking) join(at int) {
	low, high := r.pages[at], r.pages[at+1]
	low.n += copy(low.values[low.n:], high.values[:high.n])
	if low.n > 0 {
		r.tops[at] = low.values[low.n-1]
	}
	high.n = 0
	r.spare = append(r.spare, high)
	r.pages = append(r.pages[:at+1], r.pages[at+2:]...)
	r.tops = append(r.tops[:at+1], r.tops[at+2:]...)
	r.cursors = [2]cursor{}
}

// insertPage puts an empty page at a place. The cursors start anew; that is
// rare.
func (r *ranking) insertPage(at int) {
	p := r.spare[len(r.spare)-1]
	r.spare = r.spare[:len(r.spare)-1]
	r.pages = append(r.pages, nil)
	r.tops = append(r.tops, 0)
	copy(r.pages[at+1:], r.pages[at:])
	copy(r.tops[at+1:], r.tops[at:])
	r.pages[at] = p
	r.cursors = [2]cursor{}
}

// quantile is the value below which the share q of the kept values lies, as
// pandas and numpy have it by default ("linear"): with h = q·(count-1), its
// whole part k and the rest f it is x[k] + (x[k+1]-x[k])·f, x the sorted
// values. 0 ≤ q < 1, and at least two values were pushed. which names the
// cursor, 0 or 1: one a q.
func (r *ranking) quantile(which int, q float64) float64 {
	h := float64(q * float64(r.count-1))
	k := int(h)
	c := &r.cursors[which]
	for k < c.before {
		c.page--
		c.before -= r.pages[c.page].n
	}
	for k >= c.before+r.pages[c.page].n {
		c.before += r.pages[c.page].n
		c.page++
	}
	p := r.pages[c.page]
	i := k - c.before
	lo := math.Float64frombits(uint64(p.values[i]))
	if i++; i == p.n {
		p, i = r.pages[c.page+1], 0 // there is one: k+1 < count, as q < 1
	}
	hi := math.Float64frombits(uint64(p.values[i]))
	return lo + float64(float64(hi-lo)*(h-float64(k)))
}
