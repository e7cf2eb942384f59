package run

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewPlan(t *testing.T) {
	for _, tc := range []struct {
		name      string
		bars      int64
		chunks    int
		chunkBars int64
		order     Order
		want      Plan
		err       string
	}{
		{name: "even", bars: 70000, chunks: 7, order: OrderSpread, want: Plan{70000, 7, 0, OrderSpread, 0}},
		{name: "one bar", bars: 1, chunks: 1, order: OrderTime, want: Plan{1, 1, 0, OrderTime, 0}},
		{name: "more chunks than bars", bars: 3, chunks: 8, order: OrderTime, want: Plan{3, 3, 0, OrderTime, 0}},
		{name: "by length", bars: 10, chunkBars: 4, order: OrderTime, want: Plan{10, 3, 4, OrderTime, 0}},
		{name: "by length, chunks ignored", bars: 10, chunks: 99, chunkBars: 5, order: OrderTime, want: Plan{10, 2, 5, OrderTime, 0}},
		{name: "one chunk longer than the data", bars: 10, chunkBars: 11, order: OrderTime, want: Plan{10, 1, 11, OrderTime, 0}},
		{name: "most chunks", bars: 1 << 40, chunks: MaxChunks, order: OrderTime, want: Plan{1 << 40, MaxChunks, 0, OrderTime, 0}},
		{name: "no bars", bars: 0, chunks: 1, order: OrderTime, err: "got 0"},
		{name: "negative bars", bars: -1, chunks: 1, order: OrderTime, err: "got -1"},
		{name: "no chunks", bars: 5, chunks: 0, order: OrderTime, err: "0 chunks (want 1 to 1048576)"},
		{name: "too many chunks", bars: 5, chunks: MaxChunks + 1, order: OrderTime, err: "1048577 chunks"},
		{name: "too many by length", bars: MaxChunks + 1, chunkBars: 1, order: OrderTime, err: "make 1048577 chunks"},
		{name: "far too many by length", bars: math.MaxInt64, chunkBars: 1, order: OrderTime, err: "make 9223372036854775807 chunks"},
		{name: "negative length", bars: 5, chunkBars: -1, order: OrderTime, err: "-1 bars per chunk"},
		{name: "no order", bars: 5, chunks: 1, err: `order "" is unknown (want spread, time or sample)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := NewPlan(tc.bars, tc.chunks, tc.chunkBars, tc.order)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("%+v, %v, want %+v", got, err, tc.want)
			}
			if err := got.Validate(); err != nil {
				t.Fatalf("its own plan is refused: %v", err)
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, p := range []Plan{
		{},
		{Bars: 10, Order: OrderTime},
		{Bars: 10, Chunks: -1, Order: OrderTime},
		{Bars: 10, Chunks: 11, Order: OrderTime},
		{Bars: 10, Chunks: 4, ChunkBars: 4, Order: OrderTime},
		{Bars: 10, Chunks: 2, ChunkBars: -5, Order: OrderTime},
		{Bars: math.MaxInt64, Chunks: MaxChunks + 1, Order: OrderTime},
		{Bars: 10, Chunks: 2, Order: "backwards"},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
}

// drawPlan makes small, common and huge plans of both kinds.
func drawPlan(t *rapid.T) Plan {
	bars := rapid.OneOf(
		rapid.Int64Range(1, 40),
		rapid.Int64Range(1, 1_000_000),
		rapid.Int64Range(math.MaxInt64-40, math.MaxInt64),
	).Draw(t, "bars")
	order := rapid.SampledFrom(Orders()).Draw(t, "order")
	chunks, length := rapid.IntRange(1, 300).Draw(t, "chunks"), int64(0)
	if rapid.Bool().Draw(t, "by length") {
		// From lengths that make some 300 chunks to one longer than the data.
		least := bars/300 + 1
		length = rapid.OneOf(
			rapid.Int64Range(least, max(least, bars)),
			rapid.Int64Range(max(least, bars-3), bars),
			rapid.Just(int64(math.MaxInt64)),
		).Draw(t, "length")
	}
	p, err := NewPlan(bars, chunks, length, order)
	if err != nil {
		t.Fatalf("NewPlan(%d, %d, %d, %s): %v", bars, chunks, length, order, err)
	}
	return p
}

// Chunks hold every bar once, in order, none empty; even ones differ by at
// most one bar, and those of a given length have it, but for the last.
func TestChunksPartitionTheBars(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		next, least, most := int64(0), int64(math.MaxInt64), int64(0)
		for i := range p.Chunks {
			c := p.Chunk(i)
			if c.Idx != i || c.Bars.First != next || c.Bars.End <= c.Bars.First {
				t.Fatalf("chunk %d of %+v is %+v, want a range from %d on", i, p, c, next)
			}
			if p.ChunkBars > 0 && i < p.Chunks-1 && c.Bars.Len() != p.ChunkBars {
				t.Fatalf("chunk %d of %+v has %d bars", i, p, c.Bars.Len())
			}
			least, most = min(least, c.Bars.Len()), max(most, c.Bars.Len())
			next = c.Bars.End
		}
		if next != p.Bars {
			t.Fatalf("the chunks of %+v end at %d", p, next)
		}
		if p.ChunkBars == 0 && most-least > 1 {
			t.Fatalf("chunks of %+v have %d to %d bars", p, least, most)
		}
		if p.ChunkBars > 0 && most > p.ChunkBars {
			t.Fatalf("a chunk of %+v has %d bars", p, most)
		}
	})
}

// Two chunks of nearly all the bars an int64 can count: the end of the second
// must not wrap around.
func TestChunkOfHugeLength(t *testing.T) {
	p, err := NewPlan(math.MaxInt64, 0, math.MaxInt64-1, OrderTime)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Chunk(1).Bars, (BarRange{math.MaxInt64 - 1, math.MaxInt64}); got != want {
		t.Errorf("chunk 1 is %+v, want %+v", got, want)
	}
}

func TestPublishedIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		got := slices.Collect(p.Published())
		if p.Order == OrderTime && !slices.IsSorted(got) {
			t.Fatalf("%+v is published as %v", p, got)
		}
		slices.Sort(got)
		for i, idx := range got {
			if i != idx {
				t.Fatalf("%+v: sorted, place %d is chunk %d", p, i, idx)
			}
		}
		if len(got) != p.Chunks {
			t.Fatalf("%+v: %d chunks published", p, len(got))
		}
	})
}

// However early a run stops, what was published covers the whole period: of
// the first k chunks no two neighbours are further apart than twice the even
// distance, rounded up to a power of two.
func TestPublishedSpreadsEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "chunks")
		k := rapid.IntRange(1, n).Draw(t, "published")
		p, err := NewPlan(1000, n, 0, OrderSpread)
		if err != nil {
			t.Fatal(err)
		}
		var first []int
		for idx := range p.Published() {
			if first = append(first, idx); len(first) == k {
				break
			}
		}
		slices.Sort(first)
		width := 1
		for width < n {
			width *= 2
		}
		most := width // the distance that the published prefix guarantees
		for c := 1; 2*c <= k; c *= 2 {
			most /= 2
		}
		for i, idx := range append(first, n) {
			if i > 0 && idx-first[i-1] > most {
				t.Fatalf("%d of %d chunks published: %v leaves a hole after %d (want at most %d)", k, n, first, first[i-1], most)
			}
		}
	})
}

func TestPublishedOrder(t *testing.T) {
	for _, tc := range []struct {
		chunks int
		order  Order
		want   string
	}{
		{1, OrderSpread, "[0]"},
		{2, OrderSpread, "[0 1]"},
		{3, OrderSpread, "[0 2 1]"},
		{7, OrderSpread, "[0 4 2 6 1 5 3]"},
		{8, OrderSpread, "[0 4 2 6 1 5 3 7]"},
		{4, OrderTime, "[0 1 2 3]"},
	} {
		p := Plan{Bars: 100, Chunks: tc.chunks, Order: tc.order}
		if got := fmt.Sprint(slices.Collect(p.Published())); got != tc.want {
			t.Errorf("%d chunks by %s: %s, want %s", tc.chunks, tc.order, got, tc.want)
		}
	}
}

// Whoever stops reading the sequence early stops it.
func TestPublishedStopsEarly(t *testing.T) {
	for _, order := range []Order{OrderSpread, OrderTime} {
		n := 0
		for range (Plan{Bars: 100, Chunks: 10, Order: order}).Published() {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%s: %d read", order, n)
		}
	}
}

// A chunk's borders and its plan's size are enough for all borders, whichever rule
// cut them.
func TestPlansWith(t *testing.T) {
	for bars := int64(1); bars <= 60; bars++ {
		var plans []Plan
		for n := 1; n <= int(bars); n++ {
			for _, chunkBars := range []int64{0, int64(n)} {
				p, err := NewPlan(bars, n, chunkBars, OrderSpread)
				if err != nil {
					t.Fatal(err)
				}
				plans = append(plans, p)
			}
		}
		for _, p := range plans {
			for i := range p.Chunks {
				with := PlansWith(p.Chunk(i), p.Chunks, bars, OrderSpread)
				if !slices.Contains(with, p) && (p.ChunkBars == 0 || p.Chunks > 1) {
					t.Fatalf("%+v is not found by its chunk %d: %+v", p, i, with)
				}
				for _, q := range with {
					for k := range p.Chunks {
						if q.Chunk(k) != p.Chunk(k) {
							t.Fatalf("by chunk %d %+v is taken for %+v, which cuts chunk %d otherwise", i, p, q, k)
						}
					}
				}
			}
		}
	}
	for _, c := range []Chunk{{Idx: -1}, {Idx: 4, Bars: BarRange{First: 75, End: 100}}, {Idx: 1, Bars: BarRange{First: 7, End: 50}}, {Idx: 0}, {Idx: 2, Bars: BarRange{First: 60, End: 40}}} {
		if p := PlansWith(c, 4, 100, OrderSpread); p != nil {
			t.Errorf("%+v is taken for a chunk of %+v", c, p)
		}
	}
}

// The sample is a permutation that its seed alone decides, and each chunk is at
// each place about as often as any other.
func TestSampleIsRandomAndRepeatable(t *testing.T) {
	const chunks, runs = 7, 7000
	var at [chunks][chunks]int
	for i := range runs {
		p := Plan{Bars: 100, Chunks: chunks, Order: OrderSample, Seed: SampleSeed(ID(fmt.Sprintf("run_%d", i)))}
		first, again := slices.Collect(p.Published()), slices.Collect(p.Published())
		if !slices.Equal(first, again) {
			t.Fatalf("%v, then %v", first, again)
		}
		for place, chunk := range first {
			at[chunk][place]++
		}
	}
	for chunk, places := range at {
		for place, n := range places {
			if n < runs/chunks-150 || n > runs/chunks+150 { // five standard deviations
				t.Errorf("chunk %d was at place %d %d times (want about %d)", chunk, place, n, runs/chunks)
			}
		}
	}
	if p := (Plan{Bars: 100, Chunks: 9, Order: OrderSample, Seed: 1}); p.Validate() != nil || !slices.Equal(slices.Collect(p.Published()), []int{6, 1, 4, 2, 3, 7, 8, 0, 5}) {
		t.Errorf("seed 1 gives %v: runs of earlier versions would go on in another order", slices.Collect(p.Published()))
	}
}
