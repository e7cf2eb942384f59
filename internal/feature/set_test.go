package feature

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"

	"gx1replay/internal/bars"
)

func allNames() []string { return knownNames() }

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
	panic("no slow form of " + name)
}

func TestValuesAgainstTheFormulas(t *testing.T) {
	x := testBars(2600, 3)
	s := newSet(t, allNames()...)
	for i, b := range x {
		s.Push(b)
		if !s.Ready() || i%7 != 0 {
			continue
		}
		for k, got := range s.Values() {
			name := s.used[k].Name
			want := slow(name, x, i)
			if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				t.Fatalf("bar %d: %s is %v (want %v)", i, name, got, want)
			}
		}
	}
}

// Each feature is ready exactly after its warm-up, and not one bar earlier.
func TestWarmup(t *testing.T) {
	x := testBars(2100, 4)
	for _, d := range Known() {
		s := newSet(t, d.Name)
		if s.Warmup() != d.Warmup {
			t.Errorf("%s: Warmup %d (want %d)", d.Name, s.Warmup(), d.Warmup)
		}
		for i, b := range x {
			s.Push(b)
			if want := int64(i) >= d.Warmup; s.Ready() != want {
				t.Fatalf("%s: Ready %v at bar %d", d.Name, s.Ready(), i)
			}
			if s.Ready() {
				s.Values() // reaches no bar that was not pushed
			}
		}
	}
}

// A set that starts Lookback bars before a bar gives the same bits there as
// one that has seen all of history; an EMA forgets its start to 1e-8.
func TestLookbackIsEnough(t *testing.T) {
	x := testBars(6000, 5)
	for _, d := range Known() {
		whole, late := newSet(t, d.Name), newSet(t, d.Name)
		const at = 4000
		start := at - int(late.Lookback())
		for i, b := range x[:at+200] {
			whole.Push(b)
			if i < start {
				continue
			}
			late.Push(b)
			if i < at {
				continue
			}
			got, want := late.Values()[0], whole.Values()[0]
			if strings.Contains(d.Name, "ema") {
				if scale := 2000.0; math.Abs(got-want) > 1e-8*scale {
					t.Fatalf("%s at bar %d: %v (want %v to 1e-8 of the price)", d.Name, i, got, want)
				}
			} else if math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s at bar %d: %v (want %v)", d.Name, i, got, want)
			}
			a, aok := late.ATRBps()
			w, wok := whole.ATRBps()
			if a != w || aok != wok {
				t.Fatalf("ATRBps at bar %d: %v %v (want %v %v)", i, a, aok, w, wok)
			}
		}
	}
}

// No value depends on a later bar.
func TestCausality(t *testing.T) {
	x := testBars(2300, 6)
	y := append([]bars.Bar{}, x...)
	for i := 2200; i < len(y); i++ {
		y[i].AskClose *= 2
		y[i].AskHigh *= 2
		y[i].BidLow /= 2
	}
	a, b := newSet(t, allNames()...), newSet(t, allNames()...)
	differ := false
	for i := range x {
		a.Push(x[i])
		b.Push(y[i])
		if !a.Ready() {
			continue
		}
		for k, v := range a.Values() {
			same := v == b.Values()[k]
			if i < 2200 && !same {
				t.Fatalf("%s at bar %d changed with a later bar", a.used[k].Name, i)
			}
			differ = differ || !same
		}
	}
	if !differ {
		t.Error("the changed bars changed nothing: the test sees nothing")
	}
}

