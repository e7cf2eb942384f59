package trade

import "math/bits"

// BarSet is a set of bars of a data set, one bit per bar. The zero BarSet is
// empty and of no bars.
type BarSet struct {
	bits []byte // bar i is bit i%8 of byte i/8
	n    int64  // bars that it can tell of
}

// NewBarSet is an empty set of n bars.
func NewBarSet(n int64) BarSet { return BarSet{bits: make([]byte, (n+7)/8), n: n} }

// Bars is the number of bars that the set can tell of: bars 0 to Bars() - 1.
func (s *BarSet) Bars() int64 { return s.n }

// Add adds a bar below Bars().
func (s *BarSet) Add(bar int64) { s.bits[bar/8] |= 1 << (bar % 8) }

// Has reports whether the bar is in the set.
func (s *BarSet) Has(bar int64) bool {
	return bar >= 0 && bar < s.n && s.bits[bar/8]&(1<<(bar%8)) != 0
}

// Count is the number of bars in the set that lie in [first, end).
func (s *BarSet) Count(first, end int64) (n int64) {
	first, end = max(first, 0), min(end, s.n)
	for ; first < end && first%8 != 0; first++ {
		n += int64(s.bits[first/8] >> (first % 8) & 1)
	}
	for ; first+8 <= end; first += 8 {
		n += int64(bits.OnesCount8(s.bits[first/8]))
	}
	for ; first < end; first++ {
		n += int64(s.bits[first/8] >> (first % 8) & 1)
	}
	return n
}
