package feature

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"gx1replay/test/testsize"
)

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// check fails if the buckets do not count exactly the values, or a cursor or
// the values near it are wrong.
func (r *ranking) check(t failer, values []float64) {
	t.Helper()
	var sorted []int64
	for _, v := range values {
		sorted = append(sorted, keyOf(v))
	}
	slices.Sort(sorted)
	buckets := make([]uint16, len(r.buckets))
	for _, key := range sorted {
		buckets[bucketOf(key)]++
	}
	if !slices.Equal(r.buckets, buckets) {
		t.Fatalf("the buckets count other values than %v", values)
	}
	for i := range r.cursors {
		c := &r.cursors[i]
		if want := len(between(sorted, 0, c.at-1)); c.before != want {
			t.Fatalf("cursor %d at bucket %d counts %d values before it (want %d)", i, c.at, c.before, want)
		}
		n := &c.near
		var got []int64
		for i, key := range n.keys {
			got = append(got, slices.Repeat([]int64{key}, int(n.equal[i]))...)
		}
		if want := between(sorted, n.from, n.from+int(n.width)-1); !slices.Equal(got, want) {
			t.Fatalf("near cursor %d in %d buckets from %d on: %v (want %v)", i, n.width, n.from, got, want)
		}
		want := len(between(sorted, 0, n.from-1))
		for _, equal := range n.equal[:n.at] {
			want += int(equal)
		}
		if n.width > 0 && n.before != want {
			t.Fatalf("near cursor %d: %d values before place %d (want %d)", i, n.before, n.at, want)
		}
	}
}

// between is the keys of buckets from to to.
func between(sorted []int64, from, to int) []int64 {
	a, _ := slices.BinarySearchFunc(sorted, from, func(key int64, b int) int { return bucketOf(key) - b })
	z, _ := slices.BinarySearchFunc(sorted, to+1, func(key int64, b int) int { return bucketOf(key) - b })
	return sorted[a:max(a, z)]
}

// compareSlowly is compare by its definition.
func compareSlowly(sorted []float64, v, q float64) int {
	switch at := slowQuantile(sorted, q); {
	case v < at:
		return -1
	case v >= at:
		return 1
	}
	return 0
}

// A value is held against the quantiles of the sorted window, to the last bit,
// whatever the values, and counts are right after every value. Values asked
// for are the newest, as the engine asks, the quantile itself and its
// neighbours.
func TestRankingAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{1, 2, 3, 50, 127, 128, 400, 1000}).Draw(t, "size")
		distinct := rapid.SampledFrom([]int64{1, 2, 7, 1000, 1 << 40}).Draw(t, "distinct")
		unit := rapid.SampledFrom([]float64{1, 1e-4, 1e-12, 1e-14, 1e12, 1e300}).Draw(t, "unit")
		drift := rapid.Int64Range(-50, 50).Draw(t, "drift")
		r := rng(rapid.Uint64().Draw(t, "seed"))
		var k ranking
		k.use(size)
		var window, sorted []float64
		for i := range 3*size + 20 {
			v := unit * float64(max(0, 1<<20+drift*int64(i)+r.below(uint64(distinct))))
			k.push(v)
			window = append(window, v)
			if len(window) > size {
				at, _ := slices.BinarySearch(sorted, window[0])
				sorted = slices.Delete(sorted, at, at+1)
				window = window[1:]
			}
			at, _ := slices.BinarySearch(sorted, v)
			sorted = slices.Insert(sorted, at, v)
			if i%211 == 0 || size < 10 && i%5 == 0 {
				k.check(t, sorted)
			}
			if len(sorted) < 2 {
				continue
			}
			for which, q := range []float64{regimeLow, regimeHigh} {
				asked := []float64{v}
				if r.below(4) == 0 {
					at := slowQuantile(sorted, q)
					asked = append(asked, at, math.Nextafter(at, 0), math.Nextafter(at, math.Inf(1)))
				}
				for _, v := range asked {
					if got, want := k.compare(v, which, q), compareSlowly(sorted, v, q); got != want {
						t.Fatalf("value %d: %v and quantile %v: %d (want %d)", i, v, q, got, want)
					}
				}
			}
		}
	})
}