// The bits of every value are the same on every machine. The digest was made
// on amd64 with GOAMD64=v1; v3 and arm64 fuse products where they may.
func TestGoldenBits(t *testing.T) {
	const want = "182970515679dd47a4d143eee2c2716409608198e9edb041fa5edc36b4a6dd95"
	s := newSet(t, allNames()...)
	sum := sha256.New()
	var word [8]byte
	for _, b := range testBars(5000, 7) {
		s.Push(b)
		if !s.Ready() {
			continue
		}
		for _, v := range s.Values() {
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
			sum.Write(word[:])
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("digest %s (want %s)", got, want)
	}
}

func TestHandComputed(t *testing.T) {
	// Bars that only a person could like: bid = ask-2, mid close 101 then 103.
	at := func(open, high, low, close float64) bars.Bar {
		return bars.Bar{
			BidOpen: open - 1, BidHigh: high - 1, BidLow: low - 1, BidClose: close - 1,
			AskOpen: open + 1, AskHigh: high + 1, AskLow: low + 1, AskClose: close + 1,
		}
	}
	s := newSet(t, "atr14", "range_pos", "spread_bps", "body_pct", "roc20")
	for range 20 {
		s.Push(at(101, 102, 100, 101)) // TR 2
	}
	s.Push(at(106, 110, 105, 109)) // gap up: TR = 110 - 101 = 9
	if !s.Ready() {
		t.Fatal("not ready after 21 bars")
	}
	want := []float64{
		(13*2 + 9) / 14.0,        // 13 bars of 2, one of 9
		(109 - 100) / 10.0,       // low 100, high 110
		2.0 / 108 * 1e4,          // bid close 108
		(109 - 106) / (5 + 1e-8), // range 5
		109.0/101 - 1,            // 20 bars back
	}
	for k, got := range s.Values() {
		if math.Abs(got-want[k]) > 1e-12*math.Abs(want[k]) {
			t.Errorf("%s is %v (want %v)", s.used[k].Name, got, want[k])
		}
	}
	flat := newSet(t, "range_pos")
	for range 20 {
		flat.Push(at(100, 100, 100, 100))
	}
	if got := flat.Values()[0]; got != 0.5 {
		t.Errorf("range_pos of a flat market: %v (want 0.5)", got)
	}
}

func TestGateInputs(t *testing.T) {
	s := newSet(t)
	if _, ok := s.SpreadBps(); ok {
		t.Error("SpreadBps is known before the first bar")
	}
	x := testBars(20, 8)
	for i, b := range x {
		s.Push(b)
		atr, ok := s.ATRBps()
		if ok != (i >= 14) {
			t.Fatalf("ATRBps known %v at bar %d", ok, i)
		}
		if ok && math.Abs(atr-slow("atr_bps", x, i)) > 1e-9 {
			t.Errorf("ATRBps %v at bar %d (want %v)", atr, i, slow("atr_bps", x, i))
		}
		if spread, ok := s.SpreadBps(); !ok || math.Abs(spread-slow("spread_bps", x, i)) > 1e-9 {
			t.Errorf("SpreadBps %v %v at bar %d", spread, ok, i)
		}
	}
	s.Push(bars.Bar{})
	if _, ok := s.SpreadBps(); ok {
		t.Error("SpreadBps is known without a bid")
	}
}

func TestNewErrors(t *testing.T) {
	table, err := NewSessionTable(defaultSessions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New([]string{"rsi14"}, table); err == nil || !strings.Contains(err.Error(), `"rsi14" is unknown (want some of atr14, atr_bps, body_pct,`) {
		t.Errorf("an unknown feature: %v", err)
	}
	if _, err := New([]string{"roc20", "roc20"}, table); err == nil || !strings.Contains(err.Error(), "roc20 stands there twice") {
		t.Errorf("a feature named twice: %v", err)
	}
	if _, err := New(nil, SessionTable{}); err == nil {
		t.Error("no market sessions: no error")
	}
}

func TestNoAllocationPerBar(t *testing.T) {
	s := newSet(t, allNames()...)
	x := testBars(3000, 9)
	for _, b := range x {
		s.Push(b)
	}
	i := 0
	if n := testing.AllocsPerRun(2000, func() {
		s.Push(x[i%len(x)])
		s.ATRBps()
		s.Values()
		i++
	}); n != 0 {
		t.Errorf("%v allocations a bar (want 0)", n)
	}
}

// The page for users has a row for each feature, with its warm-up.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Known() {
		row := "| `" + d.Name + "` | " + d.Formula + " | " + d.Unit + " | "
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/engine.md has no row that starts with %q", row)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := newSet(b, allNames()...)
	x := testBars(4096, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Push(x[i&4095])
		if s.Ready() {
			s.Values()
		}
	}
}
