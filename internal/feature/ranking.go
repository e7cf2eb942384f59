package feature

import (
	"math"
	"slices"
)

// ranking knows the newest values of a series by size, so that a value can be
// held against a quantile of thousands of them at the cost of a few counts.
//
// Values are counted in buckets, each a 1024th of an octave wide. For each
// quantile a cursor knows the bucket that holds it and how many values are
// smaller; a bar moves it by a value or two. Nearly every value lies in
// another bucket than the quantile, and that settles it. For the few others
// the values around the quantile are sorted once, and kept sorted while it
// stays among them (near).
//
// What comes out is the order of the value and the exact quantile, whatever
// way it took: nothing depends on where the series began, and nothing is
// rounded by a bucket. Values are kept by their bits without the sign, which
// order numbers from 0 up as their sizes do; so no input, not a number
// included, breaks the order.
type ranking struct {
	size    int     // values to keep; 0: not used
	recent  []int64 // a ring, in order of time
	oldest  int     // in recent, once it is full
	count   int
	buckets []uint16 // how many values each has
	cursors [2]cursor
}

const (
	bucketBits = 10 // of the mantissa: 1024 buckets an octave
	bucketDrop = 52 - bucketBits
	// What is smaller or greater than any ATR of a market shares the first and
	// the last bucket. That costs time, nothing else.
	firstOctave, lastOctave = -34, 30
	firstBucket             = (1023 + firstOctave) << bucketBits // of key >> bucketDrop
	topBucket               = (lastOctave - firstOctave) << bucketBits
	noBucket                = topBucket + 1

	// nearMargin is how many values to each side of a quantile are sorted with
	// it: as many bars at least pass before it can leave them.
	nearMargin = 64
	// nearLeast is how many values may be sorted in any case.
	nearLeast = 8 * nearMargin
)

// spot is a place in a list of counts of values that lies in order of size,
// and the number of values before it.
type spot struct{ at, before int }

// seek moves the spot to the place that has x[k], of all values; there is one.
func (s *spot) seek(counts []uint16, k int) {
	for k < s.before {
		s.at--
		s.before -= int(counts[s.at])
	}
	for k >= s.before+int(counts[s.at]) {
		s.before += int(counts[s.at])
		s.at++
	}
}

// cursor follows a quantile: spot is its bucket.
type cursor struct {
	spot
	near near
}

// near is the values of some buckets, each once, in order of size, and how
// many are equal to it; so a market that stands still costs no more than
// another. spot is one of them.
type near struct {
	from  int  // a bucket
	width uint // how many they are; 0: none
	most  int  // keys; with more it is let go, to be sorted anew
	keys  []int64
	equal []uint16
	spot
}

// use makes a ranking of the newest size values, 65535 at most.
func (r *ranking) use(size int) {
	if r.size != 0 {
		return
	}
	r.size = size
	r.recent = make([]int64, size)
	r.buckets = make([]uint16, topBucket+1)
	for i := range r.cursors {
		r.cursors[i].near.keys = make([]int64, 0, size)
		r.cursors[i].near.equal = make([]uint16, 0, size)
	}
	r.reset()
}

func (r *ranking) reset() {
	if r.size == 0 {
		return
	}
	clear(r.buckets)
	r.oldest, r.count = 0, 0
	for i := range r.cursors {
		c := &r.cursors[i]
		c.spot = spot{}
		c.near.clear()
	}
}

func keyOf(v float64) int64 { return int64(math.Float64bits(v) &^ (1 << 63)) }

func bucketOf(key int64) int {
	return min(max(int(key>>bucketDrop)-firstBucket, 0), topBucket)
}

// firstKey is the least key of a bucket, and past the top one more than any.
func firstKey(bucket int) uint64 {
	switch {
	case bucket <= 0:
		return 0
	case bucket > topBucket:
		return 1 << 63
	}
	return uint64(bucket+firstBucket) << bucketDrop
}

// push adds a value, and drops the oldest if size values were kept.
func (r *ranking) push(v float64) {
	key, old := keyOf(v), int64(0)
	b, oldB := bucketOf(key), noBucket
	if r.count < r.size {
		r.recent[r.count] = key
		r.count++
	} else {
		old = r.recent[r.oldest]
		oldB = bucketOf(old)
		r.buckets[oldB]--
		r.recent[r.oldest] = key
		if r.oldest++; r.oldest == r.size {
			r.oldest = 0
		}
	}
	r.buckets[b]++
	for i := range r.cursors {
		c := &r.cursors[i]
		c.before += less(b, c.at) - less(oldB, c.at)
		c.near.before += less(b, c.near.from) - less(oldB, c.near.from)
		if c.near.has(oldB) {
			c.near.remove(old)
		}
		if c.near.has(b) {
			c.near.add(key)
		}
	}
}

