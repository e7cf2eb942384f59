package feature

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// check fails if the pages do not hold exactly the values, sorted by size, or
// break what their number relies on.
func (r *ranking) check(t interface {
	Helper()
	Fatalf(string, ...any)
}, values []float64) {
	t.Helper()
	var got, want []int64
	for _, v := range values {
		want = append(want, int64(math.Float64bits(math.Abs(v))))
	}
	slices.Sort(want)
	before := 0
	for i, p := range r.pages {
		if p.n == 0 && len(r.pages) > 1 {
			t.Fatalf("page %d of %d is empty", i, len(r.pages))
		}
		if i > 0 && p.n < pageLow && r.pages[i-1].n < pageLow {
			t.Fatalf("pages %d and %d have %d and %d values (want %d in one)", i-1, i, r.pages[i-1].n, p.n, pageLow)
		}
		if p.n > 0 && r.tops[i] != p.values[p.n-1] {
			t.Fatalf("page %d: the top is not its greatest value", i)
		}
		got = append(got, p.values[:p.n]...)
		for _, c := range r.cursors {
			if c.page == i && c.before != before {
				t.Fatalf("a cursor at page %d counts %d values before it (want %d)", i, c.before, before)
			}
		}
		before += p.n
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the pages hold %v (want %v)", got, want)
	}
}

// The quantiles are those of the sorted window, to the last bit, whatever the
// values, and the structure keeps its promises after every value.
func TestRankingAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{1, 2, 3, 50, 127, 128, 400, 1000}).Draw(t, "size")
		distinct := rapid.SampledFrom([]int64{1, 2, 7, 1000, 1 << 40}).Draw(t, "distinct")
		drift := rapid.Int64Range(-50, 50).Draw(t, "drift")
		r := rng(rapid.Uint64().Draw(t, "seed"))
		var k ranking
		k.use(size)
		var window, sorted []float64
		for i := range 3*size + 20 {
			v := float64(max(0, 1<<20+drift*int64(i)+r.below(uint64(distinct))))
			k.push(v)
			window = append(window, v)
			if len(window) > size {
				at, _ := slices.BinarySearch(sorted, window[0])
				sorted = slices.Delete(sorted, at, at+1)
				window = window[1:]
			}
			at, _ := slices.BinarySearch(sorted, v)
			sorted = slices.Insert(sorted, at, v)
			if i%29 == 0 || size < 10 {
				k.check(t, sorted)
			}
			if len(sorted) < 2 {
				continue
			}
			for which, q := range []float64{regimeLow, regimeHigh} {
				got, want := k.quantile(which, q), slowQuantile(sorted, q)
				if math.Float64bits(got) != math.Float64bits(want) {
					t.Fatalf("value %d: quantile %v is %v (want %v)", i, q, got, want)
				}
			}
		}
	})
}

// Streams that fill or drain pages at one end, and one that leaves few values
// behind in every page.
func TestRankingOfHardStreams(t *testing.T) {
	const size = 5760
	for name, at := range map[string]func(i int) float64{
		"rising":   func(i int) float64 { return float64(i) },
		"falling":  func(i int) float64 { return float64(1<<20 - i) },
		"constant": func(int) float64 { return 3 },
		"saw":      func(i int) float64 { return float64(i * 7919 % 5761) },
		"thinned": func(i int) float64 {
			if i%40 == 0 {
				return float64(i * 7919 % 5761)
			}
			return float64(10_000 + i)
		},
		"no numbers": func(i int) float64 {
			return []float64{math.NaN(), math.Inf(1), -1, 0, math.Copysign(0, -1), 5, -float64(i)}[i%7]
		},
	} {
		t.Run(name, func(t *testing.T) {
			var k ranking
			k.use(size)
			store := cap(k.spare)
			for i := range 4 * size {
				k.push(at(i))
				if i > 2 {
					k.quantile(0, regimeLow)
					k.quantile(1, regimeHigh)
				}
				if i%size != size-1 {
					continue
				}
				var window []float64
				for j := max(0, i-size+1); j <= i; j++ {
					window = append(window, at(j))
				}
				k.check(t, window)
			}
			if got := len(k.pages) + len(k.spare); got != store {
				t.Errorf("%d pages (want %d: none made or lost)", got, store)
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
	}
	k.reset()
	for i := range 200 {
		v := float64(i * 17 % 193)
		k.push(v)
		fresh.push(v)
		if i > 1 && k.quantile(0, 0.33) != fresh.quantile(0, 0.33) {
			t.Fatalf("value %d: %v after a reset (want %v)", i, k.quantile(0, 0.33), fresh.quantile(0, 0.33))
		}
	}
}

// BenchmarkRanking is one value and both quantiles.
func BenchmarkRanking(b *testing.B) {
	for name, step := range map[string]int64{"near": 40, "anywhere": 1 << 40} {
		b.Run(name, func(b *testing.B) {
			var k ranking
			k.use(regimeBars)
			r := rng(1)
			values := make([]float64, 1<<16)
			at := int64(1 << 20)
			for i := range values {
				at = max(0, at+r.below(uint64(2*step))-step)
				values[i] = float64(at)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k.push(values[i&(1<<16-1)])
				if k.count > 2 {
					k.quantile(0, regimeLow)
					k.quantile(1, regimeHigh)
				}
			}
		})
	}
}
