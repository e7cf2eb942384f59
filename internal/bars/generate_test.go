package bars

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The digests stand for the bytes: a data set named synthetic:N,seed=S is
// the same for everyone, for ever. A change here needs another name.
func TestGenerateGolden(t *testing.T) {
	for _, test := range []struct {
		n    int64
		seed uint64
		want string
	}{
		{70_000, 1, "a6227e89df2d59aed93cc413f6b307afbddbfa1570e1a2caf5f3d8832e9062bd"},
		{70_000, 7, "d25758cc1a5e69aad491d089b07fb8fa03d77ab87455f8d344f8d81ccf6b8844"},
	} {
		if got := Digest(Generate(test.n, test.seed)); got != test.want {
			t.Errorf("synthetic:%d,seed=%d: digest %s, want %s", test.n, test.seed, got, test.want)
		}
	}
}

// The numbers are those that the authors' own C program prints for this
// seed.
func TestRandomIsSplitmix64(t *testing.T) {
	r := random(1234567)
	for i, want := range []uint64{
		6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
	} {
		if got := r.next(); got != want {
			t.Errorf("number %d: %d, want %d", i, got, want)
		}
	}
}

func TestNormal(t *testing.T) {
	r := random(5)
	const n = 200_000
	var sum, squares float64
	for range n {
		z := r.normal()
		sum, squares = sum+z, squares+z*z
	}
	// Five standard errors.
	if mean := sum / n; mean < -0.012 || mean > 0.012 {
		t.Errorf("mean %v, want 0", mean)
	}
	if v := squares / n; v < 0.985 || v > 1.015 {
		t.Errorf("variance %v, want 1", v)
	}
}

func TestGeneratePrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		m := rapid.Int64Range(1, 3000).Draw(t, "m")
		n := rapid.Int64Range(1, m).Draw(t, "n")
		long := Generate(m, seed)
		if int64(len(long)) != m {
			t.Fatalf("%d bars, want %d", len(long), m)
		}
		if !slices.Equal(Generate(n, seed), long[:n]) {
			t.Fatalf("%d bars are not the beginning of %d", n, m)
		}
	})
}

func TestGenerateSeedsDiffer(t *testing.T) {
	if a, b := Generate(100, 1), Generate(100, 2); slices.Equal(a, b) {
		t.Error("seeds 1 and 2 give the same bars")
	}
}

func TestGenerateRange(t *testing.T) {
	if n := len(Generate(-3, 1)); n != 1 {
		t.Errorf("%d bars for -3, want 1", n)
	}
}

// The last bar of the longest data set is still a valid time.
func TestGenerateLongestEndsInTime(t *testing.T) {
	m := newMarket(11)
	for range MaxSynthetic - 1 {
		m.step()
	}
	if m.timeNS >= maxTimeNS || m.timeNS < syntheticStartNS {
		t.Errorf("the last bar opens at %s, want before 2190", formatTime(m.timeNS))
	}
}

// Over years every bar is valid and the price stays near its middle. The
// bars are stepped, not stored.
func TestGenerateStaysValid(t *testing.T) {
	for seed := range uint64(3) {
		m := newMarket(seed)
		var c checker
		lowest, highest := math.Inf(1), 0.0
		for range 300_000 {
			b := m.bar()
			if err := c.next(&b); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			lowest, highest = min(lowest, b.BidLow), max(highest, b.AskHigh)
		}
		if lowest < 800 || highest > 4500 {
			t.Errorf("seed %d: prices from %v to %v, want them within 800 to 4500", seed, lowest, highest)
		}
	}
}

func TestGenerateCalendar(t *testing.T) {
	bars := Generate(80_000, 2)
	if got := bars[0].time(); !got.Equal(time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)) || got.Weekday() != time.Monday {
		t.Errorf("first bar %v, want Monday 2018-01-01 00:00 UTC", got)
	}
	gaps := make(map[time.Duration]int)
	for i := range bars {
		at := bars[i].time()
		closed := at.Hour() == 22 || at.Weekday() == time.Saturday ||
			(at.Weekday() == time.Friday && at.Hour() > 22) || (at.Weekday() == time.Sunday && at.Hour() < 23)
		if closed || at.Truncate(5*time.Minute) != at {
			t.Fatalf("bar %d opens at %v, when the market is closed", i, at)
		}
		if i > 0 {
			gaps[at.Sub(bars[i-1].time())]++
		}
	}
	weeks := int(bars[len(bars)-1].time().Sub(bars[0].time()) / (7 * 24 * time.Hour))
	day, week := time.Hour+5*time.Minute, 49*time.Hour+5*time.Minute
	if len(gaps) != 3 || gaps[week] != weeks && gaps[week] != weeks+1 || gaps[day]/gaps[week] != 4 {
		t.Errorf("distances %v in %d weeks, want 5m, four of %v and one of %v a week", gaps, weeks, day, week)
	}
	// "A year of M5 is about 70,000 bars."
	if n := Describe(bars).Years[0].Bars; n < 70_000 || n > 74_000 {
		t.Errorf("%d bars in 2018", n)
	}
}

// Rules on spread, ATR and market session must find bars on both sides.
func TestGenerateLooksLikeGold(t *testing.T) {
	bars := Generate(70_000, 7)
	type values struct{ atr, spread []float64 }
	sessions := make(map[string]*values)
	for i := 14; i < len(bars); i++ {
		sum := 0.0
		for j := i - 13; j <= i; j++ {
			before := bars[j-1].MidClose()
			sum += max(bars[j].MidHigh(), before) - min(bars[j].MidLow(), before)
		}
		name := "ASIA"
		switch h := bars[i].time().Hour(); {
		case h >= 7 && h < 12:
			name = "EU"
		case h >= 12 && h < 16:
			name = "OVERLAP"
		case h >= 16 && h < 22:
			name = "US"
		}
		if sessions[name] == nil {
			sessions[name] = new(values)
		}
		s := sessions[name]
		s.atr = append(s.atr, sum/14/bars[i].MidClose()*1e4)
		s.spread = append(s.spread, (bars[i].AskClose-bars[i].BidClose)/bars[i].BidClose*1e4)
	}
	for _, test := range []struct {
		session          string
		atrLow, atrHigh  float64 // the median lies between
		wideLow, wideTop float64 // the median spread lies between
	}{
		{"ASIA", 2, 3, 2.2, 3},
		{"EU", 3.5, 5, 1.4, 2},
		{"OVERLAP", 5, 8, 1.1, 1.7},
		{"US", 3.3, 5, 1.5, 2.3},
	} {
		s := sessions[test.session]
		slices.Sort(s.atr)
		slices.Sort(s.spread)
		at := func(v []float64, q float64) float64 { return v[int(q*float64(len(v)-1))] }
		if m := at(s.atr, 0.5); m < test.atrLow || m > test.atrHigh {
			t.Errorf("%s: median ATR %.2f bps, want %v to %v", test.session, m, test.atrLow, test.atrHigh)
		}
		if m := at(s.spread, 0.5); m < test.wideLow || m > test.wideTop {
			t.Errorf("%s: median spread %.2f bps, want %v to %v", test.session, m, test.wideLow, test.wideTop)
		}
		// Volatility clusters and spreads burst: the tails are long.
		if r := at(s.atr, 0.95) / at(s.atr, 0.05); r < 2 {
			t.Errorf("%s: the 95th part of ATR is only %.2f times the 5th", test.session, r)
		}
		if r := at(s.spread, 0.995) / at(s.spread, 0.5); r < 2 {
			t.Errorf("%s: the widest spreads are only %.2f times the median", test.session, r)
		}
	}
}