// less is 1 if a < b, else 0, without a branch: which of them it is follows no
// pattern. The difference does not overflow: both are places.
func less(a, b int) int { return int(uint64(a-b) >> 63) }

// compare is -1 if v, which is not negative, is below the quantile q of the
// kept values, 1 if it is the quantile or above, and 0 if one of the two is
// not a number. The quantile is the value below which the share q lies, as
// pandas and numpy have it by default ("linear"): with h = q·(count-1), its
// whole part k and the rest f it is x[k] + (x[k+1]-x[k])·f, x the sorted
// values. q is in hundredths, 0 to 0.99, and at least two values were pushed.
// which names the cursor, 0 or 1: one a q.
func (r *ranking) compare(v float64, which int, q float64) int {
	h := float64(q * float64(r.count-1))
	k := int(h)
	c := &r.cursors[which]
	c.seek(r.buckets, k)
	// The quantile lies between x[k] and x[k+1], both included: its sums are
	// rounded, but the rest f, hundredths too, is so far from 1 that they are
	// not rounded past x[k+1]. Where infinite values may be, it may not be a
	// number.
	if b := bucketOf(keyOf(v)); b != topBucket && r.buckets[topBucket] == 0 {
		switch {
		case b < c.at:
			return -1
		case b > c.at && b > r.bucketBehind(c, k):
			return 1
		}
	}
	lo, hi := r.around(c, k)
	switch at := lo + float64(float64(hi-lo)*(h-float64(k))); {
	case v < at:
		return -1
	case v >= at:
		return 1
	}
	return 0
}

// bucketBehind is the bucket of x[k+1], the cursor being at x[k].
func (r *ranking) bucketBehind(c *cursor, k int) int {
	s := c.spot
	s.seek(r.buckets, k+1)
	return s.at
}

// around is x[k] and x[k+1], the cursor being at the former.
func (r *ranking) around(c *cursor, k int) (lo, hi float64) {
	n := &c.near
	if !n.has(c.at) || !n.has(r.bucketBehind(c, k)) {
		r.sort(c, k)
	}
	n.seek(n.equal, k)
	lo = math.Float64frombits(uint64(n.keys[n.at]))
	n.seek(n.equal, k+1)
	return lo, math.Float64frombits(uint64(n.keys[n.at]))
}

// sort makes the values around x[k] those that are near the cursor, which is
// at x[k].
func (r *ranking) sort(c *cursor, k int) {
	n := &c.near
	from, to, before := c.at, c.at, c.before
	for before > max(0, k-nearMargin) {
		from--
		before -= int(r.buckets[from])
	}
	for end := c.before + int(r.buckets[c.at]); end < min(r.count, k+1+nearMargin); {
		to++
		end += int(r.buckets[to])
	}
	n.from, n.width = from, uint(to-from+1)
	n.spot = spot{0, before}
	n.keys = n.keys[:0]
	low, high := firstKey(from), firstKey(to+1)
	for _, key := range r.recent[:r.count] {
		if uint64(key)-low < high-low {
			n.keys = append(n.keys, key)
		}
	}
	slices.Sort(n.keys)
	n.equal = n.equal[:0]
	last := int64(-1)
	for _, key := range n.keys {
		if key != last {
			n.keys[len(n.equal)] = key
			n.equal = append(n.equal, 0)
			last = key
		}
		n.equal[len(n.equal)-1]++
	}
	n.keys = n.keys[:len(n.equal)]
	n.most = max(nearLeast, 2*len(n.keys))
}

func (n *near) has(bucket int) bool { return uint(bucket-n.from) < n.width }

func (n *near) add(key int64) {
	at, found := slices.BinarySearch(n.keys, key)
	if !found {
		n.keys = slices.Insert(n.keys, at, key)
		n.equal = slices.Insert(n.equal, at, 0)
		if at < n.at {
			n.at++
		}
	}
	n.equal[at]++
	n.before += less(at, n.at)
	if len(n.keys) > n.most {
		n.clear()
	}
}

// clear lets all values go.
func (n *near) clear() {
	*n = near{keys: n.keys[:0], equal: n.equal[:0]}
}

// remove drops a value that is there.
func (n *near) remove(key int64) {
	at, _ := slices.BinarySearch(n.keys, key)
	n.before -= less(at, n.at)
	if n.equal[at]--; n.equal[at] == 0 {
		n.keys = slices.Delete(n.keys, at, at+1)
		n.equal = slices.Delete(n.equal, at, at+1)
		n.at -= less(at, n.at)
	}
}
