package run

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// MaxChunks bounds a plan. It is far above any use and keeps a plan that came
// from the bus from allocating without bound.
const MaxChunks = 1 << 20

// BarRange is the half-open range [First, End) of bar indices of a data set.
type BarRange struct {
	First int64 `msgpack:"first" json:"first"`
	End   int64 `msgpack:"end" json:"end"`
}

// Len is the number of bars in r.
func (r BarRange) Len() int64 { return r.End - r.First }

// Chunk is a contiguous piece of the data set.
type Chunk struct {
	Idx  int
	Bars BarRange
}

// Order is the order in which a plan's chunks are published.
type Order string

const (
	// OrderSpread publishes chunks in bit-reversed order of time, so that a
	// run stopped at any moment has covered the whole period evenly.
	OrderSpread Order = "spread"
	// OrderTime publishes chunks in order of time.
	OrderTime Order = "time"
	// OrderSample publishes chunks in a uniformly random order, drawn from the
	// plan's seed, so that those which are begun first are a sample of all.
	OrderSample Order = "sample"
)

// Orders are all orders, the default first.
func Orders() []Order { return []Order{OrderSpread, OrderTime, OrderSample} }

// SampleSeed is the seed of a run's OrderSample: 53 bits, so that JSON keeps it.
func SampleSeed(id ID) uint64 {
	sum := sha256.Sum256([]byte("gx1 order " + string(id)))
	return binary.LittleEndian.Uint64(sum[:]) >> 11
}

// Plan is the rule that cuts a data set of Bars bars into chunks. It holds
// the rule and not the borders, so that it is small however many chunks there
// are. With ChunkBars > 0 every chunk has that many bars (the last one the
// rest); otherwise the bars are dealt as evenly as whole bars allow.
type Plan struct {
	Bars      int64 `msgpack:"bars" json:"bars"`
	Chunks    int   `msgpack:"chunks" json:"chunks"`
	ChunkBars int64 `msgpack:"chunk_bars" json:"chunk_bars"`
	Order     Order `msgpack:"order" json:"order"`
	// Seed is that of OrderSample; 0 in other orders.
	Seed uint64 `msgpack:"seed,omitempty" json:"seed,omitempty"`
}

// NewPlan makes the plan that cuts bars bars into the asked number of chunks,
// or, with chunkBars > 0, into chunks of that many bars (chunks is then
// ignored). More chunks than bars are reduced to one bar a chunk.
func NewPlan(bars int64, chunks int, chunkBars int64, order Order) (Plan, error) {
	switch {
	case bars < 1:
		return Plan{}, fmt.Errorf("a plan needs bars: got %d", bars)
	case !slices.Contains(Orders(), order):
		return Plan{}, fmt.Errorf("order %q is unknown (want %s, %s or %s)", order, OrderSpread, OrderTime, OrderSample)
	case chunkBars < 0:
		return Plan{}, fmt.Errorf("%d bars per chunk (want at least 1)", chunkBars)
	}
	if chunkBars > 0 {
		n := (bars-1)/chunkBars + 1
		if n > MaxChunks {
			return Plan{}, fmt.Errorf("%d bars in chunks of %d make %d chunks (at most %d)", bars, chunkBars, n, MaxChunks)
		}
		return Plan{Bars: bars, Chunks: int(n), ChunkBars: chunkBars, Order: order}, nil
	}
	if chunks < 1 || chunks > MaxChunks {
		return Plan{}, fmt.Errorf("%d chunks (want 1 to %d)", chunks, MaxChunks)
	}
	if int64(chunks) > bars {
		chunks = int(bars)
	}
	return Plan{Bars: bars, Chunks: chunks, Order: order}, nil
}

// Validate says whether p is a plan that NewPlan could have made; plans from
// the bus pass through it.
func (p Plan) Validate() error {
	want, err := NewPlan(p.Bars, max(p.Chunks, 1), p.ChunkBars, p.Order)
	if err != nil {
		return err
	}
	if p.Order == OrderSample {
		want.Seed = p.Seed
	}
	if want != p {
		return fmt.Errorf("plan %+v contradicts itself (want %+v)", p, want)
	}
	return nil
}

// Chunk returns chunk idx, 0 ≤ idx < p.Chunks. Chunks do not overlap and
// together hold every bar once.
func (p Plan) Chunk(idx int) Chunk {
	if p.ChunkBars > 0 {
		first := int64(idx) * p.ChunkBars
		return Chunk{Idx: idx, Bars: BarRange{First: first, End: first + min(p.ChunkBars, p.Bars-first)}}
	}
	return Chunk{Idx: idx, Bars: BarRange{First: p.border(idx), End: p.border(idx + 1)}}
}

// border is floor(i·Bars/Chunks) in 128 bits, so that no data set overflows.
func (p Plan) border(i int) int64 {
	hi, lo := bits.Mul64(uint64(i), uint64(p.Bars))
	q, _ := bits.Div64(hi, lo, uint64(p.Chunks))
	return int64(q)
}

// PlansWith are the plans of so many chunks and bars that cut chunk c as it is
// cut: at most one by each rule, the even one first. A chunk that no rule cuts
// has none.
func PlansWith(c Chunk, chunks int, bars int64, order Order) []Plan {
	if c.Idx < 0 || c.Idx >= chunks {
		return nil
	}
	chunkBars := c.Bars.Len()
	if last := c.Idx == chunks-1; last && c.Idx > 0 { // it has the rest
		chunkBars = c.Bars.First / int64(c.Idx)
	}
	var plans []Plan
	for _, rule := range []int64{0, chunkBars} {
		p, err := NewPlan(bars, chunks, rule, order)
		if err == nil && p.Chunks == chunks && p.Chunk(c.Idx) == c && !slices.Contains(plans, p) {
			plans = append(plans, p)
		}
	}
	return plans
}

// Published yields the chunk indices in the plan's order of publication, each
// once.
func (p Plan) Published() iter.Seq[int] {
	return func(yield func(int) bool) {
		if p.Order == OrderTime {
			for i := range p.Chunks {
				if !yield(i) {
					return
				}
			}
			return
		}
		if p.Order == OrderSample {
			for _, i := range p.sample() {
				if !yield(i) {
					return
				}
			}
			return
		}
		width := bits.Len(uint(p.Chunks - 1))
		if width == 0 {
			yield(0)
			return
		}
		for i := range 1 << width {
			r := int(bits.Reverse64(uint64(i)) >> (64 - width))
			if r < p.Chunks && !yield(r) {
				return
			}
		}
	}
}

// sample is the order of OrderSample: Fisher and Yates' shuffle (R. Durstenfeld,
// Algorithm 235, 1964) by PCG, whose numbers are the same in every release.
func (p Plan) sample() []int {
	list := make([]int, p.Chunks)
	for i := range list {
		list[i] = i
	}
	rng := rand.NewPCG(p.Seed, 0)
	for i := len(list) - 1; i > 0; i-- {
		j, _ := bits.Mul64(rng.Uint64(), uint64(i+1)) // uniform but for 2^-44
		list[i], list[j] = list[j], list[i]
	}
	return list
}
