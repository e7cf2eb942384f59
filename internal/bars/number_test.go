package bars

import (
	"strconv"
	"strings"
	"testing"
)

// The short way gives the same bits as strconv, or leaves the number to it.
func TestShortDecimal(t *testing.T) {
	rng := random(1)
	taken := 0
	for range 200_000 {
		digits := strconv.FormatUint(rng.next()%1e16, 10)
		at := int(rng.next() % uint64(len(digits)+2))
		text := digits
		if at <= len(digits) {
			text = digits[:at] + "." + digits[at:]
		}
		text = strings.Repeat("0", int(rng.next()%3)) + text
		v, ok := shortDecimal(text)
		want, err := strconv.ParseFloat(text, 64)
		if ok && (err != nil || v != want) {
			t.Fatalf("%s: %v, want %v, %v", text, v, want, err)
		}
		if ok {
			taken++
		}
	}
	if taken < 1000 {
		t.Errorf("only %d were taken", taken)
	}
	for _, text := range []string{"", ".", "-1", "+1", "1e5", "1_0", "0x1p1", "1.2.3", "1,2", " 1", "1234567890123456", "NaN"} {
		if v, ok := shortDecimal(text); ok {
			t.Errorf("%q: %v", text, v)
		}
	}
	for text, want := range map[string]float64{"1.": 1, ".5": 0.5, "0": 0, "123456789012345": 123456789012345, "0.00000000000001": 1e-14} {
		if v, ok := shortDecimal(text); !ok || v != want {
			t.Errorf("%q: %v, %v", text, v, ok)
		}
	}
}
