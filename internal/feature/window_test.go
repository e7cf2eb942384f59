package feature

import (
	"math"
	"math/big"
	"testing"
)

// The mean of the newest n values is what exact arithmetic gives, to a few
// roundings, and the same bits wherever the series began.
func TestRunSums(t *testing.T) {
	r := rng(5)
	values := make([]float64, 900)
	for i := range values {
		values[i] = float64(r.below(1<<30)) / 1e4
	}
	for n := 1; n < sumBars; n++ {
		var whole, late runSums
		whole.use()
		late.use()
		for i, v := range values {
			whole.push([]float64{v})
			if i > len(values)-n-40 {
				late.push([]float64{v})
			}
		}
		exact := new(big.Float).SetPrec(200)
		for _, v := range values[len(values)-n:] {
			exact.Add(exact, big.NewFloat(v))
		}
		want, _ := exact.Quo(exact, big.NewFloat(float64(n))).Float64()
		got := meanOf(&whole, n)
		if math.Abs(got-want) > 1e-14*want {
			t.Errorf("mean of %d: %v (want %v)", n, got, want)
		}
		if math.Float64bits(meanOf(&late, n)) != math.Float64bits(got) {
			t.Errorf("mean of %d: %v in a later series (want %v)", n, meanOf(&late, n), got)
		}
	}
}

// meanOf is the mean of the newest n values.
func meanOf(r *runSums, n int) float64 {
	var out [1]float64
	r.means(n, 1, column{[]int32{0}, out[:], 1})
	return out[0]
}

func TestWindow(t *testing.T) {
	var w window
	w.grow(5)
	w.grow(3) // never smaller
	r := rng(1)
	for i := 0; i < 5000; {
		n := int(1 + r.below(BlockBars))
		for k, room := 0, w.extend(n); k < n; k++ {
			room[k] = float64(i + k)
		}
		i += n
		for back := range n {
			newest := i - 1 - back
			m := min(newest+1, 5)
			if x := w.last(m, back); len(x) != m || x[0] != float64(newest-m+1) || x[m-1] != float64(newest) || w.at(back) != float64(newest) {
				t.Fatalf("the last %d of %d values are %v, %v", m, newest+1, x, w.at(back))
			}
		}
		if n > 1 && w.since(n)[0] != float64(i-n) {
			t.Fatalf("the last %d of %d values begin with %v", n, i, w.since(n)[0])
		}
	}
}
