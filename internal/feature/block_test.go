package feature

import (
	"math"
	"slices"
	"testing"

	"gx1replay/internal/bars"
)

// A block is the same as its bars one by one, to the bit, wherever blocks
// begin, behind bars that were skipped, and behind a state.
func TestBlocks(t *testing.T) {
	x := bars.Generate(9000, 3)
	sets := [][]string{
		allNames(),
		{"atr_bps", "body_pct", "roc20", "range_pos", "session_id", "std50"},
		{"h4_trend", "std50", "wick_asym"},
	}
	for _, name := range allNames() { // alone it is ready the earliest
		sets = append(sets, []string{name})
	}
	for seed, names := range sets {
		for _, skip := range []int{0, 700} {
			one, some := newSet(t, names...), newSet(t, names...)
			if skip > 0 {
				for _, b := range x[:skip] {
					one.Skip(b)
				}
				if err := some.LoadState(one.AppendState(nil)); err != nil {
					t.Fatal(err)
				}
			}
			r := rng(seed)
			ready := 0
			for i := skip; i < len(x); {
				n := min(int(1+r.below(BlockBars)), len(x)-i)
				if r.below(4) == 0 {
					n = min(BlockBars, len(x)-i)
				}
				some.PushBlock(x[i : i+n])
				var want [][]float64
				var at []int32
				from := n
				for k := range n {
					one.Push(x[i+k])
					some.At(k)
					if one.Ready() != some.Ready() || one.Session() != some.Session() {
						t.Fatalf("bar %d: ready %v, session %d (want %v, %d)", i+k, some.Ready(), some.Session(), one.Ready(), one.Session())
					}
					sameValue(t, "spread", i+k, one.SpreadBps, some.SpreadBps)
					sameValue(t, "ATR", i+k, one.ATRBps, some.ATRBps)
					if !one.Ready() {
						continue
					}
					from = min(from, k)
					ready++
					v := slices.Clone(one.Values())
					sameRow(t, names, i+k, some.Values(), v)
					if r.below(3) > 0 {
						want, at = append(want, v), append(at, int32(k))
					}
				}
				if got := some.ReadyFrom(); got != from {
					t.Fatalf("bars %d to %d: ready from %d (want %d)", i, i+n, got, from)
				}
				rows := some.Rows(at)
				if len(rows) != len(at)*len(names) {
					t.Fatalf("%d values in %d rows", len(rows), len(at))
				}
				for j := range at {
					sameRow(t, names, i+int(at[j]), rows[j*len(names):(j+1)*len(names)], want[j])
				}
				i += n
			}
			if !slices.Equal(one.AppendState(nil), some.AppendState(nil)) || one.Seen() != some.Seen() {
				t.Errorf("the states differ after %d bars", len(x))
			}
			if ready < 1000 {
				t.Errorf("%d bars were ready", ready)
			}
		}
	}
}

func sameValue(t *testing.T, what string, bar int, one, some func() (float64, bool)) {
	t.Helper()
	a, haveA := one()
	b, haveB := some()
	if haveA != haveB || math.Float64bits(a) != math.Float64bits(b) {
		t.Fatalf("bar %d: %s %v, %v (want %v, %v)", bar, what, b, haveB, a, haveA)
	}
}

func sameRow(t *testing.T, names []string, bar int, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Fatalf("bar %d: %s is %v (want %v)", bar, names[i], got[i], want[i])
		}
	}
}
