package replay

import (
	"context"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
)

// The figures of docs/performance.md.

// speedGates are the gates that the engine is measured with, by the share of
// bars that pass.
func speedGates() []struct {
	name string
	gate policy.Pregate
} {
	return []struct {
		name string
		gate policy.Pregate
	}{
		{"most-skipped", policy.Pregate{Enabled: true, AllowSessions: []string{"EU", "OVERLAP", "US"}, MaxSpreadBps: ptr(3.5), MinATRBps: ptr(5.6), MaxATRBps: ptr(6.6)}},
		{"half-skipped", policy.Pregate{Enabled: true, AllowSessions: []string{"EU", "OVERLAP", "US"}, MaxSpreadBps: ptr(3.5), MaxATRBps: ptr(30)}},
		{"none-skipped", policy.Pregate{Enabled: true, MaxSpreadBps: ptr(100), MaxATRBps: ptr(100)}},
	}
}

func handOf(t testing.TB, p policy.Policy, n int) *hand {
	t.Helper()
	table := sessionTable(t)
	var hours [24]int
	for h := range hours {
		hours[h] = table.At(int64(h) * 3600e9)
	}
	allowed, err := table.Allow("", p.Pregate.AllowSessions)
	if err != nil {
		t.Fatal(err)
	}
	return newHand(p, hours, allowed, n)
}

// sameWork holds what the loops found against the engine's.
func sameWork(t testing.TB, h *hand, res Result) {
	t.Helper()
	if h.passes != res.Footer.PregatePasses || h.signals != int64(len(res.Signals)) || h.signals == 0 {
		t.Fatalf("by hand %d bars pass and %d have a signal (the engine: %d, %d)", h.passes, h.signals, res.Footer.PregatePasses, len(res.Signals))
	}
}

// The loops that the engine is measured against do the same work.
func TestHandLoops(t *testing.T) {
	const n = 30_000
	data := testBars(n, 1)
	for _, g := range speedGates() {
		job := testJob(n)
		job.Policy = handPolicy(g.gate)
		h := handOf(t, job.Policy, n)
		res := mustRun(t, job, InMemory(data))
		h.plain(data)
		sameWork(t, h, res)
		h.running(data)
		sameWork(t, h, res)
	}
}

// BenchmarkThroughput says how fast the engine is beside the two loops of
// hand_test.go, in turns, over the same bars: medians of processor time.
func BenchmarkThroughput(b *testing.B) {
	const n = 200_000
	data := testBars(n, 1)
	for _, g := range speedGates() {
		b.Run(g.name, func(b *testing.B) {
			job := testJob(n)
			job.Policy = handPolicy(g.gate)
			h := handOf(b, job.Policy, n)
			var engine, plain, running []time.Duration
			var res Result
			for b.Loop() {
				engine = append(engine, duration(func() { res = mustRun(b, job, InMemory(data)) }))
				plain = append(plain, duration(func() { h.plain(data) }))
				sameWork(b, h, res)
				running = append(running, duration(func() { h.running(data) }))
				sameWork(b, h, res)
			}
			rate := func(d []time.Duration) float64 { return n / median(d).Seconds() / 1e6 }
			b.ReportMetric(rate(engine), "Mbars/s")
			b.ReportMetric(rate(plain), "plain-Mbars/s")
			b.ReportMetric(rate(running), "running-Mbars/s")
			b.ReportMetric(100*rate(engine)/rate(plain), "%-of-plain")
			b.ReportMetric(100*rate(engine)/rate(running), "%-of-running")
			b.ReportMetric(100*float64(h.passes)/n, "%-passed")
			b.ReportMetric(0, "ns/op") // of three loops together; not shown
		})
	}
}

// BenchmarkFullSet replays with every feature that there is, the gate off.
func BenchmarkFullSet(b *testing.B) {
	const n = 200_000
	data := testBars(n, 1)
	job := fullJob(n)
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		took = append(took, duration(func() { mustRun(b, job, InMemory(data)) }))
	}
	b.ReportMetric(n/median(took).Seconds()/1e6, "Mbars/s")
}

// fullJob has every feature, each with a weight, and signals at no bar.
func fullJob(n int64) Job {
	job := testJob(n)
	p := &job.Policy
	p.Pregate.Enabled = false
	p.Features = nil
	weights := map[string]float64{}
	for _, f := range feature.Known() {
		p.Features = append(p.Features, f.Name)
		weights[f.Name] = 0.01
	}
	p.Model = &policy.Model{Kind: policy.KindLogistic, Long: policy.Logistic{Weights: weights}, Short: policy.Logistic{Weights: weights}}
	p.Entry = policy.Entry{PSideMin: policy.Sides{Long: 1, Short: 1}}
	return job
}

