package cuts_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
	"gx1replay/test/testsize"

	"pgregory.net/rapid"
)

// wholeVariable names the data (synthetic:BARS, or the absolute path of a file)
// on which TestAnyCut tries every way to cut, up to a thousand chunks. That
// takes a minute, with -race many.
const wholeVariable = "GX1R_CUTS"

// ways are the runs that have to come to one outcome: everything for every
// number of chunks, or a part of it.
func ways(t *testing.T, whole bool) (data string, list []cut) {
	chunks := testsize.Of(t, []int{7}, []int{1, 2, 3, 7, 64})
	data = "synthetic:6000"
	if whole {
		data, chunks = os.Getenv(wholeVariable), []int{1, 2, 3, 7, 64, 501, 1000}
	}
	for _, n := range chunks {
		for i, follow := range []int64{0, 3, 5760} {
			for k, order := range []run.Order{run.OrderTime, run.OrderSpread} {
				for j, workers := range []int{1, 3} {
					// Otherwise each follow_bars in one of the four ways, in turn, and
					// many chunks, which take longest, once.
					if whole || (n+i+k+2*j)%4 == 0 && (n <= 64 || i == 1) {
						list = append(list, cut{n, workers, order, follow})
					}
				}
			}
		}
	}
	return data, list
}

// However a run is cut and done, its files and counters are those of one
// chunk, on each policy; and the policies are such that this is not easy.
func TestAnyCut(t *testing.T) {
	data, list := ways(t, os.Getenv(wholeVariable) != "")
	set, err := bars.Open(data, bars.ReadOptions{})
	must(t, err)
	for _, name := range policies {
		t.Run(name, func(t *testing.T) {
			// Slices that are short against the data, so that chunks go on from
			// states.
			s := newStudy(t, name, set.Bars, 2048)
			want := s.do(t, cut{1, 1, run.OrderTime, s.data.Bars})
			for _, c := range list {
				got := s.do(t, c)
				if got.outcome != want.outcome {
					t.Errorf("%v:\n%+v\none chunk:\n%+v", c, got.outcome, want.outcome)
				}
				judgeDifficulty(t, s, name, c, got)
			}
			t.Logf("%d bars, %d signals, %d trades, %d open at the end: trades file %s",
				want.bars, len(want.signals), want.taken.Len(), open(want), want.csv)
		})
	}
}

// judgeDifficulty says whether the run was what its policy is for.
func judgeDifficulty(t *testing.T, s *study, name string, c cut, d done) {
	t.Helper()
	plan, err := run.NewPlan(s.data.Bars, c.chunks, 0, c.order)
	must(t, err)
	inTrade, onWay, most := s.atBorders(plan, d)
	borders, n := 0, len(d.signals) // borders behind warm-up
	for i := 1; i < plan.Chunks; i++ {
		if n > 0 && plan.Chunk(i).Bars.First > d.signals[0].Bar {
			borders++
		}
	}
	switch name {
	case "sparse":
		if d.taken.Len() < 10 || int64(n) > s.data.Bars/10 {
			t.Errorf("%v: %d trades of %d signals on %d bars are not sparse, or none", c, d.taken.Len(), n, s.data.Bars)
		}
	case "dense":
		// In the bar in which a trade ends the next one is signalled: it is
		// pending if that is the last of a chunk.
		if ready := s.data.Bars - d.warmup; int64(n) < ready-ready/100 {
			t.Errorf("%v: %d signals on %d bars (want one on nearly each)", c, n, s.data.Bars)
		}
		if onWay != borders || most > 1 || 2*inTrade < borders {
			t.Errorf("%v: trades on their way across %d of %d borders (want all), entered before %d of them (want half or more), at most %d at a time (want 1)",
				c, onWay, borders, inTrade, most)
		}
		if c.follow == 0 && d.finished < borders {
			t.Errorf("%v: %d signals were followed on after their chunks (want %d or more)", c, d.finished, borders)
		}
	case "charged":
		swapped, credited := 0, 0
		for sig := range d.taken.Closed(d.signals) {
			switch x := trade.Charge(s.policy.Costs, sig); {
			case x.SwapBps > 0:
				swapped++
			case x.SwapBps < 0:
				credited++
			}
		}
		if swapped < 5 || credited < 5 {
			t.Errorf("%v: %d trades pay for nights, %d are paid (want five each)", c, swapped, credited)
		}
	case "ten":
		if most > 10 || borders > 2 && most < 8 {
			t.Errorf("%v: at most %d trades are open at a border (want 8 to 10)", c, most)
		}
		if borders > 0 && d.finished == 0 {
			t.Errorf("%v: no signal was followed on after its chunk", c)
		}
	}
}

// atBorders looks at the taken trades where chunks meet: before how many
// borders a trade was entered that ends behind it, across how many one is on
// its way from signal to exit, and how many of these at most.
func (s *study) atBorders(plan run.Plan, d done) (inTrade, onWay, most int) {
	var taken []*trade.Signal
	for i := range d.taken.All() {
		taken = append(taken, &d.signals[i])
	}
	for i := 1; i < plan.Chunks; i++ {
		border := plan.Chunk(i).Bars.First
		entered, across := 0, 0
		for _, sig := range taken {
			if sig.Bar >= border {
				break
			}
			if !sig.Closed() || sig.ExitBar >= border {
				across++
				if sig.EntryBar < border {
					entered++
				}
			}
		}
		inTrade += min(entered, 1)
		onWay += min(across, 1)
		most = max(most, across)
	}
	return inTrade, onWay, most
}

func open(d done) int { return d.taken.Len() - len(slices.Collect(d.taken.Closed(d.signals))) }

// Borders need not be a plan's, chunks may be replayed in any order, states
// may be further or less far apart, and followers may give up after any number
// of bars.
func TestAnyBorders(t *testing.T) {
	testsize.All(t)
	const n = 4500 // the policy with all features trades from 3504 on
	data := bars.Generate(n, 3)
	slicings := []int64{100, 1024, n}
	whole, studies := map[string]outcome{}, map[string]*study{}
	for _, name := range policies {
		for _, slice := range slicings {
			studies[fmt.Sprint(name, slice)] = newStudy(t, name, data, slice)
		}
		whole[name] = studies[fmt.Sprint(name, n)].do(t, cut{1, 1, run.OrderTime, n}).outcome
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(policies).Draw(rt, "policy")
		s := studies[fmt.Sprint(name, rapid.SampledFrom(slicings).Draw(rt, "slice"))]
		at := rapid.SliceOfNDistinct(rapid.Int64Range(1, n-1), 0, 8, rapid.ID).Draw(rt, "borders")
		slices.SortFunc(at, cmp.Compare[int64])
		at = append(at, n)
		var chunks []run.Chunk
		first := int64(0)
		for i, end := range at {
			chunks = append(chunks, run.Chunk{Idx: i, Bars: run.BarRange{First: first, End: end}})
			first = end
		}
		order := make([]int, len(chunks))
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(rt, "order")
		c := cut{chunks: len(chunks), workers: 1, follow: rapid.Int64Range(0, 100).Draw(rt, "follow")}
		got, err := s.doChunks(t.Context(), chunks, order, c)
		if err != nil {
			rt.Fatal(err)
		}
		if got.outcome != whole[name] {
			rt.Fatalf("%+v\none chunk:\n%+v", got.outcome, whole[name])
		}
	})
}
