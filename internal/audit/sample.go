// Package audit decides which chunks of a run are replayed to check what its
// workers reported, what such a sample proves, and in what a replayed chunk
// differs from the reported one.
//
// It replays nothing, and sees no clock, file or bus.
package audit

import (
	"math/rand/v2"
	"slices"
	"sort"
)

// DefaultChunks is how many chunks are sampled: if 5 % of many chunks are
// forged, a sample of 59 misses all of them with a probability below 5 %
// (0.95^59 = 4.8 %).
const DefaultChunks = 59

// Sample returns n of list in ascending order, or all of it if it has no more:
// each set of n equally likely. The same seed and list give the same sample on
// every machine. list is left as it is.
func Sample(list []int, n int, seed uint64) []int {
	all := slices.Clone(list)
	n = max(0, min(n, len(all)))
	// The first n steps of a Fisher-Yates shuffle.
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		k := i + random.IntN(len(all)-i)
		all[i], all[k] = all[k], all[i]
	}
	slices.Sort(all[:n])
	return all[:n]
}

// Misses is the probability that a sample of n of total chunks has none of the
// forged ones: C(total-forged, n) / C(total, n), the hypergeometric
// distribution at 0.
func Misses(total, forged, n int) float64 {
	p := 1.0
	for i := range n {
		if left := total - forged - i; left <= 0 {
			return 0
		} else {
			p *= float64(left) / float64(total-i)
		}
	}
	return p
}

// Found is the least number of forged chunks of total that a sample of n misses
// with a probability of at most miss. It is 0 if no number is: n is 0.
func Found(total, n int, miss float64) int {
	if n < 1 || total < 1 {
		return 0
	}
	// Misses falls as more are forged.
	return 1 + sort.Search(total-1, func(i int) bool { return Misses(total, i+1, n) <= miss })
}