// BenchmarkGate replays with a model of 50 µs a call, gate on and off in
// turns: what the gate costs, and whether time falls as calls do.
func BenchmarkGate(b *testing.B) {
	const n = 20_000
	data := testBars(n, 1)
	on := testJob(n)
	on.Policy = handPolicy(speedGates()[0].gate)
	on.Policy.Model.Latency = 50 * time.Microsecond
	off := on
	off.Policy.Pregate = policy.Pregate{}
	var share, wall, calls float64
	rounds := 0.0
	for b.Loop() {
		x, y := mustRun(b, on, InMemory(data)).Footer, mustRun(b, off, InMemory(data)).Footer
		share += 100 * x.TPregateTotalSec / x.WallClockSec
		wall += 100 * x.WallClockSec / y.WallClockSec
		calls += 100 * float64(x.NModelCalls) / float64(y.NModelCalls)
		rounds++
	}
	b.ReportMetric(share/rounds, "%-of-wall-in-gate")
	b.ReportMetric(wall/rounds, "%-of-wall-without-gate")
	b.ReportMetric(calls/rounds, "%-of-calls-without-gate")
}

// duration is the processor time that f takes, so that other work on the
// machine is not measured, but for what it does to the caches.
func duration(f func()) time.Duration {
	start := cpuTime()
	f()
	return cpuTime() - start
}

func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// A run allocates for itself and its signals, not for its bars: whatever the
// features, and whether bars come one by one or in pieces.
func TestNoAllocationPerBarWhateverTheSource(t *testing.T) {
	data := testBars(40_000, 13)
	allocs := func(n int64, src Source) float64 {
		return testing.AllocsPerRun(3, func() { mustRun(t, fullJob(n), src) })
	}
	for _, src := range []Source{InMemory(data), &memory{bars: data}} {
		if few, many := allocs(8_000, src), allocs(40_000, src); many > few {
			t.Errorf("%T: %v allocations for 40,000 bars, %v for 8,000 (want no more)", src, many, few)
		}
	}
}

// stream makes its bars when they are asked for, in pieces that it reuses, and
// looks at the heap now and then.
type stream struct {
	looks int64 // how often
	peak  uint64
}

func (s *stream) Bars(context.Context, run.BarRange) iter.Seq2[bars.Bar, error] {
	panic("the engine asks for pieces where there are some")
}

func (s *stream) Blocks(_ context.Context, r run.BarRange) iter.Seq2[[]bars.Bar, error] {
	return func(yield func([]bars.Bar, error) bool) {
		look := r.Len() / s.looks
		piece := make([]bars.Bar, 0, 4096)
		for i := r.First; i < r.End; i++ {
			mid := 2000 + 50*math.Sin(float64(i)/700) + 3*math.Sin(float64(i)*1.3)
			next := 2000 + 50*math.Sin(float64(i+1)/700) + 3*math.Sin(float64(i+1)*1.3)
			high, low := max(mid, next)+0.4, min(mid, next)-0.4
			piece = append(piece, bars.Bar{
				TimeNS: i * int64(5*time.Minute), Volume: 1,
				BidOpen: mid, BidHigh: high, BidLow: low, BidClose: next,
				AskOpen: mid + 0.3, AskHigh: high + 0.3, AskLow: low + 0.3, AskClose: next + 0.3,
			})
			if i%look == look-1 {
				s.peak = max(s.peak, heap())
			}
			if len(piece) == cap(piece) || i == r.End-1 {
				if !yield(piece, nil) {
					return
				}
				piece = piece[:0]
			}
		}
	}
}

// heap is what is in use, garbage collected.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakHeap is by how much the heap grew at most while n bars were replayed.
func peakHeap(t testing.TB, n int64) int64 {
	t.Helper()
	before := heap()
	s := &stream{looks: 5}
	res := mustRun(t, fullJob(n), s)
	if res.Footer.NModelCalls < n/2 || s.peak == 0 {
		t.Fatalf("%d model calls in %d bars", res.Footer.NModelCalls, n)
	}
	return int64(s.peak) - int64(before)
}

// Memory does not grow with the data set.
func TestMemoryDoesNotGrowWithBars(t *testing.T) {
	few := peakHeap(t, 20_000)
	many := peakHeap(t, 400_000)
	if few > 4<<20 || many > few+256<<10 {
		t.Errorf("the heap grew by %d bytes for 20,000 bars, by %d for 400,000", few, many)
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, n := range []int64{100_000, 3_000_000} {
		b.Run(fmt.Sprintf("%d-bars", n), func(b *testing.B) {
			for b.Loop() {
				peak := peakHeap(b, n)
				b.ReportMetric(float64(peak)/1024, "KiB-peak")
			}
		})
	}
}
