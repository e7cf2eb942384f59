package judge_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gx1replay/internal/judge"
	"gx1replay/internal/run"
)

// chunkOf is a chunk whose counters after n bars are n calls and n·price
// nanoseconds, with checkpoints at multiples of grid and at its end.
func chunkOf(first, end, grid, price int64, whole bool) judge.Chunk {
	c := judge.Chunk{First: first, Whole: whole}
	add := func(bar int64) {
		c.Checkpoints = append(c.Checkpoints, judge.Checkpoint{
			Bar: bar, Counters: judge.Counters{Calls: bar - first, WallNS: price * (bar - first)},
		})
	}
	for bar := first + 1; bar < end; bar++ {
		if grid > 0 && bar%grid == 0 {
			add(bar)
		}
	}
	if end > first {
		add(end)
	}
	return c
}

func TestCommon(t *testing.T) {
	builtin := func(chunks ...judge.Chunk) judge.Coverage { return judge.Coverage{Chunks: chunks} }
	command := func(chunks ...judge.Chunk) judge.Coverage { return judge.Coverage{Command: true, Chunks: chunks} }
	type piece struct {
		first, end int64 // with counters
		whole      bool
		times      bool
		apart      string
	}
	for _, c := range []struct {
		name   string
		runs   []judge.Coverage
		ranges []run.BarRange
		pieces []piece
	}{
		{name: "no runs"},
		{
			"whole chunks without checkpoints",
			[]judge.Coverage{builtin(chunkOf(0, 10, 0, 1, true), chunkOf(10, 20, 0, 1, true)), builtin(chunkOf(0, 10, 0, 2, true), chunkOf(10, 20, 0, 2, true))},
			[]run.BarRange{{First: 0, End: 20}},
			[]piece{{first: 0, end: 10, whole: true}, {first: 10, end: 20, whole: true}},
		},
		{
			"a chunk that one run has not begun",
			[]judge.Coverage{builtin(chunkOf(0, 10, 0, 1, true), chunkOf(10, 10, 0, 1, false), chunkOf(20, 30, 0, 1, true)), builtin(chunkOf(0, 10, 0, 2, true), chunkOf(10, 20, 0, 2, true), chunkOf(20, 30, 0, 2, true))},
			[]run.BarRange{{First: 0, End: 10}, {First: 20, End: 30}},
			[]piece{{first: 0, end: 10, whole: true}, {first: 20, end: 30, whole: true}},
		},
		{
			"cut at the last checkpoint of both",
			[]judge.Coverage{builtin(chunkOf(0, 5000, 64, 1, false)), builtin(chunkOf(0, 6000, 128, 2, false))},
			[]run.BarRange{{First: 0, End: 5000}},
			[]piece{{first: 0, end: 4992}},
		},
		{
			"a cut piece of the engine is long",
			[]judge.Coverage{builtin(chunkOf(0, 2047, 64, 1, false)), builtin(chunkOf(0, 6000, 64, 2, false))},
			[]run.BarRange{{First: 0, End: 2047}},
			[]piece{{first: 0, end: 1984, apart: judge.ApartShort}},
		},
		{
			"no checkpoint at the cut",
			[]judge.Coverage{builtin(chunkOf(0, 5000, 0, 1, false)), builtin(chunkOf(0, 6000, 64, 2, false))},
			[]run.BarRange{{First: 0, End: 5000}},
			[]piece{{first: 0, end: 0, apart: judge.ApartNoCheckpoint}},
		},
		{
			"other plans: pieces begin inside a chunk",
			[]judge.Coverage{builtin(chunkOf(0, 10_000, 64, 1, true)), builtin(chunkOf(0, 5000, 64, 2, true), chunkOf(5000, 10_000, 64, 2, true))},
			[]run.BarRange{{First: 0, End: 10_000}},
			[]piece{{first: 0, end: 4992}, {first: 5056, end: 10_000}},
		},
		{
			"a command's cut piece holds two reports",
			[]judge.Coverage{command(chunkOf(0, 9, 4, 1, false)), command(chunkOf(0, 20, 4, 2, true))},
			[]run.BarRange{{First: 0, End: 9}},
			[]piece{{first: 0, end: 8}},
		},
		{
			"a command's cut piece with one report",
			[]judge.Coverage{command(chunkOf(0, 7, 4, 1, false)), command(chunkOf(0, 20, 4, 2, true))},
			[]run.BarRange{{First: 0, End: 7}},
			[]piece{{first: 0, end: 4, apart: judge.ApartShort}},
		},
		{
			"times of a command between two reports that are near",
			[]judge.Coverage{command(chunkOf(0, 101, 0, 1, false)), command(chunkOf(0, 200, 7, 2, true))},
			[]run.BarRange{{First: 0, End: 101}},
			[]piece{{first: 0, end: 101, times: true}},
		},
		{
			"reports that are too far apart",
			[]judge.Coverage{command(chunkOf(0, 101, 0, 1, false)), command(chunkOf(0, 200, 20, 2, true))},
			[]run.BarRange{{First: 0, End: 101}},
			[]piece{{first: 0, end: 0, apart: judge.ApartNoCheckpoint}},
		},
		{
			"three runs",
			[]judge.Coverage{builtin(chunkOf(0, 8000, 64, 1, true)), builtin(chunkOf(0, 6000, 64, 1, false)), builtin(chunkOf(0, 7000, 512, 1, false))},
			[]run.BarRange{{First: 0, End: 6000}},
			[]piece{{first: 0, end: 5632}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judge.Common(c.runs)
			if !slices.Equal(got.Ranges, c.ranges) {
				t.Errorf("ranges %v (want %v)", got.Ranges, c.ranges)
			}
			var pieces []piece
			for _, p := range got.Pieces {
				pieces = append(pieces, piece{p.Bars.First, p.Bars.End, p.Whole, p.TimesOnly, p.Apart})
				for i, n := range p.Counters {
					price := int64(i + 1)
					if len(c.runs) == 3 {
						price = 1
					}
					if bars := p.Bars.End - p.Bars.First; n.WallNS != bars*price || !p.TimesOnly && n.Calls != bars {
						t.Errorf("run %d counts %+v over %d bars", i, n, bars)
					}
				}
			}
			if !slices.Equal(pieces, c.pieces) {
				t.Errorf("pieces %+v (want %+v)", pieces, c.pieces)
			}
		})
	}
}

