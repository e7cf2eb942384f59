package audit

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func TestSample(t *testing.T) {
	list := []int{3, 5, 7, 11, 13, 17, 19, 23}
	for n := -1; n <= len(list)+1; n++ {
		got := Sample(list, n, 42)
		want := max(0, min(n, len(list)))
		if len(got) != want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != want {
			t.Errorf("%d of them: %v", n, got)
		}
		for _, x := range got {
			if !slices.Contains(list, x) {
				t.Errorf("%d is not in the list", x)
			}
		}
		if !slices.Equal(got, Sample(list, n, 42)) {
			t.Errorf("%d: the same seed gives another sample", n)
		}
	}
	if !slices.Equal(list, []int{3, 5, 7, 11, 13, 17, 19, 23}) {
		t.Errorf("the list was changed: %v", list)
	}
	// A seed that somebody printed gives the same sample on every machine and
	// in every version.
	if got := Sample(upTo(1000), 5, 1); !slices.Equal(got, []int{26, 90, 598, 702, 715}) {
		t.Errorf("seed 1: %v", got)
	}
}

// Every chunk is sampled equally often: 20 chunks, 10,000 samples of 5, each
// chunk in 2,500 ± 6 standard deviations of a binomial (43.3).
func TestSampleIsUniform(t *testing.T) {
	const chunks, samples, n = 20, 10_000, 5
	var counts [chunks]int
	for seed := range uint64(samples) {
		for _, i := range Sample(upTo(chunks), n, seed) {
			counts[i]++
		}
	}
	p := float64(n) / chunks
	for i, c := range counts {
		if d := math.Abs(float64(c) - samples*p); d > 6*math.Sqrt(samples*p*(1-p)) {
			t.Errorf("chunk %d was sampled %d times (expected about %.0f)", i, c, samples*p)
		}
	}
}

// One forged chunk in 1,000 is found by a sample of 59 with 5.9 %, and 50 of
// them with 95.6 %: in 1,000 simulated audits within 6 standard deviations of
// the binomial. The seeds are fixed, so the result is always the same.
func TestForgedChunksAreFoundAtTheRateOfTheMathematics(t *testing.T) {
	const total, audits = 1000, 1000
	for _, c := range []struct {
		forged, n int
		want      float64 // that it is found
	}{
		{1, DefaultChunks, 0.059}, {1, 500, 0.5}, {1, total, 1}, {10, DefaultChunks, 0.45717}, {50, DefaultChunks, 0.95585},
	} {
		p := 1 - Misses(total, c.forged, c.n)
		if math.Abs(p-c.want) > 1e-5 {
			t.Errorf("%d forged, a sample of %d: found with %v, by hand %v", c.forged, c.n, p, c.want)
		}
		found := 0
		for audit := range uint64(audits) {
			forged := rand.New(rand.NewPCG(audit, 7)).Perm(total)[:c.forged]
			if slices.ContainsFunc(Sample(upTo(total), c.n, audit), func(i int) bool { return slices.Contains(forged, i) }) {
				found++
			}
		}
		if d := math.Abs(float64(found) - audits*p); d > 6*math.Sqrt(audits*p*(1-p)) {
			t.Errorf("%d forged, a sample of %d: found in %d of %d audits (expected about %.0f)", c.forged, c.n, found, audits, audits*p)
		}
	}
}

func TestMisses(t *testing.T) {
	for _, c := range []struct {
		total, forged, n int
		want             float64
	}{
		{1000, 0, 59, 1}, {1000, 50, 0, 1}, {4, 1, 1, 0.75}, {4, 2, 2, 1.0 / 6}, {4, 3, 2, 0}, {4, 4, 1, 0}, {0, 0, 0, 1},
		{100, 5, 59, float64(41*40*39*38*37) / float64(100*99*98*97*96)}, // as well: the 5 forged are among the other 41
	} {
		if got := Misses(c.total, c.forged, c.n); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Misses(%d, %d, %d) = %v, want %v", c.total, c.forged, c.n, got, c.want)
		}
	}
	if p := Misses(1_000_000, 50_000, DefaultChunks); p > 0.05 {
		t.Errorf("5 %% of a million chunks are missed with %v", p)
	}
}

func TestFound(t *testing.T) {
	for _, total := range []int{1, 2, 10, 59, 60, 100, 1000} {
		for _, n := range []int{1, 5, DefaultChunks, total} {
			n = min(n, total)
			k := Found(total, n, 0.05)
			if Misses(total, k, n) > 0.05 || k > 1 && Misses(total, k-1, n) <= 0.05 {
				t.Errorf("Found(%d, %d) = %d: missed with %v, one less with %v", total, n, k, Misses(total, k, n), Misses(total, k-1, n))
			}
		}
	}
	if Found(10, 0, 0.05) != 0 {
		t.Error("a sample of none finds some")
	}
}
