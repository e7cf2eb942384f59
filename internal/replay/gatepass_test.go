package replay

import (
	"errors"
	"iter"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/trade"
)

// One pass over the bars finds the same skips as a replay that records every
// decision.
func TestSkippedBarsAreThoseOfAReplay(t *testing.T) {
	for _, n := range []int{1, 49, 300, 2*blockBars + 7, 6000} {
		for _, warmup := range []int64{0, 400} {
			src := InMemory(testBars(n, 1))
			job := testJob(int64(n))
			job.Policy.WarmupBars = warmup
			job.Decisions = true
			want := mustRun(t, job, src)
			got, err := SkippedBars(job.Policy, int64(n), each(src))
			if err != nil {
				t.Fatal(err)
			}
			decisions := want.Decisions.Reader()
			for bar := range int64(n) {
				d, _ := decisions.Next()
				skips := d.Decision >= trade.DecisionSkipSession && d.Decision <= trade.DecisionSkipATRHigh
				if got.Has(bar) != skips {
					t.Fatalf("%d bars, bar %d: skipped %t (want %t)", n, bar, got.Has(bar), skips)
				}
			}
			if got.Count(0, int64(n)) != want.Footer.PregateSkips {
				t.Errorf("%d bars: %d skipped (want %d)", n, got.Count(0, int64(n)), want.Footer.PregateSkips)
			}
			if n == 6000 && want.Footer.PregateSkips == 0 {
				t.Error("the gate skips nothing: the test says little")
			}
		}
	}
}

func TestSkippedBarsRefusesOtherBars(t *testing.T) {
	job := testJob(100)
	src := InMemory(testBars(100, 1))
	all := each(src)
	for name, n := range map[string]int64{"too few": 101, "too many": 99} {
		if _, err := SkippedBars(job.Policy, n, all); !errors.Is(err, ErrSource) {
			t.Errorf("%s: %v (want ErrSource)", name, err)
		}
	}
	broken := errors.New("broken")
	var failing iter.Seq2[bars.Bar, error] = func(yield func(bars.Bar, error) bool) { yield(bars.Bar{}, broken) }
	if _, err := SkippedBars(job.Policy, 100, failing); !errors.Is(err, broken) {
		t.Errorf("%v (want the source's error)", err)
	}
	job.Policy.Pregate.Enabled = false
	if set, err := SkippedBars(job.Policy, 100, failing); err != nil || set.Bars() != 0 {
		t.Errorf("without a gate: %d bars, %v (want none, and nothing read)", set.Bars(), err)
	}
}
