package feature

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
)

// rng is splitmix64: the same numbers on every machine.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *rng) below(n uint64) int64 { return int64(r.next() % n) }

// testBars makes n M5 bars of whole cents.
func testBars(n int, seed uint64) []bars.Bar {
	r := rng(seed)
	out := make([]bars.Bar, n)
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	mid := int64(200_000)
	for i := range out {
		open := mid
		closing := open + r.below(201) - 100
		high := max(open, closing) + r.below(60)
		low := min(open, closing) - r.below(60)
		spread := 10 + r.below(70)
		cents := func(c int64) float64 { return float64(c) / 100 }
		out[i] = bars.Bar{
			TimeNS:  start + int64(i)*int64(5*time.Minute),
			BidOpen: cents(open), BidHigh: cents(high), BidLow: cents(low), BidClose: cents(closing),
			AskOpen: cents(open + spread), AskHigh: cents(high + spread), AskLow: cents(low + spread), AskClose: cents(closing + spread),
			Volume: 1,
		}
		mid = closing + r.below(21) - 10
	}
	return out
}

func defaultSessions() []policy.MarketSession {
	return []policy.MarketSession{
		{Name: "ASIA", StartHour: 22, EndHour: 7},
		{Name: "EU", StartHour: 7, EndHour: 12},
		{Name: "OVERLAP", StartHour: 12, EndHour: 16},
		{Name: "US", StartHour: 16, EndHour: 22},
	}
}

// mustSessions is the default partition; the test of NewSessionTable knows it.
func mustSessions() SessionTable {
	table := NewSessionTable(defaultSessions())
	return table
}

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", path, got, want)
	}
}

func newSet(t testing.TB, names ...string) *Set {
	t.Helper()
	s, err := New(names, mustSessions())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
