package execengine

import (
	"math/big"
	"strings"
	"testing"
)

// Numbers are read as their locale writes them.
func TestPlainNumber(t *testing.T) {
	const none = "none"
	for _, c := range []struct{ text, count, float, percent string }{
		{"0", "0", "0", "0"},
		{"512", "512", "512", "512"},
		{"9,5", "9.5", "9.5", "9.5"}, // no count: parseCounter refuses it
		{"9.5", "9.5", "9.5", "9.5"},
		{"12,34", "12.34", "12.34", "12.34"},
		// A separator before exactly three digits.
		{"1,234", "1234", "1234", "1.234"},
		{"12,345", "12345", "12345", "12.345"},
		{"1.234", "1234", "1.234", "1.234"},
		{"12.000", none, "12.000", "12.000"}, // 12 or 12,000
		{"12,000", "12000", "12000", "12.000"},
		{"0,500", "0.500", "0.500", "0.500"}, // no group begins with 0
		{"0.500", "0.500", "0.500", "0.500"},
		{"1234,567", "1234.567", "1234.567", "1234.567"}, // nor has four digits
		{"1,2345", "1.2345", "1.2345", "1.2345"},
		{",5", ".5", ".5", ".5"},
		// Both kinds: the last one is the decimal one.
		{"1,234.5", "1234.5", "1234.5", "1234.5"},
		{"1.234,5", "1234.5", "1234.5", "1234.5"},
		{"1,234,567.25", "1234567.25", "1234567.25", "1234567.25"},
		{"1.234.567,25", "1234567.25", "1234567.25", "1234567.25"},
		{"1,234.567", "1234.567", "1234.567", "1234.567"},
		{"12,34.5", none, none, none},
		{"1.2,3.4", none, none, none},
		{"1,234.567,8", none, none, none},
		// Several of one kind are groups.
		{"1,234,567", "1234567", "1234567", "1234567"},
		{"1.234.567", "1234567", "1234567", "1234567"},
		{"1,23,456", none, none, none},
		{"2026.11.30", none, none, none},
		// Other groups: blanks, narrow and unbreakable too, quotes, underscores.
		{"1 234", "1234", "1234", "1234"},
		{"1\u202f234\u202f567", "1234567", "1234567", "1234567"},
		{"1\u00a0234,5", "1234.5", "1234.5", "1234.5"},
		{"1'234.5", "1234.5", "1234.5", "1234.5"},
		{"1\u2019234", "1234", "1234", "1234"},
		{"12_345", "12345", "12345", "12345"},
		{"1_23", none, none, none},
		{"1 234_567", none, none, none},
		// Signs, exponents, and the end of a sentence.
		{"-1,5", "-1.5", "-1.5", "-1.5"},
		{"+7", "7", "7", "7"},
		{"1e3", "1e3", "1e3", none},
		{"1e", "1e", "1e", none}, // whoever parses it refuses it
		{"512,", "512", "512", "512"},
		{"512.", "512", "512", "512"},
		{"", none, none, none}, {",", none, none, none}, {"-", none, none, none}, {"many", none, none, none}, {"0x10", none, none, none},
		{strings.Repeat("9", maxDigits+1), none, none, none},
	} {
		for kind, want := range map[numberKind]string{numberCount: c.count, numberFloat: c.float, numberPercent: c.percent} {
			got, ok := plainNumber(c.text, kind)
			if !ok {
				got = none
			}
			if got != want {
				t.Errorf("%q as kind %d is %s (want %s)", c.text, kind, got, want)
			}
		}
	}
}

// A comma in a percentage made ten times as much of it.
func TestPercentagesWithAComma(t *testing.T) {
	p := pattern(`(?P<percent>[\d.,]+) ?%`)
	for text, want := range map[string]int64{"9,5 %": 95, "9,5%": 95, "0,1 %": 1, "99,9 %": 999, "1,234 %": 12, "12,345 %": 123, "100,0 %": 1000, "9.5 %": 95} {
		r, ok := p.Match([]byte(text), 1000)
		if !ok || r.Footer.BarsProcessed != want {
			t.Errorf("%s of 1000 bars: %d, %v (want %d)", text, r.Footer.BarsProcessed, ok, want)
		}
	}
}

// An expression that finds a part of a number has found the number.
func TestPartsOfNumbers(t *testing.T) {
	for _, c := range []struct {
		expr, line string
		want       int64 // bars of 1000; -1: none
	}{
		{`(?P<bars>\d+) bars`, "1,234 bars", 1234},
		{`bars (?P<bars>\d+)`, "bars 1,234 done", 1234},
		{`bars (?P<bars>\d+)`, "bars 12, trades 3", 12},
		{`bars (?P<bars>\d+)`, "bars 1.234", -1},
		{`bars (?P<bars>\d+)`, "bars 512.0", 512},
		{`(?P<bars>\d+) bars`, "3.512 bars", -1},
		{`(?P<bars>\d+)/`, "bar 1,234/5,000", 1234},
		{`(?P<percent>[\d.]+) ?%`, "9,5 %", 95},
		{`(?P<percent>\d+)`, "9,5 %", 95},
		{`(?P<bars>\d*)x`, "x", -1},
	} {
		r, ok := pattern(c.expr).Match([]byte(c.line), 1000)
		got := r.Footer.BarsProcessed
		if !ok {
			got = -1
		}
		if got != c.want {
			t.Errorf("%s on %q: %d bars (want %d)", c.expr, c.line, got, c.want)
		}
	}
}

// What is read as a number has the digits of the text, in their order, and reads
// back as itself.
func FuzzPlainNumber(f *testing.F) {
	for _, text := range []string{"1,234.5", "1.234,5", "9,5", "1 234", "12.000", "-1_000", "1e9", ".", "1\u202f234"} {
		f.Add(text)
	}
	digitsOf := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []numberKind{numberCount, numberFloat, numberPercent} {
			plain, ok := plainNumber(text, kind)
			if !ok {
				continue
			}
			if digitsOf(plain) != digitsOf(text) || strings.Count(plain, ".") > 1 || strings.ContainsAny(plain, ",_' ") {
				t.Fatalf("%q is read as %q", text, plain)
			}
			if mantissa, _, has := strings.Cut(strings.ToLower(plain), "e"); !has {
				if _, ok := new(big.Rat).SetString(mantissa); !ok {
					t.Fatalf("%q is read as %q, which is no number", text, plain)
				}
			}
			if again, ok := plainNumber(plain, numberFloat); ok && again != plain {
				t.Fatalf("%q is read as %q, and that as %q", text, plain, again)
			}
		}
	})
}