// The common bars of random runs are those that a set of bars gives, and pieces
// lie in them, in order, without touching each other's bars.
func TestCommonIsTheIntersection(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		bars := int64(1 + rng.IntN(300))
		runs := make([]judge.Coverage, 2+rng.IntN(2))
		count := make([]int, bars)
		for i := range runs {
			runs[i].Command = rng.IntN(2) == 0
			for first := int64(0); first < bars; {
				end := min(bars, first+1+rng.Int64N(80))
				upTo, whole := end, true
				if rng.IntN(2) == 0 {
					upTo, whole = first+rng.Int64N(end-first+1), false
				}
				for bar := first; bar < upTo; bar++ {
					count[bar]++
				}
				runs[i].Chunks = append(runs[i].Chunks, chunkOf(first, upTo, int64(1)<<rng.IntN(5), 3, whole))
				first = end
			}
		}
		got := judge.Common(runs)
		in := make([]bool, bars)
		var n int64
		for _, r := range got.Ranges {
			for bar := r.First; bar < r.End; bar++ {
				in[bar] = true
				n++
			}
		}
		for bar := range bars {
			if want := count[bar] == len(runs); in[bar] != want {
				t.Fatalf("bar %d common: %v (want %v)", bar, in[bar], want)
			}
		}
		if n != got.Bars {
			t.Fatalf("%d common bars (want %d)", got.Bars, n)
		}
		var end, pieces int64
		for _, p := range got.Pieces {
			if p.Common.First < end || p.Bars.First < p.Common.First || p.Bars.End > p.Common.End {
				t.Fatalf("piece %+v behind bar %d", p, end)
			}
			end = p.Common.End
			pieces += p.Common.End - p.Common.First
		}
		if pieces != got.Bars {
			t.Fatalf("the pieces have %d bars (want %d)", pieces, got.Bars)
		}
	}
}
