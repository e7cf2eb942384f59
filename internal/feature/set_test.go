package feature

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gx1replay/internal/bars"
)

func allNames() []string { return knownNames() }

func TestValuesAgainstTheFormulas(t *testing.T) {
	for _, c := range []struct {
		name string
		x    []bars.Bar
	}{
		{"whole cents, no gaps", testBars(7000, 3)},
		{"generated, nights and week-ends", bars.Generate(8000, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSet(t, allNames()...)
			compared, regimes := 0, map[float64]int{}
			for i, b := range c.x {
				s.Push(b)
				if !s.Ready() || i%61 != 0 {
					continue
				}
				compared++
				for k, got := range s.Values() {
					name := s.used[k].Name
					want := slow(name, c.x, i)
					if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
						t.Fatalf("bar %d: %s is %v (want %v)", i, name, got, want)
					}
					if name == "atr_regime_id" {
						regimes[got]++
					}
				}
			}
			if compared < 40 || len(regimes) != 3 {
				t.Errorf("%d bars compared, regimes %v (want 40 or more, and three)", compared, regimes)
			}
		})
	}
}

// Each feature is ready exactly after its warm-up, and not one bar earlier.
func TestWarmup(t *testing.T) {
	x := testBars(4000, 4)
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

// H1 and H4 trends count completed bars, whatever the length of the data's.
func TestReadyOfTrendsOnOtherBars(t *testing.T) {
	x := testBars(6000, 4)
	for i := range x {
		x[i].TimeNS = x[0].TimeNS + int64(i)*int64(time.Hour)
	}
	for name, want := range map[string]int{"h1_trend": 78, "h4_trend": 4 * 78} {
		s := newSet(t, name)
		first := -1
		for i, b := range x {
			s.Push(b)
			if s.Ready() && first < 0 {
				first = i
			}
		}
		if first != want {
			t.Errorf("%s on H1 bars: first ready at bar %d (want %d)", name, first, want)
		}
	}
}

// A set that starts Lookback bars before a bar gives the same bits there as
// one that has seen all of history; an EMA forgets its start to 1e-8.
func TestLookbackIsEnough(t *testing.T) {
	const at = 13000
	x := testBars(at+100, 5)
	for _, d := range Known() {
		whole, late := newSet(t, d.Name), newSet(t, d.Name)
		if want := max(d.Lookback, atrBars); late.Lookback() != want || late.NeedsState() != d.Recursive {
			t.Errorf("%s: Lookback %d, NeedsState %v (want %d, %v)", d.Name, late.Lookback(), late.NeedsState(), want, d.Recursive)
		}
		start := at - int(late.Lookback())
		for i, b := range x {
			whole.Push(b)
			if i < start {
				continue
			}
			late.Push(b)
			if i < at {
				continue
			}
			if !late.Ready() {
				t.Fatalf("%s is not ready at bar %d", d.Name, i)
			}
			got, want := late.Values()[0], whole.Values()[0]
			if d.Recursive {
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

// No value depends on a later bar: two sets see the same bars up to a place,
// and there are the same, whatever one of them sees afterwards.
func TestCausality(t *testing.T) {
	const n = 4600
	x := bars.Generate(n, 6)
	var want [][]uint64
	s := newSet(t, allNames()...)
	for _, b := range x {
		s.Push(b)
		want = append(want, valueBits(s))
	}
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(3800, n-300).Draw(t, "from")
		factor := rapid.Float64Range(0.2, 5).Draw(t, "factor")
		jump := rapid.Int64Range(0, 100*int64(time.Hour)).Draw(t, "jump")
		s, err := New(allNames(), mustSessions())
		if err != nil {
			t.Fatal(err)
		}
		differ := false
		for i, b := range x {
			if i >= from {
				b = scaled(b, factor)
				b.TimeNS += jump
			}
			s.Push(b)
			same := slices.Equal(valueBits(s), want[i])
			if i < from && !same {
				t.Fatalf("bar %d changed with bar %d", i, from)
			}
			differ = differ || !same
		}
		if !differ && math.Abs(factor-1) > 0.01 {
			t.Error("the changed bars changed nothing: the test sees nothing")
		}
	})
}

func scaled(b bars.Bar, factor float64) bars.Bar {
	for _, p := range []*float64{&b.BidOpen, &b.BidHigh, &b.BidLow, &b.BidClose, &b.AskOpen, &b.AskHigh, &b.AskLow, &b.AskClose} {
		*p *= factor
	}
	return b
}

// valueBits are the bits of all that a set says of its last bar; nothing
// before it is ready.
func valueBits(s *Set) []uint64 {
	if !s.Ready() {
		return nil
	}
	atr, _ := s.ATRBps()
	spread, _ := s.SpreadBps()
	out := []uint64{math.Float64bits(atr), math.Float64bits(spread), uint64(s.Session())}
	for _, v := range s.Values() {
		out = append(out, math.Float64bits(v))
	}
	return out
}

// The bits of every value are the same on every machine. The digests were
// made on amd64 with GOAMD64=v1; v3 and arm64 fuse products where they may.
func TestGoldenBits(t *testing.T) {
	for _, c := range []struct {
		name  string
		names []string
		x     []bars.Bar
		want  string
	}{
		{
			"the first twelve",
			strings.Fields("atr14 atr_bps body_pct ema100_slope ema20_slope pos_vs_ema200 range_pos roc100 roc20 session_id spread_bps std50"),
			testBars(5000, 7),
			"182970515679dd47a4d143eee2c2716409608198e9edb041fa5edc36b4a6dd95",
		},
		{
			"all", allNames(), bars.Generate(9000, 7),
			"db27611bb101e5935fedcfc2a7640d9237b707201bdee1b0b0559d50fd519cc3",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSet(t, c.names...)
			sum := sha256.New()
			var word [8]byte
			for _, b := range c.x {
				s.Push(b)
				if !s.Ready() {
					continue
				}
				for _, v := range s.Values() {
					binary.LittleEndian.PutUint64(word[:], math.Float64bits(v))
					sum.Write(word[:])
				}
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != c.want {
				t.Errorf("digest %s (want %s)", got, c.want)
			}
		})
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
	s := newSet(t, "atr14", "range_pos", "spread_bps", "body_pct", "roc20", "wick_asym")
	for range 20 {
		s.Push(at(101, 102, 100, 101)) // TR 2
	}
	s.Push(at(107, 110, 105, 109)) // gap up: TR = 110 - 101 = 9
	if !s.Ready() {
		t.Fatal("not ready after 21 bars")
	}
	want := []float64{
		(13*2 + 9) / 14.0,        // 13 bars of 2, one of 9
		(109 - 100) / 10.0,       // low 100, high 110
		2.0 / 108 * 1e4,          // bid close 108
		(109 - 107) / (5 + 1e-8), // range 5
		109.0/101 - 1,            // 20 bars back
		(1 - 2) / (5 + 1e-8),     // 1 above the close, 2 below the open
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

// Bars of equal range: every ATR is both quantiles, which is high, as in the
// original (low is below, high is at or above). A wide bar is high, and makes
// the narrow ones after it low once less than a third of the ATRs are narrow.
func TestRegimeByHand(t *testing.T) {
	s := newSet(t, "atr_regime_id")
	push := func(n int, spread float64) {
		for range n {
			s.Push(bars.Bar{
				BidOpen: 100, BidHigh: 100 + spread, BidLow: 100 - spread, BidClose: 100,
				AskOpen: 100, AskHigh: 100 + spread, AskLow: 100 - spread, AskClose: 100,
			})
		}
	}
	push(14+2879, 1)
	if s.Ready() {
		t.Fatal("ready with 2879 ATRs")
	}
	push(1, 1)
	if !s.Ready() || s.Values()[0] != 2 {
		t.Errorf("2880 equal ATRs: ready %v, regime %v (want 2)", s.Ready(), s.Values()[0])
	}
	// 2880 ATRs of 2, then greater ones. Sorted, place 0.67·(n-1) comes to lie
	// behind the twos when they are less than two thirds, place 0.33·(n-1) not.
	push(2000, 2)
	push(14, 1)
	if got := s.Values()[0]; got != 1 {
		t.Errorf("narrow bars after 2000 wide ones: regime %v (want 1)", got)
	}
	// 5760 ATRs, 1434 of them 2, all others greater: only a quarter is not.
	push(2300, 2)
	push(14, 1)
	if got := s.Values()[0]; got != 0 {
		t.Errorf("a rare low value: regime %v (want 0)", got)
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
	table := NewSessionTable(defaultSessions())
	if _, err := New([]string{"rsi14"}, table); err == nil || !strings.Contains(err.Error(), `"rsi14" is unknown (want some of atr14, atr50, atr_bps, atr_regime_id, atr_z, body_pct,`) {
		t.Errorf("an unknown feature: %v", err)
	}
	if _, err := New([]string{"roc20", "roc20"}, table); err == nil || !strings.Contains(err.Error(), "roc20 appears twice") {
		t.Errorf("a feature named twice: %v", err)
	}
}

func TestNoAllocationPerBar(t *testing.T) {
	s := newSet(t, allNames()...)
	x := bars.Generate(9000, 9)
	for _, b := range x {
		s.Push(b)
	}
	i := 0
	if n := testing.AllocsPerRun(9000, func() {
		s.Push(x[i%len(x)])
		s.ATRBps()
		s.Values()
		i++
	}); n != 0 {
		t.Errorf("%v allocations a bar (want 0)", n)
	}
}

// The page for users has each feature as the code has it. New features may
// come to the page after the code; testdata/features.md has their rows.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/engine.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, d := range Known() {
		if !strings.Contains(string(page), "\n| `"+d.Name+"` |") {
			continue
		}
		shown++
		row := "| `" + d.Name + "` | " + d.Formula + " | " + d.Unit + " | "
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/engine.md has no row that starts with %q", row)
		}
	}
	if shown < 12 {
		t.Errorf("docs/engine.md has %d features (want the first 12 at least)", shown)
	}
	var table strings.Builder
	table.WriteString("| name | formula | unit | bars before | source |\n|---|---|---|---|---|\n")
	for _, d := range Known() {
		before := fmt.Sprint(d.Warmup)
		if strings.HasSuffix(d.Name, "_trend") {
			before += " of M5"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", d.Name, d.Formula, d.Unit, before, d.Source)
	}
	golden(t, "testdata/features.md", []byte(table.String()))
}

func BenchmarkSet(b *testing.B) {
	for _, c := range []struct {
		name  string
		names []string
	}{
		{"all", allNames()},
		{"six", []string{"atr_bps", "body_pct", "ema20_slope", "range_pos", "roc20", "session_id"}},
		{"regime", []string{"atr_regime_id"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newSet(b, c.names...)
			x := bars.Generate(1<<16, 1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Push(x[i&(1<<16-1)])
				if s.Ready() {
					s.Values()
				}
			}
		})
	}
}

func BenchmarkSkip(b *testing.B) {
	s := newSet(b, allNames()...)
	x := bars.Generate(1<<16, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Skip(x[i&(1<<16-1)])
	}
}
