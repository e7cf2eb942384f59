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
			whole.push(v)
			if i > len(values)-n-40 {
				late.push(v)
			}
		}
		exact := new(big.Float).SetPrec(200)
		for _, v := range values[len(values)-n:] {
			exact.Add(exact, big.NewFloat(v))
		}
		want, _ := exact.Quo(exact, big.NewFloat(float64(n))).Float64()
		got := whole.mean(n)
		if math.Abs(got-want) > 1e-14*want {
			t.Errorf("mean of %d: %v (want %v)", n, got, want)
		}
		if math.Float64bits(late.mean(n)) != math.Float64bits(got) {
			t.Errorf("mean of %d: %v in a later series (want %v)", n, late.mean(n), got)
		}
	}
}

func TestWindow(t *testing.T) {
	var w window
	w.grow(5)
	w.grow(3) // never smaller
	for i := range 90 {
		w.push(float64(i))
		if n := min(i+1, 5); w.last(n)[0] != float64(i-n+1) || w.last(n)[n-1] != float64(i) {
			t.Fatalf("the last %d after %d are %v", n, i, w.last(n))
		}
	}
}
