package replay

import (
	"strings"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
)

// scaled are made-up bars at prices of another size.
func scaled(n int64, by float64) []bars.Bar {
	list := bars.Generate(n, 1)
	for i := range list {
		b := &list[i]
		for _, p := range []*float64{&b.BidOpen, &b.BidHigh, &b.BidLow, &b.BidClose, &b.AskOpen, &b.AskHigh, &b.AskLow, &b.AskClose} {
			*p *= by
		}
	}
	return list
}

// Four features divide by a range plus 1e-8. They are named where that is more
// than 1 % of the usual bar's range, and nowhere else.
func TestEpsilonFindings(t *testing.T) {
	all := []string{}
	for _, f := range feature.Known() {
		all = append(all, f.Name)
	}
	usual := usualRange(scaled(3000, 1)) // some dollars of gold
	for _, c := range []struct {
		name  string
		list  []bars.Bar
		want  []string
		share string
	}{
		{"gold", scaled(3000, 1), nil, ""},
		{"just small enough", scaled(3000, 1e-6/usual*1.001), nil, ""},
		{"2 % of the range", scaled(3000, 5e-7/usual), []string{"atr_z", "body_pct", "trend_regime_tf24h", "wick_asym"}, "which is 2 % of the usual bar's range, 5e-07"},
		{"prices of 1e-5", scaled(3000, 1e-5/2000), []string{"atr_z", "body_pct", "trend_regime_tf24h", "wick_asym"}, " % of the usual bar's range"},
		{"no range", scaled(3000, 0), []string{"atr_z", "body_pct", "trend_regime_tf24h", "wick_asym"}, "far more than all of the usual bar's range, 0"},
		{"no bars", nil, nil, ""},
	} {
		got := EpsilonFindings(all, c.list)
		if len(got) != len(c.want) {
			t.Errorf("%s: %v (want %v)", c.name, got, c.want)
			continue
		}
		for i, f := range got {
			if f.Level != LevelWarning || !strings.HasPrefix(f.Text, c.want[i]+" adds 1e-08 ") || !strings.Contains(f.Text, c.share) {
				t.Errorf("%s: %s %q (want %s, %q)", c.name, f.Level, f.Text, c.want[i], c.share)
			}
		}
	}
	if got := EpsilonFindings([]string{"roc20", "body_pct"}, scaled(3000, 1e-9)); len(got) != 1 {
		t.Errorf("%v (want body_pct's alone: the others are not the policy's)", got)
	}
}

// The table's epsilons are those of the formulas.
func TestEpsilonsAreTheFormulas(t *testing.T) {
	for _, f := range feature.Known() {
		if has := strings.Contains(f.Formula, "1e-8"); has != (f.Epsilon == 1e-8) {
			t.Errorf("%s: %s, and its epsilon is %v", f.Name, f.Formula, f.Epsilon)
		}
	}
}
