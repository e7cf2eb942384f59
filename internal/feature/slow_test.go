package feature

import (
	"math"
	"slices"
	"time"

	"gx1replay/internal/bars"
)

// slow computes a feature at bar i of x from its formula alone, over all of
// history.
func slow(name string, x []bars.Bar, i int) float64 {
	c := func(k int) float64 { return (x[k].BidClose + x[k].AskClose) / 2 }
	h := func(k int) float64 { return (x[k].BidHigh + x[k].AskHigh) / 2 }
	l := func(k int) float64 { return (x[k].BidLow + x[k].AskLow) / 2 }
	o := func(k int) float64 { return (x[k].BidOpen + x[k].AskOpen) / 2 }
	atr := func() float64 {
		var sum float64
		for k := i - 13; k <= i; k++ {
			sum += math.Max(h(k)-l(k), math.Max(math.Abs(h(k)-c(k-1)), math.Abs(l(k)-c(k-1))))
		}
		return sum / 14
	}
	ema := func(span float64, at int) float64 {
		y := c(0)
		for k := 1; k <= at; k++ {
			y += (c(k) - y) * 2 / (span + 1)
		}
		return y
	}
	switch name {
	case "atr14":
		return atr()
	case "atr_bps":
		return 10000 * atr() / c(i)
	case "body_pct":
		return (c(i) - o(i)) / (h(i) - l(i) + 1e-8)
	case "ema20_slope":
		return ema(20, i) - ema(20, i-1)
	case "ema100_slope":
		return ema(100, i) - ema(100, i-1)
	case "pos_vs_ema200":
		return (c(i) - ema(200, i)) / ema(200, i)
	case "range_pos":
		hi, lo := h(i), l(i)
		for k := i - 19; k < i; k++ {
			hi, lo = math.Max(hi, h(k)), math.Min(lo, l(k))
		}
		return (c(i) - lo) / (hi - lo)
	case "roc20":
		return (c(i) - c(i-20)) / c(i-20)
	case "roc100":
		return (c(i) - c(i-100)) / c(i-100)
	case "session_id":
		switch hour := x[i].TimeNS / 3600e9 % 24; {
		case hour < 7 || hour >= 22:
			return 3
		case hour < 12:
			return 0
		case hour < 16:
			return 1
		}
		return 2
	case "spread_bps":
		return 10000 * (x[i].AskClose - x[i].BidClose) / x[i].BidClose
	case "std50":
		// The pairwise form: Σ(a-b)²/n is the sum of squares about the mean.
		var sum float64
		for a := i - 49; a <= i; a++ {
			for b := a + 1; b <= i; b++ {
				sum += (c(a) - c(b)) * (c(a) - c(b))
			}
		}
		return math.Sqrt(sum / 50 / 49)
	}
	return slowLater(name, x, i)
}

// slowLater are the slow forms of what was added after the first twelve.
func slowLater(name string, x []bars.Bar, i int) float64 {
	meanRange := func(n, at int) float64 {
		var sum float64
		for k := at - n + 1; k <= at; k++ {
			h, l, c := x[k].MidHigh(), x[k].MidLow(), x[k-1].MidClose()
			sum += math.Max(h-l, math.Max(math.Abs(h-c), math.Abs(l-c)))
		}
		return sum / float64(n)
	}
	switch name {
	case "atr50":
		return meanRange(50, i)
	case "atr_regime_id":
		var sorted []float64
		for k := max(14, i-5759); k <= i; k++ {
			sorted = append(sorted, meanRange(14, k))
		}
		slices.Sort(sorted)
		now := meanRange(14, i)
		switch {
		case now < slowQuantile(sorted, 0.33):
			return 0
		case now >= slowQuantile(sorted, 0.67):
			return 2
		}
		return 1
	case "atr_z":
		return meanRange(50, i)/(meanRange(200, i)+1e-8) - 1
	case "h1_trend":
		return slowTrend(x[:i+1], time.Hour)
	case "h4_trend":
		return slowTrend(x[:i+1], 4*time.Hour)
	case "trend_regime_tf24h":
		var closes []float64
		for _, b := range x[:i+1] {
			closes = append(closes, b.MidClose())
		}
		return (slowEMA(closes, 100) - slowEMA(closes[:len(closes)-288], 100)) / (meanRange(100, i) + 1e-8)
	case "wick_asym":
		o := (x[i].BidOpen + x[i].AskOpen) / 2
		h, l, c := x[i].MidHigh(), x[i].MidLow(), x[i].MidClose()
		return (h + l - math.Max(o, c) - math.Min(o, c)) / (h - l + 1e-8)
	}
	panic("no slow form of " + name)
}

func slowQuantile(sorted []float64, q float64) float64 {
	h := float64(q * float64(len(sorted)-1)) // rounded, or arm64 fuses it below
	k := int(h)
	return sorted[k] + float64((sorted[k+1]-sorted[k])*(h-float64(k)))
}

// slowEMA adds up the weights: (1-a)^n of the first value, a·(1-a)^k of the
// one k steps back.
func slowEMA(v []float64, span float64) float64 {
	a, weight, sum := 2/(span+1), 1.0, 0.0
	for k := len(v) - 1; k > 0; k-- {
		sum += weight * a * v[k]
		weight *= 1 - a
	}
	return sum + weight*v[0]
}

// slowTrend groups bars by the clock, drops the group of the last bar, and
// takes the last close of each other one.
func slowTrend(x []bars.Bar, period time.Duration) float64 {
	var order []time.Time
	closes := map[time.Time]float64{}
	for _, b := range x {
		start := time.Unix(0, b.TimeNS).UTC().Truncate(period)
		if _, ok := closes[start]; !ok {
			order = append(order, start)
		}
		closes[start] = b.MidClose()
	}
	var v []float64
	for _, start := range order[:len(order)-1] {
		v = append(v, closes[start])
	}
	return slowEMA(v, 12) - slowEMA(v, 26)
}
