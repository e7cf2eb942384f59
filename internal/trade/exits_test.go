package trade

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes and goes, the trades that are open are those of a plain list.
func TestExits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x exits
		var list []exitOf
		bar := rapid.Int64Range(0, 1000).Draw(t, "first bar")
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "enter") {
				e := exitOf{
					bar:     bar + rapid.OneOf(rapid.Int64Range(-2, 70), rapid.Int64Range(0, 4*ringBars)).Draw(t, "exit"),
					side:    rapid.Int8Range(0, 1).Draw(t, "side"),
					unknown: rapid.IntRange(0, 3).Draw(t, "unknown") == 0,
				}
				x.push(e)
				list = append(list, e)
				continue
			}
			bar += rapid.OneOf(rapid.Int64Range(-3, 5), rapid.Int64Range(0, 2*ringBars)).Draw(t, "bars")
			last, sides, rest := int64(never), [2]int{}, []exitOf{}
			for _, e := range list {
				if e.bar >= bar {
					rest = append(rest, e)
					sides[e.side]++
				} else if !e.unknown {
					last = max(last, e.bar)
				}
			}
			list = rest
			if got := x.leave(bar); got != last || x.perSide != sides || x.len() != len(list) {
				t.Fatalf("before bar %d: last exit %d, open %v (want %d, %v)", bar, got, x.perSide, last, sides)
			}
		}
	})
}
