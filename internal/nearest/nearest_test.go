package nearest

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"exit", "exit", 0}, {"exitt", "exit", 1}, {"exti", "exit", 1}, {"target_bp", "target_bps", 1},
		{"exit", "risk", 4}, {"mode", "model", 1}, {"replay", "relpay", 1}, {"abcd", "badc", 2},
	} {
		if got := Distance(c.a, c.b); got != c.want || Distance(c.b, c.a) != got {
			t.Errorf("%q, %q: %d and %d (want %d)", c.a, c.b, got, Distance(c.b, c.a), c.want)
		}
	}
}

func TestOf(t *testing.T) {
	names := []string{"exit", "entry", "target_bps"}
	for word, want := range map[string]string{"exitt": "exit", "target": "", "target_bp": "target_bps", "enrty": "entry", "zebra": "", "": ""} {
		if got := Of(word, names); got != want {
			t.Errorf("%q: %q (want %q)", word, got, want)
		}
	}
}