// Streams whose quantiles run away, stand still, jump across a gap, or are no
// numbers.
func TestRankingOfHardStreams(t *testing.T) {
	testsize.All(t)
	const size = 5760
	for name, at := range map[string]func(i int) float64{
		"rising":   func(i int) float64 { return float64(i) },
		"falling":  func(i int) float64 { return float64(1<<20 - i) },
		"constant": func(int) float64 { return 3 },
		"zero":     func(int) float64 { return 0 },
		"saw":      func(i int) float64 { return float64(i * 7919 % 5761) },
		"two":      func(i int) float64 { return []float64{1e-9, 1e9, 1e9}[i*7919%3] },
		"huge":     func(i int) float64 { return 1e300 * float64(1+i*7919%5761) },
		"infinite": func(i int) float64 { return []float64{1, math.Inf(1), 2}[i%3] },
		"thinned": func(i int) float64 {
			if i%40 == 0 {
				return float64(i * 7919 % 5761)
			}
			return float64(10_000 + i)
		},
		"no numbers": func(i int) float64 {
			return []float64{math.NaN(), math.Inf(1), 1, 0, math.Copysign(0, -1), 5, float64(i)}[i%7]
		},
	} {
		t.Run(name, func(t *testing.T) {
			var k ranking
			k.use(size)
			for i := range 4 * size {
				k.push(at(i))
				var window []float64
				if i%size == size-1 || i%997 == 996 {
					for j := max(0, i-size+1); j <= i; j++ {
						window = append(window, at(j))
					}
					slices.SortFunc(window, func(a, b float64) int { return cmp.Compare(keyOf(a), keyOf(b)) })
				}
				for which, q := range []float64{regimeLow, regimeHigh} {
					if i < 2 {
						break
					}
					got := k.compare(at(i), which, q)
					if want := 0; window != nil {
						if want = compareSlowly(window, at(i), q); got != want {
							t.Fatalf("value %d: %v and quantile %v: %d (want %d)", i, at(i), q, got, want)
						}
					}
				}
				if i%size == size-1 {
					k.check(t, window)
				}
			}
		})
	}
}

func TestRankingStartsAnew(t *testing.T) {
	var k, fresh ranking
	k.use(300)
	fresh.use(300)
	for i := range 1000 {
		k.push(float64(i * 31 % 977))
		if i > 1 {
			k.compare(float64(i*31%977), 0, 0.33)
		}
	}
	k.reset()
	for i := range 200 {
		v := float64(i * 17 % 193)
		k.push(v)
		fresh.push(v)
		if i > 1 && k.compare(v, 0, 0.33) != fresh.compare(v, 0, 0.33) {
			t.Fatalf("value %d: %d after a reset (want %d)", i, k.compare(v, 0, 0.33), fresh.compare(v, 0, 0.33))
		}
	}
}

// BenchmarkRanking is one value, held against both quantiles.
func BenchmarkRanking(b *testing.B) {
	for name, next := range map[string]func(r *rng, at int64) int64{
		"market":   func(r *rng, at int64) int64 { return at + (r.below(1<<17)+1<<18-at)>>4 + r.below(1<<13) - 1<<12 },
		"anywhere": func(r *rng, at int64) int64 { return r.below(1 << 30) },
		"ties":     func(r *rng, at int64) int64 { return 1<<20 + r.below(7)<<12 },
		"constant": func(r *rng, at int64) int64 { return 1 << 20 },
	} {
		b.Run(name, func(b *testing.B) {
			var k ranking
			k.use(regimeBars)
			r := rng(1)
			values := make([]float64, 1<<16)
			at := int64(1 << 20)
			for i := range values {
				at = max(0, next(&r, at))
				values[i] = float64(at)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				v := values[i&(1<<16-1)]
				k.push(v)
				if k.count > 2 {
					k.compare(v, 0, regimeLow)
					k.compare(v, 1, regimeHigh)
				}
			}
		})
	}
}
